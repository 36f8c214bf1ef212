import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import standIn from '../../../sandbox/couriers/apis/ups.ts';
import { createRandom } from '../../../sandbox/random.ts';
import courier from '../../../src/tracking/couriers/ups.ts';
import { describeCourier } from './four.ts';
import { connect, failure, items, junk, NOW, recorded, recordedText, rows, scan } from './reading.ts';

const NUMBER = '1Z999AA10400000026';
const utc = (time: string) => new Date(`${time}Z`);

/** An activity with this code, on that day in September at 11:15 in GMT. */
const activity = (statusCode: unknown, day = 1, more: object = {}) => ({
  status: { type: 'D', code: 'XX', statusCode, description: 'text' },
  ...{ date: `2026090${day}`, time: '141500' },
  ...{ gmtDate: `2026090${day}`, gmtTime: '11:15:00', gmtOffset: '+03:00' },
  ...more,
});
/** The oldest first. */
const parcel = (activities: readonly unknown[], more: object = {}) => ({
  ...{ trackingNumber: NUMBER, activity: activities.toReversed() },
  ...more,
});
const answer = (packages: readonly object[], more: object = {}) => ({
  trackResponse: { shipment: [{ inquiryNumber: NUMBER, package: packages, ...more }] },
});
const said = (...activities: unknown[]) => scan(courier, answer([parcel(activities)]), NUMBER);
const on = (day: number) => utc(`2026-09-0${day}T11:15:00`);

const CODES = rows(`
  pending: 003 044 045 079 080 157 166
  in_transit: 005 010 012 014 016 025 038 039 047 057 070 071 073 074 084 087 092 134 137 138 158 159 160 164 165
  in_transit: 167 168 169
  out_for_delivery: 006 021 037 072 078 089 091 146 162
  ready_for_pickup: 017 040 143 144 161
  ndr: 013 022 023 024 029 030 050 060 061 062 064 066 069 076 145
  delivered: 011 026
  rto_in_transit: 035 036
  rto: 034 067 081
  booking_cancelled: 007
  lost: 140
  destroyed: 147 149
  unchanged: 000 018 019 020 027 028 032 033 041 042 043 046 048 049 051 052 053 054 055 056 058 059 063 065 068 075 077
  unchanged: 082 083 085 086 088 090 093 094 095 096 097 098 099 100 101 102 103 104 105 106 107 108 109 110 111 112 113
  unchanged: 114 115 116 117 118 119 120 121 122 123 124 125 126 127 128 129 130 131 132 133 135 136 139 141 142 148
  unchanged: 153 154 155 156 163
`);

const keys = { UPS_CLIENT_ID: 'id', UPS_CLIENT_SECRET: 's&cret' };
const DETAILS = 'https://onlinetools.ups.com/api/track/v1/details';
const QUERY = 'locale=en_US&returnSignature=false&returnMilestones=false&returnPOD=false';

describeCourier(courier, {
  request: [
    {
      env: keys,
      numbers: [NUMBER],
      sends: {
        url: `${DETAILS}/${NUMBER}?${QUERY}`,
        method: 'GET',
        headers: { transId: NUMBER, transactionSrc: 'orderfleet' },
      },
      secrets: [{ authorization: 'Bearer secret' }],
      login: {
        url: 'https://onlinetools.ups.com/security/v1/oauth/token',
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
          authorization: `Basic ${Buffer.from('id:s&cret').toString('base64')}`,
        },
        body: 'grant_type=client_credentials',
      },
    },
    {
      env: { ...keys, UPS_URL: 'http://127.0.0.1:9/couriers/ups/' },
      numbers: ['1/../ü'],
      sends: {
        url: `http://127.0.0.1:9/couriers/ups/api/track/v1/details/1%2F..%2F%C3%BC?${QUERY}`,
        headers: { transId: '1%2F..%2F%C3%BC', transactionSrc: 'orderfleet' },
      },
    },
  ],
  off: [{ UPS_CLIENT_ID: 'id' }, { UPS_CLIENT_SECRET: 'secret' }],
  rhythm: {
    batch: 1,
    everyMs: 7_200_000,
    limit: { max: 1, seconds: 1 },
    atOnce: 2,
    selection: { courier: ' ups ', sources: 'all', number: 'any-awb', precedence: 20 },
  },
  read: [
    {
      what: 'delivered; activities without offset have no time',
      body: recorded('ups.delivered.json'),
      asked: ['1Z999AA10400000017'],
      says: {
        '1Z999AA10400000017': {
          is: 'scan',
          rawStatus: 'CODE_11',
          courierStatus: '011 DELIVERED',
          means: 'delivered',
          at: null,
          pickedUpAt: null,
          deliveredAt: null,
          rtoStartedAt: null,
        },
      },
    },
    {
      what: 'a failed attempt',
      body: recorded('ups.failed-attempt.json'),
      asked: [NUMBER],
      says: {
        [NUMBER]: {
          is: 'scan',
          rawStatus: 'CODE_22',
          courierStatus:
            "022 The receiver was not available for delivery. We'll make a second attempt the next business day.",
          means: 'ndr',
          at: utc('2026-03-03T11:20:00'),
          pickedUpAt: null,
          deliveredAt: null,
          rtoStartedAt: null,
        },
      },
    },
    {
      what: 'out for delivery',
      body: recorded('ups.out-for-delivery.json'),
      asked: [NUMBER],
      says: {
        [NUMBER]: expect.objectContaining({
          ...{ rawStatus: 'CODE_21', means: 'out_for_delivery', at: utc('2026-03-03T06:15:00') },
        }),
      },
    },
    {
      what: 'on its way',
      body: recorded('ups.in-transit.json'),
      asked: [NUMBER],
      says: {
        [NUMBER]: expect.objectContaining({
          ...{ rawStatus: 'CODE_5', means: 'in_transit', at: utc('2026-03-03T02:15:00') },
        }),
      },
    },
    {
      what: 'an unknown number: 200 with a warning',
      body: recorded('ups.unknown.json'),
      asked: ['1Z999AA10400000035'],
      says: {
        '1Z999AA10400000035': { is: 'notFound', why: '"Tracking Information Not Found"' },
      },
    },
    {
      what: 'an unknown number: 404, as it is documented',
      body: { response: { errors: [{ code: 'TW0001', message: 'Tracking Information Not Found' }] } },
      asked: [NUMBER],
      status: 404,
      says: { [NUMBER]: { is: 'notFound', why: expect.stringContaining('Not Found') } },
    },
  ],
  askedInErrors: [NUMBER],
  errors: [
    [recorded('ups.invalid-number.json'), 400, 'rejected'],
    [recorded('ups.auth-error.json'), 200, 'credentials'],
    [recorded('ups.over-limit.json'), 200, 'throttled'],
    [{ response: { errors: [{ code: '1', message: 'Quota Limit Exceeded' }] } }, 200, 'throttled'],
    ['<html>404</html>', 404, 'malformed'],
    [{ response: { errors: [{ code: '10404', message: 'Invalid URL' }] } }, 404, 'malformed'],
    [{ trackResponse: { shipment: [] } }, 200, 'malformed'],
    [{ trackResponse: { shipment: [{ inquiryNumber: NUMBER }] } }, 200, 'malformed'],
    [{ trackResponse: { shipment: [{ package: [{ activity: [activity('011')] }] }] } }, 200, 'malformed'],
  ],
  hostile: (number) => {
    const one = fc.record({
      status: fc.oneof(
        junk,
        fc.record({ statusCode: fc.oneof(junk, fc.constantFrom('011', 11, '__proto__')) }),
      ),
      date: fc.oneof(junk, fc.constantFrom('20260901', '20261399')),
      time: fc.oneof(junk, fc.constantFrom('101500', '999999')),
      gmtDate: fc.oneof(junk, fc.constant('20260901')),
      gmtTime: fc.oneof(junk, fc.constantFrom('74700', '::::')),
      gmtOffset: fc.oneof(junk, fc.constant('+03:00')),
    });
    const one_ = fc.record({
      trackingNumber: fc.constantFrom(number, 'X', null),
      activity: fc.oneof(junk, fc.array(one)),
      currentStatus: fc.oneof(junk, fc.record({ code: junk, description: junk })),
    });
    return fc.record({
      response: fc.oneof(junk, fc.record({ errors: junk })),
      trackResponse: fc.oneof(
        junk,
        fc.record({
          shipment: fc.oneof(
            junk,
            fc.array(
              fc.record({
                inquiryNumber: fc.constantFrom(number, 'X', null),
                warnings: fc.oneof(junk, fc.array(fc.record({ message: junk }))),
                package: fc.oneof(junk, fc.array(one_)),
              }),
            ),
          ),
        }),
      ),
    });
  },
  persons: ([name, phone, street, mail, longitude]) =>
    answer([
      parcel([activity('011', 1, { location: { address: { city: street }, slic: longitude } })], {
        deliveryInformation: { receivedBy: name, signature: { image: phone } },
        packageAddress: [
          { type: 'DESTINATION', name, attentionName: mail, address: { addressLine1: street } },
        ],
      }),
    ]),
  askedInPersons: [NUMBER],
  statuses: [
    {
      words: CODES,
      number: NUMBER,
      bodies: (word) => [
        answer([parcel([activity(word)])]),
        // the number without its zeros, also as a number
        answer([parcel([activity(String(Number(word)))])]),
        answer([parcel([activity(Number(word))])]),
        answer([parcel([], { currentStatus: { code: word, description: 'text' } })]),
      ],
      kept: (word) => ({ rawStatus: `CODE_${Number(word)}`, courierStatus: `${word} text`, at: on(1) }),
    },
  ],
});

describe('statuses', () => {
  test.each(['001', '015', '150', '152', '170'])('C6: %s is not in UPS’s list', (code) => {
    expect(said(activity(code))).toMatchObject({ rawStatus: `CODE_${Number(code)}`, means: undefined });
  });
  test('C6: an unknown newest one, with what was known before it', () => {
    const before = { rawStatus: 'CODE_38', means: 'in_transit', at: on(1), pickedUpAt: on(1) };
    expect(said(activity('038', 1), activity('199', 2))).toMatchObject({
      means: undefined,
      at: on(2),
      before,
    });
  });
  test('type D is not yet delivered', () => {
    expect(said(activity('072')).means).toBe('out_for_delivery');
    expect(said(activity('161')).means).toBe('ready_for_pickup');
  });
  test('E5: delivered behind a return is rto', () => {
    expect(
      said(activity('022', 1), activity('035', 2), activity('021', 3), activity('011', 4)),
    ).toMatchObject({
      ...{ means: 'rto', at: on(4), rtoStartedAt: on(2), deliveredAt: null },
    });
  });
  test('E6: photos and claims after the end change nothing', () => {
    expect(said(activity('011', 1), activity('155', 2), activity('130', 3))).toMatchObject({
      ...{ means: 'delivered', at: on(1), deliveredAt: on(1) },
    });
  });
});

describe('E2: times', () => {
  const at = (more: object) => said(activity('005', 1, more)).at;
  test.each<[what: string, fields: object, time: string]>([
    ['GMT with colons', {}, '11:15:00'],
    ['GMT as digits', { gmtTime: '111500' }, '11:15:00'],
    ['GMT that lost its zero', { gmtTime: '74700' }, '07:47:00'],
    ['GMT that lost three', { gmtTime: '4700' }, '00:47:00'],
    ['local with its offset', { gmtDate: '', gmtTime: '', gmtOffset: '-05:00' }, '19:15:00'],
    ['local, where GMT is none', { gmtTime: '999999' }, '11:15:00'],
  ])('%s', (_what, fields, time) => {
    expect(at(fields)).toEqual(utc(`2026-09-01T${time}`));
  });
  test.each([
    { gmtDate: undefined, gmtTime: undefined, gmtOffset: undefined },
    { gmtDate: '', gmtTime: '', gmtOffset: '', time: '' },
    { gmtDate: '2026-09-01', gmtOffset: 'EST', date: '20260231' },
  ])('none of %j', (fields) => {
    expect(at(fields)).toBeNull();
  });
  test('a local time without its offset still gives the order', () => {
    const none = { gmtDate: '', gmtTime: '', gmtOffset: '' };
    expect(said(activity('022', 1, none), activity('021', 2, none))).toMatchObject({
      ...{ means: 'out_for_delivery', at: null },
    });
    expect(said(activity('005', 1), activity('199', 2, none))).toMatchObject({
      ...{ rawStatus: 'CODE_199', before: { means: 'in_transit' } },
    });
  });
});

describe('numbers', () => {
  test('of several packages each is its own', () => {
    const body = answer([
      parcel([activity('011')], { trackingNumber: '1Z999AA10400000017' }),
      parcel([activity('021')]),
    ]);
    expect(items(courier, body, [NUMBER])).toMatchObject({ [NUMBER]: { means: 'out_for_delivery' } });
  });
  test('a package that names itself otherwise is the one of the inquiry, if it is alone', () => {
    const other = { trackingNumber: '92055900100111000000000000' };
    expect(items(courier, answer([parcel([activity('011')], other)]), [NUMBER])).toMatchObject({
      [NUMBER]: { means: 'delivered' },
    });
    const two = answer([parcel([activity('011')], other), parcel([activity('011')], other)]);
    expect(items(courier, two, [NUMBER])).toEqual({});
  });
  test('the sandbox’s have UPS’s check digit', () => {
    const valid = (number: string) => {
      const values = [...number.slice(2, 17)].map((one) =>
        /\d/.test(one) ? Number(one) : (one.charCodeAt(0) - 3) % 10,
      );
      const sum = values.reduce((total, value, at) => total + value * (at % 2 === 0 ? 1 : 2), 0);
      return Number(number.at(-1)) === (10 - (sum % 10)) % 10;
    };
    for (const number of ['1Z999AA10400000017', NUMBER, '1Z999AA10400000035', '1Z5R89390357567127'])
      expect(valid(number), number).toBe(true);
    const random = createRandom(7);
    for (let count = 0; count < 50; count++) {
      const number = standIn.newNumber?.(random) ?? '';
      expect(number).toMatch(/^1Z[0-9A-Z]{16}$/);
      expect(valid(number), number).toBe(true);
    }
  });
});

describe('E8: what HTTP statuses mean', () => {
  test.each(['login', 'tracking'] as const)('403 is "Blocked Merchant": a penalty (%s)', (of) => {
    expect(courier.failureOf?.({ status: 403, headers: {}, text: '' }, of)).toMatchObject({
      ...{ kind: 'throttled', retryAfterMs: 1_800_000 },
    });
    for (const status of [401, 429, 500])
      expect(courier.failureOf?.({ status, headers: {}, text: '' }, of)).toBeUndefined();
  });
});

describe('C11: the login', () => {
  const read = (text: string, status: number) =>
    connect(courier, keys)?.access.login?.read({
      status,
      headers: { date: new Date(NOW).toUTCString() },
      text,
    });
  test('expires_in is a text', () => {
    expect(read(recordedText('ups.login.ok.json'), 200)).toEqual({
      ok: true,
      value: { value: 'REDACTED', expiresAt: new Date(NOW + 14_399_000) },
    });
  });
  test('a wrong client', () => {
    const body = JSON.stringify({
      response: { errors: [{ code: '10401', message: 'ClientId is Invalid' }] },
    });
    expect(read(body, 401)).toMatchObject({
      failure: { kind: 'credentials', message: expect.stringContaining('ClientId is Invalid') },
    });
  });
});

test('no failure names a number of the request', () => {
  const body = { response: { errors: [{ code: 'X', message: 'Invalid number 1234567890123' }] } };
  expect(failure(courier, body, ['1234567890123'], { status: 400 }).message).not.toContain('1234567890123');
});
