import { z } from 'zod';
import { defineQueue, minutes, seconds } from '../../queue/define.ts';

/** One job reads one sync window, page by page (T2, T3). */
export const temuPages = defineQueue({
  name: 'temu-pages',
  worker: 'temu',
  payload: z.object({ v: z.literal(1), windowId: z.uuid() }),
  concurrency: 20, // windows at once; their pages share the smallest part of the rate limit, so more would only wait
  attempts: 5, // tries of one page
  backoff: { baseMs: seconds(2), maxMs: minutes(1) },
  timeoutMs: minutes(60), // 90 days of a large store are a thousand pages at a few a second
});

/** One job enriches an order from the inbox (T5), or up to five of one store: a job costs more than an order (P7). */
export const temuOrders = defineQueue({
  name: 'temu-orders',
  worker: 'temu',
  payload: z.object({
    v: z.literal(1),
    storeId: z.uuid(),
    parentOrderSn: z.string().min(1),
    /** The others' numbers. */
    more: z.array(z.string().min(1)).max(100).optional(),
  }),
  concurrency: 16, // with 80 orders at most, whose calls have their turn long before the orders' leases end
  attempts: 5, // tries of an order whose calls fail for the moment, before it is stored as Incomplete
  backoff: { baseMs: seconds(2), maxMs: minutes(10) },
  timeoutMs: minutes(2),
});
