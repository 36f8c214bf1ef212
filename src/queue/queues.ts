import type { Job, Queue, QueueOptions } from 'bullmq';
import { notInTransaction } from '../in-transaction.ts';
import { isInfrastructureFault } from '../infrastructure.ts';
import type { Log } from '../log.ts';
import { createOutages, type Outages } from '../outages.ts';
import { storableValue } from '../storable.ts';
import { type BackendWatch, createQueueBackend, type QueueBackend } from './backend.ts';
import { backoffMs, minutes, type QueueDefinition, seconds } from './define.ts';

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
  /** Those of a paused queue, too: they wait, and nobody takes them. */
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
  /** Where this process notes that a store refuses or is away. */
  readonly outages: Outages;
  /** @throws ZodError when a payload does not fit the queue's schema; the driver's error when the store is away. */
  add<P>(definition: QueueDefinition<P>, jobs: readonly NewJob<P>[]): Promise<void>;
  counts(definition: { name: string }): Promise<QueueCounts>;
  /**
   * Takes up failed jobs again whose payload fits, each ever more seldom: those of a queue that is the only place where
   * its work is known. Others stay failed until a person looks at them. @returns how many were taken up
   */
  retryFailed<P>(definition: QueueDefinition<P>, nowMs?: number): Promise<number>;
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

/** On Postgres the jobs of a paused queue are counted as `paused`, without those that have a priority. */
const WAITING = ['wait', 'paused' as 'wait'] as const; // not in BullMQ's types
const waitingOf = ({ wait = 0, paused = 0 }: Record<string, number>) => wait + paused;

/** BullMQ's Postgres lists what waits from the newest on, in whichever order it is asked for: the oldest is its last. */
async function oldestWaiting(queue: Queue, kind: QueueBackend['kind']): Promise<Job | undefined> {
  if (kind === 'redis') return (await queue.getJobs(['wait'], 0, 0, true))[0];
  const wait = waitingOf(await queue.getJobCounts(...WAITING));
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

/** A failed job is taken up again after the first of these, then after twice as long each time. */
const RETRY_FAILED = { baseMs: seconds(15), maxMs: minutes(60) };
const FAILED_PAGE = 50; // BullMQ reads each by itself on Postgres, all at once

/** All of them before any is taken up: that would move those behind it. */
async function failedJobs(queue: Queue): Promise<Job[]> {
  const jobs: Job[] = [];
  for (;;) {
    const page = await queue.getJobs(['failed'], jobs.length, jobs.length + FAILED_PAGE - 1);
    jobs.push(...page);
    if (page.length < FAILED_PAGE) return jobs.filter(Boolean); // some may have been removed meanwhile
  }
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
  const outages = createOutages(options.log);
  const backend = createQueueBackend({ ...options, outages });
  const open = new Map<string, Queue>();

  const raw = (name: string) => {
    notInTransaction('the queues');
    let queue = open.get(name);
    if (!queue) {
      queue = backend.queue(name, { defaultJobOptions: KEEP, streams: { events: { maxLen: 1000 } } });
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
    async workers({ name }) {
      // a Redis lists the clients of all its databases, and another fleet's queues in there have the same names
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
