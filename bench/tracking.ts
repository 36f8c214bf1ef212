import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BookedParcel, bookParcels } from '../sandbox/other-channels.ts';
import { migrateAll } from '../src/cli/migrate.ts';
import { parseConfig } from '../src/config.ts';
import { ensureDatabase, startEmbeddedPostgres } from '../src/db/embedded.ts';
import { openFleet } from '../src/fleet.ts';
import { applyAnswer, lockParcels } from '../src/tracking/apply.ts';
import { reconcileTrackers, startRun, type Tracker } from '../src/tracking/index.ts';

// P1 and P2, on one machine: the sandbox, one worker process (workers/tracking.ts) and this process.
//   P1: 36,000 parcels through delhivery-b2c, 7 requests per 50 ms, a sixtieth of the real time scale; the sandbox's
//       window slides over 5 s and lets 750 through. Printed: time taken ÷ time that the limit dictates, and refusals.
//   P2: the same parcels without a limit, against a bare loop in this process that makes the same requests, reads the
//       answers and writes them by the same statements, without queue, claims and runs.
//
//   npx tsx bench/tracking.ts                                          queues on Postgres
//   REDIS_URL=redis://127.0.0.1:6379/9 npx tsx bench/tracking.ts

const PARCELS = Number(process.env.PARCELS ?? 36_000);
const SCALE = Number(process.env.SCALE ?? 60);
const LIMIT = { max: 7, seconds: 3 / SCALE };

const dir = mkdtempSync(join(tmpdir(), 'orderfleet-bench-'));
const server = await startEmbeddedPostgres({ dir });
const sandbox = spawn(
  process.execPath,
  [
    '--import',
    import.meta.resolve('tsx'),
    'sandbox/main.ts',
    '--port',
    '0',
    '--smtp-port',
    '0',
    '--orders',
    '0',
    '--parcels',
    '0',
    '--limit',
    `delhivery-b2c=750/${300 / SCALE}`,
  ],
  { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
);
const greeting = await new Promise<string>((resolve) => {
  let printed = '';
  sandbox.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk;
    if (printed.includes('Control:')) resolve(printed);
  });
});
const url = /Sandbox for Temu at (\S+)/.exec(greeting)?.[1] ?? '';
const control = async (path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST') =>
  (
    await fetch(`${url}/_sandbox/${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) })
  ).json();
const lead = Object.fromEntries(
  [...greeting.matchAll(/^ +([A-Z][A-Z0-9_]+)=(\S+)$/gm)].map(([, name, value]) => [name, value]),
);

try {
  const base = {
    ...lead,
    CREDENTIALS_KEY: randomBytes(32).toString('base64'),
    LOG_LEVEL: 'warn',
    TRACKERS: 'delhivery-b2c',
    ORDERFLEET_HOME: '/nonexistent',
    ...(process.env.REDIS_URL ? { REDIS_URL: process.env.REDIS_URL } : {}),
  };
  // lives without an end, so that every round has all of them
  const { parcels } = (await control('parcels', {
    api: 'delhivery-b2c',
    count: PARCELS,
    days: 5,
    mix: { manifested: 1, strangeWord: 1 },
  })) as { parcels: BookedParcel[] };
  const all = parcels;

  await ensureDatabase(server.url('postgres'), 'limited');
  const limited = {
    ...base,
    DATABASE_URL: server.url('limited'),
    DELHIVERY_B2C_LIMIT: `${LIMIT.max}/${LIMIT.seconds}`,
  };
  const p1 = await round(limited, all, true);
  const requests = Math.ceil(PARCELS / 50);
  const dictated = (Math.ceil(requests / LIMIT.max) - 1) * LIMIT.seconds;
  console.log(
    JSON.stringify({
      what: 'P1: a round at the limit ÷ the time that the limit dictates',
      queues: process.env.REDIS_URL ? 'redis' : 'postgres',
      parcels: PARCELS,
      seconds: p1.seconds,
      dictated: Number(dictated.toFixed(2)),
      ratio: Number((p1.seconds / dictated).toFixed(3)),
      refused: p1.refused,
      cpus: cpus().length,
    }),
  );

  await control('couriers/delhivery-b2c', { limit: null });
  await ensureDatabase(server.url('postgres'), 'free');
  const free = { ...base, DATABASE_URL: server.url('free'), DELHIVERY_B2C_LIMIT: 'off' };
  const fleet = await round(free, all, false);
  await ensureDatabase(server.url('postgres'), 'bare');
  const bare = await bareLoop({ ...free, DATABASE_URL: server.url('bare') }, all);
  console.log(
    JSON.stringify({
      what: 'P2: no limit, parcels a second, against a bare loop',
      queues: process.env.REDIS_URL ? 'redis' : 'postgres',
      fleet: Math.round(PARCELS / fleet.seconds),
      bare: Math.round(PARCELS / bare),
      timesAsLong: Number((fleet.seconds / bare).toFixed(2)),
    }),
  );
} finally {
  sandbox.kill('SIGTERM');
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}

/** Books the parcels, starts a worker, and times a run from its start to its end. */
async function round(env: Record<string, string>, all: readonly BookedParcel[], warm: boolean) {
  await migrateAll(env.DATABASE_URL ?? '');
  const fleet = openFleet(parseConfig(env), 'bench');
  const sql = fleet.db.$client;
  const rows = all;
  for (let at = 0; at < rows.length; at += 5_000) await bookParcels(sql, rows.slice(at, at + 5_000));
  await reconcileTrackers(fleet, undefined);
  await sql`vacuum analyze shipments`;
  const worker = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), 'workers/tracking.ts'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await new Promise((resolve) => worker.once('message', resolve));
  const tracker = fleet.trackers.find(({ name }) => name === 'delhivery-b2c') as Tracker;
  await control('couriers/delhivery-b2c/ledger', undefined, 'DELETE');
  await startRun(fleet, tracker);
  let run:
    | { state: string; ms: number; updated: number; unchanged: number; unmapped: number; notFound: number }
    | undefined;
  for (;;) {
    [run] = await sql<(typeof run & object)[]>`
      select state, updated, unchanged, unmapped, not_found as "notFound", extract(epoch from finished_at - started_at) * 1000 as ms from tracking_runs`;
    if (run?.state === 'finished') break;
    await sleep(warm ? 50 : 20);
  }
  const done = run.updated + run.unchanged + run.unmapped + run.notFound;
  if (done !== PARCELS) throw new Error(`only ${done} of ${PARCELS} parcels were read`);
  const { limited } = ((await control('couriers')) as Record<string, { limited: number }>)[
    'delhivery-b2c'
  ] ?? { limited: -1 };
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGTERM');
  await ended;
  await fleet.close();
  return { seconds: Number(run.ms) / 1000, refused: limited };
}

/** The same requests, as many at once, the same reading and the same statements, and nothing else. */
async function bareLoop(env: Record<string, string>, all: readonly BookedParcel[]): Promise<number> {
  await migrateAll(env.DATABASE_URL ?? '');
  const fleet = openFleet(parseConfig(env), 'bare');
  const sql = fleet.db.$client;
  const rows = all;
  for (let at = 0; at < rows.length; at += 5_000) await bookParcels(sql, rows.slice(at, at + 5_000));
  await reconcileTrackers(fleet, undefined);
  await sql`vacuum analyze shipments`;
  const tracker = fleet.trackers.find(({ name }) => name === 'delhivery-b2c') as Tracker;
  const { connection, courier } = tracker;
  if (!connection) throw new Error('no connection');
  const ids = (
    await sql<{ id: string }[]>`select id from shipments order by last_tracked_at nulls first, id`
  ).map(({ id }) => id);
  const startedAt = performance.now();
  let next = 0;
  const one = async () => {
    for (;;) {
      const mine = ids.slice(next, next + courier.batch);
      next += courier.batch;
      if (mine.length === 0) return;
      const numbers = (
        await sql<{ n: string }[]>`select awb_number as n from shipments where id = any(${mine}::uuid[])`
      ).map(({ n }) => n);
      const answer = await fleet.http.request({
        ...connection.request(numbers),
        headers: connection.access.schemes[0](connection.access.key ?? ''),
        timeoutMs: courier.timeoutMs,
      });
      if (!answer.ok) throw new Error(answer.failure.message);
      const items = courier.read(answer.value, numbers, Date.now());
      if (!items.ok) throw new Error(items.failure.message);
      await sql.begin(async (tx) =>
        applyAnswer(tx, tracker, await lockParcels(tx, tracker, mine), items.value, Date.now()),
      );
    }
  };
  await Promise.all(Array.from({ length: tracker.atOnce }, one));
  const seconds = (performance.now() - startedAt) / 1000;
  await fleet.close();
  return seconds;
}
