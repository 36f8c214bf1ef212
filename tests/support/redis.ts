import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { findRedisServer, type RedisServer, startRedisServer } from './redis-server.ts';

export type Backend = 'postgres' | 'redis';

export interface TestRedis {
  /** With a logical database of its own in the path: `redis://127.0.0.1:1234/7`. */
  url: string;
  /** Empties that database and gives it back. */
  drop(): Promise<void>;
}

/** Where queues can live in this run: for `describe.each(backends())('on %s', (backend) => …)`. */
export function backends(): Backend[] {
  return inject('redisUrl') === '' ? ['postgres'] : ['postgres', 'redis'];
}

/**
 * The same for tests that take long: on Redis where there is one, else on Postgres. `.ci/run` does both runs; what a
 * queue is made of matters to `tests/queue`, which is always run on both.
 */
export const oneBackend = (): Backend[] => backends().slice(-1);

/**
 * An empty logical database of the run's Redis, for one test file. Never FLUSHALL here: other files are in the
 * same server. `ownRedisServer` is for that.
 */
export async function createTestRedis(): Promise<TestRedis> {
  const server = inject('redisUrl');
  if (server === '') throw new Error('This run has no Redis: use backends() to choose what to run');
  const client = new Redis(server, { maxRetriesPerRequest: 1 });
  try {
    // database 0 of a Redis that was handed to us is the likeliest to be somebody's
    const databases = Number((await client.config('GET', 'databases'))?.at(1) ?? 16);
    for (let index = 1; index < databases; index += 1) {
      await client.select(index);
      if ((await client.dbsize()) > 0) continue;
      const claimed = await client.set('orderfleet-test-claim', process.pid, 'EX', 3600, 'NX');
      if (claimed === null || (await client.dbsize()) !== 1) continue;
      const url = new URL(server);
      url.pathname = `/${index}`;
      return { url: url.href, drop: () => empty(url.href) };
    }
    throw new Error(`None of the ${databases} databases of ${new URL(server).host} is empty`);
  } finally {
    client.disconnect();
  }
}

/** A server of one's own, to be flushed, killed and restarted; undefined if there is no redis-server in PATH. */
export async function ownRedisServer(): Promise<RedisServer | undefined> {
  const binary = await findRedisServer();
  return binary === undefined ? undefined : await startRedisServer(binary);
}

async function empty(url: string): Promise<void> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  try {
    await client.flushdb();
  } finally {
    client.disconnect();
  }
}
