import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CourierName, Parcel, Word } from '../../sandbox/couriers/model.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';

/** C12: notices are rows, written with the change they tell of. */
const HOUR = 3_600_000;

let stand: TrackingStand;
beforeAll(async () => {
  stand = await startTrackingStand('postgres');
  stand.work();
  await sql()`
    insert into webhook_endpoints (url, secret, events, active) values
      ('https://one.example/', 'sealed', '{order.rto}', true), ('https://two.example/', 'sealed', '{order.rto,shipment.updated}', true),
      ('https://off.example/', 'sealed', '{order.rto,shipment.updated}', false)`;
});
afterAll(() => stand?.close());

const sql = () => stand.stack.sql;
const notices = (kind: string) =>
  sql()<{ payload: Record<string, unknown>; key: string }[]>`
    select payload, key from notices where kind = ${kind} order by created_at, key`;
async function told(one: Parcel, word: Word): Promise<void> {
  stand.sandbox.couriers.parcels.setWord(one.number, word, one.api);
  await stand.run(one.api);
}
const parcel = (api: CourierName, bookedAt = stand.now() - 48 * HOUR) =>
  stand.parcel(api, { bookedAt, life: 'manifested' });

describe('to people', () => {
  test.each([
    ['sellerCancelled', 'booking_cancelled', 'shiprocket'],
    ['lost', 'lost', 'delhivery-b2c'],
    ['destroyed', 'destroyed', 'delhivery-b2b'],
  ] as const)('%s: %s of %s, once', async (event, kind, api) => {
    const one = await parcel(api);
    await told(one, { event });
    await stand.run(api);
    expect(await notices(kind)).toEqual([
      {
        key: expect.stringContaining(`${kind} `),
        payload: {
          order: one.reference,
          source: expect.any(String),
          ...{ tracker: api, title: stand.tracker(api).courier.title },
          awb: one.number,
          courierStatus: expect.any(String),
          at: expect.any(String),
        },
      },
    ]);
  });

  test('a B2B consignment that is delivered on the day of its booking, in India', async () => {
    // 18:00 in India: six hours before and after lie on different days
    const evening = Math.floor(stand.now() / (24 * HOUR)) * 24 * HOUR - 11.5 * HOUR;
    const [same, next, b2c] = [
      await parcel('delhivery-b2b', evening),
      await parcel('delhivery-b2b', evening),
      await parcel('delhivery-b2c', evening),
    ];
    const day = (hours: number) => ({
      event: 'delivered' as const,
      at: evening + hours * HOUR,
      deliveredAt: evening + hours * HOUR,
    });
    await told(same, day(5));
    await told(next, day(7));
    await told(b2c, day(5));
    expect((await notices('b2b-delivered')).map(({ payload }) => payload)).toMatchObject([
      { awb: same.number },
    ]);
  });
});

describe('to other programs', () => {
  test('order.rto once per order and endpoint, shipment.updated for each change', async () => {
    const one = await parcel('velocity');
    const two = await parcel('velocity');
    await sql()`
      update shipments set items = '[]', order_id = (select order_id from shipments where awb_number = ${one.number})
      where awb_number in (${one.number}, ${two.number})`;
    const at = (hours: number) => stand.now() - hours * HOUR;
    await told(one, { event: 'pickedUp', at: at(9) });
    expect(await notices('order.rto')).toEqual([]);
    await told(one, { event: 'rtoStarted', at: at(8) });
    await told(two, { event: 'rtoStarted', at: at(7) });
    await told(one, { event: 'rtoDelivered', at: at(6) });
    const rto = await notices('order.rto');
    expect(rto.map(({ payload }) => payload)).toMatchObject(
      Array.from({ length: 2 }, () => ({
        event: { event: 'order.rto', status: 'rto_in_transit', number: one.number },
      })),
    );
    expect(new Set(rto.map(({ payload }) => (payload as { endpointId: string }).endpointId)).size).toBe(2);
    const updated = (await notices('shipment.updated')).map(
      ({ payload }) => payload as { event: Record<string, string> },
    );
    const ours = updated.filter(({ event }) => [one.number, two.number].includes(event.number ?? ''));
    expect(ours.map(({ event }) => `${event.before} ${event.status}`).sort()).toEqual([
      'in_transit rto_in_transit',
      'pending in_transit',
      'pending rto_in_transit',
      'rto_in_transit rto',
    ]);
    expect(ours[0]?.event).toEqual({
      event: 'shipment.updated',
      orderId: expect.any(String),
      marketplaceOrderId: one.reference,
      source: 'Outbound',
      shipmentId: expect.any(String),
      number: one.number,
      tracker: 'velocity',
      status: 'in_transit',
      before: 'pending',
      courierStatus: expect.any(String),
      occurredAt: expect.any(String),
    });
  });

  test('a change that is not written leaves no notice, and no history', async () => {
    const one = await parcel('shiprocket');
    const before = (await notices('lost')).length;
    await sql().unsafe(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
      create trigger refuse before insert on notices for each row when (new.kind = 'lost') execute function refuse()`);
    stand.sandbox.couriers.parcels.setWord(one.number, { event: 'lost' });
    await stand.start('shiprocket');
    await expect
      .poll(
        async () =>
          (await sql()`select from tracking_batches where state = 'pending' and attempts = 1`).length,
      )
      .toBe(1);
    expect(await stand.shipment(one.number)).toMatchObject({ status: 'pending', last_tracked_at: null });
    await sql().unsafe('drop trigger refuse on notices; drop function refuse()');
    await stand.later(60_000);
    expect(await stand.ended('shiprocket')).toMatchObject({ updated: 1, failed: 0 });
    expect(await notices('lost')).toHaveLength(before + 1);
  });
});

test('C13: one report a run, and none for a run without parcels', async () => {
  const runs = await sql()<{ id: string; planned: number }[]>`select id, planned from tracking_runs`;
  const reports = (await notices('tracking-report')).map(
    ({ payload }) => (payload as { runId: string }).runId,
  );
  expect(reports.sort()).toEqual(
    runs
      .filter(({ planned }) => planned > 0)
      .map(({ id }) => id)
      .sort(),
  );
});
