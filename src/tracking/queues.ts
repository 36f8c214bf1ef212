import { z } from 'zod';
import { defineQueue, minutes, type QueueDefinition, seconds } from '../queue/define.ts';
import type { Tracker } from './catalogue.ts';

const payload = z.object({ v: z.literal(1), runId: z.uuid(), no: z.number().int().min(0) });
export type BatchJob = z.output<typeof payload>;

/** C1: each tracker has a queue of its own: one that waits or hangs holds up no other. */
export const queueOf = ({ name, atOnce }: Pick<Tracker, 'name' | 'atOnce'>): QueueDefinition<BatchJob> =>
  defineQueue({
    name: `tracking-${name}`,
    worker: 'tracking',
    payload,
    concurrency: atOnce,
    attempts: 5, // against errors that no rule foresees; a batch counts its tries in its row
    backoff: { baseMs: seconds(2), maxMs: minutes(1) },
    timeoutMs: minutes(10), // a batch may wait for the quota, never longer than its run takes
  });
