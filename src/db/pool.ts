import type { Socket } from 'node:net';
import type pg from 'pg';
import { type DatabaseAddress, type DatabaseHost, parseDatabaseUrl } from '../addresses/database.ts';
import { driver } from './driver.ts';
import { Wire } from './wire.ts';

/**
 * Configures pg, which BullMQ needs for queues in Postgres, from our parsed address. The driver itself is loaded on
 * demand: producers whose queues are in Redis import this file, too.
 */

/** The schema of BullMQ's tables. */
export const QUEUE_SCHEMA = 'bullmq';

/**
 * What every session of the queues starts with. By SQL, since most poolers refuse or drop settings that are sent at
 * the start of a session; pg waits for `onConnect`, not for its event 'connect'. No job waits for the disk: what a
 * crash of Postgres takes from the queues, half a second at most, the sweep restores from the tables.
 */
const QUEUE_SESSION = `select set_config('search_path', '${QUEUE_SCHEMA}', false), set_config('synchronous_commit', 'off', false)`;

/**
 * For a pg.Pool that is given to BullMQ.
 * @param url DATABASE_URL
 * @param name shown in pg_stat_activity after the address' own application name
 * @throws AddressError
 */
export function queuePoolConfig(url: string, name: string, makeSocket?: () => Socket): pg.PoolConfig {
  const address = parseDatabaseUrl(url);
  return {
    ...configOf(address, name),
    stream: () => new Wire(address, { fits: hostFitting(address), makeSocket }),
    // its types deny that it is awaited; pg-pool 3.14 awaits it
    onConnect: async (client) => {
      await client.query(QUEUE_SESSION);
    },
  };
}

/** Timeout of a check. */
const LOOK_MS = 10_000;

/** One connection, for a check; the caller connects and ends it. */
export function openClient(address: DatabaseAddress, name: string): pg.Client {
  const { Client } = driver<typeof pg>('pg');
  const stream = () => new Wire(address, { fits: hostFitting(address) });
  const client = new Client({
    ...configOf(address, name),
    ...{ stream, connectionTimeoutMillis: 2 * LOOK_MS, query_timeout: LOOK_MS },
  });
  client.on('error', () => {}); // reported by its commands
  return client;
}

/** Everything but the host. */
function configOf({ hosts, startup, ...address }: DatabaseAddress, name: string): pg.ClientConfig {
  return {
    // for its messages
    ...hosts[0],
    user: address.user,
    database: address.database,
    ...(address.password === undefined ? {} : { password: address.password }),
    application_name: `${address.applicationName} ${name}`,
    ...(startup.options ? { options: startup.options } : {}),
    ssl: false, // done by the wire
  };
}

/** Checks the role of a host where one of several is required that accepts writes. */
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
