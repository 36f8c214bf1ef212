import type { z } from 'zod';

/** Processes that take jobs, in the order of the flow of work. */
export const WORKERS = ['temu', 'awb', 'tracking', 'alerts', 'scheduler'] as const;
export type WorkerName = (typeof WORKERS)[number];

/** The complete declaration of a queue: its payload and how its jobs are processed. */
export interface QueueDefinition<P = unknown> {
  name: string;
  /** The process that takes its jobs: `npm run worker -- NAME`. */
  worker: WorkerName;
  /** Parsed when a job is added and again when it is taken; new fields must be optional (R6). */
  payload: z.ZodType<P>;
  /** Jobs in progress at once, per process. */
  concurrency: number;
  /**
   * Jobs that all workers together take in a time, from the same number as the account that enforces the limit
   * (src/quota): what cannot leave yet waits in the queue. null: none; undefined: whatever was set in Bull Board.
   */
  limiter?: Limiter | null;
  /** Tries of a job that fails for transient reasons, before the failure is final. */
  attempts: number;
  /** Delay before the next try: base × 2^(tries − 1), at most max, plus up to a quarter at random. */
  backoff: { baseMs: number; maxMs: number };
  /** A handler that takes longer is aborted. */
  timeoutMs: number;
  /** T18: other programs add jobs, too: unknown fields of their payloads are dropped when a job is taken. */
  fromOutside?: boolean;
}

/** BullMQ's: the window begins with the first job in it. */
export interface Limiter {
  max: number;
  perMs: number;
}

export const defineQueue = <P>(definition: QueueDefinition<P>): QueueDefinition<P> => definition;

export const seconds = (count: number) => count * 1000;
export const minutes = (count: number) => count * 60_000;

/** Milliseconds until the next try after `tries` failed ones; jitter goes upward only. */
export function backoffMs(backoff: QueueDefinition['backoff'], tries: number, random = Math.random): number {
  const base = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.max(0, tries - 1));
  return Math.round(base * (1 + 0.25 * random()));
}
