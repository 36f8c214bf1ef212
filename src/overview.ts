import { type DeliveryOverview, deliveryOverview, type OpenNotice, openNotices } from './alerts/index.ts';
import { messageOf } from './errors.ts';
import type { Fleet } from './fleet.ts';
import type { WorkerName } from './queue/define.ts';
import type { QueueCounts } from './queue/queues.ts';
import { openOrderErrors, type StoreOverview, storeOverviews } from './temu/overview.ts';
import { type TrackingOverview, trackingOverview } from './tracking/index.ts';
import { within } from './within.ts';
import { type FleetQueue, queuesOf } from './works.ts';

/** How the whole fleet stands, for `status` and the dashboard: counts, times and reasons, no personal data (T18). */
export interface Overview {
  stores: StoreOverview[];
  needsAPerson: OpenNotice[];
  orderErrors: { type: string; message: string; orders: number }[];
  delivery: DeliveryOverview;
  tracking: TrackingOverview;
  /** Those that answered. `worker`: the process that takes its jobs; `workers`: how many do. */
  queues: ({ queue: string; worker: WorkerName; workers: number } & QueueCounts)[];
  /** Those that did not, with the reason: their store is away, or hangs. */
  silent: { queue: string; why: string }[];
}

/** BullMQ waits for a store that is away as long as it takes; a person looks at the rest meanwhile. In milliseconds. */
const QUEUE_MS = 2_000;

/**
 * What Postgres knows is told also when the queues are away.
 * @param options.openOrders count open orders alone, so that costs do not grow with what is stored (P3)
 * @throws the driver's error when Postgres does not answer
 */
export async function readOverview(fleet: Fleet, options: { openOrders?: boolean } = {}): Promise<Overview> {
  const { db, trackers } = fleet;
  const [stores, needsAPerson, orderErrors, delivery, tracking, ...read] = await Promise.all([
    storeOverviews(db, { open: options.openOrders ?? false }),
    openNotices(db),
    openOrderErrors(db),
    deliveryOverview(db),
    trackingOverview(db, trackers, fleet.clock()),
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
    const [workers, counts] = await within(QUEUE_MS, asked);
    return { queue: queue.name, worker: queue.worker, workers, ...counts };
  } catch (error) {
    return { queue: queue.name, why: messageOf(error) };
  }
}
