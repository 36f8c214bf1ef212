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
import { QUEUE_SCHEMA, queuePoolConfig } from '../db/pool.ts';
import type { Log } from '../log.ts';
import { openRedis } from './redis-open.ts';

/** Where the queues live: Redis when there is one, else Postgres, schema `bullmq` (DESIGN). */
export interface QueueBackend {
  kind: 'redis' | 'postgres';
  /** Which of the Redis' databases, as it names it in its list of clients. */
  database?: string;
  queue(name: string, options?: Partial<QueueOptions>): Queue;
  worker(name: string, processor: Processor, options: Partial<WorkerOptions>): Worker;
  /** @throws the driver's error when the store does not answer. */
  ping(): Promise<void>;
  /** Closes the connections themselves: BullMQ closes none that it was handed. */
  close(): Promise<void>;
}

/** A hash tag from the first day, so that Redis Cluster keeps a queue's keys together. */
export const PREFIX = '{orderfleet}';

interface BackendOptions {
  redisUrl?: string | undefined;
  databaseUrl: string;
  log: Log;
  /** With it every job carries the trace it was made in, and is worked in it (O4). */
  telemetry?: QueueOptions['telemetry'];
}

export function createQueueBackend(options: BackendOptions): QueueBackend {
  return options.redisUrl
    ? redisBackend(options.redisUrl, options)
    : postgresBackend(options.databaseUrl, options);
}

function redisBackend(url: string, { log, telemetry }: BackendOptions): QueueBackend {
  const common = { prefix: PREFIX, ...(telemetry ? { telemetry } : {}) };
  // A producer must learn at once that Redis is away; a worker waits for it (anchors 2.2).
  const producer = openRedis(url, { maxRetriesPerRequest: 2, commandTimeout: 5_000 });
  const consumer = openRedis(url, { maxRetriesPerRequest: null });
  for (const [role, client] of Object.entries({ producer, consumer }))
    client.on('error', (error) => log.warn({ role, err: error.message }, 'redis connection'));
  return {
    kind: 'redis',
    database: String(parseRedisUrl(url).database),
    queue: (name, more = {}) => new Queue(name, { connection: producer, ...common, ...more }),
    worker: (name, processor, more) =>
      new Worker(name, processor, { connection: consumer, ...common, ...more }),
    async ping() {
      await producer.ping();
    },
    async close() {
      producer.disconnect();
      consumer.disconnect();
    },
  };
}

function postgresBackend(url: string, { log, telemetry }: BackendOptions): QueueBackend {
  // Each worker keeps one connection for LISTEN; 12 leaves half a dozen for queries.
  const pool = new pg.Pool({
    ...queuePoolConfig(url, 'queues'),
    max: 12,
    keepAlive: true,
    // all hosts, TLS and the log-in; each host has its own limit
    connectionTimeoutMillis: 30_000,
  });
  pool.setMaxListeners(0); // BullMQ adds one for each queue and worker
  pool.on('error', (error) => log.warn({ err: error.message }, 'queue database connection'));
  const common = { connection: pool, ...(telemetry ? { telemetry } : {}) };
  return {
    kind: 'postgres',
    queue: (name, more = {}) => onPostgres<Queue>(Queue, name, { ...more, ...common }),
    worker: (name, processor, more) => onPostgres<Worker>(Worker, name, processor, { ...more, ...common }),
    async ping() {
      await pool.query('select 1');
    },
    close: () => pool.end(),
  };
}

/**
 * BullMQ types a queue by its backend, though the classes behave alike; this is the one place where a queue on
 * Postgres is given the type of one on Redis, so that nobody else needs to know which it is.
 */
function onPostgres<T>(Class: unknown, ...args: unknown[]): T {
  return new (Class as new (...args: unknown[]) => T)(...args, createPostgresBackend);
}

/** Creates or updates BullMQ's own tables in schema `bullmq`; several processes may do it at once. */
export async function migrateQueues(databaseUrl: string): Promise<void> {
  const pool = new pg.Pool({ ...queuePoolConfig(databaseUrl, 'migrate'), max: 1 });
  pool.on('error', () => {}); // its commands say so
  try {
    const client = await pool.connect();
    try {
      await runMigrations(client, QUEUE_SCHEMA);
    } finally {
      client.release();
    }
  } finally {
    await pool.end();
  }
}
