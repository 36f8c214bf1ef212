import type { JobSchedulerJson, Queue } from 'bullmq';
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
 * was emptied, or has lost a part of it), and leaves unchanged ones alone, since an upsert would push their next run away.
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
    if (known && Number(known.every) === everyMs) {
      if (await goesOn(queue, known)) continue;
      await forget(queue, known); // else its next turn would be a period away
    }
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

type Present = Pick<JobSchedulerJson, 'key' | 'every' | 'next'>;

/** A scheduler lives by its next job, which BullMQ names so. */
const nextJobId = ({ key, next }: Present) => `repeat:${key}:${next}`;

/**
 * False when the chain broke: its next job was lost (a key that a full Redis evicted, rows that somebody removed). One that
 * is overdue is there: whoever takes it next makes the one after it.
 */
async function goesOn(queue: Queue, present: Present): Promise<boolean> {
  const state = await queue.getJobState(nextJobId(present));
  if (state !== 'unknown' && state !== 'completed' && state !== 'failed') return true;
  // taken and ended meanwhile: then there is another one by now
  return (await queue.getJobScheduler(present.key))?.next !== present.next;
}

/** Whether nobody has taken its next job for three periods. */
const isOverdue = ({ next, every }: Present) => (next ?? 0) <= Date.now() - 3 * Number(every) - 10_000;

/** With what is left of the lost job, which nothing else would remove. */
async function forget(queue: Queue, present: Present): Promise<void> {
  await queue.removeJobScheduler(present.key);
  await queue.remove(nextJobId(present));
}

/** The job schedulers of a queue as they are, with whether each still comes back. */
export async function readSchedules(
  queues: Queues,
  definition: { name: string },
): Promise<{ id: string; alive: boolean }[]> {
  const queue = queues.raw(definition.name);
  const present = await queue.getJobSchedulers(0, -1);
  return await Promise.all(
    present.map(async (one) => ({ id: one.key, alive: !isOverdue(one) && (await goesOn(queue, one)) })),
  );
}
