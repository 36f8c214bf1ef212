import { enqueueDue } from '../../leases/enqueue.ts';
import { minutes, seconds } from '../../queue/define.ts';
import type { Task } from '../../queue/maintenance.ts';
import type { OrdersBase } from './deps.ts';
import { releaseHeld } from './hold.ts';
import { inboxOrders } from './inbox-orders.ts';
import { forgetOldWindows, openWindows, windows } from './window.ts';

/** What the scheduler does for Temu's orders. */
export const orderTasks = (deps: OrdersBase): Task[] => [
  {
    id: 'temu-open-windows', // T2; ten seconds are little beside five minutes
    everyMs: seconds(10),
    run: async () => ({ open: (await openWindows(deps)).length }),
  },
  {
    id: 'temu-sweep', // R1: due rows without a job, found within the offer's minute plus this
    everyMs: seconds(15),
    run: async () => ({
      windows: await enqueueDue(deps, windows),
      orders: await enqueueDue(deps, inboxOrders),
    }),
  },
  {
    id: 'temu-release-held', // T12: within a minute
    everyMs: seconds(20),
    run: async () => ({ released: await releaseHeld(deps) }),
  },
  {
    id: 'temu-forget-windows',
    everyMs: minutes(60),
    run: async () => ({ forgotten: await forgetOldWindows(deps.db, deps.clock()) }),
  },
];
