import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import {
  assignments,
  type Fields,
  list,
  name,
  names,
  type Statement,
  statement,
  type Values,
} from '../db/query.ts';
import type { LeasedTable, Work } from './define.ts';
import { fieldsOf, givenRows, isOpen, rowsBy, sameRow } from './where.ts';

export interface ClaimOptions<T extends LeasedTable, F extends Fields> {
  /** Which rows: a condition with placeholders, filled in by each claim. */
  where: SQL;
  /** A further condition on the rows; `now` is a placeholder that is filled in. */
  ready?: SQL;
  /** What is read of the rows; for `claimEach` also what tells the claims apart. */
  fields: F;
  /**
   * Claims a number of due rows, the longest due first, skipping locked ones, instead of all that match once one of
   * them is due.
   */
  limited?: boolean;
  /** For `claimEach`: rows with the same of these columns are claimed together; the condition is that of one claim. */
  each?: readonly PgColumn[];
  /** Other columns that a claim sets. */
  set?: Values<T>;
  /** Tables that are joined to the rows, one row of each for each. */
  beside?: readonly { table: PgTable; on: SQL }[];
}

/** How rows of a kind of work are claimed. */
export interface Claims<T extends LeasedTable = LeasedTable, F extends Fields = Fields> {
  work: Work<T>;
  where: SQL;
  /** The fields that tell claims of `claimEach` apart. */
  each: readonly string[];
  take: Statement<F>;
  next: Statement<{ dueAt: T['dueAt'] }>;
  /** `attempts` without the one that a release does not count. */
  given: SQL;
  /** Statements of writes through a claim, by what they set. */
  writes: Map<string, Statement<{ one: SQL<number> }>>;
  /** Statements of writes through several claims, likewise. */
  writesOfEach: Map<string, Statement<{ place: SQL<number> }>>;
}

const ph = sql.placeholder;

/** By default: claims all open rows that match, once at least one of them is due and no other worker has them. */
export function defineClaims<T extends LeasedTable, F extends Fields>(
  work: Work<T>,
  { where, ready, fields, limited = false, each, set, beside = [] }: ClaimOptions<T, F>,
): Claims<T, F> {
  const { table, key } = work;
  const [dueAt, by] = [name(table.dueAt), name(table.claim)];
  const columns = list([...new Set([...key, ...(each ?? []), table.dueAt, table.claim])]);
  const open = sql`${isOpen(work)} ${ready ? sql`and ${ready}` : sql``}`;
  const ofMatching = limited
    ? sql`${open} and ${where} and ${table.dueAt} <= ${ph('now')} order by ${table.dueAt} limit ${ph('limit')} for update skip locked`
    : sql`${open} and ${where} order by ${list(key)} for update`;
  const candidates = each
    ? sql`select ${columns} from ${rowsBy(work, each, givenRows(work, each))} where ${open}`
    : sql`select ${columns} from ${table} where ${ofMatching}`;
  const free = sql`(${ph('redelivered')}::boolean
    or bool_or(${dueAt} <= ${ph('now')}) and not bool_or(${by} is not null and ${dueAt} > ${ph('now')}))`;
  const mayBeHad = limited
    ? sql`true`
    : each
      ? sql`(${list(each.map((column) => sql`candidates.${name(column)}`))}) in (
          select ${names(each)} from candidates group by ${names(each)} having ${free})`
      : sql`(select ${free} from candidates)`;
  const take = statement(
    fields,
    (read) => sql`
      with candidates as materialized (${candidates})
      update ${table} set ${name(table.attempts)} = ${table.attempts} + 1, ${by} = ${ph('token')}, ${dueAt} = ${ph('lease')}
        ${set ? sql`, ${assignments(table, set)}` : sql``}
      from ${list([sql`candidates`, ...beside.map(({ table }) => sql`${table}`)])}
      where ${sql.join([sameRow(work, 'candidates'), mayBeHad, ...beside.map(({ on }) => on)], sql` and `)}
      returning ${read}`,
  );
  const next = statement(
    { dueAt: table.dueAt as T['dueAt'] },
    (read) => sql`
      select ${read} from ${table}
      where ${isOpen(work)} and ${where} and (${table.offeredAt} >= ${table.dueAt} and ${table.dueAt} <= ${ph('soon')}
        or ${table.claim} is null and ${table.dueAt} <= ${ph('now')})
      order by ${table.dueAt} limit 1`,
  );
  return {
    work,
    where,
    each: fieldsOf(table, each ?? []).map(([field]) => field),
    take,
    next,
    given: sql`greatest(${table.attempts} - 1, 0)`,
    writes: new Map(),
    writesOfEach: new Map(),
  };
}
