import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { queuePoolConfig } from './db/pool.ts';
import { WatchedSocket } from './sockets.ts';

/** How long a connection may say nothing, and how often one that is held and idle is asked, in milliseconds. */
export interface Watch {
  silenceMs: number;
  heartbeatMs: number;
}

/** What LISTENs is asked this, too: a server that was demoted goes on answering, and will never notify again. */
const HEARTBEAT = 'select pg_is_in_recovery() as recovering';

/**
 * A pool of node-postgres, for BullMQ, whose connections can neither end the process nor stay when nobody is there (R2, R10, I3):
 * - each has a listener for errors from its first moment. A connection that is held by somebody has none of the
 *   pool's, BullMQ gives it none, and an `error` event that nobody hears ends the process;
 * - each is given up after a silence. The pool closes what is idle before that; what somebody holds without asking anything,
 *   as BullMQ does for LISTEN, is asked for a sign of life.
 *
 * What answered with an error, "read-only" for instance, the pool itself closes.
 * @param driver the module `pg`, of which this file has the types alone: the shipping app may have no pg (client.ts)
 * @param url DATABASE_URL
 * @param name what pg_stat_activity shows
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
    // all hosts, TLS and the log-in; each host has its own limit
    connectionTimeoutMillis: 30_000,
    keepAlive: true,
    idleTimeoutMillis: Math.min(10_000, silenceMs / 2),
    ...limits,
  });
  const held = new WeakMap<pg.PoolClient, NodeJS.Timeout>();
  pool.on('connect', (client) => {
    client.on('error', () => {}); // whoever waits for an answer is told by that
  });
  pool.on('acquire', (client) => {
    held.set(client, setInterval(() => void beat(client), heartbeatMs).unref());
  });
  pool.on('release', (_, client) => clearInterval(held.get(client)));

  async function beat(client: pg.PoolClient): Promise<void> {
    if (!(client as { readyForQuery?: boolean }).readyForQuery) return; // it is asked something already
    try {
      const { rows } = await client.query<{ recovering: boolean }>(HEARTBEAT);
      if (rows[0]?.recovering) streamOf(client).destroy(new Error('the server takes no writes any more'));
    } catch {
      // its end, which its holder hears of; in a transaction that has failed, nothing
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
 * BullMQ's `createPostgresBackend`, mended: 6.7 looks at its schema once and keeps the answer for ever, also where that is an
 * error, in two places. What first met a Postgres that was away or cut it off would stay useless until the process is
 * started again: a queue that adds nothing, a worker that asks without a pause and, where only its look was cut, runs
 * jobs that it can never complete, until their attempts are spent. Here the next use looks again.
 */
export function lookingAgain<Make extends (...args: never[]) => unknown>(make: Make): Make {
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
