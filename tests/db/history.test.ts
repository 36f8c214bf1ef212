import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { packageRoot } from '../../src/lib/package-root.ts';
import { createEmptyDatabase } from '../support/database.ts';

const FOLDER = join(packageRoot(), 'drizzle');

/** The migrations before the one of this name. */
function migrationsBefore(tag: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(FOLDER, folder, { recursive: true });
  const file = join(folder, 'meta/_journal.json');
  const { entries } = JSON.parse(readFileSync(file, 'utf8')) as { entries: { tag: string }[] };
  const last = entries.findIndex((entry) => entry.tag === tag);
  writeFileSync(file, JSON.stringify({ entries: entries.slice(0, last) }));
  return folder;
}

test('P10: history without partitions becomes the first of them as it lies, while the release before writes', async () => {
  const { url, drop } = await createEmptyDatabase();
  const sql = postgres(url, { max: 4, onnotice: () => {} });
  onTestFinished(async () => {
    await sql.end();
    await drop();
  });
  await migrate(url, { folder: migrationsBefore('0030_history_number') });
  await sql`insert into orders (source, marketplace_order_id) select 'temu', n from generate_series(1, 500) n`;
  await sql`
    insert into shipments (order_id, booking_courier, booked_at, awb_number)
    select id, 'Delhivery', now(), marketplace_order_id from orders`;
  // over two years, of which the last month of some parcels is of one millisecond
  await sql`
    insert into shipment_events (shipment_id, status, courier_status, occurred_at, recorded_at)
    select id, 'in_transit', 'UD', now() - n * interval '1 day', case when n < 20 then now() else now() - n * interval '1 day' end
    from shipments, generate_series(1, 700, 9) n`;
  const [{ relfilenode } = {}] =
    await sql`select relfilenode from pg_class where relname = 'shipment_events'`;
  const columns = () => sql`
    select shipment_id, status, courier_status, occurred_at, recorded_at from shipment_events
    where courier_status = 'UD' order by shipment_id, occurred_at`;
  const before = await columns();

  let [over, written] = [false, 0];
  const write = async () => {
    while (!over) {
      await sql`insert into shipment_events (shipment_id, status, occurred_at, recorded_at)
        select id, 'delivered', now(), now() from shipments limit 10`;
      written += 10;
    }
  };
  await Promise.all([write(), write(), migrate(url).finally(() => (over = true))]);

  expect(await columns()).toEqual(before);
  const counted = await sql`
    select tableoid::regclass::text as partition, count(*)::int from shipment_events group by 1`;
  expect([...counted]).toEqual([{ partition: 'shipment_events_first', count: before.length + written }]);
  expect(await sql`select relfilenode from pg_class where relname = 'shipment_events_first'`).toEqual([
    { relfilenode },
  ]);
  const indexes =
    await sql`select indexname from pg_indexes where tablename = 'shipment_events_first' order by 1`;
  expect(indexes.map(({ indexname }) => indexname)).toEqual([
    'shipment_events_first_pkey',
    'shipment_events_first_recorded_at_idx',
  ]);
});

test('P10: a row of the future, by a clock that was wrong, is in the first partition too', async () => {
  const { url, sql, drop } = await createEmptyDatabase();
  onTestFinished(drop);
  await migrate(url, { folder: migrationsBefore('0030_history_number') });
  await sql`insert into orders (source, marketplace_order_id) values ('temu', '1')`;
  await sql`insert into shipments (order_id, booking_courier, booked_at, awb_number) select id, 'D', now(), '1' from orders`;
  await sql`insert into shipment_events (shipment_id, status, occurred_at, recorded_at)
    select id, 'delivered', now(), now() + interval '10 years' from shipments`;
  await migrate(url);
  expect([...(await sql`select tableoid::regclass::text as partition from shipment_events`)]).toEqual([
    { partition: 'shipment_events_first' },
  ]);
});
