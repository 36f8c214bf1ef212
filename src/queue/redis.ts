import { parseRedisUrl } from '../addresses/redis.ts';
import { openRedis, PREFIX, type RedisClient } from './redis-open.ts';

/**
 * It is read-only: a primary that became a replica behind the same address. In script errors the word stands inside.
 */
const READ_ONLY = /\bREADONLY\b|^MASTERDOWN|^UNBLOCKED/;

/** All commands in flight on a connection that is dropped fail within this time of the first, in milliseconds. */
const TOGETHER_MS = 50;

/**
 * `reconnectOnError` of ioredis: a read-only Redis is dropped at once, and the command is sent again to whatever is
 * at the address then. If that is read-only, too, the command fails, and a later one reconnects: a replica accepts
 * new connections as fast as they are made.
 * @param pauseMs per connection, which ioredis identifies by its options
 */
export function reconnectOn(pauseMs: number): (this: unknown, error: Error) => false | 2 {
  const leftAt = new WeakMap<object, number>();
  return function (this: unknown, error) {
    if (!READ_ONLY.test(error.message)) return false;
    const connection = Object(this) as object;
    const ago = performance.now() - (leftAt.get(connection) ?? Number.NEGATIVE_INFINITY);
    if (ago >= pauseMs) leftAt.set(connection, performance.now());
    return ago >= pauseMs || ago < TOGETHER_MS ? 2 : false; // 2: and resend it, it has changed nothing
  };
}

/** Writes and deletes, as BullMQ's scripts do: a full Redis, a replica, and one that cannot save refuse it. */
const TRY = `redis.call('set', KEYS[1], '1', 'PX', 60000) return redis.call('del', KEYS[1])`;

/**
 * Does once what producers and workers need of a Redis.
 * @throws the server's error
 */
export async function verifyRedis(redis: RedisClient): Promise<void> {
  const key = `${PREFIX}:verify`;
  await redis.eval(TRY, 1, key);
  // BullMQ's workers call INFO when they connect, and block like this; nothing is ever added to that key
  await redis.info('server');
  await redis.bzpopmin(key, 0.01);
}

/** What a Redis reports about itself; undefined where it does not (managed ones leave things out). */
export interface RedisFacts {
  version: string | undefined;
  evictionPolicy: string | undefined;
  appendOnly: boolean | undefined;
  usedBytes: number | undefined;
  /** Undefined: no limit of its own. */
  maxBytes: number | undefined;
  replica: boolean;
  /** Its own term: standalone, sentinel, cluster. */
  mode: string | undefined;
  /** REDIS_URL is a cluster's address. */
  asCluster: boolean;
  /** In a cluster that REDIS_URL names as one server: the node that has the queues, when it is another one. */
  queuesLiveAt: string | undefined;
}

/** Timeout of the connection, and of each command. */
const PATIENCE_MS = 4_000;

/**
 * Reads the state of a Redis on a connection of its own. Everything is read from INFO: managed ones forbid CONFIG.
 * @throws the client's error when it does not respond, or refuses the login
 */
export async function readRedis(url: string): Promise<RedisFacts> {
  const redis = openRedis(url, {
    lazyConnect: true,
    enableReadyCheck: false, // it would call INFO, too, and print when it may not
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: PATIENCE_MS,
    commandTimeout: PATIENCE_MS,
  });
  let why: unknown;
  redis.on('error', (error) => {
    why ??= error; // the command's own failure only says that the connection is closed
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

/** The node of a cluster that has the queues: they share a hash tag, so one has all. */
async function serverOfQueues(client: RedisClient) {
  if (!('slots' in client)) return client;
  const slot = await client.cluster('KEYSLOT', `${PREFIX}:doctor`);
  const place = client.slots[Number(slot)]?.[0];
  const node = client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === place);
  if (!node) throw new Error('none of its nodes has the queues’ slot');
  return node;
}

/**
 * R12: misconfigurations that waiting never fixes: reported at the start and by doctor. A replica is not one of them:
 * it may be promoted at any moment.
 */
export function misnamed({
  mode,
  asCluster,
  queuesLiveAt,
}: RedisFacts): { says: string; remedy: string } | undefined {
  if (mode === 'sentinel')
    return {
      says: 'REDIS_URL names a Sentinel, which stores no queues itself',
      remedy:
        'REDIS_URL=redis+sentinel://host1:26379,host2:26379/mymaster, with the name that "redis-cli -p 26379 sentinel masters" shows',
    };
  if (mode === 'cluster' && !asCluster && queuesLiveAt)
    return {
      says: `REDIS_URL names one node of a cluster, but the queues are on another, ${queuesLiveAt}`,
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
