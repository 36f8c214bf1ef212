import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { queuePoolConfig } from '../db/pool.ts';
import { WatchedSocket } from '../lib/sockets.ts';

/** How long a connection may be silent, and how often a reserved idle one is checked, in milliseconds. */
export interface Watch {
  silenceMs: number;
  heartbeatMs: number;
}

/** Connections that LISTEN are checked, too: a demoted server still answers, but never notifies again. */
const HEARTBEAT = 'select pg_is_in_recovery() as recovering';

/**
 * A pool of node-postgres, for BullMQ, whose connections can neither end the process nor outlive a dead server (R2,
 * R10, I3):
 * - each has an error listener from its first moment. A reserved connection has none of the pool's, BullMQ adds none,
 *   and an unhandled `error` event ends the process;
 * - each is given up after a silence. The pool closes idle ones before that; a reserved one that sends nothing, as
 *   BullMQ's for LISTEN, gets a heartbeat.
 *
 * A connection that returned an error, "read-only" for instance, is closed by the pool itself.
 * @param driver the module `pg`, of which this file has the types alone: the shipping app may have no pg (client.ts)
 * @param url DATABASE_URL
 * @param name shown in pg_stat_activity
 * @throws AddressError
 */
export function openPgPool(
  driver: { Pool: typeof pg.Pool },
  url: string,
  name: string,
  limits: Pick<pg.PoolConfig, 'max' | 'connectionTimeoutMillis'>,
  { silenceMs, heartbeatMs }: Watch,
): pg.Pool {
  const pool = new driver.Pool({
    ...queuePoolConfig(url, name, () => new WatchedSocket(silenceMs)),
    // all hosts, TLS and the login; each host has its own limit
    connectionTimeoutMillis: 30_000,
    keepAlive: true,
    idleTimeoutMillis: Math.min(10_000, silenceMs / 2),
    ...limits,
  });
  const held = new WeakMap<pg.PoolClient, NodeJS.Timeout>();
  pool.on('connect', (client) => {
    client.on('error', () => {}); // the pending query fails with it
  });
  pool.on('acquire', (client) => {
    held.set(client, setInterval(() => void beat(client), heartbeatMs).unref());
  });
  pool.on('release', (_, client) => clearInterval(held.get(client)));

  async function beat(client: pg.PoolClient): Promise<void> {
    if (!(client as { readyForQuery?: boolean }).readyForQuery) return; // a query is in progress
    try {
      const { rows } = await client.query<{ recovering: boolean }>(HEARTBEAT);
      if (rows[0]?.recovering) streamOf(client).destroy(new Error('the server no longer accepts writes'));
    } catch {
      // the connection ended, which its holder notices; or its transaction has failed, which does not matter
    }
  }
  return pool;
}

/** Not in the types: how the driver itself gives up on a connection. */
const streamOf = (client: pg.PoolClient) =>
  (client as unknown as { connection: { stream: Duplex } }).connection.stream;

interface Starting {
  readyPromise: Promise<void> | undefined;
  waitUntilReady(): Promise<void>;
}

/**
 * BullMQ's `createPostgresBackend`, fixed: 6.7 checks its schema once and caches the result for ever, even an error,
 * in two places. A backend whose first connection failed would stay useless until the process restarts: a queue that
 * adds nothing, a worker that polls without a pause and, where only its check was cut off, runs jobs that it can
 * never complete, until their attempts are used up. Here the next use checks again.
 */
export function retryingSchemaCheck<Make extends (...args: never[]) => unknown>(make: Make): Make {
  return ((...args) => {
    const backend = make(...args) as Starting & { connection: Starting };
    forgetFailure(backend.connection);
    forgetFailure(backend);
    return backend;
  }) as Make;
}

function forgetFailure(one: Starting): void {
  const look = one.waitUntilReady.bind(one);
  one.waitUntilReady = async () => {
    const looking = look();
    const mine = one.readyPromise;
    try {
      await looking;
    } catch (error) {
      if (one.readyPromise === mine) one.readyPromise = undefined;
      throw error;
    }
  };
}
