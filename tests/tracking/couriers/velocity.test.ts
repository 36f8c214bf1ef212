import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import courier from '../../../src/tracking/couriers/velocity.ts';
import { describeCourier } from './four.ts';
import { at, connect, items, junk, NOW, recorded, rows, scan } from './reading.ts';

const AWB = 'VEL1';
const answer = (data: unknown, number = AWB) => ({ result: { [number]: { tracking_data: data } } });
const said = (data: unknown) => scan(courier, answer(data), AWB);

// words of older answers; RTO_INITIATED is on its way back only (C5)
const OLDER = rows(`
  booking_cancelled: CANCELLED NOT_PICKED
  in_transit: IN_TRANSIT SHIPPED PICKED_UP
  unchanged: MANIFEST_UPLOADED
  out_for_delivery: OUT_FOR_DELIVERY
  delivered: DELIVERED
  rto: RTO
  rto_in_transit: RTO_INITIATED RTO_IN_TRANSIT RETURN_TO_ORIGIN
  ndr: NDR UNDELIVERED FAILED_ATTEMPT
  lost: LOST MISSING
  destroyed: DAMAGED DESTROYED
`);
// Velocity's own
const OWN = rows(`
  pending: pending ready_for_pickup ready_to_ship pickup_scheduled
  in_transit: picked_up in_transit
  out_for_delivery: out_for_delivery
  delivered: delivered
  ndr: ndr_raised need_attention reattempt_delivery
  booking_cancelled: cancelled not_picked
  rto_in_transit: rto_initiated rto_in_transit
  rto: rto_delivered
  lost: lost
  destroyed: damaged
  unchanged: rejected return_pickup_scheduled return_not_picked return_in_transit return_delivered return_cancelled
  unchanged: return_ndr_raised
`);

const logins = { VELOCITY_USERNAME: '+919999999999', VELOCITY_PASSWORD: 'pass' };

describeCourier(courier, {
  request: [
    {
      env: { ...logins, VELOCITY_URL: 'http://127.0.0.1:9/custom/api/v1/' },
      numbers: ['1', '2'],
      sends: {
        url: 'http://127.0.0.1:9/custom/api/v1/order-tracking',
        method: 'POST',
        body: '{"awbs":["1","2"]}',
      },
      login: {
        url: 'http://127.0.0.1:9/custom/api/v1/auth-token',
        body: '{"username":"+919999999999","password":"pass"}',
      },
      // the token bare first
      secrets: [{ authorization: 'secret' }, { authorization: 'Bearer secret' }],
    },
    {
      env: logins,
      numbers: [],
      sends: { url: 'https://shazam.velocity.in/custom/api/v1/order-tracking' },
    },
  ],
  off: [{ VELOCITY_USERNAME: 'x' }],
  rhythm: {
    batch: 45,
    mostPerRun: 10_000,
    everyMs: 480_000,
    limit: { max: 1, seconds: 1 },
    atOnce: 10,
    selection: { courier: 'velocity', sources: 'primary', number: 'awb' },
  },
  read: [
    {
      what: 'an answer of the older form',
      body: {
        result: {
          AWB1: {
            tracking_data: {
              shipment_status: 'IN_TRANSIT',
              shipment_track: [
                { current_status: 'IN_TRANSIT', pickup_date: '2026-02-20', delivered_date: '' },
              ],
              shipment_track_activities: [{ date: '2026-02-21 08:00:00', location: 'Delhi Warehouse' }],
            },
          },
        },
      },
      asked: ['AWB1'],
      says: {
        AWB1: {
          is: 'scan',
          rawStatus: 'IN_TRANSIT',
          courierStatus: 'IN_TRANSIT',
          means: 'in_transit',
          at: at('2026-02-21T08:00:00'),
          pickedUpAt: at('2026-02-20T00:00:00'),
          deliveredAt: null,
        },
      },
    },
  ],
  errors: [
    [{ meta: { message: 'Validation failed', details: 'awbs is required' } }, 400, 'rejected'],
    [{ message: 'Operation failed' }, 422, 'rejected'],
    [{ errors: ['too many awbs'] }, 400, 'rejected'],
    [{ message: 'Unauthorized' }, 200, 'credentials'],
    [{ result: null, message: 'API access is off' }, 200, 'credentials'],
    [{ message: 'Too many requests' }, 200, 'throttled'],
    ['<html>', 200, 'malformed'],
    [{}, 200, 'malformed'],
    [{ result: {} }, 404, 'malformed'],
    [{ result: 7 }, 200, 'malformed'],
  ],
  hostile: (number) => {
    const data = fc.record({
      shipment_status: junk,
      shipment_track: fc.oneof(
        junk,
        fc.array(fc.record({ current_status: junk, pickup_date: junk, delivered_date: junk })),
      ),
      shipment_track_activities: fc.oneof(junk, fc.array(fc.record({ date: junk }))),
    });
    return fc.record({
      result: fc.oneof(
        junk,
        fc.dictionary(fc.constantFrom(number, 'X'), fc.record({ tracking_data: fc.oneof(junk, data) })),
      ),
    });
  },
  persons: ([name, phone, street, mail, longitude]) =>
    answer({
      shipment_status: 'lost',
      shipment_track: [{ consignee_name: name, delivered_to: street, origin: mail }],
      shipment_track_activities: [{ activity: phone, location: longitude }],
    }),
  askedInPersons: [AWB],
  statuses: [
    {
      words: [...OLDER, ...OWN],
      number: AWB,
      bodies: (word) => [
        answer({ shipment_status: word }),
        answer({ shipment_track: [{ current_status: word.replaceAll('_', ' ') }] }),
      ],
      kept: (word) => ({ rawStatus: word.toUpperCase(), courierStatus: word }),
    },
  ],
});

describe('C4: words', () => {
  test('shipment_status first, then shipment_track[0].current_status', () => {
    const shipment_track = [{ current_status: 'DELIVERED' }, { current_status: 'LOST' }];
    expect(said({ shipment_status: 'IN_TRANSIT', shipment_track }).means).toBe('in_transit');
    for (const none of [null, '', ' ', [], undefined])
      expect(said({ shipment_status: none, shipment_track }).means).toBe('delivered');
  });
  test('C6: an unknown word is kept', () => {
    expect(said({ shipment_status: 'held_by_customs' })).toMatchObject({
      rawStatus: 'HELD_BY_CUSTOMS',
      means: undefined,
    });
  });
});

describe('answers', () => {
  test('track_status is null also of what is delivered', () => {
    const data = {
      track_status: null,
      shipment_status: 'delivered',
      shipment_track: [{ delivered_date: '2026-09-02 10:00:00' }],
    };
    expect(said(data)).toMatchObject({ means: 'delivered', deliveredAt: at('2026-09-02T10:00:00') });
  });
  test('C9: a missing key, null and empty data are not found', () => {
    for (const data of [null, [], {}]) expect(items(courier, answer(data), [AWB])[AWB]?.is).toBe('notFound');
    for (const result of [{}, [], null, { [AWB]: null }, { [AWB]: [] }])
      expect(items(courier, { result }, [AWB])).toEqual({});
  });
  test('C4: are matched by number, in any case', () => {
    expect(items(courier, answer({ shipment_status: 'lost' }, 'vel1'), [AWB])).toMatchObject({
      [AWB]: { means: 'lost' },
    });
    expect(items(courier, answer({ shipment_status: 'lost' }, 'other'), [AWB])).toEqual({});
  });
  test('R3: a broken one costs only itself', () => {
    const body = {
      result: {
        A: 7,
        B: { tracking_data: 'x' },
        [AWB]: {
          tracking_data: { shipment_status: 'lost', shipment_track: {}, shipment_track_activities: 'x' },
        },
      },
    };
    expect(items(courier, body, ['A', 'B', AWB])).toMatchObject({
      [AWB]: { means: 'lost' },
      B: { is: 'notFound' },
    });
  });
});

describe('C1, C11: the calls', () => {
  const ways = (env: Record<string, string>) => {
    const { access } = connect(courier, env) ?? {};
    return access?.schemes.map((scheme) => scheme(access.key ?? 'token').authorization);
  };
  test('the token bare first, then as Bearer', () => {
    expect(ways(logins)).toEqual(['token', 'Bearer token']);
  });
  test('a key wins over the login', () => {
    expect(ways({ ...logins, VELOCITY_API_KEY: 'key' })).toEqual(['key', 'Bearer key']);
    expect(ways({ VELOCITY_API_KEY: 'Bearer key' })).toEqual(['key', 'Bearer key']);
    expect(connect(courier, { ...logins, VELOCITY_API_KEY: 'key' })?.access.login).toBeUndefined();
  });
  test('the recorded login: its time has no zone', () => {
    const body = recorded('velocity.auth-token.json');
    const read = (now: number, changes = {}) =>
      connect(courier, logins)?.access.login?.read({
        status: 200,
        headers: { date: new Date(now).toUTCString() },
        text: JSON.stringify({ ...body, ...changes }),
      });
    expect(read(Date.parse('2025-09-16T10:11:40+05:30'))).toEqual({
      ok: true,
      value: { value: 'REDACTED', expiresAt: at('2025-09-17T10:11:40') },
    });
    // one that is over already would have us log in with each request
    expect(read(NOW)).toMatchObject({ value: { expiresAt: new Date(NOW + 86_400_000) } });
    expect(read(NOW, { expires_at: null })).toMatchObject({
      value: { expiresAt: new Date(NOW + 86_400_000) },
    });
    expect(read(NOW, { token: 7, message: 'Invalid password' })).toMatchObject({
      failure: { kind: 'credentials' },
    });
  });
});
