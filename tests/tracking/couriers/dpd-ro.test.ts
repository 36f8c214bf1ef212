import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { waitFor } from '../../../src/lib/retry-after.ts';
import courier from '../../../src/tracking/couriers/dpd-ro.ts';
import { describeCourier } from './four.ts';
import { failure, items, junk, NOW, recorded, rows, scan } from './reading.ts';

const AWB = '80100000017';
const logins = { DPD_RO_USERNAME: 'user', DPD_RO_PASSWORD: 'pass' };
const at = (bucharest: string) => new Date(`${bucharest}+03:00`);

/** An operation at an hour of a day in May. */
const operation = (operationCode: unknown, hour = 12, more = {}) => ({
  ...{ dateTime: `2026-05-03T${String(hour).padStart(2, '0')}:00:00+0300`, operationCode },
  ...more,
});
const answer = (operations: unknown) => ({ parcels: [{ parcelId: AWB, operations }] });
const said = (operations: unknown[]) => scan(courier, answer(operations), AWB);
const file = (name: string) => recorded(`dpd-ro.${name}.json`);

/** What every recorded parcel begins with. */
const pickedUpAt = at('2026-05-02T17:10:22');
/** A scan, as "means rawStatus 134 its description". */
function scanOf(what: string, time: string, more = {}) {
  const [means, rawStatus, ...courierStatus] = what.split(' ');
  return {
    ...{ is: 'scan', means, rawStatus, courierStatus: courierStatus.join(' '), at: at(time) },
    ...{ pickedUpAt, deliveredAt: null, rtoStartedAt: null },
    ...more,
  };
}

// Appendix 1, by the code as it is sent
const CODES = rows(`
  pending: 148 164 120
  in_transit: 39 1 2 11 21 115 116 152 176 217 144 38
  out_for_delivery: 12
  ready_for_pickup: 134 1134
  ndr: 44 123 136 190 195
  rto_in_transit: 111
  rto: 124
  delivered: -14
  destroyed: 125
  lost: 127 129
  booking_cancelled: 128
  unchanged: 69 112 114 169 175 181
`);

describeCourier(courier, {
  request: [
    {
      env: logins,
      numbers: ['80100000017', '80100000024'],
      sends: {
        url: 'https://api.dpd.ro/v1/track',
        method: 'POST',
        body: '{"userName":"user","password":"pass","language":"EN","parcels":[{"id":"80100000017"},{"id":"80100000024"}]}',
      },
      secrets: [{}],
    },
    {
      env: { ...logins, DPD_RO_URL: 'http://127.0.0.1:9/v1/' },
      numbers: [],
      sends: { url: 'http://127.0.0.1:9/v1/track' },
    },
  ],
  off: [{ DPD_RO_USERNAME: 'x' }, { DPD_RO_PASSWORD: 'x' }],
  rhythm: {
    batch: 10,
    everyMs: 20 * 60_000,
    limit: { max: 2, seconds: 1 },
    atOnce: 2,
    selection: { courier: 'dpd', sources: 'all', number: 'any-awb', precedence: 20 },
  },
  read: [
    {
      what: 'in transit',
      body: file('in-transit'),
      asked: [AWB],
      says: { [AWB]: scanOf('in_transit OP_1 1 Arrival Scan', '2026-05-03T05:40:10') },
    },
    {
      what: 'delivered: the code has a sign',
      body: file('delivered'),
      asked: [AWB],
      says: {
        [AWB]: scanOf('delivered OP_MINUS_14 -14 Delivered', '2026-05-03T12:41:30', {
          deliveredAt: at('2026-05-03T12:41:30'),
        }),
      },
    },
    {
      what: 'E3: in a locker',
      body: file('delivery-point'),
      asked: ['80100000048'],
      says: {
        '80100000048': scanOf(
          'ready_for_pickup OP_134 134 Prepared for Self-collecting Consignee',
          '2026-05-03T10:00:00',
        ),
      },
    },
    {
      what: 'a failed attempt, then back at the depot, which is no return',
      body: file('failed-attempt'),
      asked: ['80100000024'],
      says: { '80100000024': scanOf('ndr OP_44 44 Unsuccessful Delivery', '2026-05-03T13:05:00') },
    },
    {
      what: 'E4: on its way back under another number',
      body: file('returning'),
      asked: ['80100000031'],
      says: {
        '80100000031': scanOf('rto_in_transit OP_111 111 Return to Sender', '2026-05-04T11:01:00', {
          rtoStartedAt: at('2026-05-04T11:01:00'),
          links: [{ is: 'return', number: '80100000932' }],
        }),
      },
    },
    {
      what: 'cancelled',
      body: file('canceled'),
      asked: ['80100000055'],
      says: {
        '80100000055': scanOf('booking_cancelled OP_128 128 Canceled', '2026-05-02T16:00:00', {
          pickedUpAt: null,
        }),
      },
    },
    {
      what: 'known, without an operation',
      body: file('registered'),
      asked: ['80100000079'],
      says: {
        '80100000079': {
          is: 'scan',
          rawStatus: 'REGISTERED',
          courierStatus: 'registered',
          means: 'pending',
          at: null,
        },
      },
    },
    { what: 'C9: an unknown number is left out', body: file('unknown'), asked: ['80100000062'], says: {} },
    {
      what: 'C9: a parcel with an error of its own',
      body: file('parcel-error'),
      asked: ['80100000062', AWB],
      says: { '80100000062': { is: 'notFound', why: '"no longer available"' } },
    },
  ],
  errors: [
    [file('auth-error'), 200, 'credentials'],
    [file('auth-error.ro'), 200, 'credentials'],
    [
      { error: { context: '', message: 'Wrong username format (EE20260000000000000)', code: 1 } },
      200,
      'credentials',
    ],
    [file('over-limit'), 200, 'throttled'],
    [{ error: { context: 'parcels', message: 'Invalid parcel id', code: 1 } }, 200, 'rejected'],
    [{ error: { message: 'Invalid parcel id' } }, 400, 'rejected'],
    [{ error: 7, parcels: [] }, 200, 'malformed'],
    ['<html><h1>404</h1></html>', 404, 'malformed'],
    [{ parcels: [] }, 404, 'malformed'],
    [{ parcels: null }, 200, 'malformed'],
    [{}, 200, 'malformed'],
    [[], 200, 'malformed'],
  ],
  hostile: (number) =>
    fc.record({
      error: fc.option(junk, { nil: undefined }),
      parcels: fc.oneof(
        junk,
        fc.array(
          fc.record({
            parcelId: fc.oneof(fc.constant(number), junk),
            error: fc.oneof(junk, fc.record({ message: junk })),
            operations: fc.oneof(
              junk,
              fc.array(
                fc.record({
                  operationCode: fc.oneof(junk, fc.integer()),
                  dateTime: junk,
                  description: junk,
                  returnShipmentId: junk,
                }),
              ),
            ),
          }),
        ),
      ),
    }),
  persons: ([name, phone, street, mail, longitude]) =>
    answer([
      operation(-14, 12, {
        ...{ place: street, consignee: name, comment: phone, podImageURL: mail },
        additionalInfo: { predict: longitude },
      }),
    ]),
  askedInPersons: [AWB],
  statuses: [
    {
      words: CODES,
      number: AWB,
      bodies: (code) => [
        answer([operation(Number(code), 12, { description: 'x' })]),
        answer([operation(code)]),
      ],
      kept: (code) => ({ rawStatus: `OP_${code.replace('-', 'MINUS_')}`, courierStatus: `${code} x` }),
    },
  ],
});

describe('C10, E8: too many requests', () => {
  test('waits two seconds: it is free again within one', () => {
    const response = { status: 200, headers: {}, text: JSON.stringify(file('over-limit')) };
    const { retryAfterMs = 0 } = failure(courier, file('over-limit'), [AWB]);
    expect(retryAfterMs).toBe(2_000);
    // nothing in the answer is read as a longer wait
    expect(waitFor(response, retryAfterMs, NOW, () => 0)).toBe(2_000);
  });
  test('an error counts before the list beside it', () => {
    const body = { ...file('over-limit'), ...answer([operation(-14)]) };
    expect(failure(courier, body, [AWB]).kind).toBe('throttled');
  });
  test('no message has a password or a user name', () => {
    for (const name of ['auth-error', 'auth-error.ro'])
      expect(failure(courier, file(name), [AWB]).message).not.toMatch(/user"|pass|\d{7}/);
  });
});

describe('C6, E8: codes', () => {
  test('14 explains a failed delivery and is not -14', () => {
    expect(said([operation(14)])).toMatchObject({ rawStatus: 'OP_14', means: undefined });
    expect(said([operation(44, 12, { exceptionCodes: ['14', '-14'] })]).means).toBe('ndr');
  });
  test('stopped by the sender is for a person to decide; what was known before it counts', () => {
    expect(said([operation(12, 8), operation(121, 9)])).toMatchObject({
      ...{ rawStatus: 'OP_121', means: undefined },
      before: { rawStatus: 'OP_12', means: 'out_for_delivery' },
    });
  });
  test('what is no number is kept as it is', () => {
    expect(said([operation('Moon base')])).toMatchObject({ rawStatus: 'OP_MOON_BASE', means: undefined });
  });
  test('unmapped codes get their meaning by the raw status', () => {
    expect(courier.meaning('OP_MINUS_14')).toBe('delivered');
    expect(courier.meaning('OP_14')).toBeUndefined();
    expect(courier.meaning('14')).toBeUndefined();
  });
});

describe('E5: the history', () => {
  test('is read in any order', () => {
    const events = [operation(39, 6), operation(12, 8), operation(-14, 11), operation(148, 5)];
    for (const order of [events, [...events].reverse()])
      expect(said(order)).toMatchObject({
        means: 'delivered',
        deliveredAt: at('2026-05-03T11:00:00'),
        pickedUpAt: at('2026-05-03T06:00:00'),
      });
  });
  test('delivered back to the sender is rto; so is a delivery behind a return', () => {
    for (const last of [124, -14])
      expect(said([operation(12, 8), operation(111, 9), operation(last, 15)])).toMatchObject({
        means: 'rto',
        deliveredAt: null,
        rtoStartedAt: at('2026-05-03T09:00:00'),
      });
  });
  test('E4: a number is named once; none beside a delivery', () => {
    const back = { returnShipmentId: 80100000932 };
    const links = [{ is: 'return', number: '80100000932' }];
    expect(said([operation(111, 9, back), operation(111, 10, back)]).links).toEqual(links);
    expect(said([operation(111, 9, back), operation(121, 10)]).links).toEqual(links);
    expect(said([operation(-14, 9, back)]).links).toBeUndefined();
    expect(said([operation(115, 9, { redirectShipmentId: '80100000949' })]).links).toEqual([
      { is: 'redirection', number: '80100000949' },
    ]);
  });
  test('E2: a time without an offset is none', () => {
    expect(said([operation(12, 8, { dateTime: '2026-05-03T08:00:00' })]).at).toBeNull();
    expect(said([operation(12, 8, { dateTime: '2026-10-25T03:30:00+0200' })]).at).toBeNull(); // ahead
    const now = Date.parse('2026-10-26T00:00:00Z');
    const winter = answer([operation(12, 8, { dateTime: '2026-10-25T03:30:00+0200' })]);
    expect(scan(courier, winter, AWB, { now }).at).toEqual(new Date('2026-10-25T01:30:00Z'));
  });
});

test('C4: rows are matched by number, in whatever order they come', () => {
  const row = (parcelId: unknown, code: number) => ({ parcelId, operations: [operation(code)] });
  const body = { parcels: [row('80100000024', -14), row(80100000017, 12), row('80100000099', 128), 7] };
  expect(items(courier, body, [AWB, '80100000024', '80100000062'])).toMatchObject({
    [AWB]: { means: 'out_for_delivery' },
    '80100000024': { means: 'delivered' },
  });
  expect(Object.keys(items(courier, body, [AWB, '80100000062']))).toEqual([AWB]);
});
