import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CourierName } from '../../sandbox/couriers/model.ts';
import { reconcileTrackers, startRun } from '../../src/tracking/index.ts';
import { couriers } from '../../src/tracking/registry.ts';
import { matchesCourier } from '../../src/tracking/selection.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';

/** C2: which parcels a tracker asks for. Rows are written as other programs write them, with as little as they may. */
const DAY = 86_400_000;

let stand: TrackingStand;
beforeAll(async () => {
  stand = await startTrackingStand('postgres');
});
afterEach(async () => {
  // P5: whatever a test has done, the table of what can be due says the same as its parcels
  const [unlike] = await sql()<{ parcels: number }[]>`
    select count(*)::int as parcels from (select * from shipments where tracked_by is not null) s
      full join tracked_parcels t on t.shipment_id = s.id
    where (t.tracker, t.booked_at) is distinct from (s.tracked_by, s.booked_at)`;
  expect(unlike).toEqual({ parcels: 0 });
  await reconcileTrackers(stand.deps, [4, 5, 6, 7, 8, 9, 11, 14, 16, 51, 26, 25]);
  await stand.empty();
});
afterAll(() => stand?.close());

const sql = () => stand.stack.sql;
let made = 0;
async function order(source = 'shopify'): Promise<string> {
  const [row] = await sql()<{ id: string }[]>`
    insert into orders (source, marketplace_order_id) values (${source}, ${`ORD-${++made}`}) returning id`;
  return row?.id ?? '';
}
interface Row {
  courier: string;
  awb: string | null;
  lr: string | null;
  orderId: string;
  bookedAt: Date;
}
async function shipment(change: Partial<Row> = {}): Promise<string> {
  const orderId = change.orderId ?? (await order());
  const row = {
    courier: 'Delhivery',
    awb: `AWB${made}`,
    lr: null,
    bookedAt: new Date(stand.now() - DAY),
    ...change,
  };
  const [inserted] = await sql()<{ id: string }[]>`
    insert into shipments (order_id, booking_courier, booked_at, awb_number, lr_number)
    values (${orderId}, ${row.courier}, ${row.bookedAt}, ${row.awb}, ${row.lr}) returning id`;
  return inserted?.id ?? '';
}
async function trackerOf(id: string): Promise<string | null> {
  const [row] = await sql()<{ by: string | null }[]>`select tracked_by as by from shipments where id = ${id}`;
  return row?.by ?? null;
}
/** The parcels of a run in the order in which they are asked for. */
async function planned(api: CourierName): Promise<string[]> {
  const started = await startRun(stand.deps, stand.tracker(api));
  if (started.is === 'skipped') throw new Error(started.reason);
  const batches = await sql()<{ ids: string[] }[]>`
    select shipment_ids as ids from tracking_batches where run_id = ${started.runId} order by no`;
  await sql()`delete from tracking_runs`;
  const ids = batches.flatMap((batch) => batch.ids);
  expect(ids).toHaveLength(started.planned);
  return ids;
}

describe('whose parcel it is', () => {
  const B2C = 'delhivery-b2c';
  const B2B = 'delhivery-b2b';
  test.each<[courier: string, source: string, awb: string | null, lr: string | null, tracker: string | null]>(
    [
      ['Delhivery', 'shopify', '1', null, B2C],
      ['DELHIVERY SURFACE', 'woocommerce', '1', null, B2C],
      ['my delhivery 2', 'Outbound', '1', null, B2C],
      ['delhivery', 'other', '1', null, B2C],
      ['delhivery', 'Retailer', '1', '', B2C],
      ['delhivery', 'Retailer', '1', '  ', B2C],
      ['Delhivery B2B', 'shopify', null, 'LR1', B2B],
      ['Delhivery', 'shopify', '1', 'LR1', B2B],
      ['Delhivery', 'shopify', '  ', ' LR1 ', B2B],
      ['Delhivery', 'temu', '1', null, 'delhivery-fallback'],
      ['Delhivery', 'amazon', '1', 'LR1', 'delhivery-fallback'],
      ['Delhivery', 'temu', null, 'LR1', null],
      ['Delhivery', 'temu', ' ', null, null],
      ['Delhivery', 'shopify', '', null, null],
      // sources are names, not words: "Shopify" is another one
      ['Delhivery', 'Shopify', '1', null, 'delhivery-fallback'],
      ['Shiprocket', 'shopify', '1', null, 'shiprocket'],
      ['shiprocket - Delhivery Surface', 'shopify', '1', null, 'shiprocket'],
      ['VELOCITY (Delhivery)', 'other', '1', null, 'velocity'],
      ['Shiprocket', 'temu', '1', null, null],
      ['Shiprocket', 'shopify', null, 'LR1', null],
      ['Shiprocket Delhivery', 'temu', '1', null, 'delhivery-fallback'],
      ['fancourier', 'temu', '1', null, 'fan-courier'],
      ['', 'shopify', '1', null, null],
    ],
  )('%s, %s, AWB %s, LR %s: %s', async (courier, source, awb, lr, tracker) => {
    const id = await shipment({ orderId: await order(source), courier, awb, lr });
    expect(await trackerOf(id)).toBe(tracker);
  });

  test('a row of another program has all it needs', async () => {
    await shipment();
    const [row] = await sql()`
      select s.status, s.being_tracked, s.last_tracked_at, s.tracked_by, o.order_status
      from shipments s join orders o on o.id = s.order_id`;
    expect(row).toEqual({
      status: 'pending',
      being_tracked: null,
      last_tracked_at: null,
      tracked_by: B2C,
      order_status: 4,
    });
  });

  test('it follows what anybody writes of parcel and order', async () => {
    const orderId = await order();
    const id = await shipment({ orderId, awb: '77' });
    const steps: [query: string, tracker: string | null][] = [
      [`update orders set order_status = 10`, null],
      [`update orders set order_status = 51`, B2C],
      [`update orders set order_status = 999`, null],
      [`update orders set order_status = 8, source = 'temu'`, 'delhivery-fallback'],
      [`update shipments set being_tracked = false`, null],
      [`update shipments set being_tracked = true`, 'delhivery-fallback'],
      [`update shipments set being_tracked = null`, 'delhivery-fallback'],
      [`update orders set source = 'shopify'`, B2C],
      [`update shipments set lr_number = 'LR9'`, B2B],
      [`update shipments set lr_number = null`, B2C],
      [`update shipments set booking_courier = 'velocity'`, 'velocity'],
      [`update shipments set awb_number = ''`, null],
    ];
    for (const [query, tracker] of steps) {
      await sql().unsafe(query);
      expect([query, await trackerOf(id)]).toEqual([query, tracker]);
    }
  });

  test('order statuses: the trackable ones by default, others by TRACKING_STATUS', async () => {
    const orderId = await order();
    const id = await shipment({ orderId });
    const tracked = async () => {
      const codes: number[] = [];
      for (let code = 1; code <= 60; code++) {
        await sql()`update orders set order_status = ${code}`;
        if ((await trackerOf(id)) !== null) codes.push(code);
      }
      return codes;
    };
    expect(await tracked()).toEqual([4, 5, 6, 7, 8, 9, 11, 14, 16, 25, 26, 51]);
    await sql()`update orders set order_status = 10`;
    await reconcileTrackers(stand.deps, [8, 10]);
    // parcels that are there already follow, too
    expect(await trackerOf(id)).toBe(B2C);
    expect(await tracked()).toEqual([8, 10]);
  });

  test('a tracker that is switched off, or is gone, asks for nothing', async () => {
    const id = await shipment();
    const { trackers } = stand.deps;
    const without = (name: string) =>
      trackers.map((tracker) =>
        tracker.name === name ? { ...tracker, connection: undefined, off: 'notChosen' as const } : tracker,
      );
    await reconcileTrackers({ ...stand.deps, trackers: without(B2C) }, undefined);
    expect(await trackerOf(id)).toBeNull();
    const off = { ...stand.tracker(B2C), connection: undefined, off: 'notChosen' as const };
    expect(await startRun(stand.deps, off)).toEqual({
      ...{ is: 'skipped', kind: 'off' },
      reason: 'not in TRACKERS',
    });
    await reconcileTrackers(stand.deps, undefined);
    expect(await trackerOf(id)).toBe(B2C);
    await reconcileTrackers(
      { ...stand.deps, trackers: trackers.filter(({ name }) => name !== B2C) },
      undefined,
    );
    expect(await trackerOf(id)).toBeNull();
  });
});

describe('which of them, and in which order', () => {
  test('never asked first, then the one asked longest ago', async () => {
    const asked = async (hours: number) => {
      const id = await shipment();
      await sql()`
        update tracked_parcels set last_tracked_at = ${new Date(stand.now() - hours * 3_600_000)} where shipment_id = ${id}`;
      return id;
    };
    const [two, nine, five] = [await asked(2), await asked(9), await asked(5)];
    const [a, b] = [await shipment(), await shipment()];
    expect(await planned('delhivery-b2c')).toEqual([...[a, b].sort(), nine, five, two]);
  });

  test('those booked within the buffer period; the others end, visibly', async () => {
    const at = (days: number) => shipment({ bookedAt: new Date(stand.now() - days * DAY) });
    const [young, edge, old] = [await at(1), await at(30.9), await at(31.1)];
    expect((await planned('delhivery-b2c')).sort()).toEqual([young, edge].sort());
    await stand.tick();
    const ended =
      await sql()`select id, tracking_ended as why from shipments where tracking_ended is not null`;
    expect(ended).toEqual([{ id: old, why: 'no final status within 31 days of booking' }]);
    expect(await trackerOf(old)).toBeNull();
    const short = { ...stand.deps, bufferDays: 10 };
    expect(await startRun(short, stand.tracker('velocity'))).toMatchObject({ is: 'started', planned: 0 });
    await sql()`delete from tracking_runs`;
    expect(await startRun(short, stand.tracker('delhivery-b2c'))).toMatchObject({
      is: 'started',
      planned: 1,
    });
  });

  test('so many of a run at most, and the rest in the next one', async () => {
    await sql()`
      with o as (insert into orders (source, marketplace_order_id) select 'shopify', 'MANY-' || n from generate_series(1, 500) n returning id)
      insert into shipments (order_id, booking_courier, booked_at, lr_number) select id, 'Delhivery', now(), 'L' || left(id::text, 8) from o`;
    const first = await planned('delhivery-b2b');
    expect(first).toHaveLength(480);
    await sql()`update tracked_parcels set last_tracked_at = now() where shipment_id = any(${first}::uuid[])`;
    const rest = (await planned('delhivery-b2b')).slice(0, 20);
    expect(rest.filter((id) => first.includes(id))).toEqual([]);
  });

  test('batches of the size that the API takes', async () => {
    await sql()`
      with o as (insert into orders (source, marketplace_order_id) select 'shopify', 'MANY-' || n from generate_series(1, 101) n returning id)
      insert into shipments (order_id, booking_courier, booked_at, awb_number) select id, c.name, now(), c.name || left(o.id::text, 8)
      from o cross join (values ('Delhivery'), ('Shiprocket'), ('Velocity')) c(name)`;
    for (const [api, sizes] of [
      ['delhivery-b2c', [50, 50, 1]],
      ['shiprocket', [50, 50, 1]],
      ['velocity', [45, 45, 11]],
    ] as const) {
      const started = await startRun(stand.deps, stand.tracker(api));
      const batches = await sql()<{ n: number }[]>`
        select cardinality(shipment_ids) as n from tracking_batches b join tracking_runs r on r.id = b.run_id
        where r.tracker = ${api} order by no`;
      expect([started.is, batches.map(({ n }) => n)]).toEqual(['started', sizes]);
    }
  });

  test('C1: a run that is still going on is not begun again; one without parcels is over at once', async () => {
    expect(await startRun(stand.deps, stand.tracker('delhivery-b2c'))).toMatchObject({ planned: 0 });
    await shipment();
    const started = await startRun(stand.deps, stand.tracker('delhivery-b2c'));
    const skipped = await startRun(stand.deps, stand.tracker('delhivery-b2c'));
    expect(skipped).toEqual({
      is: 'skipped',
      kind: 'running',
      reason: 'the last run is still in progress',
      runId: started.is === 'started' ? started.runId : '',
    });
    const both = await Promise.all(
      ['velocity', 'velocity'].map((name) => startRun(stand.deps, stand.tracker(name as CourierName))),
    );
    expect(both.map(({ is }) => is)).toEqual(['started', 'started']); // nothing to do: twice nothing
  });
});

test('C2, E9: a courier’s name is matched here as in the database', async () => {
  const names = [
    'UPS',
    'DHL / UPS',
    'Groups',
    'ups-saver',
    'FAN Courier',
    'fancourier',
    'Fancy',
    'Delhivery Surface',
    'ΩUPS',
    '',
  ];
  const parts = couriers.map(({ selection }) => selection.courier);
  const rows = await sql()<{ name: string; part: string; same: boolean }[]>`
    select name, part, matches_courier(name, part) as same from unnest(${names}::text[]) name, unnest(${parts}::text[]) part`;
  expect(rows.length).toBe(names.length * parts.length);
  expect(rows.filter(({ name, part, same }) => matchesCourier(name, part) !== same)).toEqual([]);
  expect(rows.filter(({ same }) => same).length).toBeGreaterThan(5);
});
