import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import standIn from '../../../sandbox/couriers/apis/dhl-express.ts';
import { createRandom } from '../../../sandbox/random.ts';
import courier from '../../../src/tracking/couriers/dhl-express.ts';
import { describeCourier } from './four.ts';
import { connect, failure, items, junk, recorded, rows, scan } from './reading.ts';

const NUMBER = '1000000013';
const utc = (time: string) => new Date(`${time}Z`);

interface Event {
  typeCode: string;
  date?: string;
  time?: string;
  [field: string]: unknown;
}
const shipment = (events: readonly unknown[], more: object = {}) => ({
  ...{ shipmentTrackingNumber: NUMBER, status: 'Success', events },
  ...more,
});
const answer = (...shipments: object[]) => ({ shipments });
/** At ten o'clock of that day in September, in Vienna unless said otherwise. */
const event = (typeCode: string, day = 1, area = 'Vienna-AT', more: object = {}): Event => ({
  ...{ typeCode, date: `2026-09-0${day}`, time: '10:00:00' },
  serviceArea: [{ code: 'XXX', description: area }],
  ...more,
});
const said = (...events: Event[]) => scan(courier, answer(shipment(events)), NUMBER);
const found = (file: string, number: string) => items(courier, recorded(file), [number])[number];

const CODES = rows(`
  pending: SD MF
  in_transit: PU SA PL DF AF AR TR SM AD IC CR CI MC MS BL HI HO CU
  out_for_delivery: WC
  ready_for_pickup: CC
  ndr: ND NH RD MD BA CM
  delivered: OK
  rto: RT
  destroyed: DS
  unchanged: OH HP PY CD UD FD TD ST BN BR ES DI PW DP EM RR IA SC RW SI DG TI TT NA HN LV UV
`);

const login = { DHL_EXPRESS_USERNAME: 'user', DHL_EXPRESS_PASSWORD: 'pass:word' };
const BASE = 'https://express.api.dhl.com/mydhlapi';
const VIEW = 'levelOfDetail=all&trackingView=all-checkpoints-with-remarks';

describeCourier(courier, {
  request: [
    {
      env: login,
      numbers: [NUMBER, '1000000024'],
      sends: {
        url: `${BASE}/tracking?shipmentTrackingNumber=${NUMBER}&shipmentTrackingNumber=1000000024&${VIEW}`,
        method: 'GET',
        headers: { 'x-version': '3.3.0' },
      },
      secrets: [{ authorization: 'secret' }],
    },
    {
      // only here DHL gives the offsets of times
      env: { ...login, DHL_EXPRESS_URL: 'http://127.0.0.1:9/mydhlapi/' },
      numbers: [NUMBER],
      sends: {
        url: `http://127.0.0.1:9/mydhlapi/shipments/${NUMBER}/tracking?${VIEW}&requestGMTOffsetPerEvent=true`,
      },
    },
    {
      env: login,
      numbers: ['1/../2'],
      sends: { url: `${BASE}/shipments/1%2F..%2F2/tracking?${VIEW}&requestGMTOffsetPerEvent=true` },
    },
  ],
  off: [{ DHL_EXPRESS_USERNAME: 'user' }, { DHL_EXPRESS_PASSWORD: 'password' }],
  rhythm: {
    batch: 200,
    everyMs: 10_800_000,
    limit: { max: 1, seconds: 1 },
    atOnce: 2,
    selection: { courier: 'dhl', sources: 'all', number: 'any-awb', precedence: 20 },
  },
  read: [
    {
      what: 'delivered; times with their offset, and of Romania and Germany',
      body: recorded('dhl-express.delivered.json'),
      asked: [NUMBER],
      says: {
        [NUMBER]: {
          is: 'scan',
          rawStatus: 'OK',
          courierStatus: 'OK',
          means: 'delivered',
          at: utc('2026-03-03T10:07:00'),
          pickedUpAt: utc('2026-03-02T16:05:00'),
          deliveredAt: utc('2026-03-03T10:07:00'),
          rtoStartedAt: null,
        },
      },
    },
    {
      what: 'an entry for an unknown number: `status` is the request’s',
      body: recorded('dhl-express.unknown.json'),
      asked: ['1000000061'],
      says: { '1000000061': { is: 'notFound', why: '"No Shipments Found"' } },
    },
    {
      what: 'none of the numbers is known: no failure, and nothing to halve',
      body: recorded('dhl-express.unknown.404.json'),
      asked: ['1000000061', '1000000072'],
      status: 404,
      says: {},
    },
    {
      what: 'some of the numbers are known: the others are left out',
      body: answer(shipment([event('OK')])),
      asked: ['1000000061', NUMBER],
      says: { [NUMBER]: expect.objectContaining({ means: 'delivered' }) },
    },
  ],
  errors: [
    [{ title: 'Bad request', detail: 'Multiple problems found', status: 400 }, 400, 'rejected'],
    [{ title: 'Unprocessable', detail: 'too long', status: 422 }, 422, 'rejected'],
    [{ detail: 'Invalid Credentials' }, 200, 'credentials'],
    [{ title: 'x', detail: 'Too many requests' }, 200, 'throttled'],
    // a wrong URL is not "not found"
    ['<html>404</html>', 404, 'malformed'],
    [{ title: 'Not Found', detail: 'The resource does not exist', status: 404 }, 404, 'malformed'],
    [{ shipments: [] }, 200, 'malformed'],
    [{ shipments: {} }, 200, 'malformed'],
    [answer({ status: 'Success', events: [event('OK')] }), 200, 'malformed'],
  ],
  hostile: (number) => {
    const one = fc.record({
      typeCode: fc.oneof(junk, fc.constantFrom('OK', 'RT', '__proto__')),
      date: fc.oneof(junk, fc.constant('2026-09-01')),
      time: fc.oneof(junk, fc.constantFrom('10:00:00', '25:00:00')),
      GMTOffset: fc.oneof(junk, fc.constantFrom('+02:00', '+99:99')),
      serviceArea: fc.oneof(junk, fc.array(fc.record({ description: fc.oneof(junk, fc.constant('X-RO')) }))),
    });
    return fc.record({
      shipments: fc.oneof(
        junk,
        fc.array(
          fc.record({
            shipmentTrackingNumber: fc.constantFrom(number, 'X', null),
            status: junk,
            events: fc.oneof(junk, fc.array(one)),
          }),
        ),
      ),
    });
  },
  persons: ([name, phone, street, mail, longitude]) =>
    answer(
      shipment(
        [
          event('OK', 1, `${longitude}-AT`, {
            description: `Delivered - Signed for by : ${name}`,
            signedBy: name,
            remarks: [{ value: phone }],
          }),
        ],
        {
          receiverDetails: { name, postalAddress: { addressLine1: street } },
          description: mail,
        },
      ),
    ),
  askedInPersons: [NUMBER],
  statuses: [
    {
      words: CODES,
      number: NUMBER,
      bodies: (word) => [
        answer(shipment([event(word)])),
        answer(shipment([{ typeCode: word.toLowerCase() }])),
      ],
      kept: (word) => ({ rawStatus: word, courierStatus: word, at: utc('2026-09-01T08:00:00') }),
    },
  ],
});

describe('recorded answers', () => {
  test('arrived', () => {
    expect(found('dhl-express.in-transit.json', NUMBER)).toMatchObject({
      ...{ rawStatus: 'AR', means: 'in_transit', at: utc('2026-03-03T05:20:00') },
      pickedUpAt: utc('2026-03-02T16:05:00'),
    });
  });
  test('nobody home', () => {
    expect(found('dhl-express.failed-attempt.json', '1000000024')).toMatchObject({
      ...{ rawStatus: 'NH', means: 'ndr', at: utc('2026-03-03T10:07:00') },
    });
  });
  test('refused and returned', () => {
    expect(found('dhl-express.returned.json', '1000000035')).toMatchObject({
      ...{ rawStatus: 'RT', means: 'rto', at: utc('2026-03-09T08:00:00'), deliveredAt: null },
    });
  });
  test('a partial delivery is left to people, with what was known before it', () => {
    expect(found('dhl-express.partial-delivery.json', '1000000046')).toMatchObject({
      ...{ rawStatus: 'PD', means: undefined, at: utc('2026-03-03T10:07:00') },
      before: { rawStatus: 'AR', means: 'in_transit' },
    });
  });
});

describe('statuses', () => {
  test.each(['PD', 'DD', 'DM', 'TP', 'SS', 'CS', 'CA', 'ZX'])('C6: %s is left to people', (code) => {
    expect(said(event(code))).toMatchObject({ rawStatus: code, means: undefined });
    expect(courier.meaning(code)).toBeUndefined();
  });
  test('a known shipment without events is registered', () => {
    expect(items(courier, answer(shipment([])), [NUMBER])[NUMBER]).toMatchObject({
      ...{ rawStatus: 'REGISTERED', means: 'pending', at: null },
    });
    expect(courier.meaning('REGISTERED')).toBe('pending');
  });
  test('E5: nothing is delivered once it is back', () => {
    expect(said(event('RD', 1), event('RT', 2), event('OK', 3)).means).toBe('rto');
  });
  test('on its way back through depots it is still not delivered, and not on its way', () => {
    expect(said(event('NH', 1), event('DF', 2), event('AF', 3))).toMatchObject({
      rawStatus: 'NH',
      means: 'ndr',
    });
  });
});

describe('E2: times of depots in several zones', () => {
  test.each<[area: string, time: string | null]>([
    ['Bucharest-RO', '07:00'],
    ['BUCHAREST - RO', '07:00'],
    ['Leipzig-DE', '08:00'],
    ['London-GB', '09:00'],
    ['Athens-GR', '07:00'],
    ['Kyiv-UA', '07:00'],
    ['Nicosia-CY', '07:00'],
    // several zones, or no country
    ['Madrid-ES', null],
    ['New York, NY-US', null],
    ['Bucharest', null],
  ])('10:00 in %s', (area, time) => {
    const at = time && utc(`2026-09-01T${time}:00`);
    expect(said(event('AF', 1, area))).toMatchObject({ at });
    // its own offset comes first
    expect(said(event('AF', 1, area, { GMTOffset: '-05:00' })).at).toEqual(utc('2026-09-01T15:00:00'));
    expect(said(event('AF', 1, area, { GMTOffset: 'EST' }))).toMatchObject({ at });
  });
  test('every country of the table has a zone', () => {
    const countries = `AL AT BA BE BG CH CY CZ DE DK EE FI FR GB GR HR HU IE IT LT LU LV MD ME MK MT NL NO PL RO RS SE SI
      SK TR UA`;
    for (const country of countries.split(/\s+/))
      expect(said(event('AF', 1, `X-${country}`)).at).not.toBeNull();
  });
  test('without a zone the local time still gives the order, and the status has no time', () => {
    const way = [event('PU', 1), event('AR', 2, 'Madrid-ES'), event('WC', 3, 'Madrid-ES')];
    for (const events of [way, way.toReversed()])
      expect(said(...events)).toMatchObject({
        ...{ rawStatus: 'WC', means: 'out_for_delivery', at: null, pickedUpAt: utc('2026-09-01T08:00:00') },
      });
    expect(said(...way, event('OK', 4, 'Madrid-ES'))).toMatchObject({
      means: 'delivered',
      deliveredAt: null,
    });
    expect(said(...way, event('PD', 4, 'Madrid-ES'))).toMatchObject({
      rawStatus: 'PD',
      before: { means: 'out_for_delivery' },
    });
  });
});

test('C11: user name and password go as Basic, and in no URL', () => {
  const connection = connect(courier, login);
  expect(connection?.access.key).toBe(`Basic ${Buffer.from('user:pass:word').toString('base64')}`);
  expect(connection?.access.login).toBeUndefined();
  expect(connection?.request([NUMBER]).url).not.toMatch(/user|pass/);
});

test('E8: 401, 403, 429 and 5xx mean what they do everywhere', () => {
  expect(courier.failureOf).toBeUndefined();
  const { message } = failure(courier, { detail: `Invalid number ${NUMBER}` }, [NUMBER], { status: 400 });
  expect(message).not.toContain(NUMBER);
});

test('the sandbox’s numbers have DHL’s check digit', () => {
  const valid = (number: string) =>
    /^\d{10}$/.test(number) && Number(number.slice(0, 9)) % 7 === Number(number.at(-1));
  const random = createRandom(7);
  const made = Array.from({ length: 50 }, () => standIn.newNumber?.(random) ?? '');
  for (const number of [NUMBER, '1000000024', '1000000061', ...made])
    expect(valid(number), number).toBe(true);
});
