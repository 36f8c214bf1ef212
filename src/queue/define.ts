import type { z } from 'zod';

/** Processes that take jobs, in the order in which work goes through them. */
export const WORKERS = ['temu', 'awb', 'tracking', 'alerts', 'scheduler'] as const;
export type WorkerName = (typeof WORKERS)[number];

/** One queue, whole: what it carries and how it is worked. */
export interface QueueDefinition<P = unknown> {
  name: string;
  /** The process that takes its jobs: `npm run worker -- NAME`. */
  worker: WorkerName;
  /** Parsed when a job is added and again when it is taken; new fields must be optional (R6). */
  payload: z.ZodType<P>;
  /** Jobs in work at once, per process. */
  concurrency: number;
  /** Tries of a piece of work that fails for a moment, before the failure is final. */
  attempts: number;
  /** Delay before the next try: base × 2^(tries − 1), at most max, plus up to a quarter at random. */
  backoff: { baseMs: number; maxMs: number };
  /** A handler that takes longer is aborted. */
  timeoutMs: number;
  /** T18: other programs add jobs, too: what the payload does not know of theirs is dropped when a job is taken. */
  fromOutside?: boolean;
}

export const defineQueue = <P>(definition: QueueDefinition<P>): QueueDefinition<P> => definition;

export const seconds = (count: number) => count * 1000;
export const minutes = (count: number) => count * 60_000;

/** Milliseconds until the next try after `tries` failed ones; jitter goes upward only. */
export function backoffMs(backoff: QueueDefinition['backoff'], tries: number, random = Math.random): number {
  const base = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.max(0, tries - 1));
  return Math.round(base * (1 + 0.25 * random()));
}
