import { z } from 'zod';
import { defineQueue, minutes, seconds } from '../queue/define.ts';

/**
 * One job delivers what is due on one lane (see routes.ts). Retries are in the rows: a job that has run is done, whatever
 * became of its notices.
 */
export const notices = defineQueue({
  name: 'notices',
  worker: 'alerts',
  payload: z.object({ v: z.literal(1), lane: z.string(), endpointId: z.string().optional() }),
  concurrency: 50, // a destination has one place per process; those that hang must leave places to the others
  attempts: 5,
  backoff: { baseMs: seconds(2), maxMs: minutes(1) },
  timeoutMs: minutes(2),
});
