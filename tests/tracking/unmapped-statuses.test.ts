import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CourierName, Parcel, Word } from '../../sandbox/couriers/model.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';

const B2C = 'delhivery-b2c';
const HOUR = 3_600_000;

let stand: TrackingStand;
beforeAll(async () => {
  stand = await startTrackingStand('postgres');
  stand.work();
});
afterEach(async () => {
  await stand.stack.sql`update shipments set being_tracked = false`;
});
afterAll(() => stand?.close());

const sql = () => stand.stack.sql;
const say = (parcel: Parcel, word: Word) =>
  stand.sandbox.couriers.parcels.setWord(parcel.number, word, parcel.api);
/** A parcel that has been picked up two days ago. */
const parcel = (api: CourierName = B2C) =>
  stand.parcel(api, { bookedAt: stand.now() - 48 * HOUR, life: 'manifested' });
async function told(one: Parcel, word: Word) {
  say(one, word);
  const run = await stand.run(one.api);
  return { run, row: await stand.shipment(one.number) };
}
const events = async ({ number }: Parcel) =>
  await sql()<{ status: string; at: Date }[]>`
    select e.status, e.occurred_at as at from shipment_events e join shipments s on s.id = e.shipment_id
    where ${number} in (s.awb_number, s.lr_number) order by e.occurred_at, e.recorded_at`;

describe('C6: a word that no table has', () => {
  const word = 'UD-HELD_AT_CUSTOMS';
  const unmapped = async () =>
    (
      await sql()<{ word: string; count: number; sample: { number: string }; mapped_to: string | null }[]>`
        select * from unmapped_statuses where tracker = ${B2C} order by word`
    ).map(({ word, count, sample }) => ({ word, count, number: sample.number }));
  const alerts = () => sql()`select payload->>'word' as word from notices where kind = 'unmapped-status'`;

  test('is kept with its count and a sample, told of once, and changes nothing but last_tracked_at', async () => {
    const parcels = [await parcel(), await parcel(), await parcel()];
    for (const one of parcels) say(one, { status: 'Held at Customs' });
    expect(await stand.run(B2C)).toMatchObject({ unmapped: 3, updated: 0, words: { [word]: 3 } });
    const sample = expect.toBeOneOf(parcels.map(({ number }) => number));
    expect(await unmapped()).toEqual([{ word, count: 3, number: sample }]);
    const row = await stand.shipment((parcels[0] as Parcel).number);
    expect(row).toMatchObject({
      status: 'pending',
      courier_status: null,
      unmapped_word: word,
      status_times: {},
    });
    expect(row.last_tracked_at).not.toBeNull();
    // the same parcels again: counted in the run, but they are no further ones
    parcels.push(await parcel());
    say(parcels[3] as Parcel, { status: 'held-at customs' });
    expect(await stand.run(B2C)).toMatchObject({ unmapped: 4, words: { [word]: 4 } });
    expect(await unmapped()).toEqual([{ word, count: 4, number: sample }]);
    expect(await alerts()).toEqual([{ word }]);
  });

  test('a person settles it: replayed over the parcels that showed it, at the time at which they did', async () => {
    const [held, moved] = [await parcel(), await parcel()];
    const at = Math.floor(stand.now() / 1000) * 1000 - 5 * HOUR;
    for (const one of [held, moved]) say(one, { status: 'Held at Customs', at });
    await stand.run(B2C);
    await told(moved, { event: 'outForDelivery' });
    const before = await stand.shipment(held.number);
    await sql()`update unmapped_statuses set mapped_to = 'nonsense' where word = ${word}`;
    await stand.tick();
    expect(await stand.shipment(held.number)).toEqual(before);

    await sql()`update unmapped_statuses set mapped_to = 'ndr' where word = ${word}`;
    stand.advance(60_000);
    await stand.tick();
    const after = await stand.shipment(held.number);
    expect(after).toMatchObject({ status: 'ndr', unmapped_word: null, order_status: 11 });
    expect(after.last_tracked_at).toEqual(before.last_tracked_at);
    expect(await events(held)).toEqual([{ status: 'ndr', at: new Date(at) }]);
    expect(new Date(after.status_times.ndr ?? '').getTime()).toBe(at);
    // it has said something else since
    expect(await stand.shipment(moved.number)).toMatchObject({
      status: 'out_for_delivery',
      unmapped_word: null,
    });
    // from now on the word is understood, and its old news is no news
    const run = await stand.run(B2C);
    expect(run).toMatchObject({ unmapped: 0, updated: 0 });
    await stand.tick();
    expect(await events(held)).toHaveLength(1);
  });

  test('settled as "unchanged": the parcel keeps its status and is not waited for any more', async () => {
    const one = await parcel();
    await told(one, { event: 'pickedUp', at: stand.now() - HOUR });
    await told(one, { status: 'Weighed Again' });
    await sql()`update unmapped_statuses set mapped_to = 'unchanged' where word = 'UD-WEIGHED_AGAIN'`;
    await stand.tick();
    expect(await stand.shipment(one.number)).toMatchObject({ status: 'in_transit', unmapped_word: null });
    expect(await stand.run(B2C)).toMatchObject({ unmapped: 0, unchanged: 1 });
  });
});

describe('C7: forward only', () => {
  test('history once, first times, milestones, order codes; what is told again or late changes nothing', async () => {
    const one = await parcel();
    const start = Math.floor(stand.now() / 1000) * 1000 - 20 * HOUR;
    const at = (hours: number) => start + hours * HOUR;
    const steps: [Word['event'], number, string, number][] = [
      ['pickedUp', 0, 'in_transit', 8],
      ['outForDelivery', 4, 'out_for_delivery', 9],
      ['failedAttempt', 5, 'ndr', 11],
      ['outForDelivery', 8, 'out_for_delivery', 9],
    ];
    for (const [event, hours, status, code] of steps) {
      const { row } = await told(one, { event: event as never, at: at(hours), pickedUpAt: at(0) });
      expect(row).toMatchObject({ status, order_status: code, tracked_by: B2C });
    }
    expect(await stand.run(B2C)).toMatchObject({ updated: 0, unchanged: 1 });
    // an answer of a copy that lags behind
    expect((await told(one, { event: 'failedAttempt', at: at(6) })).row.status).toBe('out_for_delivery');
    const { row } = await told(one, { event: 'delivered', at: at(9), pickedUpAt: at(0), deliveredAt: at(9) });
    expect(row).toMatchObject({
      status: 'delivered',
      order_status: 10,
      tracked_by: null,
      rto_started_at: null,
    });
    expect([row.picked_up_at, row.delivered_at]).toEqual([new Date(at(0)), new Date(at(9))]);
    expect(await events(one)).toEqual([
      ...steps.map(([, hours, status]) => ({ status, at: new Date(at(hours)) })),
      { status: 'delivered', at: new Date(at(9)) },
    ]);
    const times = Object.fromEntries(
      Object.entries(row.status_times).map(([k, v]) => [k, new Date(v).getTime()]),
    );
    expect(times).toEqual({ in_transit: at(0), out_for_delivery: at(4), ndr: at(5), delivered: at(9) });
    // nobody asks for it any more
    expect(await stand.run(B2C)).toMatchObject({ planned: 0 });
  });

  test('the order shows the parcel that is still on its way; delivered is left for RT with a newer time alone', async () => {
    const first = await parcel();
    const second = await parcel();
    // a split shipment: of two that are on their way the one booked last is shown
    await sql()`
      update shipments set items = '[{"orderItemId":"1","quantity":1}]', order_id = (select order_id from shipments where awb_number = ${first.number})
      where awb_number in (${first.number}, ${second.number})`;
    const reference = first.reference;
    const now = stand.now();
    say(second, { event: 'pickedUp', at: now - 9 * HOUR, reference });
    let { row } = await told(first, { event: 'delivered', at: now - 8 * HOUR });
    expect(row).toMatchObject({ status: 'delivered', order_status: 8, tracked_by: B2C });
    row = (await told(first, { event: 'rtoInTransit', at: now - 9 * HOUR })).row;
    expect(row.status).toBe('delivered');
    row = (await told(first, { event: 'outForDelivery', at: now - 6 * HOUR })).row;
    expect(row.status).toBe('delivered');
    row = (await told(first, { event: 'rtoInTransit', at: now - 5 * HOUR, rtoStartedAt: now - 5 * HOUR }))
      .row;
    expect(row).toMatchObject({ status: 'rto_in_transit' });
    expect(row.rto_started_at).not.toBeNull();
    expect((await events(first)).map(({ status }) => status)).toEqual(['delivered', 'rto_in_transit']);
    expect(
      (await told(second, { event: 'outForDelivery', at: now - 4 * HOUR, reference })).row.order_status,
    ).toBe(9);
    row = (await told(first, { event: 'rtoDelivered', at: now - 3 * HOUR })).row;
    expect(row).toMatchObject({ status: 'rto', order_status: 9 });
    row = (await told(second, { event: 'delivered', at: now - 2 * HOUR, reference })).row;
    expect(row).toMatchObject({ status: 'delivered', tracked_by: null });
    expect([10, 13]).toContain(row.order_status);
  });

  test('a parcel that was booked again is history: its old number changes nothing of the order', async () => {
    const old = await parcel();
    const fresh = await stand.parcel(B2C, { bookedAt: stand.now() - 24 * HOUR, life: 'manifested' });
    await sql()`
      update shipments set order_id = (select order_id from shipments where awb_number = ${old.number}) where awb_number = ${fresh.number}`;
    const reference = `${old.reference}-C1`;
    say(old, { event: 'sellerCancelled', at: stand.now() - 23 * HOUR });
    const { row } = await told(fresh, { event: 'pickedUp', at: stand.now() - 22 * HOUR, reference });
    expect(row).toMatchObject({ status: 'in_transit', order_status: 8 });
    expect(await stand.shipment(old.number)).toMatchObject({ status: 'booking_cancelled', order_status: 8 });
    await told(old, { event: 'sellerCancelled', at: stand.now() - HOUR });
    expect((await stand.shipment(old.number)).order_status).toBe(8);
  });
});

describe('C8: the reference', () => {
  test('another order’s: nothing is applied, and the run counts it; a rebooking’s suffix, or none, is fine', async () => {
    const [strange, none, rebooked] = [await parcel(), await parcel(), await parcel()];
    say(strange, { event: 'delivered', reference: 'SOMEBODY-ELSE' });
    say(none, { event: 'delivered', reference: '' });
    say(rebooked, { event: 'outForDelivery', reference: `${rebooked.reference.toLowerCase()}-c2 ` });
    const run = await stand.run(B2C);
    expect(run).toMatchObject({ planned: 3, mismatched: 1, updated: 2 });
    const row = await stand.shipment(strange.number);
    expect(row).toMatchObject({ status: 'pending', courier_status: null, status_times: {}, order_status: 4 });
    expect(row.last_tracked_at).not.toBeNull();
    expect(await stand.shipment(none.number)).toMatchObject({ status: 'delivered', order_status: 10 });
    expect(await events(strange)).toEqual([]);
  });
});

test('A1: a placeholder or a rounded number that was stored once stays, and nobody is asked for it', async () => {
  const one = await parcel('velocity');
  const numbers = ['NA', '0000000000000', '1.23457E+12', '1234567890123.0'];
  await sql()`
    with o as (insert into orders (source, marketplace_order_id) values ('shopify', 'NONE') returning id)
    insert into shipments (order_id, booking_courier, booked_at, awb_number)
    select id, 'velocity', now(), unnest(${numbers}::text[]) from o`;
  const { run } = await told(one, { event: 'outForDelivery' });
  expect(run).toMatchObject({ planned: 5, updated: 1, failed: 4, requests: 1 });
  expect(run.errors).toEqual({ 'invalid tracking number': 4 });
  const kept =
    await sql()`delete from shipments where awb_number = any(${numbers}::text[]) returning last_tracked_at`;
  expect(kept).toHaveLength(4);
});

test('two parcels with one number: both hear what is said of it', async () => {
  const one = await parcel('velocity');
  await sql()`
    with o as (insert into orders (source, marketplace_order_id) values ('shopify', 'TWIN') returning id)
    insert into shipments (order_id, booking_courier, booked_at, awb_number)
    select id, 'velocity', now(), ${one.number} from o`;
  const { run } = await told(one, { event: 'outForDelivery' });
  expect(run).toMatchObject({ planned: 2, updated: 2, requests: 1 });
});
