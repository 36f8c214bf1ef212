import { randomUUID } from 'node:crypto';
import { is, SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../db/client.ts';
import { type Fields, list, name, type RowOf, statement } from '../db/query.ts';
import { type Outcome, Wait } from '../queue/handle.ts';
import type { LeaseDeps, LeasedTable } from './define.ts';
import type { Claims } from './define-claims.ts';
import { isOpen } from './where.ts';

/**
 * Clocks of two machines differ by less than this: a job that comes that early is early, not needless. If it ended,
 * its id would be used up, and no other job could be made for that due time within the hour.
 */
const CLOCK_SKEW_MS = 60_000;
/** The shortest delay of an early job. */
const MOMENT_MS = 100;

/** Another worker has the rows now: its outcome counts, not ours. */
export class ClaimLost extends Error {
  override name = 'ClaimLost';
  constructor() {
    super('another worker has taken this over');
  }
}

/** A worker's lease on rows. Every write through it is refused once another worker has claimed them. */
export interface Claim<R = unknown> {
  token: string;
  of: Claims;
  /** Of the condition's placeholders. */
  values: Record<string, unknown>;
  rows: R[];
}

const ph = sql.placeholder;

export interface ClaimHow {
  leaseMs: number;
  /** The job of a worker that died: its rows are claimable at once. */
  redelivered?: boolean;
  /** Most rows, for limited claims. */
  limit?: number;
}

/**
 * Leases rows, and counts an attempt.
 * @param db a transaction, or the pool
 * @param values of the condition's placeholders
 * @returns undefined when there was nothing to claim
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

/** What a write through a claim may be limited to and set in addition. */
export interface WriteOptions {
  /** Only the claimed rows with these keys; for tables with one key column. */
  only?: readonly string[];
  /** SQL in it must be a constant of its module: the statement is built once. */
  set?: Record<string, unknown>;
  /** Of placeholders in that SQL. */
  values?: Record<string, unknown>;
}
export interface LaterOptions extends WriteOptions {
  /** When the rows are due again; by default now. */
  dueAt?: Date;
  /** Why; by default the stored one stays. */
  error?: string | undefined;
}

/** @returns how many rows the claim still held, and were changed */
async function write(
  db: Db | Tx,
  by: Claim,
  set: Record<string, unknown>,
  { only, values: more }: WriteOptions,
): Promise<number> {
  const { of, token, values } = by;
  const changes = Object.entries(set).filter(([, value]) => value !== undefined);
  // null is not a Drizzle value: it is written as it is
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
  const ours = sql`${isOpen(work)} and ${where} and ${table.claim} = ${ph('token')} ${only}`;
  return statement(
    { one: sql<number>`1` },
    (read) => sql`update ${table} set ${list(set)} where ${ours} returning ${read}`,
  );
}

const ids = new WeakMap<object, number>();
let lastId = 0;
/** Tells constants apart in the name of a statement. */
export function idOf(constant: object): number {
  const id = ids.get(constant) ?? ++lastId;
  ids.set(constant, id);
  return id;
}

/** Extends the lease. @returns how many rows the claim still holds */
export const renew = (
  { db, clock }: LeaseDeps,
  by: Claim,
  leaseMs: number,
  { set, ...options }: WriteOptions = {},
): Promise<number> => write(db, by, { dueAt: new Date(clock() + leaseMs), ...set }, options);

/** Not tried, or interrupted by a fault that is not its own: due again, and the attempt does not count. */
export const release = (
  { db, clock }: { db: Db | Tx; clock: () => number },
  by: Claim,
  { dueAt = new Date(clock()), error, set, ...options }: LaterOptions = {},
): Promise<number> => write(db, by, { ...UNCLAIMED, attempts: by.of.given, dueAt, error, ...set }, options);

/** Tried and failed: due again, and the attempt counts. */
export const retry = (
  { db }: { db: Db | Tx },
  by: Claim,
  { dueAt, error, set, ...options }: LaterOptions & { dueAt: Date },
): Promise<number> => write(db, by, { ...UNCLAIMED, dueAt, error, ...set }, options);

/** Unclaimed, and without a job for its next due time. */
export const UNCLAIMED = { claim: null, offeredAt: null };

/**
 * Ends the rows.
 * @param state one that is not open
 * @throws ClaimLost when the claim does not hold all of them any more
 */
export async function finish(
  { db }: { db: Db | Tx },
  by: Claim,
  state: string,
  { set, ...options }: WriteOptions = {},
): Promise<void> {
  const ended = await write(db, by, { ...UNCLAIMED, state, ...set }, options);
  if (ended !== (options.only ?? by.rows).length) throw new ClaimLost();
}

/**
 * For a job whose rows could not be claimed. Either a job was already made for a due time in the near future (a dead
 * worker's rows have one at the end of the lease), or the rows were added while another worker has the rest of their
 * group.
 * @throws Wait when they are due soon
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
