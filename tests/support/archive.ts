import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gunzipSync } from 'node:zlib';
import type { Sql } from 'postgres';
import { afterEach, beforeEach, expect, onTestFinished } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import type { Archive, ArchivedFile } from '../../src/ops/archive/files.ts';
import { type Archived, archive } from '../../src/ops/archive/index.ts';
import { makePartitions } from '../../src/tracking/partitions.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

export const listedIn = (dir: string): ArchivedFile[] =>
  JSON.parse(readFileSync(path.join(dir, 'manifest.json'), 'utf8')).files as ArchivedFile[];

/** Fills tables `restored_…` from an archive, as docs/runbook.md says, and compares them with tables `saved_…`. */
export async function expectRestored(sql: Sql, dir: string, tables: readonly string[]): Promise<void> {
  const countOf = async (table: string): Promise<number> =>
    (await sql.unsafe(`select count(*)::int as count from ${table}`))[0]?.count;
  for (const table of tables) {
    await sql.unsafe(
      `drop table if exists restored_${table}; create table restored_${table} (like saved_${table})`,
    );
    for (const { file, rows, bytes, sha256 } of listedIn(dir).filter((one) => one.table === table)) {
      const packed = readFileSync(path.join(dir, file));
      const csv = gunzipSync(packed);
      const header = csv.subarray(0, csv.indexOf('\n')).toString();
      const before = await countOf(`restored_${table}`);
      await pipeline(
        Readable.from([csv]),
        await sql
          .unsafe(`copy restored_${table} (${header}) from stdin (format csv, header match)`)
          .writable(),
      );
      expect({
        ...{ file, bytes: packed.length, rows: (await countOf(`restored_${table}`)) - before },
        sha256: createHash('sha256').update(packed).digest('hex'),
      }).toEqual({ file, bytes, rows, sha256 });
    }
    const all = (of: string) =>
      sql.unsafe(`select to_jsonb(t)::text as row from ${of}_${table} t order by 1`);
    expect([...(await all('restored'))]).toEqual([...(await all('saved'))]);
  }
}

export const BEFORE = new Date('2025-06-01T00:00:00Z');
export const OLD = '2025-03-10T10:00:00Z';

export interface ArchiveStand {
  database: TestDatabase;
  sql: Sql;
  /** The archive's directory. */
  dir: string;
  run(): Promise<Archived>;
  listed(): ArchivedFile[];
  countOf(table: string): Promise<number>;
  /** A connection as the command has it. */
  connect(): Db;
}

/** A database and an empty directory for each test. */
export function archiveStand(): ArchiveStand {
  const stand = {
    run: () => archive(stand.database.url, { before: BEFORE, to: stand.dir, onFile: () => {} }),
    listed: () => listedIn(stand.dir),
    countOf: async (table: string) =>
      (await stand.sql.unsafe(`select count(*)::int as count from ${table}`))[0]?.count,
    connect() {
      const db = createDb(stand.database.url, { max: 1 });
      onTestFinished(() => closeDb(db));
      return db;
    },
  } as ArchiveStand;
  beforeEach(async () => {
    stand.database = await createTestDatabase();
    stand.sql = stand.database.sql;
    stand.dir = mkdtempSync(path.join(tmpdir(), 'archive-'));
  });
  afterEach(async () => {
    await stand.database.drop();
    rmSync(stand.dir, { recursive: true });
  });
  return stand;
}

/** An archive whose manifest is written, and then the run is cut off. */
export const cutOffAfter = (archive: Archive): Archive => ({
  ...archive,
  async add(files) {
    await archive.add(files);
    throw new Error('cut off');
  },
});

export const PARTS = [
  ...[
    'orders',
    'temu_orders',
    'products_in_order',
    'order_item_lines',
    'order_errors',
    'shipments',
    'temu_pushes',
  ],
  ...['temu_order_inbox', 'awb_events'],
];
export const PERSONAL = [
  ...['buyer_mail', 'shipping_buyer_name', 'shipping_phone', 'shipping_street1', 'shipping_city'],
  ...['shipping_state_province', 'shipping_postal_code'],
];

/** Delivered and received long ago, with something in every table. @returns the order's id */
export async function ended(sql: Sql, number: string, at = OLD): Promise<string> {
  const [store] = await sql`
    insert into temu_stores (name, region, country, app_key, app_secret, access_token)
    values ('shop', 'EU', 'RO', 'k', 's', 't') on conflict (name) do update set region = 'EU' returning id`;
  const [order] = await sql<{ id: string }[]>`
    insert into orders (source, store_id, marketplace_order_id, status, marketplace_status, order_status, order_created_at,
      order_modified_at, ended_at, created_at, updated_at, buyer_mail, shipping_buyer_name, shipping_country_code)
    values ('temu', ${store?.id}, ${number}, 'Shipped', 'RECEIPTED', 10, ${at}, ${at}, ${at}, ${at}, ${at}, 'a@b.example', 'Anna', 'DE')
    returning id`;
  const id = order?.id as string;
  await sql`insert into temu_orders (order_id, tracking_sent_to_temu) values (${id}, true)`;
  const [product] = await sql`
    insert into products_in_order (order_id, item_order_line_id, item_title, quantity)
    values (${id}, ${number}, ${'a "title",\nof two lines'}, 1) returning id`;
  await sql`
    insert into order_item_lines (order_id, product_in_order_id, marketplace_order_item_id, quantity)
    values (${id}, ${product?.id}, '1', 1)`;
  await sql`
    insert into order_errors (order_id, type, message, created_at, resolved_at) values (${id}, 'price', 'missing', ${at}, ${at})`;
  const [parcel] = await sql`
    insert into shipments (order_id, awb_number, booking_courier, booked_at, status, status_at, tracked_by, created_at)
    values (${id}, ${`Awb${number}`}, 'Delhivery', ${at}, 'delivered', ${at}, null, ${at}) returning id`;
  await sql`
    insert into temu_pushes (shipment_id, order_id, state, created_at) values (${parcel?.id}, ${id}, 'sent', ${at})`;
  await sql`
    insert into temu_order_inbox (store_id, parent_order_sn, update_time, payload, state, received_at)
    values (${store?.id}, ${number}, ${at}, '{"said": "a, \\"b\\""}', 'stored', ${at})`;
  await sql`
    insert into awb_events (key, payload, state, received_at)
    values (${`temu/${number} AWB${number}`.toUpperCase().replace('TEMU/', 'temu/')},
      ${sql.json({ source: 'temu', marketplaceOrderId: number, awbNumber: `Awb${number}` })}, 'recorded', ${at})`;
  await sql`
    insert into notices (kind, key, subject, payload, state, created_at) values
      ('lost', ${`lost ${number}`}, ${parcel?.id}, '{}', 'sent', ${at}),
      ('order.rto', ${`order.rto ${number}`}, null, ${sql.json({ event: { orderId: id } })}, 'sent', ${at}),
      ('awb-at-risk', ${`risk ${number}`}, ${id}, ${sql.json({ orderId: id })}, 'withdrawn', ${at})`;
  return id;
}
/** Changes of 2025, of every month up to August, in partitions. */
export async function fillHistory({ sql, connect }: ArchiveStand): Promise<void> {
  await dropFirst(sql);
  const db = connect();
  for (const month of ['01', '05'])
    await makePartitions({ db, clock: () => Date.parse(`2025-${month}-01T00:00:00Z`) });
  await sql`
    insert into shipment_events (shipment_id, status, courier_status, occurred_at, recorded_at)
    select gen_random_uuid(), 'in_transit', 'UD, "x"', at, at
    from generate_series('2025-01-01T00:00:00Z'::timestamptz, '2025-08-31T23:00:00Z', interval '5 hours') at`;
  await sql`create table saved_shipment_events as select * from shipment_events where recorded_at < '2025-06-01T00:00:00Z'`;
}

/** What an installation is like whose first partition was archived. */
export async function dropFirst(sql: Sql): Promise<void> {
  await sql`alter table shipment_events detach partition shipment_events_first`;
  await sql`drop table shipment_events_first`;
}
