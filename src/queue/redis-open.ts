import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { parseRedisUrl, type RedisAddress, type RedisTls } from '../addresses/redis.ts';
import { driver } from '../db/driver.ts';

/** A hash tag, so that Redis Cluster keeps a queue's keys together. */
export const PREFIX = '{orderfleet}';

export type RedisClient = Redis | Cluster;
/** ioredis' own, but for one that its types of clusters do not take. */
export type RedisChoices = Omit<RedisOptions, 'replyMapping'>;

/**
 * Opens what REDIS_URL names: a server, the primary that Sentinels know, or a cluster. The driver is loaded when it is
 * needed: producers whose queues live in Postgres import this file, too.
 * @param options of each connection, as ioredis has them
 * @throws AddressError; Error when a file of the address cannot be read
 */
export function openRedis(url: string, options: RedisChoices = {}): RedisClient {
  const { Redis, Cluster } = driver<typeof import('ioredis')>('ioredis');
  const address = parseRedisUrl(url);
  const tls = address.tls && tlsOptions(address.tls);
  const redisOptions: RedisChoices = {
    ...(address.user ? { username: address.user } : {}),
    ...(address.password ? { password: address.password } : {}),
    db: address.database,
    ...(tls ? { tls } : {}),
    ...(address.family === undefined ? {} : { family: address.family }),
    ...options,
  };
  if (address.kind === 'sentinel') return new Redis({ ...redisOptions, ...sentinels(address, tls, options) });
  if (address.kind === 'single')
    return new Redis({ ...redisOptions, ...(address.path ? { path: address.path } : address.nodes[0]) });
  const { lazyConnect, enableOfflineQueue, retryStrategy } = options;
  return new Cluster([...address.nodes], {
    redisOptions,
    ...(lazyConnect === undefined ? {} : { lazyConnect }),
    ...(enableOfflineQueue === undefined ? {} : { enableOfflineQueue }),
    // when connections are not retried, neither is the cluster
    ...(retryStrategy ? { clusterRetryStrategy: (times: number) => retryStrategy(times) ?? null } : {}),
    // certificates are issued for names: nodes are connected to by the names that they announce
    ...(tls
      ? { dnsLookup: (name: string, found: (error: null, at: string) => void) => found(null, name) }
      : {}),
  });
}

function sentinels(
  address: RedisAddress,
  tls: ConnectionOptions | undefined,
  options: RedisChoices,
): RedisChoices {
  const { retryStrategy } = options;
  return {
    sentinels: [...address.nodes],
    name: address.primary ?? '',
    ...(address.sentinelUser ? { sentinelUsername: address.sentinelUser } : {}),
    ...(address.sentinelPassword ? { sentinelPassword: address.sentinelPassword } : {}),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls } : {}),
    ...(retryStrategy ? { sentinelRetryStrategy: (times: number) => retryStrategy(times) ?? null } : {}),
  };
}

function tlsOptions({ files, verify }: RedisTls): ConnectionOptions {
  return {
    ...Object.fromEntries(Object.entries(files).map(([name, file]) => [name, readFileSync(file)])),
    rejectUnauthorized: verify !== 'nothing',
    ...(verify === 'signer' ? { checkServerIdentity: () => undefined } : {}),
  };
}

/** Not in BullMQ's types: a connection as its queues and workers have one or two of. */
interface Starting {
  _client: RedisClient;
  initializing: Promise<unknown>;
  closing: boolean;
  handleClientError(error: Error): void;
  handleClientClose(): void;
  handleClientReady(): void;
  releaseBlockingClusterClientPatch(): void;
  init(): Promise<unknown>;
}
type Backend = Partial<Record<'connection' | 'blockingConnection', Starting>>;

/**
 * A queue or worker of BullMQ on Redis, fixed: 6.7 sends INFO once per connection and caches the result for ever, even an
 * error: a user who may not call it, a connection that is cut at that moment. A queue would then add nothing, and a worker
 * take nothing, until the process restarts. Here the next use tries again.
 */
export function retryingInit<T extends object>(queue: T): T {
  const { connection, blockingConnection } = (queue as { backend: Backend }).backend;
  for (const one of [connection, blockingConnection]) if (one) forgetFailure(one);
  return queue;
}

function forgetFailure(one: Starting): void {
  let failed = false;
  const watch = () =>
    one.initializing.catch(() => {
      failed = true;
    });
  void watch();
  const retry = () => {
    // left from the previous attempt, and added again by this one
    one._client.off('error', one.handleClientError);
    one._client.off('close', one.handleClientClose);
    one._client.off('ready', one.handleClientReady);
    one.releaseBlockingClusterClientPatch();
    return one.init();
  };
  Object.defineProperty(one, 'client', {
    get() {
      if (failed && !one.closing) {
        failed = false;
        one.initializing = retry();
        void watch();
      }
      return one.initializing;
    },
  });
}
