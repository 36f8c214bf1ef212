import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { parseDatabaseUrl } from '../addresses/database.ts';
import { WatchedSocket } from '../lib/sockets.ts';
import { endedByTheServer, WATCH, type Watch } from './connections.ts';
import { createListener, type Listener } from './listen.ts';
import { hostFitting } from './pool.ts';
import * as schema from './schema/index.ts';
import { createSessions } from './sessions.ts';
import { Wire } from './wire.ts';

export type Sql = postgres.Sql;
export type Db = PostgresJsDatabase<typeof schema> & { $client: Sql } & Pick<Listener, 'listen'>;
/** What runs inside `db.transaction`: everything except another connection. */
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0];

export interface DbOptions {
  /**
   * Most connections; each worker process has its own pool. With 1 there is one session: nothing may be queued on it
   * when a transaction begins.
   */
  max?: number;
  /** Shown in pg_stat_activity. */
  name?: string;
  /** When its connections are given up; for tests and slow statements. */
  watch?: Partial<Watch>;
}

/**
 * A pool of connections (sessions.ts), opened as DATABASE_URL says (wire.ts) and given up when they are dead
 * (sockets.ts).
 * @throws AddressError
 */
export function createDb(url: string, { max = 10, name, watch: changed }: DbOptions = {}): Db {
  const watch = { ...WATCH, ...changed };
  const address = parseDatabaseUrl(url);
  const [first = { host: 'localhost', port: 5432 }] = address.hosts;
  const openMs = address.hosts.length * address.connectTimeoutMs;
  const makeSocket = () => new WatchedSocket(watch.silenceMs);
  // not in its types; only used in its messages
  const wire = {
    socket: () => new Wire(address, { fits: hostFitting(address), makeSocket }).connect(),
    ssl: false,
  };
  const open = (more: object = {}): Sql =>
    postgres({
      ...wire,
      ...first,
      ...{ user: address.user, database: address.database },
      ...(address.password === undefined ? {} : { password: address.password }),
      max: 1,
      // seconds, from when the driver has its wire: all hosts, TLS and the login
      connect_timeout: openMs / 1000,
      idle_timeout: 0, // the pool closes idle ones, between two holders
      max_lifetime: null,
      // Drizzle's columns parse arrays. The driver would query their types on each new connection, and what it throws
      // when that is cut off cannot be caught
      fetch_types: false,
      connection: {
        application_name: `${address.applicationName} ${name ?? ''}`.trim(),
        ...address.startup,
        DateStyle: LONG_STARTUP,
      },
      onnotice: () => {},
      ...more,
    });
  const listener = createListener((onnotify) => open({ onnotify }), watch.heartbeatMs);
  const { idleMs, readOnlyMs } = watch;
  const sessions = createSessions(open(), { max, idleMs, readOnlyMs, openMs: openMs + 5_000 });
  const { begin, end } = sessions;
  Object.assign(sessions, {
    begin: endedByTheServer(begin, watch),
    end: async (options?: { timeout?: number }) => {
      await Promise.all([end(options), listener.end()]);
    },
  });
  return Object.assign(drizzle(sessions, { schema }), { listen: listener.listen });
}

/**
 * postgres.js (3.4.9) delays small messages by a tick and does not reset the timer when a connection is cut: the next
 * start-up message then never leaves, and that connection fails with CONNECT_TIMEOUT for ever. Messages above its
 * buffer of 1,024 bytes are written at once, so the start-up message is made longer than that, by a setting with its
 * default value and by blanks. It is this one because poolers accept it: PgBouncer knows DateStyle and refuses
 * `options` and extra_float_digits. Without the order of day and month it leaves that unchanged.
 */
const LONG_STARTUP = `ISO${' '.repeat(1100)}`;

export const closeDb = (db: Db) => db.$client.end({ timeout: 5 });
