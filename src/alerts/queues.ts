import { z } from 'zod';
import { defineQueue, minutes } from '../queue/define.ts';
import { JOB_RETRIES } from './retries.ts';

/**
 * One job delivers what is due on one lane (see routes.ts). Retries are in the rows: a job that has run is done, whatever
 * became of its notices.
 */
export const notices = defineQueue({
  name: 'notices',
  worker: 'alerts',
  payload: z.object({ v: z.literal(1), lane: z.string(), endpointId: z.string().optional() }),
  concurrency: 50, // a destination has one slot per process; those that hang must leave slots to the others
  ...JOB_RETRIES,
  timeoutMs: minutes(2),
});
