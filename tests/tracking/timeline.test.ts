import { afterAll, beforeAll, expect, test } from 'vitest';
import { utc } from '../../src/lib/format-time.ts';
import { reconcileTrackers, type TrackingTimeline, trackingTimelines } from '../../src/tracking/index.ts';
import { couriers } from '../../src/tracking/registry.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';

/** A parcel's story: who asks for it and why, or why nobody (C2). */
const NOWHERE = 'http://127.0.0.1:9/';
const DAY = 86_400_000;
let stack: TestFleet;

beforeAll(async () => {
  stack = await startTestFleet(
    'postgres',
    { eu: NOWHERE, us: NOWHERE, global: NOWHERE },
    {
      ...{ DELHIVERY_AUTH_TOKEN_B2C: 'key', VELOCITY_API_KEY: 'key' },
    },
  );
  await reconcileTrackers(stack.fleet, undefined);
});
afterAll(() => stack.close());

interface Spec {
  source?: string;
  code?: number;
  courier?: string;
  awb?: string | null;
  lr?: string | null;
  daysAgo?: number;
}
let made = 0;
async function parcel({
  source = 'shopify',
  code = 4,
  courier = 'Delhivery Surface',
  awb,
  lr = null,
  daysAgo = 1,
}: Spec = {}) {
  const number = awb === undefined ? `S${++made}` : awb;
  await stack.sql`
    with o as (insert into orders (source, marketplace_order_id, order_status) values (${source}, ${`O${++made}`}, ${code}) returning id)
    insert into shipments (order_id, booking_courier, booked_at, awb_number, lr_number)
    select id, ${courier}, ${new Date(Date.now() - daysAgo * DAY)}, ${number}, ${lr} from o`;
  return await story(number ?? lr ?? '');
}
async function story(number: string): Promise<TrackingTimeline> {
  const { db, trackers, bufferDays } = stack.fleet;
  const [found] = await trackingTimelines(db, number, { trackers, bufferDays, now: Date.now() });
  if (!found) throw new Error(`no story of ${number}`);
  return found;
}

test.each<[string, Spec, string | null, string]>([
  [
    'followed',
    {},
    'delhivery-b2c',
    'Tracked by delhivery-b2c: booked with Delhivery Surface, order from shopify, with an AWB and no LR number.',
  ],
  [
    'booked too long ago',
    { daysAgo: 32 },
    'delhivery-b2c',
    ' Tracking has ended: it was booked more than 31 days ago.',
  ],
  [
    'of an unknown courier',
    { courier: 'BlueDart' },
    null,
    `Not tracked: no tracker is set up for BlueDart. Available: ${[
      ...new Set(couriers.map(({ title }) => title)),
    ]
      .sort()
      .join(', ')}.`,
  ],
  [
    'of a source that its tracker leaves out',
    { source: 'temu', courier: 'velocity' },
    null,
    'Not tracked: velocity does not track orders from temu.',
  ],
  [
    'of an order that is not tracked',
    { code: 10 },
    null,
    'Not tracked: its order has the status 10 (delivered).',
  ],
  [
    'of an order status that nobody knows',
    { code: 99 },
    null,
    'Not tracked: its order has the status 99 (unknown).',
  ],
  [
    'of a tracker that is off',
    { courier: 'shiprocket' },
    null,
    'Not tracked: shiprocket is off (no credentials).',
  ],
  [
    'with another kind of number',
    { courier: 'velocity', awb: null, lr: 'LR1' },
    null,
    'Not tracked: velocity needs an AWB and no LR number.',
  ],
])('C2: a parcel %s', async (_, spec, tracker, because) => {
  const told = await parcel(spec);
  expect(told).toMatchObject({ tracker, because: expect.stringContaining(because) });
  // what is asked for has a next time
  expect(told.nextRunAt !== null).toBe(tracker !== null && !because.startsWith(' Tracking has ended'));
});

test('C9, C2: a parcel that has been given up says why', async () => {
  const { awbNumber } = await parcel();
  const number = awbNumber ?? '';
  await stack.sql`
    update shipments set being_tracked = false, tracking_ended = 'invalid AWB or very old package' where awb_number = ${number}`;
  expect((await story(number)).because).toBe('Tracking ended: invalid AWB or very old package.');
  await stack.sql`update shipments set tracking_ended = null where awb_number = ${number}`;
  expect((await story(number)).because).toBe(
    'Not tracked: switched off for this parcel (being_tracked is false).',
  );
});

test('C10, C11, C6: what holds a parcel up is said', async () => {
  const { awbNumber } = await parcel({ courier: 'velocity' });
  const number = awbNumber ?? '';
  const until = new Date(Date.now() + 60_000);
  const sql = stack.sql;
  await sql`update trackers set waiting_until = ${until}, waiting_reason = 'HTTP 403', stopped_reason = 'HTTP 401' where name = 'velocity'`;
  await sql`update shipments set unmapped_word = 'MOON', unmapped_at = now() where awb_number = ${number}`;
  const told = await story(number);
  expect(told.because).toContain(
    'Tracking is stopped: the courier rejects our credentials: HTTP 401 (orderfleet status). ',
  );
  expect(told.because).toContain(`Rate-limit cooldown until ${utc(until)} (HTTP 403). `);
  expect(told.because).toContain('orderfleet words map velocity "MOON" STATUS');
  expect(told.unmapped).toMatchObject({ word: 'MOON', at: expect.any(Date) });
});

test('C7: changes with the courier’s word and both times; parcels that were booked again, and split ones', async () => {
  const { awbNumber, order } = await parcel({ daysAgo: 5 });
  const number = awbNumber ?? '';
  const sql = stack.sql;
  await sql`
    insert into shipments (order_id, booking_courier, booked_at, awb_number, lr_number, status)
    select order_id, booking_courier, booked_at + interval '1 day', 'LATER', null, 'delivered' from shipments where awb_number = ${number}`;
  await sql`
    insert into shipment_events (shipment_id, status, courier_status, occurred_at, recorded_at)
    select id, 'in_transit', 'ud-in_transit', '2026-04-01T00:00:00Z', '2026-04-01T01:00:00Z' from shipments where awb_number = ${number}`;
  expect(await story(number)).toMatchObject({
    events: [
      {
        ...{ status: 'in_transit', courierStatus: 'ud-in_transit' },
        occurredAt: new Date('2026-04-01T00:00:00Z'),
        recordedAt: new Date('2026-04-01T01:00:00Z'),
      },
    ],
    siblings: [{ number: 'LATER', status: 'delivered', is: 'after', bookedAt: expect.any(Date) }],
  });
  expect(await story('LATER')).toMatchObject({ siblings: [{ number, is: 'before' }], events: [] });
  await sql`update shipments set items = '[]' where order_id = (select id from orders where marketplace_order_id = ${order})`;
  expect(await story('LATER')).toMatchObject({ siblings: [{ number, is: 'split' }] });
});
