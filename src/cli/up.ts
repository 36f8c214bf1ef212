import { accessSync, constants, mkdirSync } from 'node:fs';
import { join, relative as relativePath } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import getPort from 'get-port';
import logUpdate from 'log-update';
import { type Config, environment, homeDirectory, parseConfig, webAddress } from '../config/index.ts';
import { closeDb, createDb } from '../db/client.ts';
import { ensureDatabase, startEmbeddedPostgres } from '../embedded-postgres/index.ts';
import { messageOf, UserError } from '../lib/errors.ts';
import { type StoreOverview, storeOverviews } from '../temu/overview.ts';
import { createTrackers, trackingSettings } from '../tracking/index.ts';
import { accountsOf } from '../web/middleware/access.ts';
import { keyOf } from './generate-key.ts';
import { migrateAll } from './migrate.ts';
import { bold, dim, relative, utc } from './output.ts';
import { claimHome, leaveHome, publishSettings } from './pidfile.ts';
import { ordersLine, ordersOf, storesTable } from './status.ts';
import { type Supervisor, supervise } from './supervisor.ts';

/** One of each is enough for a single machine. More of one: npm run worker -- NAME. */
const WORKERS = ['scheduler', 'temu', 'awb', 'tracking', 'alerts', 'web'];

/** The web process's usual port. */
const WEB_PORT = 8080;

interface Ground {
  env: Record<string, string | undefined>;
  config: Config;
  /** The database, for display. */
  database: string;
  stop(): Promise<void>;
}

/** @throws UserError with one line per fault (O7): here, not in a worker's log */
function checked(env: Ground['env']): Config {
  const config = parseConfig(env, trackingSettings);
  createTrackers(config);
  accountsOf(config);
  return config;
}

/** Database and key: the configured ones, or an embedded server and a generated key in the home directory. */
async function prepareGround(home: string, database: string): Promise<Ground> {
  const given = environment({ running: false });
  const env: Ground['env'] = {
    ...given,
    CREDENTIALS_KEY: given.CREDENTIALS_KEY || keyOf(home),
    // 8080 is often taken; a configured PORT is used as is
    PORT: given.PORT || String(await getPort({ port: WEB_PORT, host: given.HOST || '127.0.0.1' })),
  };
  if (env.DATABASE_URL) return { env, config: checked(env), database: 'DATABASE_URL', stop: async () => {} };
  // checks everything else before it starts a database
  checked({ ...env, DATABASE_URL: 'postgres://to-be-started' });
  const server = await startEmbeddedPostgres({ dir: join(home, 'postgres') });
  await ensureDatabase(server.url('postgres'), database);
  const complete = { ...env, DATABASE_URL: server.url(database) };
  return {
    env: complete,
    config: checked(complete),
    database: `embedded Postgres in ${shown(home)}, database ${database}`,
    stop: () => server.stop(),
  };
}

const shown = (path: string) => relativePath(process.cwd(), path) || path;

async function up({ database }: { database: string }): Promise<void> {
  const home = homeDirectory();
  makeHome(home);
  claimHome();
  try {
    await runFleet(home, database, stopSignal());
  } finally {
    leaveHome();
  }
}

/** @throws UserError when this user may not write there */
function makeHome(home: string): void {
  try {
    mkdirSync(home, { recursive: true });
    accessSync(home, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new UserError(
      `Cannot write to ${home} (${messageOf(error)}): set ORDERFLEET_HOME to a directory that this user owns`,
    );
  }
}

/** Aborts when this process must stop: a signal, a closed terminal, or the exit of its parent. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  process.on('disconnect', () => stop.abort());
  process.channel?.unref(); // still received, but does not keep the process alive
  // a closed terminal accepts no output; the workers must be stopped in order nevertheless
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stop.abort());
  return stop.signal;
}

async function runFleet(home: string, database: string, signal: AbortSignal): Promise<void> {
  process.stdout.write('Starting …\n');
  const ground = await prepareGround(home, database);
  let fleet: Supervisor | undefined;
  try {
    await migrateAll(ground.config.DATABASE_URL);
    if (signal.aborted) return;
    publishSettings(ground.env);
    // five workers cannot share METRICS_PORT: each takes a free port
    fleet = supervise(WORKERS, { env: { ...ground.env, METRICS_PORT: '0' }, logs: join(home, 'logs') });
    await fleet.started(signal);
    if (signal.aborted) return;
    process.stdout.write(`${whereToLook(ground, home)}\n\n`);
    process.send?.('ready');
    await show(ground.config, fleet, signal);
  } finally {
    if (fleet) process.stdout.write('\nStopping: finishing active jobs …\n');
    const unclean = (await fleet?.stop((ground.config.SHUTDOWN_GRACE + 20) * 1000)) ?? [];
    await ground.stop();
    process.stdout.write(unclean.length > 0 ? `Stopped. Killed: ${unclean.join(', ')}\n` : 'Stopped.\n');
    if (unclean.length > 0) process.exitCode = 1;
  }
}

const whereToLook = (ground: Ground, home: string) => `${bold('Orderfleet is up.')}
  dashboard ${webAddress(ground.config)}/
  database  ${ground.database}
  queues    ${ground.config.REDIS_URL ? 'Redis' : 'in the database (schema bullmq)'}
  workers   ${WORKERS.join(', ')}; logs in ${shown(join(home, 'logs'))}
  events    orderfleet/client, or POST ${webAddress(ground.config)}/events/awb-created${ground.config.EVENTS_TOKEN ? '' : ' (closed until EVENTS_TOKEN is set)'}
In another terminal, in this directory:
  npm run fleet -- status           status of stores, orders and queues
  npm run fleet -- explain ORDER    history of an order or a parcel
  npm run fleet -- store add --help add your own store
Press Ctrl-C to stop.`;

const LOOK_EVERY_MS = 1_000;
/** Without a terminal a line is written on changes, at most this often. */
const LINE_EVERY_MS = 5_000;

/** Shows orders arriving until `signal` aborts. */
async function show(config: Config, fleet: Supervisor, signal: AbortSignal): Promise<void> {
  const db = createDb(config.DATABASE_URL, { max: 1, name: 'up' });
  let last = '';
  let lastAt = 0;
  try {
    while (!signal.aborted) {
      const startedAt = performance.now();
      const stores = await storeOverviews(db).catch((error) => messageOf(error));
      const now = Date.now();
      if (process.stdout.isTTY)
        logUpdate(
          typeof stores === 'string'
            ? stores
            : `${storesTable(stores)}\n\nOrders  ${ordersLine(stores)}\n${footer(fleet)}`,
        );
      else if (now - lastAt >= LINE_EVERY_MS) {
        const line = typeof stores === 'string' ? stores : plainLine(stores);
        if (line !== last) process.stdout.write(`${utc(new Date(now))}  ${line}\n`);
        [last, lastAt] = [line, now];
      }
      // counting many orders is slow: it takes at most a twentieth of the time
      const took = performance.now() - startedAt;
      await sleep(Math.max(LOOK_EVERY_MS, took * 20), undefined, { signal }).catch(() => {});
    }
  } finally {
    if (process.stdout.isTTY) logUpdate.done();
    await closeDb(db);
  }
}

const footer = (fleet: Supervisor) => dim(`${fleet.summary()} · ${new Date().toLocaleTimeString()}`);

const plainLine = (stores: readonly StoreOverview[]) =>
  stores.length === 0
    ? 'No store yet: npm run fleet -- store add --help'
    : stores
        .map(
          (store) =>
            `${store.name}: orders ${ordersOf(store)}, ${store.inbox.waiting} waiting, ${store.active ? `synced ${relative(store.lastSyncedAt)}` : `paused: ${store.pausedReason}`}`,
        )
        .join(' | ');

export const upCommand = () =>
  new Command('up')
    .option('--database <name>', 'database on the embedded server', 'orderfleet')
    .addHelpText(
      'after',
      `
Data, key and logs are kept in .orderfleet (ORDERFLEET_HOME), so the next start continues with the same data.
With DATABASE_URL set, that database is used; with REDIS_URL set, the queues are stored there. Without CREDENTIALS_KEY
the key generated here is used: back it up like the database.

Examples:
  orderfleet up
  DATABASE_URL=postgres://… REDIS_URL=redis://… orderfleet up`,
    )
    .action(up);
