import { once } from 'node:events';
import { connect, type IpcNetConnectOpts, type TcpNetConnectOpts } from 'node:net';
import { parseRedisUrl } from '../addresses/redis.ts';
import { loadConfig } from '../config.ts';
import { messageOf, UserError } from '../errors.ts';
import { type Fleet, openFleet } from '../fleet.ts';
import { createLog } from '../log.ts';

/** Runs a command with the fleet's connections, and closes them; warnings go to standard error. */
export async function withFleet<T>(run: (fleet: Fleet) => Promise<T>): Promise<T> {
  const log = createLog({ level: 'error', name: 'cli', destination: process.stderr });
  const fleet = openFleet(loadConfig(), 'cli', { log });
  try {
    return await run(fleet);
  } finally {
    await fleet.close();
  }
}

/** The same for a command that needs the queues. @throws UserError when they are in a Redis that is away */
export async function withQueues<T>(run: (fleet: Fleet) => Promise<T>): Promise<T> {
  const { REDIS_URL } = loadConfig();
  if (REDIS_URL) await mustListen(REDIS_URL);
  return await withFleet(run);
}

/** Redis on the same machine or in the same network answers within milliseconds. */
const PATIENCE_MS = 5_000;

/**
 * BullMQ waits for an absent Redis as long as it takes, which is right for a worker; a person is told at once. Of Sentinels
 * and the nodes of a cluster one that listens is enough.
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
      throw new Error(`nothing within ${PATIENCE_MS / 1000} s`);
    throw new Error((error as NodeJS.ErrnoException).code ?? messageOf(error));
  } finally {
    socket.destroy();
  }
}

export interface JsonOption {
  json?: boolean;
}
