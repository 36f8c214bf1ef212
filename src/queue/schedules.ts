import type { Log } from '../log.ts';
import type { QueueDefinition } from './define.ts';
import type { Queues } from './queues.ts';

/** A job that comes back by itself. The id is for ever: changing it orphans the old one until it is reconciled. */
export interface Schedule<P> {
  id: string;
  everyMs: number;
  payload: P;
}

/**
 * Makes the job schedulers of a queue be exactly `wanted`: removes strangers, adds what is missing (also after Redis
 * was emptied), and leaves unchanged ones alone, since an upsert would push their next run away.
 */
export async function reconcileSchedules<P>(
  queues: Queues,
  definition: QueueDefinition<P>,
  wanted: readonly Schedule<P>[],
  log: Log,
): Promise<void> {
  const queue = queues.raw(definition.name);
  const present = new Map((await queue.getJobSchedulers(0, -1)).map((one) => [one.key, one]));
  for (const key of present.keys()) {
    if (wanted.some((one) => one.id === key)) continue;
    await queue.removeJobScheduler(key);
    log.info({ queue: definition.name, schedule: key }, 'schedule removed');
  }
  for (const { id, everyMs, payload } of wanted) {
    const known = present.get(id);
    if (known && Number(known.every) === everyMs && isAlive(everyMs, known.next)) continue;
    await queue.upsertJobScheduler(
      id,
      { every: everyMs },
      // each turn is a trace of its own: else all turns for ever would hang together
      {
        name: id,
        data: definition.payload.parse(payload),
        opts: { attempts: 1, telemetry: { omitContext: true } },
      },
    );
    log.info({ queue: definition.name, schedule: id, everyMs }, 'schedule set');
  }
}

/** `next` far in the past means that the chain broke: its job was lost, or nobody has taken it. */
const isAlive = (everyMs: number, next: number | undefined) =>
  (next ?? 0) > Date.now() - 3 * everyMs - 10_000;

/** The job schedulers of a queue as they are, with whether each still comes back. */
export async function readSchedules(
  queues: Queues,
  definition: { name: string },
): Promise<{ id: string; alive: boolean }[]> {
  const present = await queues.raw(definition.name).getJobSchedulers(0, -1);
  return present.map(({ key, every, next }) => ({ id: key, alive: isAlive(Number(every), next) }));
}
