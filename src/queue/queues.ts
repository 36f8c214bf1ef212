import type { Queue } from 'bullmq';
import type { Log } from '../log.ts';
import { createQueueBackend, type QueueBackend } from './backend.ts';
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
  /** Workers of a queue over all processes. */
  workers(definition: { name: string }): Promise<number>;
  /** BullMQ's own queue: for this room and for Bull Board. */
  raw(name: string): Queue;
  close(): Promise<void>;
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
    workers: (definition) => raw(definition.name).getWorkersCount(),
    async close() {
      for (const queue of open.values()) await queue.close();
      await backend.close();
    },
  };
}
