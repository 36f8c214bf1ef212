import { type Processor, Queue, type QueueOptions, Worker, type WorkerOptions } from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { Outages } from '../outages.ts';
import { keepCounted, patientBackend } from './patient-backend.ts';
import { forQueues } from './pool.ts';

/** Where the queues live: Redis when there is one, else Postgres, schema `bullmq` (DESIGN). */
export interface QueueBackend {
  kind: 'redis' | 'postgres';
  /** Which of the Redis' databases, as it names it in its list of clients. */
  database?: string;
  queue(name: string, options?: Partial<QueueOptions>): Queue;
  worker(name: string, processor: Processor, options: Partial<WorkerOptions>): Worker;
  /** @throws the driver's error when the store does not answer. */
  ping(): Promise<void>;
  /** Where locks are counted by the workers' clocks: the time by the store's own, epoch milliseconds. */
  time?(): Promise<number>;
  /** Closes the connections themselves: BullMQ closes none that it was handed. */
  close(): Promise<void>;
}

/** A hash tag from the first day, so that Redis Cluster keeps a queue's keys together. */
export const PREFIX = '{orderfleet}';
const SCHEMA = 'bullmq';

interface BackendOptions {
  redisUrl?: string | undefined;
  databaseUrl: string;
  outages: Outages;
  /** With it every job carries the trace it was made in, and is worked in it (O4). */
  telemetry?: QueueOptions['telemetry'];
}

export function createQueueBackend(options: BackendOptions): QueueBackend {
  return options.redisUrl
    ? redisBackend(options.redisUrl, options)
    : postgresBackend(options.databaseUrl, options);
}

function redisBackend(url: string, { outages, telemetry }: BackendOptions): QueueBackend {
  const common = { prefix: PREFIX, ...(telemetry ? { telemetry } : {}) };
  // A producer must learn at once that Redis is away; a worker waits for it (anchors 2.2).
  const producer = new Redis(url, { maxRetriesPerRequest: 2, commandTimeout: 5_000 });
  const consumer = new Redis(url, { maxRetriesPerRequest: null });
  for (const [role, client] of Object.entries({ producer, consumer }))
    client.on('error', (error) => outages.note(`redis ${role}`, error));
  return {
    kind: 'redis',
    database: String(producer.options.db ?? 0),
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

function postgresBackend(url: string, { outages, telemetry }: BackendOptions): QueueBackend {
  // Each worker keeps one connection for LISTEN; 12 leaves half a dozen for queries. What a crash of Postgres takes from
  // the queues, half a second at most, the sweep brings back from the tables: no job waits for the disk.
  const pool = forQueues(
    new pg.Pool({
      connectionString: url,
      options: `-c search_path=${SCHEMA} -c synchronous_commit=off`,
      application_name: 'orderfleet queues',
      max: 12,
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
    }),
  );
  pool.setMaxListeners(0); // BullMQ adds one for each queue and worker
  pool.on('error', (error) => outages.note('queue database', error));
  const common = { connection: pool, ...(telemetry ? { telemetry } : {}) };
  return {
    kind: 'postgres',
    queue: (name, more = {}) => onPostgres<Queue>(Queue, name, { ...more, ...common }),
    worker(name, processor, more) {
      const worker = onPostgres<Worker>(Worker, name, processor, { ...more, ...common });
      keepCounted(worker);
      return worker;
    },
    async ping() {
      await pool.query('select 1');
    },
    async time() {
      const { rows } = await pool.query('select extract(epoch from clock_timestamp()) * 1000 as now');
      return Number(rows[0].now);
    },
    close: () => pool.end(),
  };
}

/**
 * BullMQ types a queue by its backend, though the classes behave alike; this is the one place where a queue on
 * Postgres is given the type of one on Redis, so that nobody else needs to know which it is.
 */
function onPostgres<T>(Class: unknown, ...args: unknown[]): T {
  return new (Class as new (...args: unknown[]) => T)(...args, patientBackend);
}

/** Creates or updates BullMQ's own tables in schema `bullmq`; several processes may do it at once. */
export async function migrateQueues(databaseUrl: string): Promise<void> {
  const connection = { connectionString: databaseUrl, schema: SCHEMA, migrate: true, max: 2 };
  const queue = onPostgres<Queue>(Queue, 'maintenance', { connection });
  queue.on('error', () => {}); // waitUntilReady throws it
  try {
    await queue.waitUntilReady();
  } finally {
    await queue.close();
  }
}
