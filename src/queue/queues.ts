import type { Job, Queue, QueueOptions } from 'bullmq';
import type { Log } from '../log.ts';
import { type BackendWatch, createQueueBackend, type QueueBackend } from './backend.ts';
import type { QueueDefinition } from './define.ts';

export interface NewJob<P> {
  payload: P;
  /**
   * Names the piece of work and its turn. A second job of the same id is dropped without a word while the first
   * one exists, also when it has ended and is kept: so an id must change whenever the work is due anew. No ":".
   */
  id: string;
  delayMs?: number;
  /** 1 is first. Either all jobs of a queue carry one or none: plain jobs are served before prioritised ones. */
  priority?: number;
  /** Before all jobs that wait already. */
  first?: boolean;
}

export interface QueueCounts {
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
}

/** The producers' side of the queues of one process. */
export interface Queues {
  readonly backend: QueueBackend;
  /** @throws ZodError when a payload does not fit the queue's schema; the driver's error when the store is away. */
  add<P>(definition: QueueDefinition<P>, jobs: readonly NewJob<P>[]): Promise<void>;
  counts(definition: { name: string }): Promise<QueueCounts>;
  /**
   * Jobs that a worker with a free place would take now, those of schedules included that are late: none while the queue
   * is paused or held back by a limit.
   */
  takeable(definition: { name: string }): Promise<number>;
  /**
   * When the job whose turn is next could have been taken, epoch milliseconds; undefined: none waits. A delayed job whose
   * time has come waits, too: only a worker makes it one that waits by name, so without workers it stays delayed.
   */
  nextSince(definition: { name: string }): Promise<number | undefined>;
  /** Workers of a queue over all processes. */
  workers(definition: { name: string }): Promise<number>;
  /** BullMQ's own queue: for this room and for Bull Board. */
  raw(name: string): Queue;
  close(): Promise<void>;
}

/** More than are taken between counting what waits and reading it. */
const TAKEN_MEANWHILE = 10;

/** BullMQ's Postgres lists what waits from the newest on, in whichever order it is asked for: the oldest is its last. */
async function oldestWaiting(queue: Queue, kind: QueueBackend['kind']): Promise<Job | undefined> {
  if (kind === 'redis') return (await queue.getJobs(['wait'], 0, 0, true))[0];
  const { wait = 0 } = await queue.getJobCounts('wait');
  const [id] = await queue.getRanges(['wait'], Math.max(0, wait - TAKEN_MEANWHILE), -1, true);
  return id === undefined ? undefined : await queue.getJob(id);
}

/**
 * Since when, or from when on, a job may be taken, epoch milliseconds. For one that was handed back that is counted from
 * when it was taken, since BullMQ does not keep when it was handed back: early by what its handler took.
 */
const dueAt = ({ timestamp, opts, delay, processedOn }: Job): number =>
  processedOn ? processedOn + delay : timestamp + (opts.delay ?? 0);

/** 1 when a delayed job is late, else 0. Not one that was handed back: when its time comes is not known to the second. */
async function overdue(queue: Queue): Promise<number> {
  const [first] = await queue.getJobs(['delayed'], 0, 0, true);
  return first && !first.processedOn && dueAt(first) <= Date.now() ? 1 : 0;
}

/** Ended jobs are kept for looking at: an hour's or this many, failed ones for two weeks. */
const KEEP = {
  removeOnComplete: { age: 3600, count: 1000 },
  removeOnFail: { age: 14 * 24 * 3600, count: 2000 },
};

export function createQueues(options: {
  redisUrl?: string | undefined;
  databaseUrl: string;
  log: Log;
  telemetry?: QueueOptions['telemetry'];
  watch?: Partial<BackendWatch>;
}): Queues {
  const backend = createQueueBackend(options);
  const open = new Map<string, Queue>();

  const raw = (name: string) => {
    let queue = open.get(name);
    if (!queue) {
      queue = backend.queue(name, { defaultJobOptions: KEEP, streams: { events: { maxLen: 1000 } } });
      queue.on('error', (error) => options.log.warn({ queue: name, err: error.message }, 'queue'));
      open.set(name, queue);
    }
    return queue;
  };

  return {
    backend,
    raw,
    async add(definition, jobs) {
      if (jobs.length === 0) return;
      await raw(definition.name).addBulk(
        jobs.map((job) => ({
          name: definition.name,
          data: definition.payload.parse(job.payload),
          opts: {
            jobId: job.id,
            attempts: definition.attempts,
            backoff: { type: 'custom' },
            ...(job.delayMs && job.delayMs > 0 ? { delay: Math.ceil(job.delayMs) } : {}),
            ...(job.priority ? { priority: job.priority } : {}),
            ...(job.first ? { lifo: true } : {}),
          },
        })),
      );
    },
    async counts(definition) {
      const counts = await raw(definition.name).getJobCounts(
        'wait',
        'prioritized',
        'active',
        'delayed',
        'failed',
      );
      const of = (state: string) => counts[state] ?? 0;
      return {
        waiting: of('wait') + of('prioritized'),
        active: of('active'),
        delayed: of('delayed'),
        failed: of('failed'),
      };
    },
    async takeable({ name }) {
      const { wait = 0, prioritized = 0 } = await raw(name).getJobCounts('wait', 'prioritized');
      const takeable = wait + prioritized || (await overdue(raw(name)));
      if (takeable === 0) return 0;
      const [paused, limitedMs] = await Promise.all([raw(name).isPaused(), raw(name).getRateLimitTtl()]);
      return paused || limitedMs > 0 ? 0 : takeable;
    },
    async nextSince({ name }) {
      const [waiting, others] = await Promise.all([
        oldestWaiting(raw(name), backend.kind),
        raw(name).getJobs(['prioritized', 'delayed'], 0, 0, true),
      ]);
      const since = Math.min(...[...(waiting ? [waiting] : []), ...others].map(dueAt));
      return since <= Date.now() ? since : undefined;
    },
    async workers({ name }) {
      // a Redis lists the clients of all its databases, and another fleet's queues in there have the same names
      const ours = ({ db = backend.database }) => db === backend.database;
      return (await raw(name).getWorkers()).filter(ours).length;
    },
    async close() {
      for (const queue of open.values()) await queue.close();
      await backend.close();
    },
  };
}
