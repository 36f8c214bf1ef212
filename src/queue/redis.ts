import { parseRedisUrl } from '../addresses/redis.ts';
import { openRedis, PREFIX, type RedisClient } from './redis-open.ts';

/** It can only be read: a primary that has become a replica behind the same address. In scripts the word stands inside. */
const READ_ONLY = /\bREADONLY\b|^MASTERDOWN|^UNBLOCKED/;

/** What was under way on a connection when it is left fails together with its first command, in milliseconds. */
const TOGETHER_MS = 50;

/**
 * `reconnectOnError` of ioredis: a Redis that can only be read is left at once, and the command is sent again to what is at
 * the address then. Where that can only be read, too, the command fails, and the next try comes with a later one: a
 * replica takes new connections as quickly as one makes them.
 * @param pauseMs for each connection, which ioredis tells by its options
 */
export function reconnectOn(pauseMs: number): (this: unknown, error: Error) => false | 2 {
  const leftAt = new WeakMap<object, number>();
  return function (this: unknown, error) {
    if (!READ_ONLY.test(error.message)) return false;
    const connection = Object(this) as object;
    const ago = performance.now() - (leftAt.get(connection) ?? Number.NEGATIVE_INFINITY);
    if (ago >= pauseMs) leftAt.set(connection, performance.now());
    return ago >= pauseMs || ago < TOGETHER_MS ? 2 : false; // 2: and send it again, it has changed nothing
  };
}

/** Writes and deletes, as BullMQ's scripts do: refused with their words by a full Redis, a replica, one that cannot save. */
const TRY = `redis.call('set', KEYS[1], '1', 'PX', 60000) return redis.call('del', KEYS[1])`;

/**
 * What producers and workers need of a Redis, done once.
 * @throws the server's error
 */
export async function verifyRedis(redis: RedisClient): Promise<void> {
  const key = `${PREFIX}:verify`;
  await redis.eval(TRY, 1, key);
  // BullMQ's workers ask for INFO when they connect, and wait like this; nobody adds to that key
  await redis.info('server');
  await redis.bzpopmin(key, 0.01);
}

/** What a Redis says of itself; undefined where it does not (managed ones leave things out). */
export interface RedisFacts {
  version: string | undefined;
  evictionPolicy: string | undefined;
  appendOnly: boolean | undefined;
  usedBytes: number | undefined;
  /** Undefined: no bound of its own. */
  maxBytes: number | undefined;
  replica: boolean;
  /** As it names it: standalone, sentinel, cluster. */
  mode: string | undefined;
  /** REDIS_URL takes it for what it is: a cluster for a cluster. */
  asCluster: boolean;
  /** In a cluster that REDIS_URL takes for one server: the node that has the queues, when it is another one. */
  queuesLiveAt: string | undefined;
}

/** One command may take this long, and so may the connection. */
const PATIENCE_MS = 4_000;

/**
 * Asks a Redis how it is, by a connection of its own. Everything is read from INFO: managed ones forbid CONFIG.
 * @throws the client's error when it does not answer, or does not let us in
 */
export async function readRedis(url: string): Promise<RedisFacts> {
  const redis = openRedis(url, {
    lazyConnect: true,
    enableReadyCheck: false, // it would ask for INFO, too, and print when it may not
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: PATIENCE_MS,
    commandTimeout: PATIENCE_MS,
  });
  let why: unknown;
  redis.on('error', (error) => {
    why ??= error; // the command's own failure says no more than that the connection is closed
  });
  try {
    await redis.connect();
    const info = fieldsOf(await (await serverOfQueues(redis)).info());
    const moved = await redis.exists(`${PREFIX}:doctor`).then(
      () => undefined,
      (error: Error) => /^MOVED \d+ (\S+)/.exec(error.message)?.[1],
    );
    const number = (name: string) => (info.get(name) ? Number(info.get(name)) : undefined);
    return {
      version: info.get('redis_version'),
      evictionPolicy: info.get('maxmemory_policy'),
      appendOnly: info.has('aof_enabled') ? info.get('aof_enabled') === '1' : undefined,
      usedBytes: number('used_memory'),
      maxBytes: number('maxmemory') || undefined,
      replica: info.get('role') === 'slave',
      mode: info.get('redis_mode'),
      asCluster: parseRedisUrl(url).kind === 'cluster',
      queuesLiveAt: moved,
    };
  } catch (error) {
    throw why ?? error;
  } finally {
    redis.disconnect();
  }
}

/** Of a cluster the node that has the queues: they share a hash tag, so one has all. */
async function serverOfQueues(client: RedisClient) {
  if (!('slots' in client)) return client;
  const slot = await client.cluster('KEYSLOT', `${PREFIX}:doctor`);
  const place = client.slots[Number(slot)]?.[0];
  const node = client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === place);
  if (!node) throw new Error('none of its nodes has the queues’ slot');
  return node;
}

/**
 * R12: what can never work, however long one waits: a line for the start, and a finding for doctor. A replica is not among
 * them: it may be promoted in the next moment.
 */
export function misnamed({
  mode,
  asCluster,
  queuesLiveAt,
}: RedisFacts): { says: string; remedy: string } | undefined {
  if (mode === 'sentinel')
    return {
      says: 'REDIS_URL names a Sentinel, which holds no queues itself',
      remedy:
        'REDIS_URL=redis+sentinel://host1:26379,host2:26379/mymaster, with the name that "redis-cli -p 26379 sentinel masters" shows',
    };
  if (mode === 'cluster' && !asCluster && queuesLiveAt)
    return {
      says: `REDIS_URL names one node of a cluster, and the queues live on another, ${queuesLiveAt}`,
      remedy: 'REDIS_URL=redis+cluster://host1:6379,host2:6379 (with two or three of its nodes)',
    };
  return undefined;
}

const fieldsOf = (info: string) =>
  new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(':');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)] as const] : [];
    }),
  );
