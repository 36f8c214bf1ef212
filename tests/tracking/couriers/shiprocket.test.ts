import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import courier from '../../../src/tracking/couriers/shiprocket.ts';
import { describeCourier } from './four.ts';
import { at, connect, failure, items, junk, NOW, recorded, rows, scan, settingsOf } from './reading.ts';

const AWB = '788829354408';
const answer = (data: unknown, number = AWB) => ({ [number]: { tracking_data: data } });
const track = (current_status: unknown, more: Record<string, unknown> = {}) => ({
  track_status: 1,
  shipment_track: [{ awb_code: AWB, current_status, ...more }],
});
const said = (data: unknown) => scan(courier, answer(data), AWB);

// words of older answers; RTO_INITIATED is on its way back only (C5)
const OLDER = rows(`
  unchanged: SHIPPED PICKUP_RESCHEDULED OUT_FOR_PICKUP PENDING PICKUP_ERROR AWB_ASSIGNED LABEL_GENERATED
  unchanged: PICKUP_SCHEDULED PICKUP_QUEUED
  in_transit: IN_TRANSIT PICKED_UP REACHED_DEST_CITY REACHED_AT_DESTINATION RECEIVED_AT_ORIGIN
  in_transit: IN_TRANSIT_TO_NEXT_FACILITY DISPATCHED
  out_for_delivery: OUT_FOR_DELIVERY
  delivered: DELIVERED
  ndr: NDR FAILED_DELIVERY
  rto: RTO RTO_DELIVERED
  rto_in_transit: RTO_INITIATED RTO_IN_TRANSIT RTO_OFD RTO_OUT_FOR_DELIVERY
  booking_cancelled: CANCELLED NOT_PICKED CANCELED_BY_SELLER
  lost: LOST UNTRACEABLE MISSING
  destroyed: DESTROYED DISPOSED_OFF
`);
// seen in sellers' exports and webhooks
const SEEN: [string, string | undefined][] = [
  ['UNDELIVERED-1ST ATTEMPT', 'ndr'],
  ['UNDELIVERED-2ND ATTEMPT', 'ndr'],
  ['UNDELIVERED-3RD ATTEMPT', 'ndr'],
  ['IN TRANSIT-EN-ROUTE', 'in_transit'],
  ['IN TRANSIT-AT DESTINATION HUB', 'in_transit'],
  ['REACHED DESTINATION HUB', 'in_transit'],
  ['READY TO SHIP', 'unchanged'],
  // these mean two things
  ['NEW', undefined],
  ['RETURN', undefined],
  ['RETURN IN TRANSIT', undefined],
];
// shipment_status_id, https://apidocs.shiprocket.in
const IDS: Record<string, number[]> = {
  pending: [1, 2, 3, 4, 5, 11, 13, 15, 19, 20, 27, 52, 59, 60, 61, 62, 63, 67, 72],
  in_transit: [6, 18, 22, 38, 39, 42, 48, 49, 50, 51, 54, 55, 56, 57, 68, 71],
  out_for_delivery: [17],
  ndr: [21, 77],
  delivered: [7, 23],
  rto_in_transit: [9, 40, 41, 46, 75, 78],
  rto: [10, 14],
  booking_cancelled: [8, 45],
  lost: [12, 76],
  destroyed: [24, 25, 44],
  unchanged: [16, 26, 43, 47],
};
const CODES: Record<string, string> = recorded('shiprocket.shipment-status-codes.json');
const byId = Object.entries(IDS).flatMap(([means, ids]) => ids.map((id): [string, number] => [means, id]));

const env = { SHIPROCKET_EMAIL: 'api@example.org', SHIPROCKET_PASSWORD: 'pass' };

describeCourier(courier, {
  request: [
    {
      env: { ...env, SHIPROCKET_URL: 'http://127.0.0.1:9/v1/external/' },
      // as text
      numbers: ['1', '2'],
      sends: {
        url: 'http://127.0.0.1:9/v1/external/courier/track/awbs',
        method: 'POST',
        headers: expect.objectContaining({ 'content-type': 'application/json' }),
        body: '{"awbs":["1","2"]}',
      },
      login: {
        url: 'http://127.0.0.1:9/v1/external/auth/login',
        body: '{"email":"api@example.org","password":"pass"}',
      },
      secrets: [{ authorization: 'Bearer secret' }],
    },
    { env, numbers: [], sends: { url: 'https://apiv2.shiprocket.in/v1/external/courier/track/awbs' } },
  ],
  off: [{ SHIPROCKET_EMAIL: 'x' }],
  rhythm: {
    batch: 50,
    everyMs: 480_000,
    limit: { max: 1, seconds: 1 },
    atOnce: 10,
    selection: { courier: 'shiprocket', sources: 'primary', number: 'awb' },
  },
  read: [
    {
      what: 'a recorded batch',
      body: recorded('shiprocket.track-awbs.bulk.json'),
      asked: [AWB, '788830567028', '3'],
      says: {
        [AWB]: {
          is: 'scan',
          rawStatus: 'AWB_ASSIGNED',
          courierStatus: 'AWB Assigned',
          means: 'unchanged',
          at: at('2019-08-01T02:05:05'),
          pickedUpAt: null,
          deliveredAt: null,
        },
        788830567028: {
          is: 'scan',
          rawStatus: 'PICKUP_GENERATED',
          courierStatus: 'Pickup Generated',
          means: 'pending',
          at: at('2019-08-01T05:20:55'),
          pickedUpAt: null,
          deliveredAt: null,
        },
      },
    },
  ],
  errors: [
    [
      {
        message: 'The given data was invalid.',
        errors: { awbs: ['The awbs must be an array.'] },
        status_code: 422,
      },
      422,
      'rejected',
    ],
    [{ message: 'Token has expired', status_code: 401 }, 200, 'credentials'],
    [{ message: 'Unauthenticated.' }, 202, 'credentials'],
    [{ message: 'Wrong number of segments' }, 400, 'credentials'],
    [{ message: 'Too Many Attempts', status_code: 429 }, 200, 'throttled'],
    // Laravel's own words; the batch must not be halved into more requests
    [{ message: 'Too Many Attempts.' }, 200, 'throttled'],
    ['<html></html>', 200, 'malformed'],
    ['', 200, 'malformed'],
    [{ tracking: 1 }, 200, 'malformed'],
    [{}, 404, 'malformed'],
  ],
  hostile: (number) => {
    const data = fc.record({
      shipment_status: junk,
      shipment_track: fc.oneof(
        junk,
        fc.array(fc.oneof(junk, fc.record({ awb_code: junk, current_status: junk, pickup_date: junk }))),
      ),
      shipment_track_activities: fc.oneof(
        junk,
        fc.array(fc.oneof(junk, fc.record({ date: junk, 'sr-status': junk, 'sr-status-label': junk }))),
      ),
    });
    return fc.oneof(
      fc.dictionary(
        fc.constantFrom(number, 'X', '__proto__', 'message'),
        fc.oneof(junk, fc.record({ tracking_data: fc.oneof(junk, data) })),
      ),
      fc.record({
        awb: fc.oneof(fc.constant(number), junk),
        current_status: junk,
        shipment_status_id: junk,
        current_timestamp: junk,
        scans: junk,
      }),
    );
  },
  persons: ([name, phone, street, mail, longitude]) =>
    answer({
      ...track('Delivered', { consignee_name: name, delivered_to: street, courier_agent_details: phone }),
      shipment_track_activities: [
        { date: '2026-09-01 10:00:00', activity: `Out for delivery by ${name} ${phone}`, location: street },
      ],
      mail,
      longitude,
    }),
  askedInPersons: [AWB],
  statuses: [
    {
      words: OLDER,
      number: AWB,
      bodies: (word) => [answer(track(word)), answer(track(word.toLowerCase().replaceAll('_', ' ')))],
    },
  ],
});

describe('C4: words', () => {
  test.each(byId)('C5: %s: the official word of id %i', (means, id) => {
    const word = CODES[id] as string;
    const older = OLDER.find(([, one]) => one === word.toUpperCase().replace(/[ _]+/g, '_'));
    // the word may mean less than the id: "Shipped", "Pending" and their like say nothing new
    expect(said(track(word)).means).toBe(older?.[0] ?? means);
  });

  test.each(SEEN)('C5, C6: %s: %s', (word, means) => {
    expect(said(track(word)).means).toBe(means);
  });
  test('C4: an unknown word gives way to the label, if that is known', () => {
    const activities = [{ date: '2026-09-03 10:00:00', 'sr-status-label': 'OUT FOR DELIVERY' }];
    const unknown = { ...track('Beamed Up'), shipment_track_activities: activities };
    expect(said(unknown)).toMatchObject({ rawStatus: 'OUT_FOR_DELIVERY', means: 'out_for_delivery' });
    const both = { ...unknown, shipment_track_activities: [{ 'sr-status-label': 'Beamed Down' }] };
    expect(said(both)).toMatchObject({ rawStatus: 'BEAMED_UP', means: undefined });
  });

  test('every official id is in one row', () => {
    expect(byId.map(([, id]) => String(id)).sort()).toEqual(Object.keys(CODES).sort());
  });
  test.each(byId)('C4: %s: id %i where there is no word', (means, id) => {
    for (const none of [null, '', 'NA', undefined]) {
      expect(said({ ...track(none), shipment_status: id })).toMatchObject({ means, rawStatus: `ID_${id}` });
      expect(said({ ...track(none), shipment_status: String(id) }).means).toBe(means);
    }
    expect(said({ shipment_track_activities: [{ 'sr-status': String(id) }] }).means).toBe(means);
  });
  test('current_status first, then the newest activity’s label, then the id', () => {
    const activities = [
      { date: '2026-09-01 10:00:00', 'sr-status-label': 'PICKED UP', 'sr-status': '42' },
      { date: '2026-09-03 10:00:00', 'sr-status-label': 'OUT FOR DELIVERY', 'sr-status': '17' },
    ];
    const data = { ...track('Delivered'), shipment_status: 12, shipment_track_activities: activities };
    expect(said(data)).toMatchObject({
      means: 'delivered',
      courierStatus: 'Delivered',
      at: at('2026-09-03T10:00:00'),
    });
    expect(said({ ...data, shipment_track: [] }).means).toBe('out_for_delivery');
    // the list is told newest first: its order decides where times do not
    const timeless = activities.map((activity) => ({ ...activity, date: 'NA' }));
    expect(said({ ...data, shipment_track: [], shipment_track_activities: timeless }).means).toBe(
      'in_transit',
    );
    const wordless = timeless.map((activity) => ({ ...activity, 'sr-status-label': 'NA' }));
    expect(said({ ...data, shipment_track: [], shipment_track_activities: wordless }).means).toBe('lost');
  });
  test('C6: an unknown word is kept, not replaced by what an id may mean', () => {
    expect(said({ ...track('Beamed Up'), shipment_status: 7 })).toMatchObject({
      rawStatus: 'BEAMED_UP',
      means: undefined,
    });
    expect(said({ shipment_status: 99 })).toMatchObject({ rawStatus: 'ID_99', means: undefined });
  });
});

describe('recorded answers', () => {
  test('C9: all unknown', () => {
    expect(items(courier, recorded('shiprocket.track-awbs.all-unknown.json'), [AWB, '2'])).toEqual({});
    expect(items(courier, [], [AWB, '2'])).toEqual({});
  });
  test('C9: one unknown', () => {
    const body = recorded('shiprocket.track-awb.unknown.json');
    expect(items(courier, body, [AWB])).toEqual({});
    expect(items(courier, { [AWB]: body }, [AWB])[AWB]?.is).toBe('notFound');
    for (const data of [null, [], {}, ''])
      expect(items(courier, answer(data), [AWB])[AWB]?.is).toBe('notFound');
  });
  test('one parcel’s own answer', () => {
    const body = recorded('shiprocket.track-shipment.delhivery-picked-up.json');
    expect(scan(courier, body, '1091188857722')).toMatchObject({
      courierStatus: 'PICKED UP',
      means: 'in_transit',
      at: at('2021-12-23T14:23:18'),
    });
  });
  test.each([
    [0, 'malformed'],
    [1, 'malformed'],
    [2, 'credentials'],
  ])('errors in the body of a friendly status, %i: %s', (index, kind) => {
    const { body } = recorded('shiprocket.errors.json')[index];
    expect(failure(courier, body, [AWB, '2']).kind).toBe(kind);
    expect(failure(courier, body, [AWB, '2'], { status: index === 0 ? 404 : 400 }).kind).toBe(kind);
  });
});

describe('items', () => {
  test('a cancelled parcel has an error beside its status', () => {
    expect(said({ shipment_status: 8, error: 'Ohh! This AWB has been cancelled.' })).toMatchObject({
      means: 'booking_cancelled',
    });
  });
  test('milestones', () => {
    const dates = { pickup_date: '2026-09-01 09:00:00', delivered_date: '2026-09-03 10:00:00' };
    expect(said(track('Delivered', dates))).toMatchObject({
      pickedUpAt: at('2026-09-01T09:00:00'),
      deliveredAt: at('2026-09-03T10:00:00'),
      at: null,
    });
    expect(said(track('Delivered', { updated_time_stamp: '2026-02-22 14:30:00' }))).toMatchObject({
      at: at('2026-02-22T14:30:00'),
      deliveredAt: at('2026-02-22T14:30:00'),
    });
    expect(said(track('Pickup Scheduled', dates))).toMatchObject({ pickedUpAt: null, deliveredAt: null });
  });
  test('C4: are matched by the number in the item, then by their key', () => {
    const other = { shipment_track: [{ awb_code: 'B', current_status: 'Delivered' }] };
    expect(items(courier, answer(other, 'A'), ['A', 'b'])).toMatchObject({ b: { means: 'delivered' } });
    expect(items(courier, answer(other, 'A'), ['A'])).toEqual({});
    expect(items(courier, answer({ shipment_status: 7 }, 'a'), ['A'])).toMatchObject({
      A: { means: 'delivered' },
    });
    expect(items(courier, [answer({ shipment_status: 7 }, 'A')], ['A'])).toMatchObject({
      A: { means: 'delivered' },
    });
  });
  test('R3: a broken one costs only itself', () => {
    const body = {
      BAD: null,
      B2: { tracking_data: 7 },
      B3: 'x',
      B4: [],
      ...answer(track('Delivered')),
      __proto__: { a: 1 },
    };
    expect(items(courier, body, ['BAD', 'B2', 'B3', 'B4', AWB])).toMatchObject({
      [AWB]: { means: 'delivered' },
    });
  });
});

describe('C1, C11: the calls', () => {
  const login = (status: number, body: unknown) =>
    connect(courier, env)?.access.login?.read({
      status,
      headers: { date: new Date(NOW).toUTCString() },
      text: JSON.stringify(body),
    });

  test('its token lives ten days and is renewed a day or two before', () => {
    const day = 86_400_000;
    expect(login(200, { token: 'abc', id: 1 })).toEqual({
      ok: true,
      value: { value: 'abc', expiresAt: new Date(NOW + 10 * day) },
    });
    const renewBefore = connect(courier, env)?.access.login?.renewBeforeMs ?? 0;
    expect(renewBefore).toBeGreaterThanOrEqual(day);
    expect(renewBefore).toBeLessThanOrEqual(2 * day);
  });
  test.each([400, 403])('a locked account is refused credentials (%i)', (status) => {
    const result = login(status, recorded('shiprocket.errors.json')[2].body);
    expect(result).toMatchObject({ ok: false, failure: { kind: 'credentials' } });
    expect(result?.ok === false && result.failure.message).toContain('User blocked');
  });
  test('as many at once as it is told', () => {
    expect(courier.atOnce(settingsOf(courier, { SHIPROCKET_TRACKING_WORKERS: '4' }))).toBe(4);
  });
});
