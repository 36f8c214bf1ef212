import { webAddress } from '../config.ts';
import { messageOf } from '../errors.ts';
import { type QueueFigures, readFigures } from '../figures.ts';
import type { Fleet } from '../fleet.ts';
import { maintenance } from '../queue/maintenance.ts';
import { readSchedules } from '../queue/schedules.ts';
import { temuOrders } from '../temu/orders/index.ts';
import { queueOf } from '../tracking/index.ts';
import { queuesOf } from '../works.ts';
import { type Check, type Finding, fault, orWell, several, startWorker, unknown, warning } from './check.ts';

/** Work that has been due for longer than this is stuck, or its workers are too few; the sweep looks every 15 s. */
const OLDEST_SECONDS = 10 * 60;

/** Whether somebody takes each queue's jobs, and how the work goes. */
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
      fleet.db.$client<{ name: string }[]>`select name from trackers where enabled`,
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
      `every queue has a worker (${fleet.queues.backend.kind === 'redis' ? 'queues on Redis' : 'queues on Postgres'}), ${several(schedules.length, 'schedule')} alive`,
    );
  },
};

/** A database that is too busy to say how old the work is leaves the rest to be looked at all the same. */
async function readAges(fleet: Fleet): Promise<Finding[]> {
  try {
    const { queues } = await readFigures(fleet);
    return queues.filter(({ oldest }) => oldest > OLDEST_SECONDS).map(oldestFinding);
  } catch (error) {
    return [unknown(`How long work has been due could not be read: ${messageOf(error)}`)];
  }
}

/** Trackers that are off, here and for the scheduler, have nothing to be taken. */
const offQueues = ({ trackers }: Fleet, enabled: readonly string[]) =>
  new Set(
    trackers
      .filter(({ name, connection }) => !connection && !enabled.includes(name))
      .map((tracker) => queueOf(tracker).name),
  );

/** One finding for each worker that is missing, with all its queues. */
function byWorker(lonely: readonly { queue: string; worker: string }[]): Finding[] {
  const workers = new Map<string, string[]>();
  for (const { queue, worker } of lonely) workers.set(worker, [...(workers.get(worker) ?? []), queue]);
  return [...workers].map(([worker, names]) =>
    fault(`Nobody takes the jobs of ${names.join(', ')}: no "${worker}" worker runs`, startWorker(worker)),
  );
}

function scheduleFindings(schedules: readonly { id: string; alive: boolean }[]): Finding[] {
  if (schedules.length === 0)
    return [fault('No schedule is set: the scheduler has never run here', startWorker('scheduler'))];
  const late = schedules.filter(({ alive }) => !alive).map(({ id }) => id);
  return late.length > 0
    ? [fault(`The scheduler does not run: overdue is ${late.join(', ')}`, startWorker('scheduler'))]
    : [];
}

const oldestFinding = ({ queue, worker, oldest }: QueueFigures): Finding =>
  warning(
    `Work of ${queue} has been due for ${Math.round(oldest / 60)} minutes`,
    `see what it waits for: orderfleet status; if it is only much, ${startWorker(worker)}`,
  );

const pausedFinding = ({ queue, waiting }: { queue: string; waiting: number }, { config }: Fleet): Finding =>
  warning(
    `${queue} is paused: nobody takes its jobs, and ${several(waiting, 'job')} ${waiting === 1 ? 'waits' : 'wait'}`,
    `resume it at ${webAddress(config)}/queues/queue/${queue}`,
  );

const failedFinding = ({ queue, failed }: { queue: string; failed: number }, { config }: Fleet): Finding =>
  warning(
    `${several(failed, 'failed job')} in ${queue}`,
    `read why at ${webAddress(config)}/queues/queue/${queue}?status=failed and mend it; then ${
      queue === temuOrders.name ? 'orderfleet sync --failed' : 'retry them there'
    }`,
  );
