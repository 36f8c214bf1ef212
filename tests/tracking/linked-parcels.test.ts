import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Tx } from '../../src/db/client.ts';
import { applyAnswer } from '../../src/tracking/engine/apply.ts';
import { countToday } from '../../src/tracking/engine/daily-limit.ts';
import { lockParcels } from '../../src/tracking/engine/lock-parcels.ts';
import type { Status } from '../../src/tracking/engine/status.ts';
import { trackingTimelines } from '../../src/tracking/index.ts';
import type { Link, Scan } from '../../src/tracking/toolkit/courier.ts';
import { oneBackend } from '../support/redis.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';

const FAN = 'fan-courier';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe.each(oneBackend())('E4: other numbers of a parcel, queues on %s', (backend) => {
  let stand: TrackingStand;
  beforeAll(async () => {
    stand = await startTrackingStand(backend);
  });
  afterEach(async () => {
    await stand.empty();
    stand.sandbox.couriers.parcels.clear();
  });
  afterAll(() => stand?.close());

  const linked = async (number: string) => {
    const rows = await stand.stack.sql<
      { number: string; link: string; status: string; tracked_by: string }[]
    >`
      select s.awb_number as number, s.link, s.status, s.tracked_by
      from shipments s join shipments o on o.id = s.linked_to where o.awb_number = ${number}`;
    return rows.map((row) => ({ ...row }));
  };
  /** An answer about a parcel, applied as a batch applies it. */
  const apply = (number: string, means: Status, hoursAgo: number, links: Link[] = []) =>
    stand.deps.db.transaction(async (tx: Tx) => {
      const { id } = await stand.shipment(number);
      const parcels = await lockParcels(tx, stand.tracker(FAN), [id]);
      const at = new Date(stand.now() - hoursAgo * HOUR);
      const scan: Scan = { is: 'scan', rawStatus: means, courierStatus: means, means, at, links };
      await applyAnswer(tx, stand.tracker(FAN), parcels, new Map([[number, scan]]), stand.now());
    });

  test('a return is tracked under its own number, and once it is delivered the first parcel is rto', async () => {
    stand.work();
    const { number, returnNumber = '' } = await stand.parcel(FAN, {
      life: 'rto',
      bookedAt: stand.now() - 28 * DAY,
    });
    await stand.run(FAN);
    expect(await stand.shipment(number)).toMatchObject({ status: 'rto_in_transit', order_status: 14 });
    expect(await linked(number)).toEqual([
      { number: returnNumber, link: 'return', status: 'pending', tracked_by: FAN },
    ]);
    await stand.run(FAN);
    expect(await linked(number)).toMatchObject([{ status: 'delivered' }]);
    expect(await stand.shipment(number)).toMatchObject({ status: 'rto', order_status: 13 });
    expect(stand.sandbox.couriers.parcels.truth(number).status).toBe('rto');
    const rules = { trackers: stand.deps.trackers, bufferDays: 31, now: stand.now() };
    const shown = async (which: string) =>
      (await trackingTimelines(stand.deps.db, which, rules)).map(({ siblings }) =>
        siblings.map(({ is, number }) => [is, number]),
      );
    expect(await shown(number)).toEqual([[['return', returnNumber]]]);
    expect(await shown(returnNumber)).toEqual([[['return-of', number]]]);
  });

  test('what is redirected is where its second number is, and the order shows it', async () => {
    const { number } = await stand.parcel(FAN, { life: 'manifested' });
    await apply(number, 'in_transit', 9, [{ is: 'redirection', number: '2999999999999' }]);
    await apply(number, 'in_transit', 8, [{ is: 'redirection', number: '2999999999999' }]);
    expect(await linked(number)).toMatchObject([{ number: '2999999999999', link: 'redirection' }]);
    await apply('2999999999999', 'ready_for_pickup', 5);
    expect(await stand.shipment(number)).toMatchObject({ status: 'ready_for_pickup', order_status: 9 });
    await apply('2999999999999', 'delivered', 2);
    expect(await stand.shipment(number)).toMatchObject({ status: 'delivered', order_status: 10 });
  });

  test('a number that is booked already is linked, never to itself, and never in a circle', async () => {
    const [first, second] = [await stand.parcel(FAN), await stand.parcel(FAN)];
    await stand.stack.sql`
      update shipments set order_id = (select order_id from shipments where awb_number = ${first.number})
      where awb_number = ${second.number}`;
    const back = (number: string): Link[] => [{ is: 'return', number }];
    await apply(first.number, 'rto_in_transit', 9, [
      ...back(second.number),
      ...back(first.number),
      ...back('NA'),
    ]);
    await apply(second.number, 'in_transit', 8, back(first.number));
    expect(await linked(first.number)).toMatchObject([{ number: second.number, link: 'return' }]);
    expect(await linked(second.number)).toEqual([]);
    await apply(second.number, 'lost', 1);
    expect(await stand.shipment(first.number)).toMatchObject({ status: 'lost' });
  });

  test('a return does not make its order booked again, nor is it the parcel that the order shows', async () => {
    const { number } = await stand.parcel(FAN);
    await apply(number, 'delivered', 9);
    await apply(number, 'rto_in_transit', 8, [{ is: 'return', number: '2888888888888' }]);
    expect(await stand.shipment(number)).toMatchObject({ order_status: 14 });
    await apply('2888888888888', 'out_for_delivery', 3);
    expect(await stand.shipment(number)).toMatchObject({ status: 'rto_in_transit', order_status: 14 });
  });

  test('C10: a daily limit is counted over all processes, and begins anew at midnight GMT', async () => {
    const tracker = { ...stand.tracker(FAN), dailyLimit: 3 };
    let now = Date.parse('2026-11-29T22:00:00Z');
    const deps = { ...stand.deps, clock: () => now };
    const asked = await Promise.all(Array.from({ length: 5 }, () => countToday(deps, tracker)));
    expect(asked.filter((one) => one === undefined)).toHaveLength(3);
    expect(asked.find((one) => one)).toEqual({
      ...{ kind: 'limit', ms: 2 * HOUR, why: 'the daily limit of 3 requests is used up' },
    });
    now += 2 * HOUR;
    expect(await countToday(deps, tracker)).toBeUndefined();
    expect(await countToday(deps, { ...tracker, dailyLimit: undefined })).toBeUndefined();
  });
});
