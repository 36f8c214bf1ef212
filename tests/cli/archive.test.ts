import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { expectRestored } from '../support/archive.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { orderfleet, startOrderfleet } from './orderfleet.ts';

let sql: TestDatabase['sql'];
let dir: string;
let env: Record<string, string>;
beforeEach(async () => {
  const database = await createTestDatabase();
  sql = database.sql;
  dir = path.join(mkdtempSync(path.join(tmpdir(), 'archive-')), 'archive');
  env = {
    DATABASE_URL: database.url,
    CREDENTIALS_KEY: randomBytes(32).toString('base64'),
    ORDERFLEET_HOME: '/nonexistent',
  };
  onTestFinished(async () => {
    await database.drop();
    rmSync(path.dirname(dir), { recursive: true });
  });
});

/** Cancelled in each month of 2023, with a parcel each and its history. */
async function fill(orders: number): Promise<void> {
  await sql`
    insert into orders (source, marketplace_order_id, status, order_modified_at, updated_at, created_at)
    select 'shopify', n, 'Cancelled', at, at, at from generate_series(1, ${orders}) n,
      lateral (select '2023-01-02T00:00:00Z'::timestamptz + (n % 12) * interval '30 days' as at) placed`;
  await sql`
    insert into shipments (order_id, awb_number, booking_courier, booked_at, created_at, status)
    select id, marketplace_order_id, 'Other', created_at, created_at, 'booking_cancelled' from orders`;
  await sql`alter table shipment_events detach partition shipment_events_first`;
  await sql`drop table shipment_events_first`;
  await sql`
    insert into shipment_events (shipment_id, status, occurred_at, recorded_at)
    select id, 'booking_cancelled', booked_at, booked_at from shipments`;
  await sql`select shipment_events_make_partitions('2023-01-01T00:00:00Z')`;
  for (const table of ['orders', 'shipments', 'shipment_events'])
    await sql.unsafe(`create table saved_${table} as select * from ${table}`);
}

test('P10: archive says what it would do, what it did, and what is wrong', async () => {
  await fill(24);
  const archive = (...args: string[]) => orderfleet(['archive', ...args], env);
  expect(await archive()).toMatchObject({
    code: 2,
    output: 'Give the directory of the archive: --to DIRECTORY. To see what there is: --dry-run\n',
  });
  expect(await archive('--before', '2023-13')).toMatchObject({
    code: 2,
    output: expect.stringContaining('expected a month: 2026-11.'),
  });
  const late = await archive('--before', '2999-01', '--to', dir);
  expect(late).toMatchObject({ code: 2, output: expect.stringContaining('--before 2999-01 is too late') });
  expect(await archive('--before', '2000-01', '--dry-run')).toMatchObject({
    code: 0,
    stdout: 'Nothing to archive before 2000-01.\n',
  });

  const plan = await archive('--before', '2023-03', '--dry-run');
  expect(plan.stdout.split('\n').map((line) => line.trim().split(/\s+/))).toEqual([
    ...[
      ['table', 'month', 'rows'],
      ['shipment_events', '2023-01', '2'],
      ['shipment_events', '2023-02', '2'],
    ],
    ...[['orders', '2023-01', '2'], ['orders', '2023-02', '2'], ['']],
  ]);
  const done = await archive('--before', '2023-03', '--to', dir);
  expect(done.code).toBe(0);
  expect(done.stdout).toBe(
    `Archived 6 files in ${dir}: 2 partitions of history and 4 orders are no longer in the database.\n`,
  );
  const more = await archive('--to', dir, '--json'); // ARCHIVE_MONTHS
  expect(JSON.parse(more.stdout)).toMatchObject({ orders: 20, notices: 0, partitions: expect.any(Array) });
  expect(await archive('--to', dir)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Nothing to archive before/),
  });
  await expectRestored(sql, dir, ['orders', 'shipments', 'shipment_events']);
});

test('P10: archive is killed again and again: nothing is lost, and nothing is there twice', {
  timeout: 120_000,
}, async () => {
  await fill(12_000);
  let kills = 0;
  for (let afterMs = 0; ; afterMs += 150) {
    const running = startOrderfleet(['archive', '--to', dir], env);
    let killed: NodeJS.Timeout | undefined;
    // from when it has begun to write
    const watch = setInterval(() => {
      if (killed || !running.output().includes('.csv.gz')) return;
      killed = setTimeout(() => process.kill(running.pid, 'SIGKILL'), afterMs);
    }, 5);
    const { code } = await running.exited;
    clearInterval(watch);
    clearTimeout(killed);
    if (code === 0) break;
    // else the killed one's lock is still held
    if (!running.output().includes('Another archive command')) kills++;
    expect(kills).toBeLessThan(30);
  }
  expect(kills).toBeGreaterThan(0);
  expect([...(await sql`select from orders`), ...(await sql`select from shipment_events`)]).toEqual([]);
  await expectRestored(sql, dir, ['orders', 'shipments', 'shipment_events']);
});
