import type { Job, Queue, QueueOptions } from 'bullmq';
import pLimit from 'p-limit';
import { notInTransaction } from '../lib/in-transaction.ts';
import { isInfrastructureFault } from '../lib/infrastructure.ts';
import type { Log } from '../lib/log.ts';
import { createOutages, type Outages } from '../lib/outages.ts';
import { storableValue } from '../lib/storable.ts';
import { type BackendWatch, createQueueBackend, type QueueBackend } from './backend.ts';
import { backoffMs, minutes, type QueueDefinition, seconds } from './define.ts';
import { keepEnded } from './keep-ended.ts';

export interface NewJob<P> {
  payload: P;
  /**
   * Names the piece of work and its due time. A second job with the same id is dropped silently while the first one
   * exists, even an ended one that is kept: so the id must change whenever the work is due anew. No ":".
   */
  id: string;
  delayMs?: number;
  /** 1 is first. Either all jobs of a queue have one or none: plain jobs are served before prioritised ones. */
  priority?: number;
  /** Ahead of all jobs that wait already. */
  first?: boolean;
}

export interface QueueCounts {
  /** Includes those of a paused queue, which nobody takes. */
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
  /** Somebody paused the queue, in Bull Board for instance. */
  paused: boolean;
}

/** The producers' side of the queues of one process. */
export interface Queues {
  readonly backend: QueueBackend;
  /** Where this process records that a store refuses or is away. */
  readonly outages: Outages;
  /** @throws ZodError when a payload does not fit the queue's schema; the driver's error when the store is away. */
  add<P>(definition: QueueDefinition<P>, jobs: readonly NewJob<P>[]): Promise<void>;
  counts(definition: { name: string }): Promise<QueueCounts>;
  /**
   * Retries failed jobs whose payload fits, each with backoff: those of a queue that is the only place where its work
   * is known. Others stay failed until somebody looks at them. @returns how many were retried
   */
  retryFailed<P>(definition: QueueDefinition<P>, nowMs?: number): Promise<number>;
  /**
   * Jobs that a worker with a free slot would take now, including late ones of schedules: none while the queue is
   * paused or rate-limited.
   */
  takeable(definition: { name: string }): Promise<number>;
  /**
   * When the next job could have been taken, epoch milliseconds; undefined: none waits. A delayed job that is due
   * counts as waiting: only a worker moves it to the waiting list, so without workers it stays delayed.
   */
  nextSince(definition: { name: string }): Promise<number | undefined>;
  /** Sets a queue's own limit for all its workers, where Bull Board shows it; does nothing for a queue without one. */
  limit(definition: Pick<QueueDefinition<never>, 'name' | 'limiter'>): Promise<void>;
  /** No worker takes a job of a queue with a limiter for this long. */
  rateLimit(definition: Pick<QueueDefinition<never>, 'name' | 'limiter'>, ms: number): Promise<void>;
  /** Workers of a queue over all processes. */
  workers(definition: { name: string }): Promise<number>;
  /** BullMQ's own queue: for this module and for Bull Board. */
  raw(name: string): Queue;
  close(): Promise<void>;
}

/** More than are taken between counting what waits and reading it. */
const TAKEN_MEANWHILE = 10;

/** On Postgres the jobs of a paused queue are counted as `paused`, without those that have a priority. */
const WAITING = ['wait', 'paused' as 'wait'] as const; // not in BullMQ's types
const waitingOf = ({ wait = 0, paused = 0 }: Record<string, number>) => wait + paused;

/** BullMQ's Postgres lists waiting jobs newest first, whichever order is requested: the oldest is its last. */
async function oldestWaiting(queue: Queue, kind: QueueBackend['kind']): Promise<Job | undefined> {
  if (kind === 'redis') return (await queue.getJobs(['wait'], 0, 0, true))[0];
  const wait = waitingOf(await queue.getJobCounts(...WAITING));
  const [id] = await queue.getRanges(['wait'], Math.max(0, wait - TAKEN_MEANWHILE), -1, true);
  return id === undefined ? undefined : await queue.getJob(id);
}

/**
 * When a job became or becomes available, epoch milliseconds. For one that was handed back that is counted from when
 * it was taken, since BullMQ does not keep when it was handed back: early by its handler's duration.
 */
const dueAt = ({ timestamp, opts, delay, processedOn }: Job): number =>
  processedOn ? processedOn + delay : timestamp + (opts.delay ?? 0);

/** 1 when a delayed job is late, else 0. Not for a job that was handed back, whose time is not known to the second. */
async function overdue(queue: Queue): Promise<number> {
  const [first] = await queue.getJobs(['delayed'], 0, 0, true);
  return first && !first.processedOn && dueAt(first) <= Date.now() ? 1 : 0;
}

/** A failed job is retried after the first of these, then after twice as long each time. */
const RETRY_FAILED = { baseMs: seconds(15), maxMs: minutes(60) };
/** Failed jobs read at once: each is a call of its own, and there may be thousands. */
const READ_AT_ONCE = 50;

/** Reads all before any is retried, which would shift the ones behind it. */
async function failedJobs(queue: Queue): Promise<Job[]> {
  const limit = pLimit({ concurrency: READ_AT_ONCE, rejectOnClear: true });
  try {
    const jobs = await limit.map(await queue.getRanges(['failed'], 0, -1), (id) => queue.getJob(id));
    return jobs.filter((job) => job !== undefined); // some may have been removed meanwhile
  } finally {
    limit.clearQueue(); // after a fault the others are skipped
  }
}

export function createQueues(options: {
  redisUrl?: string | undefined;
  databaseUrl: string;
  log: Log;
  telemetry?: QueueOptions['telemetry'];
  watch?: Partial<BackendWatch>;
}): Queues {
  const outages = createOutages(options.log);
  const backend = createQueueBackend({ ...options, outages });
  const open = new Map<string, Queue>();

  const raw = (name: string) => {
    notInTransaction('the queues');
    let queue = open.get(name);
    if (!queue) {
      queue = backend.queue(name, {
        defaultJobOptions: keepEnded(backend.kind),
        streams: { events: { maxLen: 1000 } },
      });
      queue.on('error', (error) => outages.note(`queue ${name}`, error));
      open.set(name, queue);
    }
    return queue;
  };

  return {
    backend,
    outages,
    raw,
    async add(definition, jobs) {
      if (jobs.length === 0) return;
      await raw(definition.name).addBulk(
        jobs.map((job) => ({
          name: definition.name,
          data: storableValue(definition.payload.parse(job.payload)),
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
      const queue = raw(definition.name);
      const [counts, paused] = await Promise.all([
        queue.getJobCounts(...WAITING, 'prioritized', 'active', 'delayed', 'failed'),
        queue.isPaused(),
      ]);
      const of = (state: string) => counts[state] ?? 0;
      return {
        waiting: waitingOf(counts) + of('prioritized'),
        active: of('active'),
        delayed: of('delayed'),
        failed: of('failed'),
        paused,
      };
    },
    async retryFailed(definition, nowMs = Date.now()) {
      let again = 0;
      for (const job of await failedJobs(raw(definition.name))) {
        const tries = Math.max(1, job.attemptsMade - (job.opts.attempts ?? 1) + 1);
        const due = (job.finishedOn ?? 0) + backoffMs(RETRY_FAILED, tries) <= nowMs;
        if (!due || !definition.payload.safeParse(job.data).success) continue;
        try {
          await job.retry('failed');
          again++;
        } catch (error) {
          if (isInfrastructureFault(error)) throw error; // else it was removed, or another process was first
        }
      }
      return again;
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
    async limit({ name, limiter }) {
      if (limiter === undefined) return;
      if (limiter) await raw(name).setGlobalRateLimit(limiter.max, limiter.perMs);
      else await raw(name).removeGlobalRateLimit();
    },
    async rateLimit({ name, limiter }, ms) {
      if (limiter && ms > 0) await raw(name).rateLimit(Math.ceil(ms));
    },
    async workers({ name }) {
      // a Redis lists the clients of all its databases, and another fleet's queues there have the same names
      const ours = ({ db = backend.database }) => db === backend.database;
      return (await raw(name).getWorkers()).filter(ours).length;
    },
    async close() {
      for (const queue of open.values()) await queue.close();
      await backend.close();
      outages.close();
    },
  };
}
