import { randomUUID } from 'node:crypto';
import { type SQL, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../db/client.ts';
import { assignments, type Fields, name, type RowOf, rows, type Values } from '../db/query.ts';
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

/** Rows in one worker's hands. Every write through it is refused once another has claimed them. */
export interface Claim<R = unknown> {
  token: string;
  /** Which rows, as they were asked for. */
  where: SQL;
  rows: R[];
}

/** Another worker has the rows now: its outcome counts, not ours. */
export class ClaimLost extends Error {
  override name = 'ClaimLost';
  constructor() {
    super('another worker has taken this over');
  }
}

export interface ClaimOptions<T extends LeasedTable, F extends Fields> {
  where: SQL;
  /** What must hold besides for them to be taken. */
  ready?: SQL;
  /** What is read of the rows. */
  fields: F;
  leaseMs: number;
  /** The job of a worker that died: its rows are taken at once. */
  redelivered?: boolean;
  /** Not all that fits, if one of it is due, but so many of what is due, the longest due first, past what others lock. */
  limit?: number;
  /** What the claim changes besides. */
  set?: Values<T>;
  /** A table that is read with the rows, one row for each. */
  beside?: { table: PgTable; on: SQL };
}

/**
 * Takes all open rows that fit, once at least one of them is due and none is in another worker's hands. Counts an attempt.
 * @param db a transaction, or the pool
 * @returns undefined when there was nothing to be had
 */
export async function claim<T extends LeasedTable, F extends Fields>(
  { db, clock }: { db: Db | Tx; clock: () => number },
  work: Work<T>,
  { where, ready, fields, leaseMs, redelivered = false, limit, set, beside }: ClaimOptions<T, F>,
): Promise<Claim<RowOf<F>> | undefined> {
  const { table, key } = work;
  const [now, lease] = [new Date(clock()), new Date(clock() + leaseMs)];
  const token = randomUUID();
  const due = sql`${table.dueAt} <= ${now}`;
  const fits = sql`where ${isOpen(work)} and ${where} ${ready ? sql`and ${ready}` : sql``}`;
  const candidates =
    limit === undefined
      ? sql`${fits} order by ${list(key)} for update`
      : sql`${fits} and ${due} order by ${table.dueAt} limit ${limit} for update skip locked`;
  const [dueAt, by] = [name(table.dueAt), name(table.claim)];
  const mayBeHad =
    limit === undefined
      ? sql`(${redelivered} or (
          select bool_or(${dueAt} <= ${now}) and not bool_or(${by} is not null and ${dueAt} > ${now}) from candidates))`
      : sql`true`;
  const claimed = await rows(
    db,
    fields,
    (read) => sql`
      with candidates as materialized (select ${list([...key, table.dueAt, table.claim])} from ${table} ${candidates})
      update ${table} set ${name(table.attempts)} = ${table.attempts} + 1, ${by} = ${token}, ${dueAt} = ${lease}
        ${set ? sql`, ${assignments(table, set)}` : sql``}
      from candidates ${beside ? sql`, ${beside.table}` : sql``}
      where ${sameRow(work, 'candidates')} and ${mayBeHad} ${beside ? sql`and ${beside.on}` : sql``}
      returning ${read}`,
  );
  return claimed.length > 0 ? { token, where, rows: claimed } : undefined;
}

/** What a write through a claim may be about and change besides. */
export interface WriteOptions<T extends LeasedTable> {
  /** Of the claimed rows these alone. */
  only?: SQL;
  set?: Values<T>;
}
export interface LaterOptions<T extends LeasedTable> extends WriteOptions<T> {
  /** When the rows are due again; now when left out. */
  dueAt?: Date;
  /** Why; what is there already stays when left out. */
  error?: string | undefined;
}

const held = <T extends LeasedTable>(work: Work<T>, { token, where }: Claim, only?: SQL) =>
  sql`${isOpen(work)} and ${where} and ${work.table.claim} = ${token} ${only ? sql`and ${only}` : sql``}`;

/** @returns how many rows were still in these hands, and are changed */
async function write<T extends LeasedTable>(
  db: Db | Tx,
  work: Work<T>,
  by: Claim,
  values: Values<T>,
  only?: SQL,
): Promise<number> {
  const { table } = work;
  const changed = await rows(
    db,
    { one: sql<number>`1` },
    (read) =>
      sql`update ${table} set ${assignments(table, values)} where ${held(work, by, only)} returning ${read}`,
  );
  return changed.length;
}

/** Keeps the rows for another lease. @returns how many are still in these hands */
export const renew = <T extends LeasedTable>(
  { db, clock }: LeaseDeps,
  work: Work<T>,
  by: Claim,
  leaseMs: number,
  { only, set }: WriteOptions<T> = {},
): Promise<number> => write(db, work, by, { dueAt: new Date(clock() + leaseMs), ...set } as Values<T>, only);

/** Not tried, or interrupted by what is nobody's fault: due again, and the attempt is given back. */
export const release = <T extends LeasedTable>(
  { db, clock }: { db: Db | Tx; clock: () => number },
  work: Work<T>,
  by: Claim,
  { dueAt = new Date(clock()), error, only, set }: LaterOptions<T> = {},
): Promise<number> => {
  const attempts = sql`greatest(${work.table.attempts} - 1, 0)`;
  return write(db, work, by, { ...LET_GO, attempts, dueAt, error, ...set } as Values<T>, only);
};

/** Tried in vain: due again, and the attempt is spent. */
export const retry = <T extends LeasedTable>(
  { db }: { db: Db | Tx },
  work: Work<T>,
  by: Claim,
  { dueAt, error, only, set }: LaterOptions<T> & { dueAt: Date },
): Promise<number> => write(db, work, by, { ...LET_GO, dueAt, error, ...set } as Values<T>, only);

/** In nobody's hands, and without a job for its next turn. */
const LET_GO = { claim: null, offeredAt: null };

/**
 * Ends the rows.
 * @param state one that is not open
 * @throws ClaimLost when not all of them are still in these hands
 */
export async function finish<T extends LeasedTable>(
  { db }: { db: Db | Tx },
  work: Work<T>,
  by: Claim,
  state: T['$inferInsert']['state' & keyof T['$inferInsert']],
  { only, set, count = by.rows.length }: WriteOptions<T> & { count?: number } = {},
): Promise<void> {
  const ended = await write(db, work, by, { ...LET_GO, state, ...set } as Values<T>, only);
  if (ended !== count) throw new ClaimLost();
}

/**
 * For a job whose rows could not be claimed. A job was made for their next turn, and it is near: a dead worker's rows have one
 * at the end of the lease. Or they came while another worker has what belongs to them.
 * @throws Wait when their turn is yet to come
 */
export async function explainUnclaimed<T extends LeasedTable>(
  { db, clock }: LeaseDeps,
  work: Work<T>,
  where: SQL,
): Promise<Outcome> {
  const { table } = work;
  const nowMs = clock();
  const soon = new Date(nowMs + CLOCK_SKEW_MS);
  const [next] = await rows(
    db,
    { dueAt: table.dueAt },
    (read) => sql`
      select ${read} from ${table}
      where ${isOpen(work)} and ${where} and (${table.offeredAt} >= ${table.dueAt} and ${table.dueAt} <= ${soon}
        or ${table.claim} is null and ${table.dueAt} <= ${new Date(nowMs)})
      order by ${table.dueAt} limit 1`,
  );
  if (next) throw new Wait(Math.max(MOMENT_MS, (next.dueAt as Date).getTime() - nowMs), 'due in a moment');
  return { outcome: 'nothing to do' };
}
