import type { Work } from '../../leases/define.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { sweepTasks } from '../../leases/sweep.ts';
import { minutes, seconds } from '../../queue/define.ts';
import type { Task } from '../../queue/maintenance.ts';
import type { OrdersBase } from '../orders/deps.ts';
import { findUnpushed, pushes, reviveParked } from './offer.ts';
import { awbCreated } from './queues.ts';
import { retryWaitingEvents } from './record.ts';
import { alertAtRisk } from './risk.ts';

/** What is leased in this room. */
export const awbWorks: readonly Work[] = [pushes];

/** What the scheduler does for AWB numbers. */
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
    id: 'awb-failed-events', // A2: until they are recorded, or a person removes them
    everyMs: seconds(30),
    run: async () => ({ again: await deps.queues.retryFailed(awbCreated) }),
  },
  { id: 'awb-at-risk', everyMs: minutes(1), run: async () => ({ alerted: await alertAtRisk(deps) }) },
];
