import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { z } from 'zod';
import { createLog, type Log } from '../../src/log.ts';
import { defineQueue, type QueueDefinition } from '../../src/queue/define.ts';
import type { Handler } from '../../src/queue/handle.ts';
import { createQueues, type Queues } from '../../src/queue/queues.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { createTestDatabase } from '../support/database.ts';
import { type Backend, createTestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

export const payload = z.object({ v: z.literal(1), id: z.string(), note: z.string().optional() });
export type Payload = z.output<typeof payload>;

/** A queue of one test's own, with delays in milliseconds. */
export const testQueue = (change: Partial<QueueDefinition<Payload>> = {}): QueueDefinition<Payload> =>
  defineQueue({
    name: `test-${randomBytes(6).toString('hex')}`,
    payload,
    concurrency: 5,
    attempts: 3,
    backoff: { baseMs: 20, maxMs: 1_000 },
    timeoutMs: 10_000,
    ...change,
  });

export interface TestQueues {
  queues: Queues;
  databaseUrl: string;
  /** Undefined where the queues live in the database. */
  redisUrl: string | undefined;
  /** Lines written by workers, parsed. */
  lines: Record<string, unknown>[];
  log: Log;
  /** Connections of another process. */
  another(): Queues;
  work(...handlers: Handler[]): RunningWorkers;
  /** The state of a job once it is in one of these. */
  settled(definition: QueueDefinition<Payload>, id: string, states?: string[]): Promise<JobView>;
  view(definition: QueueDefinition<Payload>, id: string): Promise<JobView>;
  close(): Promise<void>;
}

export interface JobView {
  state: string;
  attemptsMade: number;
  failedReason: string | undefined;
  stack: string;
  result: unknown;
}

/** Queues in a database (and Redis) of a test file's own. */
export async function startTestQueues(backend: Backend): Promise<TestQueues> {
  const database = await createTestDatabase();
  const redis = backend === 'redis' ? await createTestRedis() : undefined;
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _, done) {
      for (const line of String(chunk).split('\n').filter(Boolean)) lines.push(JSON.parse(line));
      done();
    },
  });
  const log = createLog({ level: 'info', name: 'test', destination });
  const open: Queues[] = [];
  const running: RunningWorkers[] = [];
  const another = () => {
    const queues = createQueues({ redisUrl: redis?.url, databaseUrl: database.url, log });
    open.push(queues);
    return queues;
  };
  const queues = another();

  async function view(definition: QueueDefinition<Payload>, id: string): Promise<JobView> {
    // the state first: a job read before it ended would lack what it ended with
    const state = await queues.raw(definition.name).getJobState(id);
    const job = await queues.raw(definition.name).getJob(id);
    if (!job)
      return { state: 'gone', attemptsMade: 0, failedReason: undefined, stack: '', result: undefined };
    return {
      state,
      attemptsMade: job.attemptsMade,
      failedReason: job.failedReason,
      stack: (job.stacktrace ?? []).join('\n'),
      result: job.returnvalue,
    };
  }

  return {
    queues,
    databaseUrl: database.url,
    redisUrl: redis?.url,
    lines,
    log,
    another,
    work(...handlers) {
      const workers = runWorkers(handlers, { queues, log });
      running.push(workers);
      return workers;
    },
    view,
    settled: (definition, id, states = ['completed', 'failed']) =>
      until(
        async () => {
          const seen = await view(definition, id);
          return states.includes(seen.state) && seen;
        },
        { what: `job ${id} to be ${states.join(' or ')}` },
      ),
    async close() {
      await Promise.all(running.map((workers) => workers.stop(0)));
      for (const one of open) await one.close();
      await redis?.drop();
      await database.drop();
    },
  };
}
