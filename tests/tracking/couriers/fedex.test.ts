import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import standIn from '../../../sandbox/couriers/apis/fedex.ts';
import { createRandom } from '../../../sandbox/random.ts';
import courier from '../../../src/tracking/couriers/fedex.ts';
import { describeCourier } from './four.ts';
import { connect, failure, items, junk, recorded, recordedText, rows, scan } from './reading.ts';

const NUMBER = '799000000027';
const utc = (time: string) => new Date(`${time}Z`);
/** When the fixtures were recorded. */
const THEN = Date.parse('2024-08-21T00:00:00Z');

interface Event {
  eventType?: string;
  date?: string;
  [field: string]: unknown;
}
/** Of a parcel with these events, the oldest first. */
const result = (events: readonly Event[], more: object = {}, trackingNumber = NUMBER) => ({
  trackingNumberInfo: { trackingNumber },
  scanEvents: events.toReversed(),
  ...more,
});
const answer = (...trackResults: object[]) => ({
  output: { completeTrackResults: [{ trackingNumber: NUMBER, trackResults }] },
});
const event = (eventType: string, day: number, more: object = {}): Event => ({
  eventType,
  date: `2026-09-0${day}T10:00:00+03:00`,
  ...more,
});
const parcel = (...codes: string[]) =>
  answer(result(codes.map((code, index) => event(code, index + 1, { eventDescription: code }))));
const on = (day: number) => utc(`2026-09-0${day}T07:00:00`);

const CODES = rows(`
  pending: OC IN MD EP
  in_transit: PU PX DO IP IT IX AF AR AA AC AX OF SF FD LO DP EO EA PF PL TR TP AE AO DY DD RL CC CP
  out_for_delivery: OD AD ED
  ready_for_pickup: HL HP
  ndr: DE
  rto_in_transit: RS
  delivered: DL
  booking_cancelled: CA
  unchanged: SE CD RT RR HA RM RC RA PR AS CH US PD DR DS AP PM OX LC LP RD RG RP
`);

const keys = { FEDEX_CLIENT_ID: 'key', FEDEX_CLIENT_SECRET: 's&cret' };

describeCourier(courier, {
  request: [
    {
      env: keys,
      numbers: [NUMBER, '799000000049'],
      sends: {
        url: 'https://apis.fedex.com/track/v1/trackingnumbers',
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: `{"includeDetailedScans":true,"trackingInfo":[{"trackingNumberInfo":{"trackingNumber":"${NUMBER}"}},{"trackingNumberInfo":{"trackingNumber":"799000000049"}}]}`,
      },
      secrets: [{ authorization: 'Bearer secret' }],
      login: {
        url: 'https://apis.fedex.com/oauth/token',
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: 'grant_type=client_credentials&client_id=key&client_secret=s%26cret',
      },
    },
    {
      env: { ...keys, FEDEX_URL: 'http://127.0.0.1:9/couriers/fedex/' },
      numbers: [NUMBER],
      sends: { url: 'http://127.0.0.1:9/couriers/fedex/track/v1/trackingnumbers' },
    },
  ],
  off: [{ FEDEX_CLIENT_ID: 'key' }, { FEDEX_CLIENT_SECRET: 'secret' }],
  rhythm: {
    batch: 30,
    everyMs: 3_600_000,
    limit: { max: 5, seconds: 1 },
    atOnce: 3,
    selection: { courier: 'fedex', sources: 'all', number: 'any-awb', precedence: 20 },
  },
  read: [
    {
      what: 'E5: delivered behind a return, in the same scans, is rto',
      body: parcel('PU', 'OD', 'DE', 'RS', 'DP', 'OD', 'DL'),
      asked: [NUMBER],
      says: {
        [NUMBER]: {
          is: 'scan',
          rawStatus: 'DL',
          courierStatus: 'DL DL',
          means: 'rto',
          at: on(7),
          pickedUpAt: on(1),
          deliveredAt: null,
          rtoStartedAt: on(4),
        },
      },
    },
    {
      what: 'an unknown number',
      body: recorded('fedex.unknown.json'),
      asked: ['799000000049'],
      says: { '799000000049': { is: 'notFound', why: expect.stringContaining('cannot be found') } },
    },
  ],
  errors: [
    [recorded('fedex.request-error.json'), 400, 'rejected'],
    [
      { errors: [{ code: 'TRACKING.TRACKINGNUMBERS.LIMITEXCEEDED', message: 'Please limit to 30.' }] },
      400,
      'rejected',
    ],
    [recorded('fedex.auth-error.json'), 200, 'credentials'],
    [{ error: 'Invalid CXS JWT' }, 200, 'credentials'],
    [recorded('fedex.over-limit.json'), 200, 'throttled'],
    [{ errors: [{ code: 'X', message: 'Daily transaction quota exceeded.' }] }, 200, 'throttled'],
    // FedEx failed to look one up: nothing is known of the parcel
    [
      answer({ error: { code: 'INTERNAL.SERVER.ERROR', message: 'We encountered an error.' } }),
      200,
      'malformed',
    ],
    [{ output: { completeTrackResults: [] } }, 200, 'malformed'],
    [{ output: {} }, 200, 'malformed'],
    ['<html>', 200, 'malformed'],
  ],
  hostile: (number) => {
    const scanEvents = fc.oneof(
      junk,
      fc.array(
        fc.record({
          date: fc.oneof(junk, fc.constant('2026-09-01T10:00:00+03:00')),
          eventType: fc.oneof(junk, fc.constantFrom('RS', 'DL', '__proto__')),
          eventDescription: junk,
          derivedStatusCode: junk,
        }),
      ),
    );
    const identifiers = fc.array(
      fc.record({
        type: fc.constantFrom('RETURNED_TO_SHIPPER_TRACKING_NUMBER', 'constructor', 7),
        values: fc.oneof(junk, fc.array(junk)),
      }),
    );
    const one = fc.record({
      trackingNumberInfo: fc.oneof(junk, fc.record({ trackingNumber: junk })),
      additionalTrackingInfo: fc.oneof(junk, fc.record({ packageIdentifiers: fc.oneof(junk, identifiers) })),
      latestStatusDetail: fc.oneof(junk, fc.record({ code: junk, derivedCode: junk })),
      scanEvents,
      error: fc.oneof(junk, fc.record({ code: junk, message: junk })),
    });
    const all = fc.record({
      trackingNumber: fc.constantFrom(number, 'X', null),
      trackResults: fc.oneof(junk, fc.array(one)),
    });
    return fc.record({
      output: fc.oneof(junk, fc.record({ completeTrackResults: fc.oneof(junk, fc.array(all)) })),
    });
  },
  persons: ([name, phone, street, mail, longitude]) =>
    answer(
      result(
        [
          event('DL', 1, {
            scanLocation: { streetLines: [street], longLat: longitude },
            exceptionDescription: `at ${name}`,
          }),
        ],
        {
          deliveryDetails: { receivedByName: name, signedByName: name },
          recipientInformation: { contact: { phoneNumber: phone, emailAddress: mail } },
        },
      ),
    ),
  askedInPersons: [NUMBER],
  statuses: [
    {
      words: CODES,
      number: NUMBER,
      bodies: (word) => [
        parcel(word),
        // without its scans: a label that was just printed
        answer(result([], { latestStatusDetail: { code: 'XX', derivedCode: word, description: word } })),
        answer(result([], { latestStatusDetail: { code: word } })),
        answer(result([{ derivedStatusCode: word, date: '2026-09-01T10:00:00+03:00' }])),
      ],
      kept: (word) => ({ rawStatus: word, courierStatus: `${word} ${word}`, at: on(1) }),
    },
  ],
});

describe('recorded answers', () => {
  const read = (file: string, ...asked: string[]) => items(courier, recorded(file), asked, { now: THEN });

  test('in a depot again, after it was ready for pickup (E3)', () => {
    expect(read('fedex.in-transit.json', '799000000016')).toEqual({
      '799000000016': {
        is: 'scan',
        rawStatus: 'AR',
        courierStatus: 'AR At local FedEx facility',
        means: 'in_transit',
        at: utc('2024-04-26T14:50:00'),
        pickedUpAt: utc('2024-04-24T23:05:00'),
        deliveredAt: null,
        rtoStartedAt: null,
      },
    });
  });
  test('a failed attempt, whatever its exception codes are', () => {
    expect(read('fedex.failed-attempt.json', '799000000016')).toMatchObject({
      '799000000016': {
        rawStatus: 'DE',
        means: 'ndr',
        at: utc('2024-04-25T18:28:00'),
        pickedUpAt: null,
      },
    });
  });
  test('delivered and unknown in one batch; a pickup without time and offset has none (E2)', () => {
    expect(read('fedex.batch-mixed.json', '799000000049', NUMBER)).toEqual({
      [NUMBER]: {
        is: 'scan',
        rawStatus: 'DL',
        courierStatus: 'DL Delivered',
        means: 'delivered',
        at: utc('2024-08-20T16:41:57'),
        pickedUpAt: null,
        deliveredAt: utc('2024-08-20T16:41:57'),
        rtoStartedAt: null,
      },
      '799000000049': { is: 'notFound', why: expect.stringContaining('cannot be found') },
    });
  });
});

describe('several results for one number', () => {
  const late = result([event('PU', 1), event('AR', 2)]);
  const delivered = result([event('PU', 3), event('DL', 4)]);
  test('one parcel on two ship dates: the newest scan counts, in any order', () => {
    for (const body of [answer(late, delivered), answer(delivered, late)])
      expect(scan(courier, body, NUMBER)).toMatchObject({ means: 'delivered', at: on(4) });
  });
  test('the number’s earlier parcel is none of ours, alone or beside it', () => {
    const earlier = result([{ eventType: 'DL', date: '2025-10-01T10:00:00+03:00' }]);
    expect(items(courier, answer(earlier), [NUMBER])[NUMBER]).toMatchObject({ is: 'notFound' });
    expect(scan(courier, answer(earlier, late), NUMBER)).toMatchObject({ means: 'in_transit', at: on(2) });
  });
  test('an error beside a parcel', () => {
    const error = { error: { code: 'TRACKING.TRACKINGNUMBER.NOTFOUND', message: 'cannot be found' } };
    expect(scan(courier, answer(error, late), NUMBER).means).toBe('in_transit');
  });
});

describe('histories', () => {
  test('C6: an unknown newest event is kept, with what was known before', () => {
    expect(scan(courier, parcel('PU', 'DP', 'ZX'), NUMBER)).toMatchObject({
      rawStatus: 'ZX',
      means: undefined,
      at: on(3),
      before: { means: 'in_transit', at: on(2), pickedUpAt: on(1) },
    });
  });
  test('E4: the number of the return, until it is delivered after all', () => {
    const more = {
      additionalTrackingInfo: {
        packageIdentifiers: [
          { type: 'SHIPPER_REFERENCE', values: ['ORD-1'] },
          { type: 'RETURNED_TO_SHIPPER_TRACKING_NUMBER', values: ['799000000100', NUMBER] },
          { type: 'REROUTE_TRACKING_NUMBER', values: ['799000000111'] },
        ],
      },
    };
    expect(scan(courier, answer(result([event('PU', 1), event('RS', 2)], more)), NUMBER)).toMatchObject({
      means: 'rto_in_transit',
      rtoStartedAt: on(2),
      links: [
        { is: 'return', number: '799000000100' },
        { is: 'redirection', number: '799000000111' },
      ],
    });
    const delivered = scan(courier, answer(result([event('PU', 1), event('DL', 2)], more)), NUMBER);
    expect(delivered).not.toHaveProperty('links');
  });
  test('E6: what comes after the end changes nothing', () => {
    expect(scan(courier, parcel('PU', 'DL', 'US'), NUMBER)).toMatchObject({ means: 'delivered', at: on(2) });
  });
});

describe('E8: what HTTP statuses mean', () => {
  const meant = (status: number, text: string, of: 'login' | 'tracking') =>
    courier.failureOf?.({ status, headers: {}, text }, of);
  test('403 at the login is a penalty of ten minutes, not a wrong key', () => {
    expect(meant(403, '<html>', 'login')).toMatchObject({ kind: 'throttled', retryAfterMs: 600_000 });
  });
  test('403 for a parcel: no permission, or what it means everywhere', () => {
    const body =
      '{"errors":[{"code":"FORBIDDEN.ERROR","message":"We could not authorize your credentials."}]}';
    expect(meant(403, body, 'tracking')).toMatchObject({ kind: 'credentials' });
    expect(meant(403, '<html>', 'tracking')).toBeUndefined();
  });
  test('429: for the day, or what it means everywhere', () => {
    const body = '{"errors":[{"message":"Daily transaction quota exceeded. Retry after 12:00AM GMT"}]}';
    expect(meant(429, body, 'tracking')).toMatchObject({ kind: 'throttled', retryAfterMs: 1_800_000 });
    expect(meant(429, recordedText('fedex.over-limit.json'), 'tracking')).toBeUndefined();
    expect(meant(503, '', 'tracking')).toBeUndefined();
    expect(courier.dailyLimit).toBe(100_000);
  });
});

describe('C11: the login', () => {
  const read = (text: string, status: number) =>
    connect(courier, keys)?.access.login?.read({
      status,
      headers: { date: new Date(THEN).toUTCString() },
      text,
    });
  test('a token for an hour', () => {
    expect(read(recordedText('fedex.login.ok.json'), 200)).toEqual({
      ok: true,
      value: { value: 'REDACTED', expiresAt: new Date(THEN + 3_599_000) },
    });
  });
  test('a wrong key', () => {
    expect(read(recordedText('fedex.login.bad.json'), 401)).toMatchObject({
      failure: { kind: 'credentials', message: expect.stringContaining('not valid') },
    });
  });
});

test('no failure names a number of the request', () => {
  const { message } = failure(courier, recorded('fedex.request-error.json'), [NUMBER], { status: 400 });
  expect(message).not.toContain(NUMBER);
});

test('the sandbox’s numbers have FedEx’s check digit', () => {
  const valid = (number: string) => {
    const sum = [3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 1].reduce((all, one, at) => all + one * Number(number[at]), 0);
    return /^\d{12}$/.test(number) && Number(number.at(-1)) === (sum % 11) % 10;
  };
  const random = createRandom(7);
  const made = Array.from({ length: 50 }, () => standIn.newNumber?.(random) ?? '');
  for (const number of [NUMBER, '799000000016', '799000000049', ...made])
    expect(valid(number), number).toBe(true);
});
