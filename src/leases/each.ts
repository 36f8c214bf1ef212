import { type SQL, sql } from 'drizzle-orm';
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
import { type Claim, type ClaimHow, ClaimLost, type Claims, claim, UNCLAIMED } from './claim.ts';
import type { LeasedTable, Work } from './define.ts';
import { isOpen, keyFields, keysOf, rowsByKey, sameRow } from './where.ts';

// Rows of several jobs at once, each with a claim of its own (P5, P7).

const ph = sql.placeholder;

/**
 * Claims rows by their keys, each on its own.
 * @param keys by the key columns' names, in one order: so are rows locked
 * @returns a claim for each row that was to be had
 */
export async function claimEach<T extends LeasedTable, F extends Fields>(
  { db, clock }: { db: Db | Tx; clock: () => number },
  of: Claims<T, F>,
  keys: readonly Record<string, unknown>[],
  { leaseMs, redelivered = false }: ClaimHow,
): Promise<Claim<RowOf<F>>[]> {
  const fields = keyFields(of.work).map(([field]) => field);
  const columns = Object.fromEntries(fields.map((field) => [`each ${field}`, keys.map((key) => key[field])]));
  const claimed = await claim({ db, clock }, of, columns, { leaseMs, redelivered });
  return (claimed?.rows ?? []).map((row) => ({
    ...(claimed as Claim<RowOf<F>>),
    values: Object.fromEntries(fields.map((field) => [field, (row as Record<string, unknown>)[field]])),
    rows: [row],
  }));
}

/**
 * Ends the rows of several claims of one kind, a row each.
 * @param state one that is not open
 * @throws ClaimLost when one of them was lost; by then some may have ended, so the transaction is to be given up
 */
export async function finishAll(
  db: Tx,
  claims: readonly Claim[],
  state: string,
  set: Record<string, unknown> = {},
): Promise<void> {
  const [first] = claims;
  if (!first) return;
  const { work, endings } = first.of;
  const shape = Object.keys(set).join();
  const ending = endings.get(shape) ?? endingOf(work, Object.keys(set));
  endings.set(shape, ending);
  const ended = await ending.run(db, {
    state,
    tokens: claims.map(({ token }) => token),
    ...Object.fromEntries(
      keyFields(work).map(([field]) => [`each ${field}`, claims.map(({ values }) => values[field])]),
    ),
    ...Object.fromEntries(Object.entries(set).map(([field, value]) => [`set ${field}`, value])),
  });
  if (ended.length !== claims.length) throw new ClaimLost();
}

function endingOf(work: Work, fields: readonly string[]): Statement<{ one: SQL<number> }> {
  const { table } = work;
  const set = assignments(table, {
    ...{ ...UNCLAIMED, state: ph('state') },
    ...Object.fromEntries(fields.map((field) => [field, ph(`set ${field}`)])),
  } as Values<LeasedTable>);
  const given = keysOf(work, [[arrayOf(table.claim, ph('tokens')), name(table.claim)]]);
  return statement(
    { one: sql<number>`1` },
    (read) => sql`
      update ${table} set ${set} from (
        select ${list([...work.key])} from ${rowsByKey(work, given)}
        where ${isOpen(work)} and ${table.claim} = given.${name(table.claim)}) as held
      where ${sameRow(work, 'held')} returning ${read}`,
  );
}
