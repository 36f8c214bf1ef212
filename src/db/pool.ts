import type { Socket } from 'node:net';
import type pg from 'pg';
import { type DatabaseAddress, type DatabaseHost, parseDatabaseUrl } from '../addresses/database.ts';
import { driver } from './driver.ts';
import { Wire } from './wire.ts';

/**
 * pg, which BullMQ wants for queues in Postgres, with our reading of the address. The driver itself is loaded when it is
 * needed: producers whose queues live in Redis import this file, too.
 */

/** The schema of BullMQ's tables, and its name for them. */
export const QUEUE_SCHEMA = 'bullmq';

/**
 * What every session of the queues begins with. By SQL, since most poolers refuse or drop settings that are sent at the
 * start of a session; pg waits for `onConnect`, not for its event 'connect'. What a crash of Postgres takes from the
 * queues, half a second at most, the sweep brings back from the tables: no job waits for the disk.
 */
const QUEUE_SESSION = `select set_config('search_path', '${QUEUE_SCHEMA}', false), set_config('synchronous_commit', 'off', false)`;

/**
 * For a pg.Pool that BullMQ is handed.
 * @param url DATABASE_URL
 * @param name what pg_stat_activity shows after the address' own application name
 * @throws AddressError
 */
export function queuePoolConfig(url: string, name: string, makeSocket?: () => Socket): pg.PoolConfig {
  const address = parseDatabaseUrl(url);
  return {
    ...configOf(address, name),
    stream: () => new Wire(address, { fits: hostFitting(address), makeSocket }),
    // its types say that nobody waits for it; pg-pool 3.14 does
    onConnect: async (client) => {
      await client.query(QUEUE_SESSION);
    },
  };
}

/** A look takes no longer. */
const LOOK_MS = 10_000;

/** One connection, for a look; the caller connects and ends it. */
export function openClient(address: DatabaseAddress, name: string): pg.Client {
  const { Client } = driver<typeof pg>('pg');
  const stream = () => new Wire(address, { fits: hostFitting(address) });
  const client = new Client({
    ...configOf(address, name),
    ...{ stream, connectionTimeoutMillis: 2 * LOOK_MS, query_timeout: LOOK_MS },
  });
  client.on('error', () => {}); // its commands say so
  return client;
}

/** Everything but the way there. */
function configOf({ hosts, startup, ...address }: DatabaseAddress, name: string): pg.ClientConfig {
  return {
    // for its messages
    ...hosts[0],
    user: address.user,
    database: address.database,
    ...(address.password === undefined ? {} : { password: address.password }),
    application_name: `${address.applicationName} ${name}`,
    ...(startup.options ? { options: startup.options } : {}),
    ssl: false, // the wire has it
  };
}

/** Where one of several hosts is wanted that can be written to: asks one. */
export function hostFitting(
  address: DatabaseAddress,
): ((host: DatabaseHost) => Promise<boolean>) | undefined {
  const { wanted } = address;
  if (wanted === 'any') return undefined;
  return async (host) => {
    const client = openClient({ ...address, hosts: [host], wanted: 'any' }, 'host check');
    await client.connect();
    try {
      const { rows } = await client.query(
        `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only`,
      );
      return !rows[0].standby && (wanted === 'primary' || !rows[0].read_only);
    } finally {
      await client.end();
    }
  };
}
