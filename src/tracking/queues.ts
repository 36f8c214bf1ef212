import { z } from 'zod';
import { defineQueue, minutes, type QueueDefinition, seconds } from '../queue/define.ts';
import type { Tracker } from './registry.ts';

const payload = z.object({
  v: z.literal(1),
  runId: z.uuid(),
  no: z.number().int().min(0),
  /** Parcels: of jobs that wait for a request, the halves of a batch that has failed come first (C9). */
  size: z.number().int().min(0).optional(),
});
export type BatchJob = z.output<typeof payload>;

/**
 * Batches in work for each request in flight: others are being written meanwhile. Where a limit paces the requests there is
 * nothing to gain.
 */
const IN_WORK = 3;

/** C1: each tracker has its own queue, so that a slow or paused one delays no other. */
export const queueOf = ({
  name,
  atOnce,
  limit,
}: Pick<Tracker, 'name' | 'atOnce' | 'limit'>): QueueDefinition<BatchJob> =>
  defineQueue({
    name: `tracking-${name}`,
    worker: 'tracking',
    payload,
    concurrency: limit ? atOnce : IN_WORK * atOnce,
    limiter: limit ? { max: limit.max, perMs: Math.ceil(limit.seconds * 1000) } : null, // a batch is a request
    attempts: 5, // for unforeseen errors; a batch counts its attempts in its row
    backoff: { baseMs: seconds(2), maxMs: minutes(1) },
    timeoutMs: minutes(10), // a batch may wait for the quota, but not longer than a run
  });
