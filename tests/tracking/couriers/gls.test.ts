import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { waitFor } from '../../../src/lib/retry-after.ts';
import courier from '../../../src/tracking/couriers/gls.ts';
import { describeCourier } from './four.ts';
import { connect, failure, items, junk, NOW, recorded, rows, scan } from './reading.ts';

const AWB = '6234000017';
const logins = { GLS_USERNAME: 'user@example.com', GLS_PASSWORD: 'pass' };
const file = (name: string) => recorded(`gls.${name}.json`);

/** A status at an hour of a day in May, GMT. */
const status = (StatusCode: unknown, hour = 12, more = {}) => ({
  ...{ StatusCode, StatusDate: `/Date(${Date.UTC(2026, 4, 3, hour)}+0300)/` },
  ...more,
});
const hour = (of: number) => new Date(Date.UTC(2026, 4, 3, of));
const answer = (ParcelStatusList: unknown, more = {}) => ({
  ...{ GetParcelStatusErrors: [], ParcelNumber: Number(AWB), ParcelStatusList },
  ...more,
});
const said = (...list: unknown[]) => scan(courier, answer(list), AWB);
const refused = (ErrorCode: unknown, ErrorDescription = 'x') => ({
  ...answer([], { ParcelNumber: 0 }),
  GetParcelStatusErrors: [{ ErrorCode, ErrorDescription }],
});

/** A scan, as "means rawStatus 05 its description", its time in milliseconds. */
function scanOf(what: string, ms: number, more = {}) {
  const [means, rawStatus, ...courierStatus] = what.split(' ');
  return {
    ...{ is: 'scan', means, rawStatus, courierStatus: courierStatus.join(' '), at: new Date(ms) },
    ...{ pickedUpAt: new Date(1_774_455_611_000), deliveredAt: null, rtoStartedAt: null },
    ...more,
  };
}

// Appendix G
const CODES = rows(`
  pending: 51 52
  in_transit: 1 2 3 6 7 8 9 10 13 21 22 25 26 27 30 41 44 47 53 80
  in_transit: 60 61 62 63 64 65 66 67 70 71 72 73 74 76
  out_for_delivery: 4 32
  ready_for_pickup: 55 56 59 97
  ndr: 11 12 14 15 16 17 18 19 20 33 34 35 36 38 39 57 68 69 401 402 403 404 420
  rto_in_transit: 23 40
  delivered: 5 54 58 92 93
  destroyed: 28 42 31 75
  lost: 43
  unchanged: 24 29 37 46 99 83 84 85 86 87 88 89 90 91
`);

describeCourier(courier, {
  request: [
    {
      env: logins,
      numbers: [AWB],
      sends: { url: 'https://api.mygls.ro/ParcelService.svc/json/GetParcelStatuses', method: 'POST' },
      secrets: [{}],
    },
    {
      env: { ...logins, GLS_URL: 'http://127.0.0.1:9/json/' },
      numbers: [],
      sends: { url: 'http://127.0.0.1:9/json/GetParcelStatuses' },
    },
  ],
  off: [{ GLS_USERNAME: 'x' }, { GLS_PASSWORD: 'x' }],
  rhythm: {
    batch: 1,
    everyMs: 3_600_000,
    limit: { max: 2, seconds: 1 },
    atOnce: 4,
    selection: { courier: 'gls', sources: 'all', number: 'any-awb', precedence: 20 },
  },
  read: [
    {
      what: 'in transit',
      body: file('in-transit'),
      asked: [AWB],
      says: {
        [AWB]: scanOf('in_transit CODE_3 3 The parcel has reached the parcel center.', 1_774_498_200_000),
      },
    },
    {
      what: 'delivered',
      body: file('delivered'),
      asked: [AWB],
      says: {
        [AWB]: scanOf('delivered CODE_5 5 The parcel has been delivered.', 1_774_523_801_000, {
          deliveredAt: new Date('2026-03-26T11:16:41Z'),
        }),
      },
    },
    {
      what: 'a failed attempt',
      body: file('failed-attempt'),
      asked: ['6234000024'],
      says: {
        '6234000024': scanOf(
          'ndr CODE_12 12 The parcel could not be delivered as the consignee was absent.',
          1_774_523_801_000,
        ),
      },
    },
    {
      what: 'C9: an unknown number',
      body: file('unknown'),
      asked: ['6234000062'],
      says: { '6234000062': { is: 'notFound', why: '9 "Parcel number not found"' } },
    },
  ],
  askedInErrors: [AWB],
  errors: [
    [file('auth-error'), 200, 'credentials'],
    [refused(-1, 'Unauthorized.'), 200, 'credentials'],
    [file('over-limit'), 200, 'throttled'],
    [refused(13, 'Parcel validation issue'), 200, 'rejected'],
    [refused(null, 'something new'), 200, 'rejected'],
    [refused(1000, 'Unexpected exception happened'), 200, 'malformed'],
    [refused(1001, 'Internal Problem'), 200, 'malformed'],
    ['<html><body>The server encountered an error.</body></html>', 400, 'rejected'],
    ['<html><body>Endpoint not found.</body></html>', 404, 'malformed'],
    [answer([status('5')]), 404, 'malformed'],
    [answer([status('5')], { ParcelNumber: 0 }), 200, 'malformed'],
    [answer('5'), 200, 'malformed'],
    [{}, 200, 'malformed'],
    [[], 200, 'malformed'],
  ],
  hostile: (number) =>
    fc.record({
      GetParcelStatusErrors: fc.oneof(
        junk,
        fc.array(fc.record({ ErrorCode: fc.oneof(junk, fc.integer()), ErrorDescription: junk }), {
          maxLength: 1,
        }),
      ),
      ParcelNumber: fc.oneof(fc.constant(number), junk),
      ParcelStatusList: fc.oneof(
        junk,
        fc.array(
          fc.record({
            StatusCode: fc.oneof(junk, fc.integer()),
            StatusDate: fc.oneof(
              junk,
              fc.maxSafeNat().map((ms) => `/Date(${ms})/`),
            ),
            StatusDescription: junk,
          }),
        ),
      ),
    }),
  persons: ([name, phone, street, mail, longitude]) =>
    answer([status('5', 12, { StatusInfo: name, DepotCity: street })], {
      ...{ ClientReference: phone, POD: mail, DeliveryZipCode: longitude },
    }),
  askedInPersons: [AWB],
  statuses: [
    {
      words: CODES,
      number: AWB,
      bodies: (code) => [
        answer([status(code, 12, { StatusDescription: 'x' })]),
        answer([status(Number(code))]),
        answer([status(`0${code}`)]),
      ],
      kept: (code) => ({ rawStatus: `CODE_${code}`, courierStatus: `${code} x` }),
    },
  ],
});

describe('the request', () => {
  const bodyOf = (number: string) => JSON.parse(connect(courier, logins)?.request([number]).body ?? '');
  test('has the SHA-512 of the password as 64 numbers, and the number as one', () => {
    const { Password, ...rest } = bodyOf(AWB);
    expect(rest).toEqual({
      ...{ Username: 'user@example.com', ParcelNumber: 6_234_000_017 },
      // T18: no signature
      ...{ ReturnPOD: false, LanguageIsoCode: 'RO' },
    });
    expect(Buffer.from(Password).toString('hex')).toBe(
      '5b722b307fce6c944905d132691d5e4a2214b7fe92b738920eb3fce3a90420a19511c3010a0e7712b054daef5b57bad59ecbd93b3280f210578f547f4aed4d25',
    );
    expect(Password).toHaveLength(64);
  });
  test('a number that is none is sent as it is: never as some other parcel', () => {
    for (const number of ['62340X', '1e5', '-1', '99999999999999999999', ''])
      expect(bodyOf(number).ParcelNumber).toBe(number);
  });
});

describe('C10, E8: errors with HTTP 200', () => {
  test('the same request too often: five minutes, and no sooner', () => {
    const response = { status: 200, headers: {}, text: JSON.stringify(file('over-limit')) };
    const { retryAfterMs = 0 } = failure(courier, file('over-limit'), [AWB]);
    expect(retryAfterMs).toBe(300_000);
    expect(waitFor(response, retryAfterMs, NOW, () => 0)).toBe(300_000);
  });
  test.each([4, 5, 9, 10, 15, 26])('C9: %i is an unknown number', (code) => {
    expect(items(courier, refused(code, 'Parcel not found with current settings'), [AWB])).toEqual({
      [AWB]: { is: 'notFound', why: `${code} "Parcel not found with current settings"` },
    });
  });
  test('an error counts before the list beside it; number 0 is no error', () => {
    const list = [status('5')];
    const errors = (ErrorCode: number) => answer(list, { GetParcelStatusErrors: [{ ErrorCode }] });
    expect(failure(courier, errors(14), [AWB]).kind).toBe('credentials');
    expect(scan(courier, errors(0), AWB).means).toBe('delivered');
  });
  test('a list that is empty or null says nothing of the parcel', () => {
    for (const list of [[], null, [7], [status('')]])
      expect(items(courier, answer(list), [AWB])).toEqual({ [AWB]: { is: 'notFound' } });
  });
});

describe('E5: the history', () => {
  const events = [status('51', 5), status('1', 6), status('04', 8), status('5', 11)];
  test('is read in any order', () => {
    for (const order of [events, [...events].reverse()])
      expect(said(...order)).toMatchObject({
        means: 'delivered',
        ...{ pickedUpAt: hour(6), deliveredAt: hour(11) },
      });
  });
  test.each(['23', '40'])('a 5 behind %s is at the sender', (back) => {
    const list = [status('12', 8), status(back, 9), status('2', 10), status('4', 11)];
    expect(said(...list)).toMatchObject({ means: 'rto_in_transit', rtoStartedAt: hour(9) });
    expect(said(status('5', 12), ...list)).toMatchObject({
      means: 'rto',
      ...{ at: hour(12), deliveredAt: null },
    });
  });
  test('refused (34, 35) and delivered later is delivered', () => {
    for (const code of ['34', '35']) expect(said(status(code, 8), status('5', 9)).means).toBe('delivered');
  });
  test('E6: what comes after the end moves nothing', () => {
    expect(said(status('5', 8), status('99', 9))).toMatchObject({ means: 'delivered', at: hour(8) });
  });
  test('C6: an unknown code is kept, with what was known before it', () => {
    expect(said(status('4', 8), status('098', 9))).toMatchObject({
      ...{ rawStatus: 'CODE_98', means: undefined },
      before: { means: 'out_for_delivery' },
    });
    expect(said(status('Moon base')).rawStatus).toBe('CODE_MOON_BASE');
    expect(said(status('4', 8), status('', 9)).means).toBe('out_for_delivery');
  });
});

test('E2: a time is milliseconds of GMT, whatever its offset', () => {
  const read = (StatusDate: unknown) => said({ StatusCode: '4', StatusDate }).at;
  for (const offset of ['+0100', '+0200', '-0500', ''])
    expect(read(`/Date(1774645401000${offset})/`)).toEqual(new Date(1_774_645_401_000));
  // 0001-01-01, 1970, far ahead, local, none
  for (const none of ['/Date(-62135596800000)/', '/Date(0)/', '/Date(99999999999999)/', '2026-05-03', null])
    expect(read(none)).toBeNull();
});

test('C4: an answer is matched by its number, with the check digit of a label or without', () => {
  const of = (ParcelNumber: unknown, asked: string) =>
    Object.keys(items(courier, answer([status('5')], { ParcelNumber }), [asked]));
  expect(of(6_234_000_017, '62340000175')).toEqual(['62340000175']);
  expect(of('06234000017', AWB)).toEqual([AWB]);
  expect(of(6_234_000_024, AWB)).toEqual([]);
  expect(of(623_400_001, AWB)).toEqual([]);
});
