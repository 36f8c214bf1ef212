import { Redis } from 'ioredis';
import { PREFIX } from './backend.ts';

/** What a Redis says of itself; undefined where it does not (managed ones leave things out). */
export interface RedisFacts {
  version: string | undefined;
  evictionPolicy: string | undefined;
  appendOnly: boolean | undefined;
  usedBytes: number | undefined;
  /** Undefined: no bound of its own. */
  maxBytes: number | undefined;
  replica: boolean;
  /** In a cluster: the node that has the queues, when it is another one. */
  queuesLiveAt: string | undefined;
}

/** One command may take this long, and so may the connection. */
const PATIENCE_MS = 4_000;

/**
 * Asks a Redis how it is, by a connection of its own. Everything is read from INFO: managed ones forbid CONFIG.
 * @throws the client's error when it does not answer, or does not let us in
 */
export async function readRedis(url: string): Promise<RedisFacts> {
  const redis = new Redis(url, {
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
    const info = fieldsOf(await redis.info());
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
      queuesLiveAt: moved,
    };
  } catch (error) {
    throw why ?? error;
  } finally {
    redis.disconnect();
  }
}

const fieldsOf = (info: string) =>
  new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(':');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)] as const] : [];
    }),
  );
