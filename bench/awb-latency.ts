import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSandbox } from '../sandbox/server.ts';
import { generateOrders, renderListItem } from '../sandbox/temu/generator.ts';
import { migrateAll } from '../src/cli/migrate.ts';
import { createClient } from '../src/client.ts';
import { parseConfig } from '../src/config.ts';
import { ensureDatabase, startEmbeddedPostgres } from '../src/db/embedded.ts';
import { openFleet } from '../src/fleet.ts';
import { parseExact } from '../src/temu/json.ts';
import { storeInInbox, toInboxRow } from '../src/temu/orders/inbox.ts';
import { addStore } from '../src/temu/stores.ts';

// A9: from enqueueing an AWB-created event to its request reaching Temu, at 100 events a second, while the quota allows.
// The shipping app's side, one worker process (workers/awb.ts) and the sandbox are three processes on this machine; the
// time is taken by one clock: when `awbCreated` is called, and when the sandbox takes the telling in.
//
//   npx tsx bench/awb-latency.ts              queues on Postgres
//   REDIS_URL=redis://127.0.0.1:6379/9 npx tsx bench/awb-latency.ts

const PER_SECOND = Number(process.env.PER_SECOND ?? 100);
const SECONDS = Number(process.env.SECONDS ?? 20);
const WARM_UP = PER_SECOND; // the first second fills caches and opens connections

const dir = mkdtempSync(join(tmpdir(), 'orderfleet-bench-'));
const server = await startEmbeddedPostgres({ dir });
const sandbox = await startSandbox({ qps: 10_000 });
const count = PER_SECOND * SECONDS + WARM_UP;

try {
  await ensureDatabase(server.url('postgres'), 'bench');
  const env = {
    DATABASE_URL: server.url('bench'),
    ...(process.env.REDIS_URL ? { REDIS_URL: process.env.REDIS_URL } : {}),
    CREDENTIALS_KEY: randomBytes(32).toString('base64'),
    LOG_LEVEL: 'warn',
    TEMU_EU_URL: sandbox.routers.eu,
    TEMU_QPS: String(PER_SECOND * 5), // the quota is not what is measured
  };
  await migrateAll(env.DATABASE_URL);
  const events = await placeOrders(env);
  const worker = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), 'workers/awb.ts'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await new Promise((resolve) => worker.once('message', resolve));

  const enqueuedAt = new Map<string, number>();
  const client = createClient(
    env.REDIS_URL ? { redisUrl: env.REDIS_URL } : { databaseUrl: env.DATABASE_URL },
  );
  const startedAt = performance.now();
  const sends: Promise<unknown>[] = [];
  for (const [index, event] of events.entries()) {
    await sleep(Math.max(0, startedAt + (index * 1000) / PER_SECOND - performance.now()));
    enqueuedAt.set(event.awbNumber, Date.now());
    sends.push(client.awbCreated(event));
  }
  await Promise.all(sends);
  for (let waited = 0; sandbox.effects.accepted().length < count && waited < 60; waited++) await sleep(1000);
  await client.close();
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGTERM');
  await ended;

  const first = new Set(events.slice(0, WARM_UP).map(({ awbNumber }) => awbNumber));
  const times = sandbox.effects
    .accepted()
    .filter(({ trackingNumber }) => trackingNumber !== null && !first.has(trackingNumber))
    .map(({ trackingNumber, at }) => at - (enqueuedAt.get(trackingNumber ?? '') ?? Number.NaN))
    .sort((a, b) => a - b);
  const at = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
  const within = times.filter((ms) => ms <= 100).length / times.length;
  console.log(
    JSON.stringify({
      what: 'A9: enqueued → request at Temu, ms',
      queues: env.REDIS_URL ? 'redis' : 'postgres',
      perSecond: PER_SECOND,
      measured: times.length,
      missing: count - WARM_UP - times.length,
      p50: at(0.5),
      p99: at(0.99),
      max: times.at(-1),
      within100ms: Number(within.toFixed(4)),
      cpus: cpus().length,
    }),
  );
} finally {
  await sandbox.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}

/** Orders as a sync leaves them, and one event for each. */
async function placeOrders(env: Record<string, string>) {
  const fleet = openFleet(parseConfig(env), 'bench');
  const spec = {
    name: 'bench',
    appKey: 'key',
    appSecret: 'secret',
    accessToken: 'token',
    region: 'EU',
    country: 'RO',
  } as const;
  const shop = sandbox.world.addShop(spec);
  const orders = generateOrders({
    seed: 1,
    count,
    shop,
    now: Date.now(),
    days: 5,
    scenarios: [{ name: 'plain', weight: 1, status: 2, updated: 'old' }],
  });
  sandbox.world.addOrders(shop, orders);
  const storeId = await addStore(fleet.db, fleet.secrets, { ...spec, apiVersion: 'v1' });
  await storeInInbox(
    fleet,
    storeId,
    orders.map((order) => toInboxRow(parseExact(renderListItem(order, 'v1')))),
  );
  const rows = await fleet.db.$client<{ id: string }[]>`
    with stored as (update temu_order_inbox set state = 'stored' returning *),
    made as (
      insert into orders (source, store_id, marketplace_order_id, status, marketplace_status, order_modified_at, ship_by_date)
      select 'temu', store_id, parent_order_sn, 'Ready for Shipping', 'UN_SHIPPING', update_time, now() + interval '2 days'
      from stored returning id),
    temu as (insert into temu_orders (order_id) select id from made)
    select id from made`;
  await fleet.close();
  return rows.map(({ id }, index) => ({
    orderId: id,
    awbNumber: `BENCH${100_000 + index}`,
    carrier: 'sameday',
  }));
}
