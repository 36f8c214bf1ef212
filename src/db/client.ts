import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { parseDatabaseUrl } from '../addresses/database.ts';
import { hostFitting } from './pool.ts';
import * as schema from './schema/index.ts';
import { Wire } from './wire.ts';

export type Sql = postgres.Sql;
export type Db = PostgresJsDatabase<typeof schema> & { $client: Sql };
/** What runs inside `db.transaction`: everything but a further connection. */
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0];

export interface DbOptions {
  /**
   * Connections at most; each worker process holds its own pool. With 1 there is one session: nothing may wait in it when
   * a transaction begins.
   */
  max?: number;
  /** Shown in pg_stat_activity. */
  name?: string;
}

/**
 * A pool. Transactions have half of its connections to themselves, since postgres.js (3.4.9, its issues 823 and 1189) may
 * send a BEGIN behind statements that wait on a connection and forget to keep that connection for it: the transaction
 * fails, stays open, and what others write there is undone when the process ends. Where nothing but transactions run, a
 * BEGIN is always a connection's only statement.
 */
export function createDb(url: string, { max = 10, name }: DbOptions = {}): Db {
  const address = parseDatabaseUrl(url);
  const fits = hostFitting(address);
  const [first = { host: 'localhost', port: 5432 }] = address.hosts;
  // not in its types; for its messages it has the first host
  const wire = { socket: () => new Wire(address, { fits }).connect(), ssl: false };
  const open = (connections: number) =>
    postgres({
      ...wire,
      ...first,
      ...{ user: address.user, database: address.database },
      ...(address.password === undefined ? {} : { password: address.password }),
      max: connections,
      // seconds, from when the driver has its wire: all hosts, TLS and the log-in
      connect_timeout: (address.hosts.length * address.connectTimeoutMs) / 1000,
      idle_timeout: 300, // seconds; a quiet worker gives its connections back
      connection: {
        application_name: `${address.applicationName} ${name ?? ''}`.trim(),
        ...address.startup,
        DateStyle: LONG_STARTUP,
      },
      onnotice: () => {},
    });
  if (max === 1) return typed(open(1));
  const forTransactions = Math.ceil(max / 2);
  const db = typed(open(max - forTransactions));
  const transactions = typed(open(forTransactions)).$client;
  const statements = db.$client;
  const { end } = statements;
  Object.assign(statements, {
    begin: transactions.begin,
    end: async (options?: { timeout?: number }) => {
      await Promise.all([end(options), transactions.end(options)]);
    },
  });
  return db;
}

/** Drizzle over a client. */
function typed(client: Sql): Db {
  const db = drizzle(client, { schema });
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
  for (const type of ARRAY_TYPES) {
    delete client.options.parsers[type];
    delete client.options.serializers[type];
  }
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
/** date[], timestamptz[], timestamp[], numeric[]: without Drizzle's entries the client serialises them itself. */
const ARRAY_TYPES = [1182, 1185, 1115, 1231];

export const closeDb = (db: Db) => db.$client.end({ timeout: 5 });
