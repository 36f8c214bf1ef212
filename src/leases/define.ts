import type { SQL } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { Db } from '../db/client.ts';
import type { Fields, RowOf } from '../db/query.ts';
import type { QueueDefinition } from '../queue/define.ts';
import type { NewJob, Queues } from '../queue/queues.ts';

/** The columns that every table of leased work has. */
export type LeasedTable = PgTable & {
  state: PgColumn;
  /** When the row is due next; while a worker has it, when its lease ends. */
  dueAt: PgColumn;
  /** When a job was made of it; null when none was for the present due time. */
  offeredAt: PgColumn;
  /** Counted when the row is claimed: work that kills its worker is bounded by it. */
  attempts: PgColumn;
  /** The fencing token of the worker that has it; null while none has. */
  claim: PgColumn;
  error: PgColumn;
};

/**
 * A kind of leased work: rows of a table that wait for their due time, become jobs of a queue, and belong to one
 * worker at a time. Postgres owns them (R1): a job only says where to look, and may be lost or delivered twice.
 */
export interface Work<T extends LeasedTable = LeasedTable> {
  table: T;
  /** The primary key. */
  key: readonly PgColumn[];
  /** States of rows that are to be worked on, also while a worker has them. */
  open: readonly string[];
  /** A further condition for a job to be made: an active store, for instance. */
  ready?(now: Date): SQL;
  /** Since when the row could be worked on, if not since its due time. */
  since?: SQL;
  /** How jobs are made of rows that are due. */
  enqueue: EnqueueOptions;
}

/** @see enqueueDue */
export interface EnqueueOptions<F extends Fields = Fields, P = unknown> {
  queue: QueueDefinition<P>;
  /** What is read of a row to make its job. */
  fields: F;
  /**
   * Called for each sweep. @returns a function that makes jobs of rows, which come in chunks with the longest due
   * first
   */
  jobs(sweep: Sweep): (rows: readonly EnqueuedRow<F>[]) => Promise<NewJob<P>[]> | NewJob<P>[];
  /** How often the sweep looks for due rows without a job, milliseconds. */
  sweepMs: number;
  /** A job that has not appeared after this long counts as lost, and is made again (R1), milliseconds. */
  againMs: number;
  /** Rows at a time, and most rows in one sweep. */
  chunk: number;
  most: number;
}

/** `dueMs`: its due time, epoch milliseconds: part of its job's id (dueJobId). */
export type EnqueuedRow<F extends Fields> = RowOf<F> & { dueMs: string };

/** One pass over rows that are due. */
export interface Sweep {
  db: Db;
  /** Taken once: jobs made in this sweep must not count as lost before it ends. */
  now: Date;
}

export const defineWork = <T extends LeasedTable, F extends Fields, P>(
  work: Omit<Work<T>, 'enqueue'> & { enqueue: EnqueueOptions<F, P> },
): Work<T> => work as unknown as Work<T>;

/** What the operations on leased work need. */
export interface LeaseDeps {
  db: Db;
  /** Epoch milliseconds. */
  clock: () => number;
}
export interface EnqueueDeps extends LeaseDeps {
  queues: Queues;
}
