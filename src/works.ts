import { alertWorks } from './alerts/index.ts';
import type { Fleet } from './fleet.ts';
import type { Work } from './leases/define.ts';
import { type QueueDefinition, WORKERS } from './queue/define.ts';
import { maintenance } from './queue/maintenance.ts';
import { awbCreated, awbWorks } from './temu/awb/index.ts';
import { orderWorks } from './temu/orders/index.ts';
import { trackingWorks } from './tracking/index.ts';

/** All leased work of the fleet: what a room adds to its own list is swept, counted, shown and scaled by. */
export const worksOf = (fleet: Pick<Fleet, 'trackers'>): Work[] => [
  ...[...orderWorks, ...awbWorks, ...trackingWorks(fleet), ...alertWorks],
];

export type FleetQueue = Pick<QueueDefinition, 'name' | 'worker'>;

/** Queues whose work is no row before its job is taken: events as they come in, and what the schedules add. */
const WITHOUT_ROWS: readonly FleetQueue[] = [awbCreated, maintenance];
export const hasRows = (queue: FleetQueue): boolean => !WITHOUT_ROWS.some(({ name }) => name === queue.name);

/** All queues of the fleet, in the order in which work goes through them. */
export const queuesOf = (fleet: Pick<Fleet, 'trackers'>): FleetQueue[] =>
  [...WITHOUT_ROWS, ...worksOf(fleet).map(({ enqueue }) => enqueue.queue)].sort(
    (one, other) => WORKERS.indexOf(one.worker) - WORKERS.indexOf(other.worker),
  );
