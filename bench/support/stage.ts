import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { ensureDatabase, startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { busySeconds, cpuOf, cpuOfFamily, ownCpu, thisMachine } from './machine.ts';

export type Backend = 'redis' | 'postgres';

/** The servers of a bench, and the processes whose CPU it counts. */
export interface Stage {
  /** Makes a database. @returns its URL */
  database(name: string): Promise<string>;
  /** An empty database of the Redis. */
  redis(): string;
  /** The setting that says where the queues of a contender are. */
  queues(backend: Backend): Record<string, string>;
  /** Counts a process's CPU under a name. */
  watch(name: string, cpu: () => number): void;
  /** Does the work, and says how much CPU who used meanwhile, in seconds. */
  measure<T>(work: () => Promise<T>): Promise<{ result: T; cpu: Record<string, number>; others: number }>;
  settings: Record<string, string>;
  /** The file into which Postgres logs. */
  log: string;
  close(): Promise<void>;
}

const REDIS_SERVER = 'redis-server';
/** As docs/deploy.md wants a Redis that holds queues. */
const REDIS = {
  bind: '127.0.0.1',
  databases: '64',
  save: '',
  appendonly: 'yes',
  appendfsync: 'everysec',
  'maxmemory-policy': 'noeviction',
};
const SHOWN = [
  'server_version',
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'shared_buffers',
  'max_wal_size',
];

export async function openStage(): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'orderfleet-bench-'));
  const server = await startEmbeddedPostgres({ dir });
  const pid = Number(readFileSync(join(server.home, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
  const watched = new Map<string, () => number>([['postgres', () => cpuOfFamily(pid)]]);
  const redis = await startRedis(dir);
  if (redis) watched.set('redis', () => cpuOf(redis.pid));
  let [databases, queues] = [0, 0];

  const redisUrl = () => {
    if (!redis) throw new Error('redis-server is not installed: --backend postgres');
    return `redis://127.0.0.1:${redis.port}/${queues++}`;
  };
  const counts = () => new Map([...watched].map(([name, cpu]) => [name, cpu()]));
  return {
    settings: { ...(await postgresSettings(server.url('postgres'))), redis: redis?.version ?? 'none' },
    log: join(dir, 'postgres.log'),
    async database(name) {
      const its = `${name}_${databases++}`; // two cases may want the same
      await ensureDatabase(server.url('postgres'), its);
      return server.url(its);
    },
    redis: redisUrl,
    queues: (backend) => (backend === 'redis' ? { REDIS_URL: redisUrl() } : {}),
    watch: (name, cpu) => void watched.set(name, cpu),
    async measure(work) {
      const [at, busy, own, before] = [performance.now(), busySeconds(), ownCpu(), counts()];
      const result = await work();
      const seconds = (performance.now() - at) / 1000;
      const bench = ownCpu() - own;
      const cpu = Object.fromEntries(
        [...counts()].map(([name, now]) => [name, now - (before.get(name) ?? 0)]),
      );
      const ours = Object.values(cpu).reduce((sum, one) => sum + one, bench);
      const all = busySeconds();
      const rest = busy === undefined || all === undefined ? 0 : Math.max(0, all - busy - ours);
      return { result, cpu, others: rest / seconds / thisMachine().cores };
    },
    async close() {
      await redis?.stop();
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function postgresSettings(url: string): Promise<Record<string, string>> {
  const sql = postgres(url, { max: 1 });
  const rows = await sql<{ name: string; setting: string }[]>`
    select name, current_setting(name) as setting from pg_settings where name = any(${SHOWN})`;
  await sql.end();
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}

/** Undefined where no redis-server is installed. */
async function startRedis(dir: string) {
  let version: string | undefined;
  try {
    version = /v=(\S+)/.exec(execFileSync(REDIS_SERVER, ['--version'], { encoding: 'utf8' }))?.[1];
  } catch {
    return undefined;
  }
  const port = await getPort({ host: '127.0.0.1' });
  const settings = Object.entries({ ...REDIS, port: String(port), dir });
  const child = spawn(
    REDIS_SERVER,
    settings.flatMap(([name, value]) => [`--${name}`, value]),
    { stdio: 'ignore' },
  );
  const client = new Redis(port, '127.0.0.1', { lazyConnect: false, retryStrategy: () => 50 });
  client.on('error', () => {}); // until it listens
  while ((await client.ping().catch(() => '')) !== 'PONG') await sleep(50);
  client.disconnect();
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  return { port, pid: child.pid ?? 0, version, stop };
}
