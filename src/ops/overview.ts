import { type DeliveryOverview, deliveryOverview, type OpenNotice, openNotices } from '../alerts/index.ts';
import type { Fleet } from '../fleet/index.ts';
import { type FleetQueue, queuesOf } from '../fleet/works.ts';
import { messageOf } from '../lib/errors.ts';
import { withTimeout } from '../lib/with-timeout.ts';
import type { WorkerName } from '../queue/define.ts';
import type { QueueCounts } from '../queue/queues.ts';
import { openOrderErrors, type StoreOverview, storeOverviews } from '../temu/overview.ts';
import { type TrackingOverview, trackingOverview } from '../tracking/index.ts';

/** State of the whole fleet, for `status` and the dashboard: counts, times and reasons, no personal data (T18). */
export interface Overview {
  stores: StoreOverview[];
  needsAPerson: OpenNotice[];
  orderErrors: { type: string; message: string; orders: number }[];
  delivery: DeliveryOverview;
  tracking: TrackingOverview;
  /** Queues that answered. `worker`: the process that takes its jobs; `workers`: how many are connected. */
  queues: ({ queue: string; worker: WorkerName; workers: number } & QueueCounts)[];
  /** Queues that did not answer, with the reason: their store is down or hangs. */
  silent: { queue: string; why: string }[];
}

/** BullMQ waits for ever for a store that is down; the rest of the page does not. In milliseconds. */
const QUEUE_MS = 3_500;

/**
 * Works without the queues: then their part is in `silent`.
 * @param options.openOrders count only open orders, so that costs do not grow with stored data (P3)
 * @throws the driver's error when Postgres does not answer
 */
export async function readOverview(fleet: Fleet, options: { openOrders?: boolean } = {}): Promise<Overview> {
  const { db } = fleet;
  const [stores, needsAPerson, orderErrors, delivery, tracking, ...read] = await Promise.all([
    storeOverviews(db, { open: options.openOrders ?? false }),
    openNotices(db),
    openOrderErrors(db),
    deliveryOverview(db),
    trackingOverview(fleet, fleet.clock()),
    ...queuesOf(fleet).map((queue) => readQueue(fleet, queue)),
  ]);
  return {
    ...{ stores, needsAPerson, orderErrors, delivery, tracking },
    queues: read.filter((one) => 'workers' in one),
    silent: read.filter((one) => 'why' in one),
  };
}

type QueueRead = Overview['queues'][number] | Overview['silent'][number];

async function readQueue({ queues }: Fleet, queue: FleetQueue): Promise<QueueRead> {
  try {
    const asked = Promise.all([queues.workers(queue), queues.counts(queue)]);
    const [workers, counts] = await withTimeout(QUEUE_MS, asked);
    return { queue: queue.name, worker: queue.worker, workers, ...counts };
  } catch (error) {
    return { queue: queue.name, why: messageOf(error) };
  }
}
