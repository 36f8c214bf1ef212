import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrateAll } from '../src/cli/migrate.ts';
import { closeDb, createDb } from '../src/db/client.ts';
import { ensureDatabase, startEmbeddedPostgres } from '../src/db/embedded.ts';
import { dueParcels } from '../src/tracking/runs.ts';

// P3: choosing 36,000 due parcels out of 10 million stored ones. One in a hundred is still on its way; all others have
// ended, as in a database of some years. Printed: the median and the slowest of 9, and the plan.
//
//   npx tsx bench/select.ts         STORED=1000000 for a quick look

const STORED = Number(process.env.STORED ?? 10_000_000);
const DUE = STORED / 100;
const MOST = 36_000;

const dir = mkdtempSync(join(tmpdir(), 'orderfleet-bench-'));
const server = await startEmbeddedPostgres({ dir });
try {
  await ensureDatabase(server.url('postgres'), 'bench');
  await migrateAll(server.url('bench'));
  const db = createDb(server.url('bench'), { max: 1 });
  const sql = db.$client;
  // the triggers' work is done by hand here: ten million single look-ups would take an hour
  await sql`set session_replication_role = replica`;
  await sql`set synchronous_commit = off`;
  await sql`insert into trackers (name, enabled, courier, sources, number, precedence)
    values ('delhivery-b2c', true, 'delhivery', 'primary', 'awb', 20)`;
  const orders = STORED / 10; // ten parcels an order spare some disk
  await sql`
    insert into orders (id, source, marketplace_order_id, order_status)
    select lpad(to_hex(n), 32, '0')::uuid, 'shopify', 'ORD-' || n, 10 from generate_series(1, ${orders}::int) n`;
  await sql`
    insert into shipments (order_id, booking_courier, booked_at, awb_number, status, last_tracked_at, tracked_by)
    select lpad(to_hex(1 + n % ${orders}::int), 32, '0')::uuid, 'Delhivery Surface',
      case when n % 100 = 0 then now() - random() * interval '30 days' else now() - interval '40 days' - random() * interval '900 days' end,
      'AWB' || n, case when n % 100 = 0 then 'in_transit' else 'delivered' end, now() - random() * interval '10 minutes',
      case when n % 100 = 0 then 'delhivery-b2c' end
    from generate_series(1, ${STORED}::int) n`;
  await sql`vacuum analyze shipments`;
  const since = new Date(Date.now() - 31 * 86_400_000);
  const times: number[] = [];
  let found = 0;
  for (let turn = 0; turn < 10; turn++) {
    const startedAt = performance.now();
    const [row] = await sql<
      { n: number }[]
    >`select count(*)::int as n from (${dueParcels(sql, 'delhivery-b2c', since, MOST)}) due`;
    times.push(performance.now() - startedAt);
    found = row?.n ?? 0;
  }
  const sorted = times.slice(1).sort((a, b) => a - b); // the first one warms up
  const plan =
    await sql`explain (analyze, buffers, costs off) ${dueParcels(sql, 'delhivery-b2c', since, MOST)}`;
  const [size] = await sql<{ all: string; due: string }[]>`
    select pg_size_pretty(pg_relation_size('shipments')) as all, pg_size_pretty(pg_relation_size('shipments_due')) as due`;
  console.log(
    JSON.stringify({
      what: 'P3: choosing the parcels of a run, ms',
      stored: STORED,
      due: DUE,
      chosen: found,
      first: Math.round(times[0] ?? 0),
      median: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0),
      slowest: Math.round(sorted.at(-1) ?? 0),
      table: size?.all,
      index: size?.due,
    }),
  );
  for (const line of plan) console.log(Object.values(line)[0]);
  await closeDb(db);
} finally {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}
