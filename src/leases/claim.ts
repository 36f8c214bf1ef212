import { randomUUID } from 'node:crypto';
import { is, SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../db/client.ts';
import {
  assignments,
  type Fields,
  name,
  type RowOf,
  type Statement,
  statement,
  type Values,
} from '../db/query.ts';
import { type Outcome, Wait } from '../queue/handle.ts';
import type { LeaseDeps, LeasedTable, Work } from './define.ts';
import { isOpen, list, sameRow } from './where.ts';

/**
 * Clocks of two machines differ by less than this: a job that comes that early is early, not needless. Were it to end, its id
 * would be used up, and no other could be made for that turn within the hour.
 */
const CLOCK_SKEW_MS = 60_000;
/** A job that is early waits so long at least. */
const MOMENT_MS = 100;

/** Another worker has the rows now: its outcome counts, not ours. */
export class ClaimLost extends Error {
  override name = 'ClaimLost';
  constructor() {
    super('another worker has taken this over');
  }
}

export interface ClaimOptions<T extends LeasedTable, F extends Fields> {
  /** Which rows: a condition with placeholders, to which each claim gives the values. */
  where: SQL;
  /** What must hold besides for them to be taken; `now` is a placeholder that has its value. */
  ready?: SQL;
  /** What is read of the rows. */
  fields: F;
  /** Not all that fits, once one of it is due, but a number of what is due, the longest due first, past what others lock. */
  limited?: boolean;
  /** What a claim changes besides. */
  set?: Values<T>;
  /** A table that is read with the rows, one row for each. */
  beside?: { table: PgTable; on: SQL };
}

/** How rows of a kind of work are claimed. */
export interface Claims<T extends LeasedTable = LeasedTable, F extends Fields = Fields> {
  work: Work<T>;
  where: SQL;
  take: Statement<F>;
  next: Statement<{ dueAt: T['dueAt'] }>;
  /** Attempts without the one that is given back. */
  given: SQL;
  /** Statements of writes through a claim, by what they set. */
  writes: Map<string, Statement<{ one: SQL<number> }>>;
}

/** Rows in one worker's hands. Every write through it is refused once another has claimed them. */
export interface Claim<R = unknown> {
  token: string;
  of: Claims;
  /** Of the condition's placeholders. */
  values: Record<string, unknown>;
  rows: R[];
}

const ph = sql.placeholder;

/** Takes all open rows that fit, once at least one of them is due and none is in another worker's hands. */
export function defineClaims<T extends LeasedTable, F extends Fields>(
  work: Work<T>,
  { where, ready, fields, limited = false, set, beside }: ClaimOptions<T, F>,
): Claims<T, F> {
  const { table, key } = work;
  const [dueAt, by] = [name(table.dueAt), name(table.claim)];
  const fits = sql`where ${isOpen(work)} and ${where} ${ready ? sql`and ${ready}` : sql``}`;
  const candidates = limited
    ? sql`${fits} and ${table.dueAt} <= ${ph('now')} order by ${table.dueAt} limit ${ph('limit')} for update skip locked`
    : sql`${fits} order by ${list(key)} for update`;
  const mayBeHad = limited
    ? sql`true`
    : sql`(${ph('redelivered')}::boolean or (
        select bool_or(${dueAt} <= ${ph('now')}) and not bool_or(${by} is not null and ${dueAt} > ${ph('now')}) from candidates))`;
  const take = statement(
    fields,
    (read) => sql`
      with candidates as materialized (select ${list([...key, table.dueAt, table.claim])} from ${table} ${candidates})
      update ${table} set ${name(table.attempts)} = ${table.attempts} + 1, ${by} = ${ph('token')}, ${dueAt} = ${ph('lease')}
        ${set ? sql`, ${assignments(table, set)}` : sql``}
      from candidates ${beside ? sql`, ${beside.table}` : sql``}
      where ${sameRow(work, 'candidates')} and ${mayBeHad} ${beside ? sql`and ${beside.on}` : sql``}
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
  return { work, where, take, next, given: sql`greatest(${table.attempts} - 1, 0)`, writes: new Map() };
}

export interface ClaimHow {
  leaseMs: number;
  /** The job of a worker that died: its rows are taken at once. */
  redelivered?: boolean;
  /** Rows at most, of limited claims. */
  limit?: number;
}

/**
 * Takes rows for a time, and counts an attempt.
 * @param db a transaction, or the pool
 * @param values of the condition's placeholders
 * @returns undefined when there was nothing to be had
 */
export async function claim<T extends LeasedTable, F extends Fields>(
  { db, clock }: { db: Db | Tx; clock: () => number },
  of: Claims<T, F>,
  values: Record<string, unknown>,
  { leaseMs, redelivered = false, limit }: ClaimHow,
): Promise<Claim<RowOf<F>> | undefined> {
  const token = randomUUID();
  const [now, lease] = [new Date(clock()), new Date(clock() + leaseMs)];
  const taken = await of.take.run(db, { ...values, token, now, lease, redelivered, limit });
  return taken.length > 0 ? { token, of: of as unknown as Claims, values, rows: taken } : undefined;
}

/** What a write through a claim may be about and change besides. */
export interface WriteOptions {
  /** Of the claimed rows those with these keys alone; for tables with one key column. */
  only?: readonly string[];
  /** SQL in it is a constant of its module: the statement is built once. */
  set?: Record<string, unknown>;
  /** Of placeholders in that SQL. */
  values?: Record<string, unknown>;
}
export interface LaterOptions extends WriteOptions {
  /** When the rows are due again; now when left out. */
  dueAt?: Date;
  /** Why; what is there already stays when left out. */
  error?: string | undefined;
}

/** @returns how many rows were still in these hands, and are changed */
async function write(
  db: Db | Tx,
  { of, token, values }: Claim,
  set: Record<string, unknown>,
  { only, values: more }: WriteOptions,
): Promise<number> {
  const changes = Object.entries(set).filter(([, value]) => value !== undefined);
  // a null is none of Drizzle's values: it is written as it is
  const kind = (value: unknown) => (value === null ? '=null' : is(value, SQL) ? `=${idOf(value)}` : '');
  const shape = `${changes.map(([key, value]) => `${key}${kind(value)}`)} ${only !== undefined}`;
  let prepared = of.writes.get(shape);
  if (!prepared) {
    prepared = writing(of, changes, only !== undefined);
    of.writes.set(shape, prepared);
  }
  const given = Object.fromEntries(changes.map(([key, value]) => [`set ${key}`, value]));
  return (await prepared.run(db, { ...values, ...more, ...given, token, only })).length;
}

function writing({ work, where }: Claims, changes: [string, unknown][], some: boolean) {
  const { table, key } = work;
  const columns = table as unknown as Record<string, PgColumn>;
  const set = changes.map(([field, value]) => {
    const column = columns[field] as PgColumn;
    const written = is(value, SQL)
      ? value
      : value === null
        ? sql`null`
        : sql.param(ph(`set ${field}`), column);
    return sql`${name(column)} = ${written}`;
  });
  const [id] = key as [PgColumn];
  const only = some ? sql`and ${id} = any(${ph('only')}::${sql.raw(id.getSQLType())}[])` : sql``;
  return statement(
    { one: sql<number>`1` },
    (read) => sql`
      update ${table} set ${list(set)}
      where ${isOpen(work)} and ${where} and ${table.claim} = ${ph('token')} ${only} returning ${read}`,
  );
}

const ids = new WeakMap<SQL, number>();
let lastId = 0;
function idOf(constant: SQL): number {
  const id = ids.get(constant) ?? ++lastId;
  ids.set(constant, id);
  return id;
}

/** Keeps the rows for another lease. @returns how many are still in these hands */
export const renew = (
  { db, clock }: LeaseDeps,
  by: Claim,
  leaseMs: number,
  { set, ...options }: WriteOptions = {},
): Promise<number> => write(db, by, { dueAt: new Date(clock() + leaseMs), ...set }, options);

/** Not tried, or interrupted by what is nobody's fault: due again, and the attempt is given back. */
export const release = (
  { db, clock }: { db: Db | Tx; clock: () => number },
  by: Claim,
  { dueAt = new Date(clock()), error, set, ...options }: LaterOptions = {},
): Promise<number> => write(db, by, { ...LET_GO, attempts: by.of.given, dueAt, error, ...set }, options);

/** Tried in vain: due again, and the attempt is spent. */
export const retry = (
  { db }: { db: Db | Tx },
  by: Claim,
  { dueAt, error, set, ...options }: LaterOptions & { dueAt: Date },
): Promise<number> => write(db, by, { ...LET_GO, dueAt, error, ...set }, options);

/** In nobody's hands, and without a job for its next turn. */
const LET_GO = { claim: null, offeredAt: null };

/**
 * Ends the rows.
 * @param state one that is not open
 * @throws ClaimLost when not all of them are still in these hands
 */
export async function finish(
  { db }: { db: Db | Tx },
  by: Claim,
  state: string,
  { set, ...options }: WriteOptions = {},
): Promise<void> {
  const ended = await write(db, by, { ...LET_GO, state, ...set }, options);
  if (ended !== (options.only ?? by.rows).length) throw new ClaimLost();
}

/**
 * For a job whose rows could not be claimed. A job was made for their next turn, and it is near: a dead worker's rows have one
 * at the end of the lease. Or they came while another worker has what belongs to them.
 * @throws Wait when their turn is yet to come
 */
export async function explainUnclaimed<T extends LeasedTable, F extends Fields>(
  { db, clock }: LeaseDeps,
  of: Claims<T, F>,
  values: Record<string, unknown>,
): Promise<Outcome> {
  const nowMs = clock();
  const soon = new Date(nowMs + CLOCK_SKEW_MS);
  const [next] = await of.next.run(db, { ...values, soon, now: new Date(nowMs) });
  if (next) throw new Wait(Math.max(MOMENT_MS, (next.dueAt as Date).getTime() - nowMs), 'due in a moment');
  return { outcome: 'nothing to do' };
}
