import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { parseDatabaseUrl } from '../addresses/database.ts';
import { WatchedSocket } from '../sockets.ts';
import { knowArrays } from './arrays.ts';
import { endedByTheServer, WATCH, type Watch } from './connections.ts';
import { createListener, type Listener } from './listen.ts';
import { hostFitting } from './pool.ts';
import * as schema from './schema/index.ts';
import { createSessions } from './sessions.ts';
import { Wire } from './wire.ts';

export type Sql = postgres.Sql;
export type Db = PostgresJsDatabase<typeof schema> & { $client: Sql } & Pick<Listener, 'listen'>;
/** What runs inside `db.transaction`: everything but a further connection. */
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0];

/** The driver's own transaction under one of Drizzle's: for statements that are not yet Drizzle's. */
export const rawOf = (tx: Tx): postgres.TransactionSql =>
  (tx._.session as unknown as { client: postgres.TransactionSql }).client;

export interface DbOptions {
  /**
   * Connections at most; each worker process holds its own pool. With 1 there is one session: nothing may wait in it when
   * a transaction begins.
   */
  max?: number;
  /** Shown in pg_stat_activity. */
  name?: string;
  /** When its connections are given up; for tests, and for statements that take long. */
  watch?: Partial<Watch>;
}

/**
 * A pool of connections (sessions.ts), made as DATABASE_URL says (wire.ts) and given up when they are good for nothing
 * (sockets.ts).
 * @throws AddressError
 */
export function createDb(url: string, { max = 10, name, watch: changed }: DbOptions = {}): Db {
  const watch = { ...WATCH, ...changed };
  const address = parseDatabaseUrl(url);
  const [first = { host: 'localhost', port: 5432 }] = address.hosts;
  const openMs = address.hosts.length * address.connectTimeoutMs;
  const makeSocket = () => new WatchedSocket(watch.silenceMs);
  // not in its types; for its messages it has the first host
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
      // seconds, from when the driver has its wire: all hosts, TLS and the log-in
      connect_timeout: openMs / 1000,
      idle_timeout: 0, // the pool closes what is idle, between two holders
      max_lifetime: null,
      fetch_types: false, // arrays.ts
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
  return typed(sessions, listener);
}

/** Drizzle over a client. */
function typed(client: Sql, { listen }: Listener): Db {
  const db = Object.assign(drizzle(client, { schema }), { listen });
  // drizzle() switches the client's own handling of times and JSON off; our SQL through the same client wants it, and
  // Drizzle's columns accept both forms
  for (const type of TIME_TYPES) {
    client.options.parsers[type] = (text: string) => new Date(text);
    client.options.serializers[type] = (value: unknown) =>
      value instanceof Date ? value.toISOString() : value;
  }
  for (const type of JSON_TYPES) {
    client.options.parsers[type] = (text: string) => JSON.parse(text);
    client.options.serializers[type] = (value: unknown) =>
      typeof value === 'string' ? value : JSON.stringify(value);
  }
  knowArrays(client.options as never);
  return db;
}

/**
 * postgres.js (3.4.9) puts small messages off by a tick and forgets to take the timer back when a connection is cut: the
 * next start-up message then never leaves, and that connection fails with CONNECT_TIMEOUT for ever. Messages above its
 * buffer of 1,024 bytes are written at once, so the start-up message is made longer than that, by a setting that says
 * what is the default anyway and by blanks. It is this one because poolers take it: PgBouncer knows DateStyle and refuses
 * `options` and extra_float_digits. Without the order of day and month it leaves that as it is.
 */
const LONG_STARTUP = `ISO${' '.repeat(1100)}`;

/** Type numbers of Postgres: timestamptz and timestamp; json and jsonb. */
const TIME_TYPES = [1184, 1114];
const JSON_TYPES = [114, 3802];
export const closeDb = (db: Db) => db.$client.end({ timeout: 5 });
