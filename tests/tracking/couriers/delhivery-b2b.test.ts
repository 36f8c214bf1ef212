import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import courier from '../../../src/tracking/couriers/delhivery-b2b.ts';
import { describeCourier } from './four.ts';
import { at, connect, failure, items, junk, NOW, recorded, rows, scan, settingsOf } from './reading.ts';

const LR = '220110457';
const shape = recorded('delhivery-b2b.lrn-track.shape.json');
const answer = (status: unknown, wbn: Record<string, unknown> = {}, data: Record<string, unknown> = {}) => ({
  success: true,
  data: { ...shape.data, status, wbns: [{ ...shape.data.wbns[0], ...wbn }], ...data },
});
const means = (status: unknown, wbn?: Record<string, unknown>) =>
  scan(courier, answer(status, wbn), LR).means;

const OFFICIAL = rows(`
  pending: MANIFESTED
  in_transit: PICKED_UP LEFT_ORIGIN REACH_DESTINATION PART_DEL
  out_for_delivery: OFD
  ndr: UNDEL_REATTEMPT
  delivered: DELIVERED
  rto_in_transit: RETURNED_INTRANSIT RECEIVED_AT_RETURN_CENTER RETURN_OFD
  rto: RETURN_DELIVERED
  booking_cancelled: NOT_PICKED
  lost: LOST
`);
// words of older answers; what is unchanged elsewhere has a status here, OUT_FOR_RETURN is on its way back (C5)
const OLDER = rows(`
  pending: PICK_UP_PENDING MANIFESTED WAITING_PICKUP PICKUP_QUEUED PICKUP_RESCHEDULED PICK_REQUESTED SHIPMENT_BOOKED
  in_transit: IN_TRANSIT PICKED_UP DISPATCHED RECEIVED_AT_ORIGIN REACHED_AT_DESTINATION BAGGED RECEIVED ADDED_TO_BAG
  in_transit: CONNECTION_ALLOCATED IN_TRANSIT_TO PICKUP_COMPLETE SHIPPED IN_TRANSIT_TO_NEXT_FACILITY
  out_for_delivery: OFD OUT_FOR_DELIVERY
  delivered: DELIVERED SHIPMENT_DELIVERED
  rto: RTO RETURNED RTO_DELIVERED RETURNED_TO_ORIGIN RTO_COMPLETED
  rto_in_transit: OUT_FOR_RETURN
  rto_in_transit: RETURNED_INTRANSIT RTO_IN_TRANSIT RTO_IN_INTRANSIT RTO_OUT_FOR_DELIVERY RTO_OFD
  booking_cancelled: NOT_PICKED CANCELLED BOOKING_CANCELLED
  ndr: NDR FAILED_DELIVERY UNDELIVERED
  lost: LOST MISSING UNTRACEABLE
  destroyed: DESTROYED DISPOSED_OFF DAMAGED
`);
const B2C = rows(`
  pending: Manifested
  in_transit: In_Transit
  booking_cancelled: Not_Picked
  delivered: Delivered
  rto: RTO
  rto_in_transit: RTO_INITIATED
`);

const env = { DELHIVERY_B2B_USERNAME: 'user', DELHIVERY_B2B_PASSWORD: 'pass' };
const call = {
  method: 'GET',
  url: 'http://127.0.0.1:9/b2b/lrn/track?lrnum=22+0%261',
} as const;

describeCourier(courier, {
  request: [
    // under the origin, however it is given
    ...['http://127.0.0.1:9/b2b', 'http://127.0.0.1:9/b2b/', 'http://127.0.0.1:9/b2b/lrn/track'].map(
      (base) => ({
        env: { ...env, DELHIVERY_B2B_URL: base },
        numbers: ['22 0&1'],
        sends: call,
        login: {
          url: 'http://127.0.0.1:9/b2b/ums/login',
          method: 'POST' as const,
          body: '{"username":"user","password":"pass"}',
        },
        secrets: [{ authorization: 'Bearer secret' }],
      }),
    ),
    { env, numbers: ['1'], sends: { url: 'https://ltl-clients-api.delhivery.com/lrn/track?lrnum=1' } },
  ],
  off: [{ DELHIVERY_B2B_USERNAME: 'user' }],
  rhythm: { batch: 1, mostPerRun: 480, everyMs: 480_000, limit: { max: 8, seconds: 5 }, atOnce: 3 },
  read: [
    {
      what: 'a recorded answer: it left its origin',
      body: shape,
      asked: [LR],
      says: {
        [LR]: {
          is: 'scan',
          rawStatus: 'LEFT_ORIGIN',
          courierStatus: 'LEFT_ORIGIN',
          means: 'in_transit',
          at: at('2026-02-21T08:00:00'),
          pickedUpAt: at('2026-02-20T00:00:00'),
          deliveredAt: null,
        },
      },
    },
  ],
  askedInErrors: [LR],
  errors: [
    [{ success: false, error: 'Invalid Parameters, Please pass LR number or TrackId' }, 400, 'rejected'],
    [{ message: 'No Such Resource' }, 404, 'malformed'],
    ...['', '<html>', '{}', '[]', { success: true, data: {} }, { success: true, data: [] }].map(
      (body) => [body, 200, 'malformed'] as const,
    ),
    // C11: a refused token, whatever the status
    ...[
      { success: false, message: 'Token Decode Error: Signature has expired' },
      { success: false, error: 'Invalid authorization header provided' },
      { error: { code: 'UNAUTHORISED' }, message: 'UNAUTHORISED' },
      { success: false, error: { message: 'The user is not authorized to perform this action.' } },
    ].flatMap((body) => [200, 400].map((status) => [body, status, 'credentials'] as const)),
  ],
  hostile: (number) =>
    fc.record({
      success: fc.oneof(fc.boolean(), junk),
      data: fc.oneof(
        junk,
        fc.record({
          lrnum: fc.oneof(fc.constant(number), junk),
          status: fc.oneof(fc.constantFrom('DELIVERED', 'Pending'), junk),
          wbns: fc.oneof(
            junk,
            fc.array(
              fc.oneof(junk, fc.record({ scan_timestamp: junk, pickup_date: junk, delivered_date: junk })),
            ),
          ),
        }),
      ),
    }),
  persons: ([name, phone, street, mail, longitude]) =>
    answer('OFD', { scan_remark: `${name} ${phone}`, location: street }, { consignee: mail, longitude }),
  askedInPersons: [LR],
  statuses: [
    {
      words: [...OFFICIAL, ...OLDER, ...B2C],
      number: LR,
      bodies: (word) => [answer(word), answer(word.toLowerCase().replaceAll('_', ' '))],
    },
  ],
});

describe('C4: data.status, official and B2C words', () => {
  test('B2C’s Pending: in_transit if picked up before today, else pending', () => {
    expect(means('Pending', { pickup_date: '2026-09-09' })).toBe('in_transit');
    expect(means('Pending', { pickup_date: '2026-09-10' })).toBe('pending');
    expect(means('Pending', { pickup_date: null })).toBe('pending');
  });
  test('C6: no word is unchanged here, and an unknown one is kept', () => {
    for (const [, word] of [...OFFICIAL, ...OLDER, ...B2C]) expect(means(word)).not.toBe('unchanged');
    expect(scan(courier, answer('On the Moon'), LR)).toMatchObject({
      rawStatus: 'ON_THE_MOON',
      courierStatus: 'On the Moon',
      means: undefined,
    });
  });
});

describe('recorded answers', () => {
  test('an older answer, with boxes', () => {
    const body = {
      success: true,
      data: {
        lrnum: 'LR123',
        status: 'In Transit',
        mcount: 1,
        wbns: [
          {
            status: 'In Transit',
            location: 'Delhi Hub',
            wbn: 'AWB456',
            pickup_date: '2026-02-20',
            scan_timestamp: '2026-02-21T08:00:00',
          },
        ],
      },
    };
    expect(scan(courier, body, 'lr123')).toMatchObject({ means: 'in_transit', courierStatus: 'In Transit' });
  });
});

describe('milestones of several boxes', () => {
  const boxes = [
    {
      scan_timestamp: '2026-09-02T10:00:00',
      pickup_date: '2026-09-01T09:00:00',
      delivered_date: '2026-09-03T10:00:00',
    },
    {
      scan_timestamp: '2026-09-03T11:00:00',
      pickup_date: '2026-08-31',
      delivered_date: '2026-09-03T11:00:00',
    },
    { scan_timestamp: 'NA', pickup_date: null, delivered_date: '' },
  ];
  const said = (status: string, wbns: unknown = boxes) => scan(courier, answer(status, {}, { wbns }), LR);
  test('the earliest pickup, the newest scan, the last delivery', () => {
    expect(said('DELIVERED')).toMatchObject({
      at: at('2026-09-03T11:00:00'),
      pickedUpAt: at('2026-08-31T00:00:00'),
      deliveredAt: at('2026-09-03T11:00:00'),
    });
  });
  test('no delivery before it is delivered, no pickup before it has moved', () => {
    expect(said('PART_DEL').deliveredAt).toBeNull();
    expect(said('MANIFESTED').pickedUpAt).toBeNull();
    expect(said('NOT_PICKED').pickedUpAt).toBeNull();
  });
  test('without boxes there are no times', () => {
    for (const wbns of [null, [], {}, 'x', [null, 7]])
      expect(said('DELIVERED', wbns)).toMatchObject({ at: null, pickedUpAt: null, deliveredAt: null });
  });
});

describe('answers without a consignment', () => {
  test('C9: Data not found.', () => {
    const body = { success: false, error: { message: 'Data not found.' }, data: null };
    for (const status of [200, 400, 404])
      expect(items(courier, body, [LR], { status })[LR]?.is).toBe('notFound');
  });
  test('C4: an answer about another LR, or about none, is not taken for this one', () => {
    expect(items(courier, answer('DELIVERED', {}, { lrnum: '9' }), [LR])).toEqual({});
    expect(failure(courier, answer('DELIVERED', {}, { lrnum: null }), [LR]).kind).toBe('malformed');
    expect(items(courier, answer('DELIVERED', {}, { lrnum: Number(LR) }), [LR])).toHaveProperty(LR);
  });
});

describe('C1, C11: the calls', () => {
  const jwt = (exp: unknown) => `h.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.s`;
  const login = (body: unknown, status = 200) =>
    connect(courier, env)?.access.login?.read({
      status,
      headers: { date: new Date(NOW).toUTCString() },
      text: typeof body === 'string' ? body : JSON.stringify(body),
    });

  test('workers, and when a token is renewed', () => {
    expect(courier.atOnce(settingsOf(courier, { B2B_TRACKING_WORKERS: '7' }))).toBe(7);
    expect(connect(courier, env)?.access.login?.renewBeforeMs).toBe(2 * 3_600_000);
  });
  test('a token lives as long as it says, a day at most', () => {
    const expires = (token: string) => {
      const result = login({ success: true, data: { jwt: token } });
      return result?.ok ? result.value.expiresAt.getTime() : undefined;
    };
    const day = NOW + 86_400_000;
    expect(expires(jwt(NOW / 1000 + 3_600))).toBe(NOW + 3_600_000);
    for (const token of [
      jwt(NOW / 1000 + 1e6),
      jwt(NOW),
      jwt(1),
      jwt('x'),
      jwt(1e300),
      'REDACTED.JWT.VALUE',
      'abc',
    ])
      expect(expires(token), token).toBe(day);
  });
  test.each<[unknown, number, string]>([
    [{ success: false, message: 'Invalid username or password' }, 200, 'credentials'],
    [{ success: false }, 200, 'credentials'],
    [{ message: 'Your account is locked for 10 minutes' }, 200, 'credentials'],
    ['', 401, 'credentials'],
    ['<html>Forbidden</html>', 403, 'credentials'],
    ['<html>hello</html>', 200, 'malformed'],
    [{ success: true, data: { jwt: '' } }, 200, 'malformed'],
    [{ success: true, data: { jwt: 'a\nb' } }, 200, 'malformed'],
    [{ success: true, data: { jwt: { a: 1 } } }, 200, 'malformed'],
    ['null', 404, 'malformed'],
  ])('C11: a login answered with %j (%i): %s', (body, status, kind) => {
    const result = login(body, status);
    expect(result?.ok === false && result.failure.kind).toBe(kind);
  });
});
