import type { Work } from '../../leases/define.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { sweepTasks } from '../../leases/sweep.ts';
import { alertAtRisk } from '../../orders/at-risk.ts';
import { minutes, seconds } from '../../queue/define.ts';
import type { Task } from '../../queue/maintenance.ts';
import type { OrdersBase } from '../deps.ts';
import { findUnpushed, pushes, reviveParked } from './enqueue.ts';
import { retryWaitingEvents } from './ingest-event.ts';
import { awbCreated } from './queues.ts';

/** The leased work of this module. */
export const awbWorks: readonly Work[] = [pushes];

/** The scheduler's tasks for AWBs. */
export const awbTasks = (deps: OrdersBase): Task[] => [
  ...sweepTasks(deps, awbWorks),
  {
    id: 'awb-revive-parked',
    everyMs: seconds(15),
    run: async () => ({ revived: await reviveParked(deps), offered: await enqueueDue(deps, pushes) }),
  },
  {
    id: 'awb-find-unpushed', // A7: every minute
    everyMs: minutes(1),
    run: async () => ({ found: await findUnpushed(deps), offered: await enqueueDue(deps, pushes) }),
  },
  {
    id: 'awb-waiting-events',
    everyMs: seconds(15),
    run: async () => ({ looked: await retryWaitingEvents(deps) }),
  },
  {
    id: 'awb-failed-events', // A2: until they are recorded, or somebody removes them
    everyMs: seconds(30),
    run: async () => ({ again: await deps.queues.retryFailed(awbCreated, deps.clock()) }),
  },
  { id: 'awb-at-risk', everyMs: minutes(1), run: async () => ({ alerted: await alertAtRisk(deps) }) },
];
