import type { Work } from '../../leases/define.ts';
import { sweepTasks } from '../../leases/sweep.ts';
import { minutes, seconds } from '../../queue/define.ts';
import type { Task } from '../../queue/maintenance.ts';
import type { OrdersBase } from '../deps.ts';
import { releaseHeld } from './hold.ts';
import { inboxOrders } from './inbox-orders.ts';
import { openWindows, pruneWindows, windows } from './schedule-windows.ts';

/** The leased work of this module. */
export const orderWorks: readonly Work[] = [windows, inboxOrders];

/** The scheduler's tasks for Temu's orders. */
export const orderTasks = (deps: OrdersBase): Task[] => [
  {
    id: 'temu-open-windows', // T2; ten seconds are little beside five minutes
    everyMs: seconds(10),
    run: async () => ({ open: (await openWindows(deps)).length }),
  },
  ...sweepTasks(deps, orderWorks),
  {
    id: 'temu-release-held', // T12: within a minute
    everyMs: seconds(20),
    run: async () => ({ released: await releaseHeld(deps) }),
  },
  {
    id: 'temu-forget-windows',
    everyMs: minutes(60),
    run: async () => ({ forgotten: await pruneWindows(deps.db, deps.clock()) }),
  },
];
