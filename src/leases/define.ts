import type { SQL } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { Db } from '../db/client.ts';
import type { Fields, RowOf } from '../db/query.ts';
import type { QueueDefinition } from '../queue/define.ts';
import type { NewJob, Queues } from '../queue/queues.ts';

/** The columns that every table of leased work has. */
export type LeasedTable = PgTable & {
  state: PgColumn;
  /** When the row is to be worked on next; while a worker has it, when its lease is over. */
  dueAt: PgColumn;
  /** When a job was made of it; null when none was for the time at which it is due now. */
  offeredAt: PgColumn;
  /** Counted when the row is taken: work that kills its worker is bounded by it. */
  attempts: PgColumn;
  /** The fencing token of the worker that has it; null while nobody does. */
  claim: PgColumn;
  error: PgColumn;
};

/**
 * A kind of leased work: rows of a table that wait for their time, become jobs of a queue, and are one worker's at a time.
 * Postgres owns them (R1): a job only says where to look, and may be lost or come twice.
 */
export interface Work<T extends LeasedTable = LeasedTable> {
  table: T;
  /** The primary key. */
  key: readonly PgColumn[];
  /** States of rows that are to be worked on, also while a worker has them. */
  open: readonly string[];
  /** What must hold besides for a job to be made: a store that is on, for instance. */
  ready?(now: Date): SQL;
  /** Since when the row could be worked on, where not since it is due. */
  since?: SQL;
  /** How jobs are made of rows that are due. */
  enqueue: EnqueueOptions;
}

/** @see enqueueDue */
export interface EnqueueOptions<F extends Fields = Fields, P = unknown> {
  queue: QueueDefinition<P>;
  /** What is read of a row to make its job. */
  fields: F;
  /** Called for each sweep. @returns what makes jobs of rows, which come in chunks with the longest due first */
  jobs(sweep: Sweep): (rows: readonly EnqueuedRow<F>[]) => Promise<NewJob<P>[]> | NewJob<P>[];
  /** Due rows without a job are looked for this often, milliseconds. */
  sweepMs: number;
  /** A job that has not shown up after this long counts as lost, and is made again (R1), milliseconds. */
  againMs: number;
  /** Rows at a time, and in one sweep at most. */
  chunk: number;
  most: number;
}

/** `dueMs`: when it was due, epoch milliseconds: part of its job's id (dueJobId). */
export type EnqueuedRow<F extends Fields> = RowOf<F> & { dueMs: string };

/** One look for rows that are due. */
export interface Sweep {
  db: Db;
  /** Taken once: what this sweep has made jobs of must not be stale before its end. */
  now: Date;
}

export const defineWork = <T extends LeasedTable, F extends Fields, P>(
  work: Omit<Work<T>, 'enqueue'> & { enqueue: EnqueueOptions<F, P> },
): Work<T> => work as unknown as Work<T>;

/** What the verbs of leased work need. */
export interface LeaseDeps {
  db: Db;
  /** Epoch milliseconds. */
  clock: () => number;
}
export interface EnqueueDeps extends LeaseDeps {
  queues: Queues;
}
