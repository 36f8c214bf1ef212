import { connect } from 'node:net';
import { loadConfig } from '../config.ts';
import { UserError } from '../errors.ts';
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
  if (REDIS_URL) await mustListen(new URL(REDIS_URL));
  return await withFleet(run);
}

/** Redis on the same machine or in the same network answers within milliseconds. */
const PATIENCE_MS = 5_000;

/** BullMQ waits for an absent Redis as long as it takes, which is right for a worker; a person is told at once. */
async function mustListen({ hostname, port }: URL): Promise<void> {
  const at = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ ...at, timeout: PATIENCE_MS });
    const fail = (why: string) => {
      socket.destroy();
      reject(new UserError(`No Redis answers at ${at.host}:${at.port} (${why}): is REDIS_URL right?`));
    };
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('timeout', () => fail(`nothing within ${PATIENCE_MS / 1000} s`));
    socket.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
  });
}

export interface JsonOption {
  json?: boolean;
}
