import { alertWorks } from '../alerts/index.ts';
import type { Work } from '../leases/define.ts';
import { type QueueDefinition, WORKERS } from '../queue/define.ts';
import { maintenance } from '../queue/maintenance.ts';
import { awbCreated, awbWorks } from '../temu/awb/index.ts';
import { orderWorks } from '../temu/orders/index.ts';
import { trackingWorks } from '../tracking/index.ts';
import type { Fleet } from './index.ts';

/** All leased work of the fleet. Each module's works are swept, counted, shown and used for scaling. */
export const worksOf = (fleet: Pick<Fleet, 'trackers'>): Work[] => [
  ...[...orderWorks, ...awbWorks, ...trackingWorks(fleet), ...alertWorks],
];

export type FleetQueue = Pick<QueueDefinition, 'name' | 'worker'>;

/** Queues whose work has no row before its job is taken: incoming events, and jobs of schedules. */
const WITHOUT_ROWS: readonly FleetQueue[] = [awbCreated, maintenance];
export const hasRows = (queue: FleetQueue): boolean => !WITHOUT_ROWS.some(({ name }) => name === queue.name);

/** All queues, in the order in which work passes through them. */
export const queuesOf = (fleet: Pick<Fleet, 'trackers'>): FleetQueue[] =>
  [...WITHOUT_ROWS, ...worksOf(fleet).map(({ enqueue }) => enqueue.queue)].sort(
    (one, other) => WORKERS.indexOf(one.worker) - WORKERS.indexOf(other.worker),
  );
