import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sql, TransactionSql } from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Tx } from '../../src/db/client.ts';
import { packageRoot } from '../../src/lib/package-root.ts';
import { applyAnswer } from '../../src/tracking/engine/apply.ts';
import { lockParcels } from '../../src/tracking/engine/lock-parcels.ts';
import type { Status } from '../../src/tracking/engine/status.ts';
import { reconcileTrackers } from '../../src/tracking/index.ts';
import type { Item } from '../../src/tracking/toolkit/courier.ts';
import { held } from '../support/held.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';

/** C2: parcels that are booked after their order's earlier parcel came to its end, whoever writes them. */
const B2C = 'delhivery-b2c';
const HOUR = 3_600_000;

let stand: TrackingStand;
beforeAll(async () => {
  stand = await startTrackingStand('postgres');
});
afterEach(async () => {
  await reconcileTrackers(stand.deps, [4, 5, 6, 7, 8, 9, 11, 14, 16, 51, 26, 25]);
  await stand.empty();
});
afterAll(() => stand?.close());

const sql = () => stand.stack.sql;
const ITEMS = [{ orderItemId: '1', quantity: 1 }];

async function order(code = 4): Promise<string> {
  const [row] = await sql()<{ id: string }[]>`
    insert into orders (source, marketplace_order_id, order_status) values ('shopify', ${crypto.randomUUID()}, ${code}) returning id`;
  return row?.id ?? '';
}
interface Booking {
  hoursAgo: number;
  items?: typeof ITEMS;
  status?: Status;
  tracked?: boolean;
}
/** As the AWB event writes it, in the middle of a larger statement; the same number again changes nothing of ours. */
async function book(
  orderId: string,
  awb: string,
  { hoursAgo, items, status = 'pending', tracked }: Booking,
  on: Sql | TransactionSql = sql(),
): Promise<string> {
  const [row] = await on<{ id: string }[]>`
    with made as (
      insert into shipments (order_id, awb_number, booking_courier, booked_at, status, items, being_tracked)
      values (${orderId}, ${awb}, 'Delhivery', ${new Date(stand.now() - hoursAgo * HOUR)}, ${status},
        ${items ? on.json(items as never) : null}, ${tracked ?? null})
      on conflict (order_id, awb_number) do update set items = excluded.items
      returning id)
    select id from made`;
  return row?.id ?? '';
}
/** What the courier says of a parcel is applied, in the caller's transaction. */
async function hear(tx: Tx, id: string, means: Status): Promise<void> {
  const parcels = await lockParcels(tx, stand.tracker(B2C), [id]);
  const scan: Item = { is: 'scan', rawStatus: means, courierStatus: means, means, at: new Date(stand.now()) };
  const items = new Map(parcels.map(({ number }) => [number, scan]));
  await applyAnswer(tx, stand.tracker(B2C), parcels, items, stand.now());
}
const told = (id: string, means: Status) => stand.deps.db.transaction((tx) => hear(tx, id, means));
const stands = async (id: string) =>
  (
    await sql()<{ code: number; by: string | null }[]>`
      select o.order_status as code, s.tracked_by as by from shipments s join orders o on o.id = s.order_id where s.id = ${id}`
  )[0];
/** A statement waits for somebody's lock. */
const someoneWaits = () =>
  until(
    async () =>
      (
        await sql()`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      ).length > 0,
  );

describe('C2: a parcel that is booked after the end', () => {
  test.each<[end: Status, code: number]>([
    ['delivered', 10],
    ['booking_cancelled', 12],
    ['rto', 13],
    ['lost', 15],
    ['destroyed', 17],
  ])('%s: is tracked, and its order is booked again', async (end, code) => {
    const orderId = await order();
    const first = await book(orderId, 'A', { hoursAgo: 48 });
    await told(first, end);
    expect(await stands(first)).toEqual({ code, by: null });
    const second = await book(orderId, 'A-C', { hoursAgo: 1 });
    expect(await stands(second)).toEqual({ code: 4, by: B2C });
    // from then on the order shows it, and the old number is history
    await told(first, 'rto_in_transit');
    await told(second, 'in_transit');
    expect(await stands(second)).toEqual({ code: 8, by: B2C });
    await told(second, 'delivered');
    expect(await stands(second)).toEqual({ code: 10, by: null });
  });

  test('as the next of a split, which may have been booked before the first one', async () => {
    const orderId = await order();
    await told(await book(orderId, 'A', { hoursAgo: 48, items: ITEMS }), 'delivered');
    expect(await stands(await book(orderId, 'B', { hoursAgo: 50, items: ITEMS }))).toEqual({
      code: 4,
      by: B2C,
    });
  });

  test('and was booked before that end, which it caused', async () => {
    const orderId = await order();
    const first = await book(orderId, 'A', { hoursAgo: 48 });
    await told(first, 'booking_cancelled');
    expect(await stands(await book(orderId, 'B', { hoursAgo: 3 }))).toEqual({ code: 4, by: B2C });
  });

  test('many in one statement, with others that come to orders of their own (P3)', async () => {
    await sql()`
      insert into orders (source, marketplace_order_id, order_status)
      select 'shopify', n, case when n % 2 = 0 then 12 else 8 end from generate_series(1, 2000) n`;
    await sql()`
      insert into shipments (order_id, booking_courier, booked_at, awb_number, status)
      select id, 'Delhivery', now() - interval '2 days', 'A', 'booking_cancelled' from orders where order_status = 12`;
    await sql()`
      insert into shipments (order_id, booking_courier, booked_at, awb_number)
      select id, 'Delhivery', now(), awb from orders cross join unnest(array['B', 'C']) awb`;
    expect(
      await sql()`
        select order_status as code, count(*)::int as parcels from orders o join shipments s on s.order_id = o.id
        where awb_number <> 'A' and tracked_by = ${B2C} group by 1 order by 1`,
    ).toEqual([
      { code: 4, parcels: 2000 },
      { code: 8, parcels: 2000 },
    ]);
  });

  test('by a program that may insert parcels and change nothing', async () => {
    const orderId = await order();
    await told(await book(orderId, 'A', { hoursAgo: 48 }), 'lost');
    const role = `writer_${crypto.randomUUID().slice(0, 8)}`;
    await sql().unsafe(`
      create role ${role}; grant insert on shipments to ${role};
      grant select on orders, order_statuses, trackers to ${role}`);
    await sql().begin(async (on) => {
      await on.unsafe(`set local role ${role}`);
      await on`
        insert into shipments (order_id, awb_number, booking_courier, booked_at) values (${orderId}, 'B', 'Delhivery', now())`;
    });
    await sql().unsafe(`drop owned by ${role}; drop role ${role}`);
    const [second] = await sql()<{ id: string }[]>`select id from shipments where awb_number = 'B'`;
    expect(await stands(second?.id ?? '')).toEqual({ code: 4, by: B2C });
  });

  test('those from before the migration', async () => {
    const orderId = await order();
    await told(await book(orderId, 'A', { hoursAgo: 48 }), 'lost');
    await sql()`alter table shipments disable trigger shipments_reopen_orders`;
    const second = await book(orderId, 'B', { hoursAgo: 1 });
    await sql()`alter table shipments enable trigger shipments_reopen_orders`;
    expect(await stands(second)).toEqual({ code: 15, by: null });
    const file = readFileSync(join(packageRoot(), 'drizzle/0011_booked_again.sql'), 'utf8');
    await sql().unsafe(file.split('--> statement-breakpoint').at(-1) ?? '');
    expect(await stands(second)).toEqual({ code: 4, by: B2C });
  });
});

describe('C2: an order keeps its code', () => {
  test.each<[what: string, code: number, first: Booking | null, second: Booking]>([
    [
      'history that has ended itself',
      10,
      { hoursAgo: 48, status: 'delivered' },
      { hoursAgo: 9, status: 'lost' },
    ],
    ['history: an older parcel', 10, { hoursAgo: 48, status: 'delivered' }, { hoursAgo: 72 }],
    [
      'a parcel that is not to be tracked',
      12,
      { hoursAgo: 48, status: 'booking_cancelled' },
      { hoursAgo: 9, tracked: false },
    ],
    ['a code that another program set before any parcel', 10, null, { hoursAgo: 9 }],
    ['a code that no parcel’s end gave it', 12, { hoursAgo: 48, status: 'delivered' }, { hoursAgo: 9 }],
    [
      'a parcel that is on its way, under another program’s code',
      10,
      { hoursAgo: 48, status: 'in_transit' },
      { hoursAgo: 9 },
    ],
    ['a code that is none of an end', 99, { hoursAgo: 48, status: 'delivered' }, { hoursAgo: 9 }],
  ])('%s', async (_, code, first, second) => {
    const orderId = await order(code);
    if (first) await book(orderId, 'A', first);
    expect(await stands(await book(orderId, 'B', second))).toEqual({ code, by: null });
  });

  test('the same parcel again', async () => {
    const orderId = await order();
    await told(await book(orderId, 'A', { hoursAgo: 48, items: ITEMS }), 'delivered');
    const second = await book(orderId, 'B', { hoursAgo: 9, items: ITEMS });
    await sql()`update orders set order_status = 10`;
    expect(await book(orderId, 'B', { hoursAgo: 9, items: ITEMS })).toBe(second);
    expect(await stands(second)).toEqual({ code: 10, by: null });
  });

  test('one that TRACKING_STATUS has made trackable', async () => {
    await reconcileTrackers(stand.deps, [8, 10]);
    const orderId = await order(10);
    await book(orderId, 'A', { hoursAgo: 48, status: 'delivered' });
    expect(await stands(await book(orderId, 'B', { hoursAgo: 9 }))).toEqual({ code: 10, by: B2C });
  });
});

describe('C2, R2: at the moment of the end', () => {
  test('a parcel that comes while the end is being written sees it', async () => {
    const orderId = await order();
    const first = await book(orderId, 'A', { hoursAgo: 48 });
    let booked: Promise<string> | undefined;
    await stand.deps.db.transaction(
      held(async (tx: Tx) => {
        await hear(tx, first, 'booking_cancelled');
        booked = book(orderId, 'B', { hoursAgo: 1 });
        await someoneWaits();
      }),
    );
    expect(await stands((await booked) ?? '')).toEqual({ code: 4, by: B2C });
  });

  test('of two parcels that come at once the second is tracked as well', async () => {
    const orderId = await order();
    await told(await book(orderId, 'A', { hoursAgo: 48 }), 'delivered');
    let second: Promise<string> | undefined;
    const first = await sql().begin(
      held(async (on) => {
        const id = await book(orderId, 'B', { hoursAgo: 1, items: ITEMS }, on);
        second = book(orderId, 'C', { hoursAgo: 1, items: ITEMS });
        await someoneWaits();
        return id;
      }),
    );
    for (const id of [first, (await second) ?? '']) expect(await stands(id)).toEqual({ code: 4, by: B2C });
  });

  test('an end that comes while the parcel is being written sees it', async () => {
    const orderId = await order();
    const first = await book(orderId, 'A', { hoursAgo: 48 });
    let second = '';
    let ended: Promise<unknown> | undefined;
    await sql().begin(
      held(async (on) => {
        second = await book(orderId, 'B', { hoursAgo: 1 }, on);
        ended = told(first, 'booking_cancelled');
        await someoneWaits();
      }),
    );
    await ended;
    expect(await stands(second)).toEqual({ code: 4, by: B2C });
  });
});
