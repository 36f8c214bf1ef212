import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { Redis } from 'ioredis';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { createLog, type Log } from '../../src/lib/log.ts';
import { defineQueue, type QueueDefinition } from '../../src/queue/define.ts';
import { type Handler, handle } from '../../src/queue/handle.ts';
import { createQueues, type Queues } from '../../src/queue/queues.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { createTestDatabase } from '../support/database.ts';
import { type Backend, createTestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

export const payload = z.object({ v: z.literal(1), id: z.string(), note: z.string().optional() });
export type Payload = z.output<typeof payload>;

export const job = (id: string, more: object = {}) => ({ id, payload: { v: 1 as const, id }, ...more });

/** A queue of one test's own, with delays in milliseconds. */
export const testQueue = (change: Partial<QueueDefinition<Payload>> = {}): QueueDefinition<Payload> =>
  defineQueue({
    name: `test-${randomBytes(6).toString('hex')}`,
    worker: 'scheduler',
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
  /** Connections of another process. @param url the store's, by another way */
  another(url?: string): Queues;
  /** Ends all connections to the store; when it resolves they are gone. */
  cutConnections(): Promise<void>;
  /** Makes a delayed job be missing: from Redis' set, as an evicted key is, or from the table. */
  loseDelayed(queue: string, id: string): Promise<void>;
  /** Workers for the rest of the test. */
  work(...handlers: Handler[]): RunningWorkers;
  /** The same for jobs that all succeed. @returns the ids of those that have run, in order */
  record(queue: QueueDefinition<Payload>): string[];
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

async function onPostgres<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function onRedis<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

const cutPostgres = (url: string) =>
  onPostgres(url, async (client) => {
    const theirs = 'from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()';
    const { rows } = await client.query(`select pid, pg_terminate_backend(pid) ${theirs}`);
    const pids = rows.map(({ pid }) => pid);
    await until(
      async () => (await client.query(`select 1 ${theirs} and pid = any($1)`, [pids])).rowCount === 0,
    );
  });

/** Those of one database alone: other files use the same server. */
const cutRedis = (url: string) =>
  onRedis(url, async (client) => {
    const own = String(await client.client('ID'));
    for (const line of String(await client.client('LIST')).split('\n')) {
      const id = /^id=(\d+)/.exec(line)?.[1];
      if (id && id !== own && line.includes(` db=${client.options.db} `))
        await client.client('KILL', 'ID', id);
    }
  });

/** A log whose lines are kept, parsed. */
export function keepLines(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _, done) {
      for (const line of String(chunk).split('\n').filter(Boolean)) lines.push(JSON.parse(line));
      done();
    },
  });
  return { log: createLog({ level: 'info', name: 'test', destination }), lines };
}

/** Queues in a database (and Redis) of a test file's own. */
export async function startTestQueues(backend: Backend): Promise<TestQueues> {
  const database = await createTestDatabase();
  const redis = backend === 'redis' ? await createTestRedis() : undefined;
  const { log, lines } = keepLines();
  const open: Queues[] = [];
  const another = (url?: string) => {
    const urls = { redisUrl: redis?.url, databaseUrl: database.url };
    const queues = createQueues({ ...urls, ...(url && { [redis ? 'redisUrl' : 'databaseUrl']: url }), log });
    open.push(queues);
    return queues;
  };
  const queues = another();

  function work(...handlers: Handler[]): RunningWorkers {
    const workers = runWorkers(handlers, { queues, log });
    onTestFinished(() => workers.stop(0));
    return workers;
  }

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
    cutConnections: () => (redis ? cutRedis(redis.url) : cutPostgres(database.url)),
    loseDelayed: (queue, id) =>
      redis
        ? onRedis(redis.url, async (client) => void (await client.zrem(`{orderfleet}:${queue}:delayed`, id)))
        : onPostgres(database.url, async (client) => {
            await client.query('delete from bullmq.job where queue = $1 and id = $2', [queue, id]);
          }),
    work,
    record(queue) {
      const ran: string[] = [];
      work(
        handle(queue, async ({ id }) => {
          ran.push(id);
          return { outcome: 'fine' };
        }),
      );
      return ran;
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
      for (const one of open) await one.close();
      await redis?.drop();
      await database.drop();
    },
  };
}
