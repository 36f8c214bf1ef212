import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import type { TestProject } from 'vitest/node';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { findRedisServer, startRedisServer } from './redis-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The run's embedded Postgres, database `postgres`. Tests take databases from createTestDatabase(). */
    serverUrl: string;
    /** The run's Redis; empty when there is none. */
    redisUrl: string;
    /** Where the programs that tests start are built: as they are deployed, and they start four times as fast. */
    built: string;
  }
}

/** Nothing in a test run needs to survive a power cut. */
const FAST = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '500', // four files at once, each with several processes and their pools
};

const PREFIX = 'orderfleet-tests-';
/** Files in memory, on Linux. */
const MEMORY = '/dev/shm';
/** A whole run takes an eighth of it. */
const ROOM = 1024 ** 3;
const ROOT = path.resolve(import.meta.dirname, '../..');
const CACHE = path.join(ROOT, 'node_modules/.cache');

/** Starts one Postgres and, where there is a redis-server, one Redis for the whole run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeLeftovers();
  const built = path.join(CACHE, `${PREFIX}${process.pid}`);
  await build(built);
  const { dir, postgres } = await startPostgres();
  const redis = await provideRedis(path.join(dir, 'redis'));
  project.provide('built', built);
  project.provide('serverUrl', postgres.url('postgres'));
  project.provide('redisUrl', redis?.url ?? '');
  if (redis === undefined) console.log('no Redis found: tests run on the Postgres backend alone');

  // Ctrl-C ends the run without the teardown below: end the server at least, the next run removes the files
  const onExit = () => endNow(postgres.home);
  process.once('exit', onExit);

  return async () => {
    process.off('exit', onExit);
    await redis?.stop();
    await postgres.stop();
    await rm(postgres.home, { recursive: true, force: true });
    await rm(dir, { recursive: true, force: true });
    await rm(built, { recursive: true, force: true });
  };
}

/**
 * In memory where there is room: on a disk a seventh of a run's work is copying databases, file by file. Where nothing
 * in memory may be run, and Postgres needs a copy of its binaries, it does not start there.
 */
async function startPostgres(): Promise<{ dir: string; postgres: EmbeddedPostgres }> {
  const { bavail, bsize } = await statfs(MEMORY).catch(() => ({ bavail: 0, bsize: 0 }));
  if (bavail * bsize < ROOM) return await startPostgresIn(os.tmpdir());
  return await startPostgresIn(MEMORY).catch(() => startPostgresIn(os.tmpdir()));
}

async function startPostgresIn(place: string): Promise<{ dir: string; postgres: EmbeddedPostgres }> {
  const dir = await mkdtemp(path.join(place, `${PREFIX}${process.pid}-`));
  // as root, Postgres runs as another account, which has to pass through
  await chmod(dir, 0o711);
  try {
    return {
      dir,
      postgres: await startEmbeddedPostgres({ dir: path.join(dir, 'postgres'), settings: FAST }),
    };
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

/** As `npm run build` does, with the sandbox and the tests' own programs. */
async function build(outDir: string): Promise<void> {
  const more = ['sandbox/main.ts', 'sandbox/couriers/apis/*.ts', 'tests/support/*-worker.ts'];
  await promisify(execFile)(process.execPath, [path.join(ROOT, 'scripts/build.mjs'), outDir, ...more]);
}

async function provideRedis(dir: string): Promise<{ url: string; stop(): Promise<void> } | undefined> {
  const binary = await findRedisServer();
  if (binary !== undefined) {
    await mkdir(dir, { mode: 0o700 });
    return await startRedisServer(binary, dir);
  }
  const url = process.env.REDIS_URL;
  if (url === undefined || url === '' || process.env.ORDERFLEET_TEST_REDIS === 'off') return undefined;
  const client = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => null, lazyConnect: true });
  // the command's own failure says what is wrong
  client.on('error', () => undefined);
  try {
    await client.ping();
    return { url, stop: async () => undefined };
  } catch (cause) {
    throw new Error('REDIS_URL is set, but no Redis answers there. Unset it, or ORDERFLEET_TEST_REDIS=off.', {
      cause,
    });
  } finally {
    client.disconnect();
  }
}

function endNow(home: string): void {
  try {
    process.kill(
      Number.parseInt(readFileSync(path.join(home, 'data/postmaster.pid'), 'utf8'), 10),
      'SIGQUIT',
    );
  } catch {
    // gone already
  }
}

/** A run that was killed leaves its servers running and its directory: stop and remove them. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(CACHE).catch(() => []))
    if (isLeft(name)) await rm(path.join(CACHE, name), { recursive: true, force: true });
  const places = [os.tmpdir(), MEMORY].map(async (place) =>
    (await readdir(place).catch(() => [])).filter(isLeft).map((name) => path.join(place, name)),
  );
  for (const dir of (await Promise.all(places)).flat()) {
    try {
      const postgres = await startEmbeddedPostgres({ dir: path.join(dir, 'postgres'), settings: FAST });
      await postgres.stop();
      await rm(postgres.home, { recursive: true, force: true });
      await killWorkingIn(path.join(dir, 'redis'));
      await rm(dir, { recursive: true, force: true });
    } catch {
      // another user's, or another run is removing it
    }
  }
}

/** Whether a run that is gone has made it. */
function isLeft(name: string): boolean {
  const pid = Number(/^orderfleet-tests-(\d+)(-|$)/.exec(name)?.[1] ?? 0);
  return pid !== 0 && !isAlive(pid);
}

async function killWorkingIn(dir: string): Promise<void> {
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const cwd = await readlink(`/proc/${name}/cwd`).catch(() => undefined);
    if (cwd !== dir) continue;
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8');
    if (command.includes('redis-server')) process.kill(Number(name), 'SIGKILL');
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
