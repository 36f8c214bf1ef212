import type { JobSchedulerJson, Queue } from 'bullmq';
import type { Log } from '../lib/log.ts';
import type { QueueDefinition } from './define.ts';
import type { Queues } from './queues.ts';

/** A recurring job. The id must never change: a new one orphans the old one until it is reconciled. */
export interface Schedule<P> {
  id: string;
  everyMs: number;
  payload: P;
}

/**
 * Makes the job schedulers of a queue exactly `wanted`: removes unknown ones, adds missing ones (also after Redis was
 * emptied, or lost part of it), and leaves unchanged ones alone, since an upsert would postpone their next run.
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
      await forget(queue, known); // else its next run would be a period away
    }
    await queue.upsertJobScheduler(
      id,
      { every: everyMs },
      // each run is a trace of its own: otherwise all runs would be one endless trace
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

/** A scheduler lives by its next job, which BullMQ names like this. */
const nextJobId = ({ key, next }: Present) => `repeat:${key}:${next}`;

/**
 * False when the chain broke: its next job was lost (a key that a full Redis evicted, rows that somebody removed). An
 * overdue one exists: whoever takes it next makes the following one.
 */
async function goesOn(queue: Queue, present: Present): Promise<boolean> {
  const state = await queue.getJobState(nextJobId(present));
  if (state !== 'unknown' && state !== 'completed' && state !== 'failed') return true;
  // if taken and ended meanwhile, there is another one by now
  return (await queue.getJobScheduler(present.key))?.next !== present.next;
}

/** Whether nobody has taken its next job for three periods. */
const isOverdue = ({ next, every }: Present) => (next ?? 0) <= Date.now() - 3 * Number(every) - 10_000;

/** Also removes what is left of the lost job, which nothing else would. */
async function forget(queue: Queue, present: Present): Promise<void> {
  await queue.removeJobScheduler(present.key);
  await queue.remove(nextJobId(present));
}

/** The job schedulers of a queue, and whether each still recurs. */
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
