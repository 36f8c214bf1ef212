import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { trackers as doctorOfTrackers } from '../../src/doctor/trackers.ts';
import { reconcileTrackers, trackingOverview } from '../../src/tracking/index.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';

/** E1, E10: the carrier of an AWB event finds its tracker, and what nobody tracks is counted. */
let stand: TrackingStand;
beforeAll(async () => {
  stand = await startTrackingStand('postgres');
});
afterEach(() => stand.empty());
afterAll(() => stand?.close());

let made = 0;
async function book(courier: string, daysAgo = 1, status = 'pending', code = 4): Promise<string | null> {
  const { sql } = stand.stack;
  const number = `2000000000${++made}`;
  const [order] = await sql<{ id: string }[]>`
    insert into orders (source, marketplace_order_id, order_status) values ('temu', ${number}, ${code}) returning id`;
  const [row] = await sql<{ tracked_by: string | null }[]>`
    insert into shipments (order_id, awb_number, booking_courier, status, booked_at)
    values (${order?.id ?? ''}, ${number}, ${courier}, ${status}, ${new Date(stand.now() - daysAgo * 86_400_000)})
    returning tracked_by`;
  return row?.tracked_by ?? null;
}

test.each([
  ['fancourier', 'fan-courier'],
  ['FAN Courier', 'fan-courier'],
  ['fan_courier', 'fan-courier'],
  ['sameday', 'sameday'],
  ['dpd', 'dpd-ro'],
  ['DPD Romania', 'dpd-ro'],
  ['gls', 'gls'],
  ['fedex', 'fedex'],
  ['dhl', 'dhl-express'],
  ['ups', 'ups'],
  ['UPS', 'ups'],
  ['cargus', 'cargus'],
  ['Groups Logistics', null],
  ['Elefant', null],
  ['bookurier', null],
])('E1: a Temu order booked with %j is tracked by %s', async (courier, tracker) => {
  expect(await book(courier)).toBe(tracker);
});

test('E10: parcels on their way that nobody tracks are counted by courier, with what would switch it on', async () => {
  const { deps } = stand;
  const off = {
    ...deps,
    trackers: deps.trackers.map((one) =>
      one.name === 'fan-courier' ? { ...one, connection: undefined, off: 'noCredentials' as const } : one,
    ),
  };
  await reconcileTrackers(off, undefined);
  try {
    for (const [courier, count] of [
      ['fancourier', 3],
      ['bookurier', 2],
      ['sameday', 4],
    ] as const)
      for (let nth = 0; nth < count; nth++) await book(courier);
    await book('fancourier', 40); // too old
    await book('fancourier', 1, 'delivered');
    await book('fancourier', 1, 'pending', 10); // its order has ended
    const { untracked } = await trackingOverview(off, stand.now());
    expect(untracked).toEqual([
      { bookingCourier: 'fancourier', tracker: 'fan-courier', parcels: 3 },
      { bookingCourier: 'bookurier', tracker: null, parcels: 2 },
    ]);
    const findings = await doctorOfTrackers.look(
      {
        ...stand.stack.fleet,
        trackers: off.trackers,
        clock: deps.clock,
      },
      new AbortController().signal,
    );
    const said = findings.map(({ says, remedy }) => `${says}: ${remedy}`).join('\n');
    expect(said).toContain(
      '3 parcels booked with "fancourier" are not tracked: set FAN_COURIER_USERNAME, FAN_COURIER_PASSWORD, FAN_COURIER_CLIENT_ID',
    );
    expect(said).toContain('2 parcels booked with "bookurier" are not tracked: there is no tracker for them');
  } finally {
    await reconcileTrackers(deps, undefined);
  }
  // E1: parcels that were booked before are picked up when their tracker is switched on
  expect(
    (await trackingOverview(deps, stand.now())).untracked.map(({ bookingCourier }) => bookingCourier),
  ).toEqual(['bookurier']);
});
