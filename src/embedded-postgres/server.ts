import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { UserError } from '../lib/errors.ts';
import { CHILD_ENV, type Cluster, urlOf } from './data.ts';
import { disownStalePid, isPostmasterOf, type Postmaster, readPostmaster } from './postmaster.ts';
import { failureText, freePort, HINT, POLL_MS } from './tools.ts';

/** For a small machine: a laptop, or a container with half a gigabyte. */
const SETTINGS: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // eleven queues, the web and the command line, each with a pool of about ten
  max_connections: '200',
  shared_buffers: '128MB',
  max_wal_size: '512MB',
  // the tables are small and on an SSD: an index read costs about as much as a sequential one
  random_page_cost: '1.1',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
};

/** Recovery after a crash replays at most max_wal_size: seconds; a slow disk may take ten times as long. */
const START_TIMEOUT_MS = 60_000;
/** The backends of a killed postmaster notice within a second; until then their shared memory is in use. */
const ORPHANS_TIMEOUT_MS = 15_000;

interface ServerOptions {
  port?: number;
  settings?: Record<string, string>;
}

const logOf = (cluster: Cluster) => path.join(cluster.dir, 'postgres.log');

/** The server of this data directory that outlived its parent, once it responds. */
export async function adopt(cluster: Cluster): Promise<Postmaster | undefined> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const found = await readPostmaster(cluster.data);
    if (found === undefined || !(await isPostmasterOf(found.pid, cluster.data))) return undefined;
    // one that was just killed still has its pid and its file, but no longer responds
    const silence = found.ready ? await whySilent(urlOf(cluster, found.port, 'postgres')) : 'it is starting';
    if (silence === undefined) return found;
    if (Date.now() > giveUpAt) {
      throw new UserError(
        `The Postgres of ${cluster.data} (process ${found.pid}) is running but does not answer ` +
          `(${silence}). See ${logOf(cluster)}, or end it: kill -QUIT ${found.pid}`,
      );
    }
    await sleep(POLL_MS);
  }
}

async function whySilent(url: string): Promise<string | undefined> {
  const sql = postgres(url, { max: 1, connect_timeout: 5 });
  try {
    await sql`select 1`;
    return undefined;
  } catch (error) {
    return failureText(error);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

export async function start(cluster: Cluster, options: ServerOptions): Promise<Postmaster> {
  const giveUpAt = Date.now() + ORPHANS_TIMEOUT_MS;
  for (;;) {
    const port = options.port ?? (await freePort());
    const settings = { ...SETTINGS, ...options.settings, port: String(port) };
    const logged = await launch(cluster, settings);
    if (typeof logged !== 'string') return logged;
    const portLost = options.port === undefined && logged.includes('could not bind');
    const orphansAlive = logged.includes('shared memory block');
    if ((portLost || orphansAlive) && Date.now() < giveUpAt) {
      await sleep(200);
      continue;
    }
    throw new UserError(
      `The embedded Postgres did not start on port ${port} with the data in ${cluster.data}. ` +
        `The end of its log, ${logOf(cluster)}:\n${logged}\n${HINT}`,
    );
  }
}

/** Runs postgres until it accepts connections. Returns the end of its log instead if it gave up. */
async function launch(cluster: Cluster, settings: Record<string, string>): Promise<Postmaster | string> {
  await disownStalePid(cluster.data);
  const log = await openLog(logOf(cluster));
  const from = (await log.stat()).size;
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  let child: ChildProcess;
  let ended: string | undefined;
  try {
    child = spawn(path.join(cluster.bin, 'postgres'), ['-D', cluster.data, ...args], {
      ...cluster.account,
      cwd: '/',
      env: CHILD_ENV,
      stdio: ['ignore', log.fd, log.fd],
      // a process group of its own: Ctrl-C reaches the workers, and we stop the database after them
      detached: true,
    });
    // before any await: one that refuses its settings exits within milliseconds
    child.once('error', (error) => {
      ended = error.message;
    });
    child.once('exit', (code, signal) => {
      ended = `postgres ended with ${signal ?? `code ${code}`}`;
    });
    child.unref();
  } finally {
    await log.close();
  }

  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (ended === undefined) {
    const postmaster = await readPostmaster(cluster.data);
    if (postmaster?.ready && postmaster.pid === child.pid) return postmaster;
    if (Date.now() > giveUpAt) {
      child.kill('SIGQUIT');
      ended = `not ready after ${START_TIMEOUT_MS / 1000} s`;
    }
    await sleep(POLL_MS);
  }
  return `${await tail(logOf(cluster), from)}${ended}`;
}

/** Rotates the server's log at a start: past 10 MB it becomes `.1`. */
async function openLog(file: string): Promise<fs.FileHandle> {
  const seen = await fs.stat(file).catch(() => undefined);
  if (seen !== undefined && seen.size > 10 * 1024 * 1024) await fs.rename(file, `${file}.1`);
  return await fs.open(file, 'a', 0o600);
}

async function tail(file: string, from: number): Promise<string> {
  const text = await fs.readFile(file);
  return text.subarray(Math.max(from, text.length - 4_000)).toString('utf8');
}
