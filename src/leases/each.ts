import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { Db, Tx } from '../db/client.ts';
import {
  arrayOf,
  assignments,
  type Fields,
  list,
  name,
  type RowOf,
  type Statement,
  statement,
  type Values,
} from '../db/query.ts';
import { alike } from '../lib/alike.ts';
import { type Claim, type ClaimHow, ClaimLost, claim, idOf, UNCLAIMED } from './claim.ts';
import type { LeasedTable, Work } from './define.ts';
import type { Claims } from './define-claims.ts';
import { fieldsOf, givenRows, isOpen, rowsBy, sameRow, valuesOfEach } from './where.ts';

// Rows of several jobs at once, each job with a claim of its own (P5, P6, P7).

const ph = sql.placeholder;

/**
 * Claims rows by what tells the claims apart (`each`), each claim on its own.
 * @param which the values of those columns by their names, in one order: so are rows locked
 * @returns a claim for each that was to be had
 */
export async function claimEach<T extends LeasedTable, F extends Fields>(
  { db, clock }: { db: Db | Tx; clock: () => number },
  of: Claims<T, F>,
  which: readonly Record<string, unknown>[],
  { leaseMs, redelivered = false }: ClaimHow,
): Promise<Claim<RowOf<F>>[]> {
  const claimed = await claim({ db, clock }, of, valuesOfEach(of.each, which), { leaseMs, redelivered });
  if (!claimed) return [];
  const valuesOf = (row: RowOf<F>) =>
    Object.fromEntries(of.each.map((field) => [field, (row as Record<string, unknown>)[field]]));
  return alike(claimed.rows, (row) => Object.values(valuesOf(row)).join(' ')).map(([, rows]) => ({
    ...claimed,
    values: valuesOf(rows[0]),
    rows,
  }));
}

/** Some of a claim's rows, or all. */
export interface Held {
  claim: Claim;
  rows: readonly unknown[];
}

export interface EachOptions {
  /**
   * What else is written in the same statement, about the rows that were written: a relation with the table's columns.
   * The same constant each time.
   */
  also?: (written: SQL) => SQL;
  /** Of its placeholders. */
  values?: Record<string, unknown>;
}

/**
 * Writes rows through several claims of one kind, each on its own: one that does not hold all of its rows any more writes
 * none of them.
 * @param all in the order in which rows are to be locked
 * @returns those that were written
 */
export async function writeEach<H extends Held>(
  db: Db | Tx,
  all: readonly H[],
  set: Record<string, unknown>,
  { also, values }: EachOptions = {},
): Promise<ReadonlySet<H>> {
  const [first] = all;
  if (!first) return new Set();
  const { work, writesOfEach } = first.claim.of;
  const shape = `${Object.keys(set)} ${also ? idOf(also) : ''}`;
  const writing = writesOfEach.get(shape) ?? writingOf(work, Object.keys(set), also);
  writesOfEach.set(shape, writing);
  const rows = all.flatMap((one, at) => one.rows.map((row) => ({ row, place: at + 1, ...one.claim })));
  const written = await writing.run(db, {
    ...values,
    ...Object.fromEntries(Object.entries(set).map(([field, value]) => [`set ${field}`, value])),
    ...valuesOfEach(
      fieldsOf(work.table, work.key).map(([field]) => field),
      rows.map(({ row }) => row),
    ),
    tokens: rows.map(({ token }) => token),
    places: rows.map(({ place }) => place),
    sizes: all.map(({ rows }) => rows.length),
  });
  return new Set(written.map(({ place }) => all[place - 1] as H));
}

function writingOf(
  work: Work,
  fields: readonly string[],
  also: EachOptions['also'],
): Statement<{ place: SQL<number> }> {
  const { table, key } = work;
  const set = assignments(
    table,
    Object.fromEntries(fields.map((field) => [field, ph(`set ${field}`)])) as Values<LeasedTable>,
  );
  const given = givenRows(work, key, [
    [arrayOf(table.claim, ph('tokens')), name(table.claim)],
    [sql`${ph('places')}::int[]`, sql`place`],
  ]);
  return statement(
    { place: sql<number>`place` },
    (read) => sql`
      with held as materialized (
        select ${list([...key])}, given.place from ${rowsBy(work, key, given)}
        where ${isOpen(work)} and ${table.claim} = given.${name(table.claim)}),
      whole as materialized (select place from held group by place having count(*) = (${ph('sizes')}::int[])[place]),
      written as (
        update ${table} set ${set} from held
        where ${sameRow(work, 'held')} and held.place in (select place from whole)
        returning ${list(Object.values(getTableColumns(table)))})
      ${also ? sql`, also as (${also(sql`written`)})` : sql``}
      select ${read} from whole`,
  );
}

/**
 * Ends the rows of several claims of one kind.
 * @param state one that is not open
 * @throws ClaimLost when one of them was lost; by then others may have ended, so the transaction is to be given up
 */
export async function finishAll(
  db: Tx,
  claims: readonly Claim[],
  state: string,
  set: Record<string, unknown> = {},
): Promise<void> {
  const all = claims.map((claim) => ({ claim, rows: claim.rows }));
  const ended = await writeEach(db, all, { ...UNCLAIMED, state, ...set });
  if (ended.size !== claims.length) throw new ClaimLost();
}
