import fc from 'fast-check';
import { expect } from 'vitest';
import courier from '../../../src/tracking/couriers/fan-courier.ts';
import { describeCourier } from './four.ts';
import { junk, recorded, rows } from './reading.ts';

const AWB = '2150000000024';
/** A time in Bucharest: winter's, or summer's with +03:00. */
const at = (local: string, zone = '+02:00') => new Date(`${local}${zone}`);
const file = (name: string) => recorded(`fan-courier.${name}.json`);

const login = { FAN_COURIER_USERNAME: 'user', FAN_COURIER_PASSWORD: 'pass' };
const env = { ...login, FAN_COURIER_CLIENT_ID: '7032158' };

type Event = readonly [id: string, date: string | null, name?: string];
const row = (events: readonly Event[], more: object = {}) => ({
  awbNumber: AWB,
  events: events.map(([id, date, name = '']) => ({ id, name, location: 'Bucuresti', date })),
  ...more,
});
const answer = (events: readonly Event[], more: object = {}) => ({ data: [row(events, more)] });

// GET /reports/awb-events
const WORDS = rows(`
  pending: S38
  in_transit: C0 H0 H10 H1 H11 H2 H3 H4 H12 H13 H15 H17 S47 S9 S64
  out_for_delivery: C1 S1 S35
  ready_for_pickup: S46 S8
  ndr: S3 S11 S21 S22 S24
  ndr: S4 S5 S10 S19 S20 S25 S27 S28 S42
  ndr: S12 S14 S30 S50
  ndr: S54 S55
  ndr: S6 S7 S15
  rto_in_transit: S33 S16 S43
  delivered: S2
  lost: S37
  unchanged: S34 S49
`);

describeCourier(courier, {
  request: [
    {
      env: { ...env, FAN_COURIER_URL: 'http://127.0.0.1:9/fan/' },
      numbers: ['2150000000024', '7000080000011'],
      sends: {
        url: 'http://127.0.0.1:9/fan/reports/awb/tracking?clientId=7032158&awb%5B%5D=2150000000024&awb%5B%5D=7000080000011&language=ro',
        method: 'GET',
      },
      login: {
        url: 'http://127.0.0.1:9/fan/login',
        method: 'POST',
        body: '{"username":"user","password":"pass"}',
      },
      secrets: [{ authorization: 'Bearer secret' }],
    },
    {
      env,
      numbers: ['1'],
      sends: {
        url: 'https://api.fancourier.ro/reports/awb/tracking?clientId=7032158&awb%5B%5D=1&language=ro',
      },
    },
  ],
  off: [login, { FAN_COURIER_USERNAME: 'user', FAN_COURIER_CLIENT_ID: '1' }],
  rhythm: {
    batch: 25,
    everyMs: 1_800_000,
    limit: { max: 1, seconds: 1 },
    atOnce: 2,
    selection: { courier: ' fan', sources: 'all', number: 'any-awb', precedence: 20 },
  },
  read: [
    {
      what: 'in transit',
      body: file('in-transit'),
      asked: ['7000080000011'],
      says: {
        '7000080000011': {
          is: 'scan',
          rawStatus: 'H0',
          courierStatus: 'H0 Expeditie in tranzit spre depozitul de destinatie',
          means: 'in_transit',
          at: at('2025-08-04T23:57:52', '+03:00'),
          pickedUpAt: at('2025-08-04T14:20:00', '+03:00'),
          deliveredAt: null,
          rtoStartedAt: null,
        },
      },
    },
    {
      what: 'delivered, C1 and S1 in one minute',
      body: file('delivered'),
      asked: ['7000080000011'],
      says: {
        '7000080000011': {
          is: 'scan',
          rawStatus: 'S2',
          courierStatus: 'S2 Livrat',
          means: 'delivered',
          at: at('2025-08-05T14:00:03', '+03:00'),
          pickedUpAt: at('2025-08-04T14:20:00', '+03:00'),
          deliveredAt: at('2025-08-05T14:00:03', '+03:00'),
          rtoStartedAt: null,
        },
      },
    },
    {
      what: 'E6: delivered against cash, which comes back under another number',
      body: file('delivered-cod'),
      asked: ['2150000000055'],
      says: {
        '2150000000055': {
          is: 'scan',
          rawStatus: 'S2',
          courierStatus: 'S2 Livrat',
          means: 'delivered',
          at: at('2026-03-03T13:55:12'),
          pickedUpAt: at('2026-03-02T16:05:00'),
          deliveredAt: at('2026-03-03T13:55:12'),
          rtoStartedAt: null,
        },
      },
    },
    {
      what: 'a second failed attempt',
      body: file('failed-attempt'),
      asked: [AWB],
      says: {
        [AWB]: {
          is: 'scan',
          rawStatus: 'S12',
          courierStatus: 'S12 Contactat; livrare ulterioara',
          means: 'ndr',
          at: at('2023-03-02T17:02:31'),
          pickedUpAt: null,
          deliveredAt: null,
          rtoStartedAt: null,
        },
      },
    },
    {
      what: 'E4: refused, its return booked',
      body: file('refused-and-returning'),
      asked: ['2150000000031'],
      says: {
        '2150000000031': {
          is: 'scan',
          rawStatus: 'S33',
          courierStatus: 'S33 Retur solicitat',
          means: 'rto_in_transit',
          at: at('2026-03-04T09:02:00'),
          pickedUpAt: at('2026-03-02T17:45:00'),
          deliveredAt: null,
          rtoStartedAt: at('2026-03-04T09:02:00'),
          links: [{ is: 'return', number: '2150000000932' }],
        },
      },
    },
    {
      what: 'E4: on its way back, which ends under the other number',
      body: file('returned'),
      asked: ['2150000000031'],
      says: {
        '2150000000031': {
          is: 'scan',
          rawStatus: 'S43',
          courierStatus: 'S43 Retur',
          means: 'rto_in_transit',
          at: at('2026-03-05T18:20:33'),
          pickedUpAt: at('2026-03-02T17:45:00'),
          deliveredAt: null,
          rtoStartedAt: at('2026-03-05T18:20:33'),
          links: [{ is: 'return', number: '2150000000932' }],
        },
      },
    },
    {
      what: 'booked, not yet handed over',
      body: file('registered'),
      asked: ['2150000000079'],
      says: {
        '2150000000079': {
          is: 'scan',
          rawStatus: 'REGISTERED',
          courierStatus: 'registered',
          means: 'pending',
          at: null,
        },
      },
    },
    {
      what: 'C9: unknown',
      body: file('unknown'),
      asked: ['2150000000062'],
      says: { '2150000000062': { is: 'notFound', why: '"AWB-ul nu a fost gasit."' } },
    },
    {
      what: 'C9: unknown, in English',
      body: file('unknown.en'),
      asked: ['2150000000062'],
      says: { '2150000000062': { is: 'notFound', why: '"The AWB was not found"' } },
    },
    {
      what: 'C9: unknown, left out: of several, of all, and of all as an object',
      body: { data: [row([['S2', '2026-03-03 10:00:00']])] },
      asked: [AWB, '2150000000062'],
      says: { [AWB]: expect.objectContaining({ means: 'delivered' }) },
    },
    { what: 'C9: none is known', body: { status: 'success', data: [] }, asked: ['1', '2'], says: {} },
    { what: 'C9: none is known, as an object', body: { data: {} }, asked: ['1', '2'], says: {} },
    {
      what: 'E8: an object where a list was promised, and a number where a text was',
      body: {
        data: {
          0: { awbNumber: 2150000000024, events: [{ id: 'S1', name: 'Expeditie in livrare', date: '' }] },
          1: { awbNumber: '2150000000062', message: 'AWB-ul nu a fost gasit.' },
        },
      },
      asked: ['2150000000062', AWB],
      says: {
        [AWB]: expect.objectContaining({ means: 'out_for_delivery', at: null }),
        '2150000000062': expect.objectContaining({ is: 'notFound' }),
      },
    },
  ],
  errors: [
    [file('auth-error'), 200, 'credentials'],
    [file('login.missing-fields'), 422, 'rejected'],
    [{ message: 'The reference.0 format is invalid.' }, 200, 'rejected'],
    [{ message: 'Too Many Attempts.' }, 200, 'throttled'],
    [{ message: 'Not found' }, 404, 'malformed'],
    [{ status: 'success', data: null }, 200, 'malformed'],
    [{ status: 'success', data: [] }, 404, 'malformed'],
    [[], 200, 'malformed'],
    ['<html>', 200, 'malformed'],
  ],
  hostile: (number) => {
    const event = fc.record({ id: fc.oneof(junk, fc.constantFrom('S2', 'C0')), name: junk, date: junk });
    const one = fc.record({
      awbNumber: fc.oneof(junk, fc.constant(number)),
      message: junk,
      returnAwbNumber: junk,
      redirectionAwbNumber: junk,
      confirmation: junk,
      events: fc.oneof(junk, fc.array(fc.oneof(event, junk))),
    });
    return fc.record({
      data: fc.oneof(junk, fc.array(fc.oneof(one, junk)), fc.dictionary(fc.string(), one)),
    });
  },
  persons: ([name, phone, street, mail, longitude]) =>
    answer([['S2', '2026-03-03 10:00:00']], {
      content: `${phone} ${mail}`,
      confirmation: { name, date: '2026-03-03 10:00' },
      options: longitude,
      location: street,
    }),
  askedInPersons: [AWB],
  statuses: [
    {
      words: WORDS,
      number: AWB,
      bodies: (word) => [answer([[word, '2026-03-03 10:00:00']]), answer([[word.toLowerCase(), null]])],
      kept: (word) => ({ rawStatus: word, courierStatus: word, at: at('2026-03-03T10:00:00') }),
    },
  ],
});
