import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { erasePersonalData } from '../../src/ops/erasure.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { held } from '../support/held.ts';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-22T12:00:00Z');
const daysAgo = (days: number) => new Date(NOW - days * DAY_MS);

let database: TestDatabase;
let db: Db;
beforeAll(async () => {
  database = await createTestDatabase();
  db = createDb(database.url);
});
afterAll(async () => {
  await closeDb(db);
  await database.drop();
});
beforeEach(() => database.sql`truncate orders cascade`);

const PERSON = {
  buyer_mail: 'a@b.example',
  shipping_buyer_name: 'Anna Beispiel',
  shipping_phone: '+49 170 1',
  shipping_street1: 'Weg 1',
  shipping_city: 'Ulm',
  shipping_state_province: 'BW',
  shipping_postal_code: '89073',
};
const COUNTRY = { shipping_country_name: 'Germany', shipping_country_code: 'DE' };

interface Parcel {
  status: string;
  days: number;
}

/** A row as Orderfleet or another program writes it, placed 200 days ago unless told. */
async function order(columns: Record<string, unknown>, parcels: Parcel[] = []): Promise<string> {
  const { sql } = database;
  const row = {
    ...{ source: 'temu', marketplace_order_id: crypto.randomUUID(), order_created_at: daysAgo(200) },
    ...{ ...PERSON, ...COUNTRY, updated_at: daysAgo(0), ...columns },
  };
  const [added] = await sql<{ id: string }[]>`insert into orders ${sql(row as never)} returning id`;
  const id = added?.id as string;
  for (const [index, { status, days }] of parcels.entries())
    await sql`
      insert into shipments (order_id, awb_number, booking_courier, booked_at, status, status_at)
      values (${id}, ${`AWB${index}`}, 'Delhivery', ${daysAgo(days + 5)}, ${status}, ${daysAgo(days)})`;
  return id;
}

const erase = (days = 30) =>
  erasePersonalData({ db, clock: () => NOW, config: { PERSONAL_DATA_DAYS: days } });
const stored = async (id: string) =>
  (await database.sql`select * from orders where id = ${id}`)[0] as Record<string, unknown>;
const isErased = async (id: string) => (await stored(id)).personal_data_erased_at !== null;

test('T18: name, mail, phone and address go, the country and all that is no person stays', async () => {
  const id = await order({
    status: 'Cancelled',
    order_modified_at: daysAgo(31),
    order_total_amount: '12.50',
    ship_by_date: daysAgo(40),
  });
  const before = await stored(id);
  expect(await erase()).toBe(1);
  expect(await stored(id)).toEqual({
    ...before,
    ...Object.fromEntries(Object.keys(PERSON).map((column) => [column, null])),
    personal_data_erased_at: new Date(NOW),
  });
  expect(await erase()).toBe(0);
});

describe('T18: an order has ended', () => {
  const shipped = { status: 'Shipped', marketplace_status: 'SHIPPED', order_modified_at: daysAgo(31) };
  test.each<[what: string, columns: Record<string, unknown>, parcels: Parcel[], erased: boolean]>([
    ['cancelled 31 days ago', { status: 'Cancelled', order_modified_at: daysAgo(31) }, [], true],
    ['cancelled 29 days ago', { status: 'Cancelled', order_modified_at: daysAgo(29) }, [], false],
    ['received 31 days ago', { ...shipped, marketplace_status: 'RECEIPTED' }, [], true],
    ['shipped, nothing of its parcels is known', shipped, [], false],
    ['shipped and delivered 31 days ago', shipped, [{ status: 'delivered', days: 31 }], true],
    ['shipped and delivered 29 days ago', shipped, [{ status: 'delivered', days: 29 }], false],
    ['returned 40 days ago', shipped, [{ status: 'rto', days: 40 }], true],
    ['on its way back', shipped, [{ status: 'rto_in_transit', days: 40 }], false],
    [
      'one of two parcels is still on its way',
      shipped,
      [
        { status: 'delivered', days: 40 },
        { status: 'in_transit', days: 35 },
      ],
      false,
    ],
    [
      'the later of two parcels ended 20 days ago',
      shipped,
      [
        { status: 'delivered', days: 40 },
        { status: 'lost', days: 20 },
      ],
      false,
    ],
    [
      'delivered long ago, and touched by Temu since',
      { ...shipped, marketplace_status: 'RECEIPTED', order_modified_at: daysAgo(2) },
      [{ status: 'delivered', days: 40 }],
      true,
    ],
    [
      'of another source, by its code alone',
      { source: 'shopify', order_status: 10, order_modified_at: daysAgo(31) },
      [],
      true,
    ],
    [
      'of another source that says nothing of times, delivered',
      { source: 'shopify', order_created_at: null, order_status: 4 },
      [{ status: 'delivered', days: 31 }],
      true,
    ],
    [
      'booked again: the order shows the new parcel, which arrived',
      { source: 'shopify', order_status: 10 },
      [
        { status: 'in_transit', days: 50 },
        { status: 'delivered', days: 31 },
      ],
      true,
    ],
    [
      'booked again after its end: the new parcel is on its way',
      { source: 'shopify', order_status: 12 },
      [
        { status: 'booking_cancelled', days: 40 },
        { status: 'in_transit', days: 32 },
      ],
      false,
    ],
    [
      'cancelled 31 days ago, and touched by Temu since',
      { status: 'Cancelled', ended_at: daysAgo(31), order_modified_at: daysAgo(1) },
      [],
      true,
    ],
    [
      'received 29 days ago, and touched by Temu since',
      { ...shipped, marketplace_status: 'RECEIPTED', ended_at: daysAgo(29), order_modified_at: daysAgo(1) },
      [],
      false,
    ],
    [
      'partially shipped: the first parcel arrived, the rest is still to be sent',
      { status: 'Partially Shipped', marketplace_status: 'PARTIAL DELIVERY', order_modified_at: daysAgo(40) },
      [{ status: 'delivered', days: 35 }],
      false,
    ],
    [
      'still to be shipped: its booking was cancelled and not made anew',
      { status: 'Ready for Shipping', marketplace_status: 'UN_SHIPPING', order_modified_at: daysAgo(40) },
      [{ status: 'booking_cancelled', days: 35 }],
      false,
    ],
    [
      'of another source, delivered today by its code; nobody follows its parcel, which was booked long ago',
      { source: 'shopify', order_status: 10, order_modified_at: daysAgo(0) },
      [{ status: 'pending', days: 50 }],
      false,
    ],
    ['open, and nothing has changed for 91 days', { ...shipped, order_modified_at: daysAgo(91) }, [], true],
    ['open, and nothing has changed for 89 days', { ...shipped, order_modified_at: daysAgo(89) }, [], false],
    [
      'open for 91 days, but its parcel moves',
      { ...shipped, order_modified_at: daysAgo(91) },
      [{ status: 'in_transit', days: 10 }],
      false,
    ],
  ])('%s', async (_, columns, parcels, erased) => {
    const id = await order(columns, parcels);
    expect(await erase()).toBe(erased ? 1 : 0);
    expect(await isErased(id)).toBe(erased);
  });
});

test('PERSONAL_DATA_DAYS is the period, also above the 90 days of silence', async () => {
  const cancelled = await order({ status: 'Cancelled', order_modified_at: daysAgo(8) });
  const silent = await order({ status: 'Shipped', order_modified_at: daysAgo(100) });
  expect(await erase(120)).toBe(0);
  expect(await erase(9)).toBe(1);
  expect(await isErased(silent)).toBe(true);
  expect(await erase(7)).toBe(1);
  expect(await isErased(cancelled)).toBe(true);
});

test('what another program writes back after the erasure goes again', async () => {
  const id = await order({ source: 'shopify', order_status: 10, order_modified_at: daysAgo(31) });
  await erase();
  await database.sql`update orders set shipping_phone = '+40 1' where id = ${id}`;
  expect(await erase()).toBe(1);
  expect((await stored(id)).shipping_phone).toBeNull();
});

test('P3: more than one batch, past those that are open and those that others work on, by the index', async () => {
  const { sql } = database;
  await sql`
    insert into orders (source, marketplace_order_id, order_created_at, order_modified_at, status, buyer_mail, shipping_city)
    select 'temu', n, ${daysAgo(100)}::timestamptz + n * interval '1 second', ${daysAgo(40)},
      case when n % 2 = 0 then 'Cancelled' else 'Shipped' end, 'a@b.example', 'Ulm' from generate_series(1, 5000) n`;
  // what has been stored for years, and what is new
  await sql`
    insert into orders (source, marketplace_order_id, order_created_at, order_modified_at, status)
    select 'temu', 'old' || n, ${daysAgo(900)}, ${daysAgo(900)}, 'Cancelled' from generate_series(1, 20000) n`;
  await sql`
    insert into orders (source, marketplace_order_id, order_created_at, order_modified_at, status, buyer_mail)
    select 'temu', 'new' || n, ${daysAgo(5)}, ${daysAgo(5)}, 'Cancelled', 'a@b.example' from generate_series(1, 2000) n`;
  await sql`analyze orders`;
  const other = createDb(database.url, { max: 1 });
  await sql.begin(
    held(async (locked) => {
      await locked`select 1 from orders where marketplace_order_id = '2' for update`;
      expect(await erase()).toBe(2499);
    }),
  );
  const read = async () => {
    await other.execute('select pg_stat_force_next_flush()');
    const [row] = await sql<{ rows: number; scans: number }[]>`
      select seq_tup_read::int as rows, (select idx_scan::int from pg_stat_user_indexes
        where indexrelname = 'orders_personal_data') as scans from pg_stat_user_tables where relname = 'orders'`;
    return row ?? { rows: 0, scans: 0 };
  };
  const before = await read();
  const last = { db: other, clock: () => NOW, config: { PERSONAL_DATA_DAYS: 30 } };
  expect(await erasePersonalData(last)).toBe(1);
  const after = await read();
  expect(after.rows - before.rows).toBe(0);
  expect(after.scans).toBeGreaterThan(before.scans);
  await closeDb(other);
});
