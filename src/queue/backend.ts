import {
  createPostgresBackend,
  type Processor,
  Queue,
  type QueueOptions,
  runMigrations,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import pg from 'pg';
import { parseRedisUrl } from '../addresses/redis.ts';
import { QUEUE_SCHEMA } from '../db/pool.ts';
import type { Outages } from '../lib/outages.ts';
import { keepCounted } from './counted.ts';
import { openPgPool, retryingSchemaCheck } from './pg-pool.ts';
import { forQueues } from './pool.ts';
import { reconnectOn, verifyRedis } from './redis.ts';
import { openRedis, PREFIX, retryingInit } from './redis-open.ts';

/** Where the queues live: Redis when there is one, else Postgres, schema `bullmq`. */
export interface QueueBackend {
  kind: 'redis' | 'postgres';
  /** Which of the Redis' databases, as in its list of clients. */
  database?: string;
  queue(name: string, options?: Partial<QueueOptions>): Queue;
  worker(name: string, processor: Processor, options: Partial<WorkerOptions>): Worker;
  /**
   * Tries what a job needs, and leaves nothing behind: that the store accepts writes, that BullMQ's scripts or
   * functions run, and that we may use its workers' commands.
   * @throws the store's error when a job could be neither added nor taken; where needed its message has a remedy
   */
  verify(): Promise<void>;
  /** Where locks are timed by the workers' clocks: the store's own time, epoch milliseconds. */
  time?(): Promise<number>;
  /** Closes the connections themselves: BullMQ closes none that it was given. */
  close(): Promise<void>;
}

/** When a silent connection is given up (R2), in milliseconds; tests shorten it. */
export interface BackendWatch {
  /** For a response of Redis to a producer. */
  answerMs: number;
  /** The same to a worker, whose blocking commands take 10 s at most. */
  blockedMs: number;
  /** For a response of Postgres. */
  silenceMs: number;
  /** Between two heartbeats on connections that may be idle. */
  heartbeatMs: number;
  /** The shortest time between reconnects of a read-only Redis, which may have been replaced at its address. */
  readOnlyMs: number;
}

const WATCH: BackendWatch = {
  answerMs: 8_000,
  blockedMs: 15_000,
  silenceMs: 18_000,
  heartbeatMs: 8_000,
  readOnlyMs: 1_000,
};

interface BackendOptions {
  redisUrl?: string | undefined;
  databaseUrl: string;
  outages: Outages;
  watch?: Partial<BackendWatch> | undefined;
  /** With it every job carries the trace it was made in, and is processed in it (O4). */
  telemetry?: QueueOptions['telemetry'];
}

export function createQueueBackend(options: BackendOptions): QueueBackend {
  return options.redisUrl
    ? redisBackend(options.redisUrl, options)
    : postgresBackend(options.databaseUrl, options);
}

function redisBackend(url: string, { outages, telemetry, watch: changed }: BackendOptions): QueueBackend {
  const watch = { ...WATCH, ...changed };
  const common = { prefix: PREFIX, ...(telemetry ? { telemetry } : {}) };
  const reconnectOnError = reconnectOn(watch.readOnlyMs);
  // A producer must learn at once that Redis is away; a worker waits for it. BullMQ makes each worker's blocking
  // connection with the options of its other one.
  const producer = openRedis(url, {
    ...{ maxRetriesPerRequest: 2, commandTimeout: 5_000 },
    ...{ socketTimeout: watch.answerMs, reconnectOnError },
  });
  const consumer = openRedis(url, {
    ...{ maxRetriesPerRequest: null, socketTimeout: watch.blockedMs, reconnectOnError },
  });
  for (const [role, client] of Object.entries({ producer, consumer }))
    client.on('error', (error) => outages.note(`redis ${role}`, error));
  // a write: a demoted primary still answers everything else, and what BullMQ adds in a transaction fails silently
  const heartbeat = setInterval(() => {
    for (const client of [producer, consumer])
      if (client.status === 'ready') client.set(`${PREFIX}:alive`, '1', 'PX', 60_000).catch(() => {});
  }, watch.heartbeatMs).unref();
  return {
    kind: 'redis',
    database: String(parseRedisUrl(url).database),
    queue: (name, more = {}) => retryingInit(new Queue(name, { connection: producer, ...common, ...more })),
    worker: (name, processor, more) =>
      retryingInit(new Worker(name, processor, { connection: consumer, ...common, ...more })),
    verify: () => verifyRedis(producer),
    async close() {
      clearInterval(heartbeat);
      producer.disconnect();
      consumer.disconnect();
    },
  };
}

/** Connections to Postgres beside those reserved by workers. */
const FOR_QUERIES = 6;

function postgresBackend(url: string, { outages, telemetry, watch: changed }: BackendOptions): QueueBackend {
  const pool = forQueues(openPgPool(pg, url, 'queues', { max: FOR_QUERIES }, { ...WATCH, ...changed }));
  pool.setMaxListeners(0); // BullMQ adds one for each queue and worker
  pool.on('error', (error) => outages.note('queue database', error));
  const common = { connection: pool, ...(telemetry ? { telemetry } : {}) };
  return {
    kind: 'postgres',
    queue: (name, more = {}) => onPostgres<Queue>(Queue, name, { ...more, ...common }),
    worker(name, processor, more) {
      pool.options.max = (pool.options.max ?? FOR_QUERIES) + 1; // each reserves one for LISTEN
      const worker = onPostgres<Worker>(Worker, name, processor, { ...more, ...common });
      keepCounted(worker);
      return worker;
    },
    verify: () => verifyPostgres(pool),
    async time() {
      const { rows } = await pool.query('select extract(epoch from clock_timestamp()) * 1000 as now');
      return Number(rows[0].now);
    },
    close: () => pool.end(),
  };
}

/**
 * A function of the workers by its name alone, as BullMQ calls it: found by the session's search_path, and executable
 * by us. A write that matches no row: what Postgres refuses in general (read-only, standby, permission) it refuses
 * before it looks for rows.
 */
const VERIFY = `
  select 'move_to_active'::regproc, has_function_privilege('move_to_active'::regproc, 'execute') as allowed;
  update job set id = id where false`;

async function verifyPostgres(pool: pg.Pool): Promise<void> {
  const results = (await pool.query(VERIFY)) as unknown as pg.QueryResult<{ allowed: boolean }>[];
  if (!results[0]?.rows[0]?.allowed) throw new Error('permission denied for function move_to_active');
}

/**
 * BullMQ types a queue by its backend, though the classes behave alike; only here is a queue on Postgres given the
 * type of one on Redis, so that no other code needs to know which it is.
 */
function onPostgres<T>(Class: unknown, ...args: unknown[]): T {
  return new (Class as new (...args: unknown[]) => T)(...args, retryingSchemaCheck(createPostgresBackend));
}

/** Creates or updates BullMQ's own tables in schema `bullmq`; safe from several processes at once. */
export async function migrateQueues(databaseUrl: string): Promise<void> {
  const hours = 24 * 3_600_000; // building an index may take long
  const pool = openPgPool(pg, databaseUrl, 'migrate', { max: 1 }, { silenceMs: hours, heartbeatMs: hours });
  pool.on('error', () => {}); // reported by its commands
  try {
    const client = await pool.connect();
    try {
      await runMigrations(client, QUEUE_SCHEMA);
    } finally {
      client.release(true);
    }
  } finally {
    await pool.end();
  }
}
