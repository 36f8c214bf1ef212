import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import courier from '../../../src/tracking/couriers/delhivery-fallback.ts';
import { describeCourier } from './four.ts';
import { at, connect, failure, items, junk, recorded, rows, scan, settingsOf } from './reading.ts';

const AWB = '1221910110563';
interface Change {
  type?: unknown;
  status?: unknown;
  [field: string]: unknown;
}
function answer({ type, status, ...fields }: Change = {}) {
  const item = { ...recorded('delhivery-fallback.waiting-pickup.item.json'), ...fields };
  if (type !== undefined) item.status.statusType = type;
  if (status !== undefined) item.status.status = status;
  return { statusCode: 200, message: 'ok', data: [item] };
}
const said = (change: Change) => scan(courier, answer(change), AWB);

const SECOND = rows(`
        unchanged: PICK_UP_PENDING MANIFESTED WAITING_PICKUP PICKUP_QUEUED PICKUP_RESCHEDULED PICK_REQUESTED SHIPMENT_BOOKED
        in_transit: IN_TRANSIT PICKED_UP DISPATCHED RECEIVED_AT_ORIGIN REACHED_AT_DESTINATION BAGGED RECEIVED ADDED_TO_BAG
        in_transit: CONNECTION_ALLOCATED IN_TRANSIT_TO PICKUP_COMPLETE SHIPPED IN_TRANSIT_TO_NEXT_FACILITY
        in_transit: PICKUP REACHED_DEST_CITY
        out_for_delivery: OFD OUT_FOR_DELIVERY OUT_DELIVERY
        delivered: DELIVERED SHIPMENT_DELIVERED
        rto: RTO RTO_DELIVERED RETURNED_TO_ORIGIN RTO_COMPLETED DELIVERED_SELLER
        rto_in_transit: RETURNED_INTRANSIT RTO_IN_TRANSIT RTO_IN_INTRANSIT RTO_OUT_FOR_DELIVERY RTO_OFD RTO_INITIATED
        rto_in_transit: OUT_FOR_RETURN RETURNED REACHED_SEL_CITY OUT_DELIVERY_SELLER
        booking_cancelled: NOT_PICKED CANCELLED BOOKING_CANCELLED
        ndr: NDR FAILED_DELIVERY UNDELIVERED
        lost: LOST MISSING UNTRACEABLE
        destroyed: DESTROYED DISPOSED_OFF DAMAGED
    `);

describeCourier(courier, {
  request: [
    {
      env: { DELHIVERY_AUTH_TOKEN_B2C: 'abc' },
      numbers: [AWB],
      sends: { url: `https://dlv-api.delhivery.com/v3/unified-tracking?wbn=${AWB}`, method: 'GET' },
      secrets: [{ authorization: 'Token secret' }, {}],
    },
  ],
  rhythm: { batch: 1, everyMs: 7_200_000, limit: { max: 3, seconds: 5 }, atOnce: 3 },
  read: [
    {
      what: 'a recorded parcel that waits for its pickup',
      body: answer(),
      asked: [AWB],
      says: {
        [AWB]: {
          is: 'scan',
          rawStatus: 'UD-MANIFESTED',
          courierStatus: 'ud-manifested',
          means: 'unchanged',
          at: at('2025-03-21T17:57:56.807'),
          reference: 'TR17MI42560023T589',
          pickedUpAt: null,
          deliveredAt: null,
        },
      },
    },
  ],
  askedInErrors: [AWB],
  errors: [
    [{ statusCode: 429, message: 'Too many' }, 200, 'throttled'],
    [{ statusCode: 500, message: 'oops' }, 200, 'malformed'],
    [{ statusCode: 400, message: 'wbn is required' }, 400, 'rejected'],
    ['<html></html>', 200, 'malformed'],
    ['{}', 200, 'malformed'],
    [{ statusCode: 200, message: 'Success' }, 200, 'malformed'],
    [{ statusCode: 200, data: [null] }, 200, 'malformed'],
    [
      { statusCode: 200, message: 7, data: [{ awb: null, hqStatus: [], status: 'Delivered' }] },
      200,
      'malformed',
    ],
    ['Throttled, wait 8 seconds.', 200, 'throttled'],
  ],
  hostile: (number) => {
    const steps = fc.array(
      fc.record({
        scans: fc.oneof(junk, fc.array(fc.record({ scan: junk, scanType: junk, scanDateTime: junk }))),
      }),
    );
    const item = fc.record({
      awb: fc.oneof(fc.constant(number), junk),
      hqStatus: fc.oneof(fc.constant('Pending'), junk),
      status: fc.oneof(junk, fc.record({ status: junk, statusType: junk, statusDateTime: junk })),
      currentFlow: junk,
      currentTrackIndex: junk,
      trackingStates: fc.oneof(junk, steps),
    });
    return fc.record({
      statusCode: junk,
      message: fc.oneof(junk, fc.constant('invalid AWB')),
      data: fc.oneof(junk, fc.array(fc.oneof(junk, item))),
    });
  },
  persons: ([name, phone, street, mail, longitude]) =>
    answer({
      consignee: name,
      consigneeAddress: street,
      consignor: mail,
      fePhoneMasked: phone,
      destination: longitude,
      trackingStates: [{ scans: [{ scanNslRemark: name, cityLocation: street }] }],
    }),
  askedInPersons: [AWB],
  statuses: [
    {
      words: rows(`
        unchanged: UD/Manifested DL/DTO PP/Open PP/Scheduled PP/Dispatched PU/In_Transit PU/Pending PU/Dispatched
        booking_cancelled: UD/Not_Picked CN/Canceled CN/Closed
        in_transit: UD/In_Transit
        out_for_delivery: UD/Dispatched
        delivered: DL/Delivered
        rto: DL/RTO
        rto_in_transit: RT/In_Transit RT/Pending RT/Dispatched
        lost: LT/Lost
      `),
      number: AWB,
      bodies: (pair) => {
        const [type, word = ''] = pair.split('/');
        // the second opinion is not asked
        return [answer({ type, hqStatus: word.replaceAll('_', ' '), status: 'DISPOSED_OFF' })];
      },
      kept: (pair) => ({
        rawStatus: pair.toUpperCase().replace('/', '-'),
        courierStatus: pair.toLowerCase().replace('/', '-'),
      }),
    },
    // status.status is asked when that table has no such word
    {
      words: SECOND,
      number: AWB,
      bodies: (word) => [answer({ hqStatus: 'Something New', status: word })],
      kept: () => ({ rawStatus: 'UD-SOMETHING_NEW' }),
    },
    {
      words: SECOND,
      number: AWB,
      bodies: (word) => [answer({ hqStatus: null, status: word })],
      kept: (word) => ({ rawStatus: word }),
    },
  ],
});

describe('C4: hqStatus and statusType through the B2C table', () => {
  test('Pending: picked up before today, by the scans of the steps that have happened', () => {
    const steps = (day: string) => [
      {
        label: 'Pick up Pending',
        scans: [{ scan: 'Manifested', scanType: 'UD', scanDateTime: '2026-09-01T10:00:00' }],
      },
      {
        label: 'In-transit',
        scans: [{ scan: 'In Transit', scanType: 'UD', scanDateTime: `${day}T10:00:00.985000` }],
      },
      { label: 'Delivered', scans: null },
    ];
    const pending = (trackingStates: unknown, currentTrackIndex: unknown = 1) =>
      said({ hqStatus: 'Pending', trackingStates, currentTrackIndex }).means;
    expect(pending(steps('2026-09-09'))).toBe('in_transit');
    expect(pending(steps('2026-09-10'))).toBe('pending');
    expect(pending(steps('2026-09-09'), 0)).toBe('pending');
    expect(pending(steps('2026-09-09'), null)).toBe('in_transit');
    expect(pending(steps('2026-09-09'), 'x')).toBe('pending');
    expect(pending(null)).toBe('pending');
  });
});

describe('status.status is asked when that table has no such word', () => {
  test('C6: what neither knows is kept as the first has it', () => {
    expect(said({ hqStatus: 'Something New', status: 'SOMETHING_ELSE' })).toMatchObject({
      rawStatus: 'UD-SOMETHING_NEW',
      means: undefined,
    });
  });
});

test.each([
  ['Forward', 'delivered'],
  ['Reverse', 'rto'],
  ['Returned', 'rto'],
  [null, 'delivered'],
])('delivered under currentFlow %s: %s', (currentFlow, means) => {
  expect(said({ type: 'DL', hqStatus: 'Delivered', currentFlow }).means).toBe(means);
  expect(said({ hqStatus: null, status: 'DELIVERED', currentFlow }).means).toBe(means);
  // what is on its way is on its way
  expect(said({ type: 'RT', hqStatus: 'In Transit', currentFlow }).means).toBe('rto_in_transit');
});

describe('recorded answers', () => {
  test('not picked, "Canceled" on the site', () => {
    const body = {
      statusCode: 200,
      message: '',
      data: [recorded('delhivery-fallback.not-picked.item.json')],
    };
    expect(scan(courier, body, '1221910110062')).toMatchObject({
      courierStatus: 'ud-not_picked',
      means: 'booking_cancelled',
      at: at('2025-03-10T09:05:44.732'),
    });
  });
  test('C9: the end is a week ago', () => {
    const end = items(courier, recorded('delhivery-fallback.end-state.json'), [AWB])[AWB];
    expect(end).toMatchObject({ is: 'ended' });
    expect(end).not.toHaveProperty('onlyAfterMs');
  });
  test('C9: invalid or very old: ended for a parcel older than 48 hours only', () => {
    expect(items(courier, recorded('delhivery-fallback.not-found.json'), [AWB])[AWB]).toMatchObject({
      is: 'ended',
      onlyAfterMs: 48 * 3_600_000,
    });
  });
  test('an origin that is refused', () => {
    const body = recorded('delhivery-fallback.error.invalid-origin.json');
    for (const status of [200, 401])
      expect(failure(courier, body, [AWB], { status }).kind).toBe('credentials');
  });
});

describe('R3, R4: items', () => {
  test('are matched by number', () => {
    expect(items(courier, answer({ awb: 'other' }), [AWB])).toEqual({});
    expect(items(courier, answer({ awb: Number(AWB) }), [AWB])).toHaveProperty([AWB]);
    expect(failure(courier, answer({ awb: null }), [AWB]).kind).toBe('malformed');
    const two = answer();
    two.data = [null, [], { awb: AWB }, ...two.data];
    expect(items(courier, two, [AWB])[AWB]).toMatchObject({ is: 'scan' });
  });
  test('an item with its parcel counts more than a message', () => {
    const body = { ...answer(), message: 'invalid AWB or very old package' };
    expect(scan(courier, body, AWB).means).toBe('unchanged');
  });
  test('C9: nothing of it', () => {
    for (const data of [[], {}, null])
      expect(items(courier, { statusCode: 200, message: 'ok', data }, [AWB])).toEqual({});
  });
});

describe('C1: the call', () => {
  const sent = (env: Record<string, string>) => {
    const connection = connect(courier, env);
    return {
      ...connection?.request([AWB]),
      secrets: connection?.access.schemes.map((scheme) => scheme(connection.access.key ?? '')),
    };
  };
  test('with B2C’s token when there is one, else without', () => {
    expect(sent({ DELHIVERY_AUTH_TOKEN_B2C: 'Token abc' })).toMatchObject({
      url: `https://dlv-api.delhivery.com/v3/unified-tracking?wbn=${AWB}`,
      method: 'GET',
      headers: { origin: 'https://www.delhivery.com', referer: 'https://www.delhivery.com/' },
      secrets: [{ authorization: 'Token abc' }, {}],
    });
    const bare = sent({
      DELHIVERY_FALLBACK_URL: 'http://127.0.0.1:9/t',
      DELHIVERY_ORIGIN: 'https://example.org/x/',
    });
    expect(bare).toMatchObject({
      url: `http://127.0.0.1:9/t?wbn=${AWB}`,
      headers: { origin: 'https://example.org', referer: 'https://example.org/' },
      secrets: [{}],
    });
  });
  test('one request in five seconds per worker, 30 seconds each, every two hours', () => {
    expect(courier.timeoutMs).toBe(30_000);
    const five = settingsOf(courier, { FALLBACK_TRACKING_WORKERS: '5' });
    expect(courier.limit?.(five)).toEqual({ max: 5, seconds: 5 });
    expect(courier.atOnce(five)).toBe(5);
  });
});
