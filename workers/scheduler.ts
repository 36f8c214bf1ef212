import { alertTasks } from '../src/alerts/index.ts';
import { runProcess } from '../src/fleet/index.ts';
import { erasureTasks } from '../src/ops/erasure.ts';
import { samplerTasks } from '../src/ops/sampler.ts';
import { maintenance, maintenanceHandler, schedulesOf } from '../src/queue/maintenance.ts';
import { reconcileSchedules } from '../src/queue/schedules.ts';
import { awbTasks } from '../src/temu/awb/index.ts';
import { orderTasks } from '../src/temu/orders/index.ts';
import { reconcileTrackers, trackingTasks } from '../src/tracking/index.ts';

// Turns what is due into jobs. Several may run: the schedules are shared, each run happens once.
await runProcess('scheduler', (fleet) => {
  const tasks = [
    ...[...orderTasks(fleet), ...awbTasks(fleet), ...trackingTasks(fleet), ...alertTasks(fleet)],
    ...[...erasureTasks(fleet), ...samplerTasks(fleet)],
  ];
  let trackersSetUp = false;
  return {
    handlers: [maintenanceHandler(tasks)],
    // outside the queues, so that emptied queues recover (R1)
    also: {
      everyMs: 15_000,
      async run() {
        await reconcileSchedules(fleet.queues, maintenance, schedulesOf(tasks), fleet.log);
        if (!trackersSetUp) await reconcileTrackers(fleet, fleet.config.TRACKING_STATUS);
        trackersSetUp = true;
      },
    },
  };
});
