import { once } from 'node:events';
import { connect, type IpcNetConnectOpts, type TcpNetConnectOpts } from 'node:net';
import { parseRedisUrl } from '../addresses/redis.ts';
import { loadConfig } from '../config/index.ts';
import { type Fleet, openFleet } from '../fleet/index.ts';
import { messageOf, UserError } from '../lib/errors.ts';
import { createLog } from '../lib/log.ts';

/** Runs a command with the fleet's connections, then closes them; warnings go to standard error. */
export async function withFleet<T>(run: (fleet: Fleet) => Promise<T>): Promise<T> {
  const log = createLog({ level: 'error', name: 'cli', destination: process.stderr });
  const fleet = openFleet(loadConfig(), 'cli', { log });
  try {
    return await run(fleet);
  } finally {
    await fleet.close();
  }
}

/** The same for a command that needs the queues. @throws UserError when their Redis is down */
export async function withQueues<T>(run: (fleet: Fleet) => Promise<T>): Promise<T> {
  const { REDIS_URL } = loadConfig();
  if (REDIS_URL) await mustListen(REDIS_URL);
  return await withFleet(run);
}

/** Redis on the same machine or in the same network answers within milliseconds. */
const PATIENCE_MS = 5_000;

/**
 * BullMQ waits for ever for a Redis that is down, which is right for a worker; an operator gets an error at once. Of
 * Sentinels and cluster nodes one is enough.
 */
async function mustListen(url: string): Promise<void> {
  const { nodes, path } = parseRedisUrl(url);
  const places = path ? [{ path }] : nodes.map((node) => ({ ...node }));
  try {
    await Promise.any(places.map((place) => listens(place)));
  } catch (error) {
    const where = path ?? nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
    throw new UserError(
      `No Redis answers at ${where} (${messageOf((error as AggregateError).errors[0])}): is REDIS_URL right?`,
    );
  }
}

async function listens(place: TcpNetConnectOpts | IpcNetConnectOpts): Promise<void> {
  const socket = connect(place);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError')
      throw new Error(`no answer within ${PATIENCE_MS / 1000} s`);
    throw new Error((error as NodeJS.ErrnoException).code ?? messageOf(error));
  } finally {
    socket.destroy();
  }
}

export interface JsonOption {
  json?: boolean;
}
