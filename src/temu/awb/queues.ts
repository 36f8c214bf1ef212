import { z } from 'zod';
import { AWB_CREATED, awbCreatedEvent } from '../../client/index.ts';
import { defineQueue, minutes, seconds } from '../../queue/define.ts';

/** Filled from outside (A1): by orderfleet/client, by any BullMQ producer, or by POST /events/awb-created. */
export const awbCreated = defineQueue({
  name: AWB_CREATED,
  worker: 'awb',
  payload: awbCreatedEvent,
  fromOutside: true,
  // what 300 events a second need when each takes a tenth of a second, and half as many again: those that wait share
  // statements (P6); more would overtake more urgent ones (A8)
  concurrency: 48,
  attempts: 5,
  backoff: { baseMs: seconds(1), maxMs: minutes(1) },
  // the fast path pushes in it, as awb-push does, and writes the outcome once Postgres is back
  timeoutMs: minutes(2),
});

/** One job pushes what is due for one order: all its parcels, since Temu wants them in one call (A3). */
export const awbPush = defineQueue({
  name: 'awb-push',
  worker: 'awb',
  payload: z.object({ v: z.literal(1), orderId: z.uuid() }),
  concurrency: 40, // above the rate limit times a slow response, so that the rate limit is the only brake
  attempts: 5,
  backoff: { baseMs: seconds(2), maxMs: minutes(10) },
  timeoutMs: minutes(2),
});
