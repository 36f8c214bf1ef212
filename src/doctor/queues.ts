import { eq } from 'drizzle-orm';
import { webAddress } from '../config/index.ts';
import { trackers } from '../db/schema/index.ts';
import type { Fleet } from '../fleet/index.ts';
import { queuesOf } from '../fleet/works.ts';
import { messageOf } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { type QueueMetrics, readFleetMetrics } from '../ops/fleet-metrics.ts';
import { maintenance } from '../queue/maintenance.ts';
import { readSchedules } from '../queue/schedules.ts';
import { temuOrders } from '../temu/orders/index.ts';
import { queueOf } from '../tracking/index.ts';
import { type Check, type Finding, fault, orWell, startWorker, unknown, warning } from './check.ts';

/** Work due for longer than this is stuck, or there are too few workers; the sweep runs every 15 s. */
const OLDEST_SECONDS = 10 * 60;

/** Whether each queue has a worker, and how far behind it is. */
export const queues: Check = {
  name: 'Queues',
  needs: ['database', 'queues'],
  async look(fleet) {
    const [ages, standing, schedules, rows] = await Promise.all([
      readAges(fleet),
      Promise.all(
        queuesOf(fleet).map(async (queue) => ({
          ...{ queue: queue.name, worker: queue.worker, workers: await fleet.queues.workers(queue) },
          ...(await fleet.queues.counts(queue)),
        })),
      ),
      readSchedules(fleet.queues, maintenance),
      fleet.db.select({ name: trackers.name }).from(trackers).where(eq(trackers.enabled, true)),
    ]);
    const off = offQueues(
      fleet,
      rows.map(({ name }) => name),
    );
    const lonely = standing.filter(({ queue, workers }) => workers === 0 && !off.has(queue));
    return orWell(
      [
        ...byWorker(lonely),
        ...scheduleFindings(schedules),
        ...standing.filter(({ paused }) => paused).map((one) => pausedFinding(one, fleet)),
        ...ages,
        ...standing.filter(({ failed }) => failed > 0).map((one) => failedFinding(one, fleet)),
      ],
      `all queues have workers (${fleet.queues.backend.kind === 'redis' ? 'queues on Redis' : 'queues on Postgres'}), ${plural(schedules.length, 'schedule')} running`,
    );
  },
};

/** A separate check: a database that is too busy for it must not prevent the other findings. */
async function readAges(fleet: Fleet): Promise<Finding[]> {
  try {
    const { queues } = await readFleetMetrics(fleet);
    return queues.filter(({ oldest }) => oldest > OLDEST_SECONDS).map(oldestFinding);
  } catch (error) {
    return [unknown(`Could not read how long work has been due: ${messageOf(error)}`)];
  }
}

/** Trackers that are off, here and for the scheduler, have no jobs. */
const offQueues = ({ trackers }: Fleet, enabled: readonly string[]) =>
  new Set(
    trackers
      .filter(({ name, connection }) => !connection && !enabled.includes(name))
      .map((tracker) => queueOf(tracker).name),
  );

/** One finding per missing worker, with all its queues. */
function byWorker(lonely: readonly { queue: string; worker: string }[]): Finding[] {
  const workers = new Map<string, string[]>();
  for (const { queue, worker } of lonely) workers.set(worker, [...(workers.get(worker) ?? []), queue]);
  return [...workers].map(([worker, names]) =>
    fault(`No "${worker}" worker is running for ${names.join(', ')}`, startWorker(worker)),
  );
}

function scheduleFindings(schedules: readonly { id: string; alive: boolean }[]): Finding[] {
  if (schedules.length === 0)
    return [fault('No schedules: the scheduler has never run here', startWorker('scheduler'))];
  const late = schedules.filter(({ alive }) => !alive).map(({ id }) => id);
  return late.length > 0
    ? [fault(`The scheduler is not running. Overdue: ${late.join(', ')}`, startWorker('scheduler'))]
    : [];
}

const oldestFinding = ({ queue, worker, oldest }: QueueMetrics): Finding =>
  warning(
    `The oldest work of ${queue} is overdue by ${plural(Math.round(oldest / 60), 'minute')}`,
    `see what it is waiting for: orderfleet status; if it is only a backlog, ${startWorker(worker)}`,
  );

const pausedFinding = ({ queue, waiting }: { queue: string; waiting: number }, { config }: Fleet): Finding =>
  warning(
    `${queue} is paused, with ${plural(waiting, 'job')} waiting`,
    `resume it at ${webAddress(config)}/queues/queue/${queue}`,
  );

const failedFinding = ({ queue, failed }: { queue: string; failed: number }, { config }: Fleet): Finding =>
  warning(
    `${plural(failed, 'failed job')} in ${queue}`,
    `see the cause at ${webAddress(config)}/queues/queue/${queue}?status=failed and fix it; then ${
      queue === temuOrders.name ? 'orderfleet sync --failed' : 'retry them there'
    }`,
  );
