import fc from 'fast-check';
import { expect } from 'vitest';
import courier from '../../../src/tracking/couriers/cargus.ts';
import { describeCourier } from './four.ts';
import { junk, recorded, rows } from './reading.ts';

const AWB = '804400017';
/** A winter's time in Bucharest. */
const at = (local: string, zone = '+02:00') => new Date(`${local}${zone}`);
const file = (name: string) => recorded(`cargus.${name}.json`);
const logins = { CARGUS_USERNAME: 'user', CARGUS_PASSWORD: 'pass' };
const env = { ...logins, CARGUS_SUBSCRIPTION_KEY: 'key' };

type Event = readonly [id: unknown, date?: string | null];
const row = (events: readonly Event[], Code: unknown = AWB) => ({
  Code,
  Event: events.map(([EventId, time = '2026-03-03T10:00:00']) => ({
    ...{ EventId, Date: time, LocalityName: 'BUCURESTI' },
  })),
});
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index).join(' ');

const WORDS = rows(`
  in_transit: 70 72 73 234
  in_transit: 10 11 74 76 149 223 233 249 251 255
  in_transit: 93 94 121 256
  out_for_delivery: 5
  ready_for_pickup: 38 42 44
  ndr: 1 2 3 4 6 8 14 18 50 52 24 27 32 34 36
  ndr: 77 79 ${range(95, 101)} 103 105 106 108 110 111 54 20 22 199
  ndr: 153 158 159 161 180 181 182 185 186
  rto_in_transit: 196 197 198
  delivered: 21 60 64
  destroyed: 89
  unchanged: 25 75 ${range(114, 120)} ${range(122, 145)} 200 ${range(203, 212)} 216
`);

const common = {
  is: 'scan',
  pickedUpAt: at('2026-03-02T16:12:40.180'),
  deliveredAt: null,
  rtoStartedAt: null,
};

describeCourier(courier, {
  request: [
    {
      env: { ...env, CARGUS_URL: 'http://127.0.0.1:9/cargus/api/' },
      numbers: ['804400017', 'URGC0031'],
      sends: {
        url: 'http://127.0.0.1:9/cargus/api/AwbTrace?barCode=804400017,URGC0031',
        method: 'GET',
        headers: { 'ocp-apim-subscription-key': 'key' },
      },
      login: {
        url: 'http://127.0.0.1:9/cargus/api/LoginUser',
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'ocp-apim-subscription-key': 'key',
        },
        body: '{"UserName":"user","Password":"pass"}',
      },
      secrets: [{ authorization: 'Bearer secret' }],
    },
    {
      env,
      numbers: ['1'],
      sends: { url: 'https://urgentcargus.azure-api.net/api/AwbTrace?barCode=1' },
    },
  ],
  off: [logins, { CARGUS_USERNAME: 'user', CARGUS_SUBSCRIPTION_KEY: 'key' }],
  rhythm: {
    batch: 40,
    everyMs: 3_600_000,
    limit: { max: 1, seconds: 1.5 },
    atOnce: 2,
    selection: { courier: 'cargus', sources: 'all', number: 'any-awb', precedence: 20 },
  },
  read: [
    {
      what: 'in transit',
      body: file('in-transit'),
      asked: [AWB],
      says: {
        [AWB]: {
          ...common,
          rawStatus: '149',
          courierStatus: '149 Intrat in depozit din cursa de tranzit',
          means: 'in_transit',
          at: at('2026-03-03T05:31:00'),
        },
      },
    },
    {
      what: 'delivered',
      body: file('delivered'),
      asked: [AWB],
      says: {
        [AWB]: {
          ...common,
          rawStatus: '21',
          courierStatus: '21 Livrat la destinatar (confirmat)',
          means: 'delivered',
          at: at('2026-03-03T12:51:09.770'),
          deliveredAt: at('2026-03-03T12:51:09.770'),
        },
      },
    },
    {
      what: 'a failed attempt, back in the depot',
      body: file('failed-attempt'),
      asked: ['804400031'],
      says: {
        '804400031': {
          ...common,
          rawStatus: '77',
          courierStatus: '77 Revenire in depozit avizat (nelivrat)',
          means: 'ndr',
          at: at('2026-03-03T18:05:00'),
        },
      },
    },
    {
      what: 'refused, on its way back',
      body: file('returned'),
      asked: ['804400048'],
      says: {
        '804400048': {
          ...common,
          rawStatus: '197',
          courierStatus: '197 Expediere returnata: Solicitare destinatar',
          means: 'rto_in_transit',
          at: at('2026-03-06T09:00:00'),
          rtoStartedAt: at('2026-03-06T09:00:00'),
        },
      },
    },
    { what: 'C9: unknown, or not scanned', body: file('unknown'), asked: [AWB, '1'], says: {} },
    {
      what: 'C9: an unknown one of several, and children of the other, in another order',
      body: [row([[21]], `${AWB}002`), row([[5]], `${AWB}003`), row([[38]], Number(AWB))],
      asked: ['804400062', AWB],
      says: { [AWB]: expect.objectContaining({ means: 'ready_for_pickup' }) },
    },
    {
      what: 'known and not scanned',
      body: [{ Code: AWB, Event: [] }],
      asked: [AWB],
      says: {
        [AWB]: {
          is: 'scan',
          rawStatus: 'REGISTERED',
          courierStatus: 'registered',
          means: 'pending',
          at: null,
        },
      },
    },
  ],
  errors: [
    [file('auth-error.key'), 200, 'credentials'],
    [file('auth-error.login'), 200, 'credentials'],
    [{ Message: 'Authorization has been denied for this request.' }, 200, 'credentials'],
    [file('over-limit'), 200, 'throttled'],
    [{ Message: 'The request is invalid.' }, 400, 'rejected'],
    [['Eroare interna'], 200, 'rejected'],
    [{ Error: 'Eroare interna' }, 200, 'rejected'],
    ['"Eroare interna"', 200, 'rejected'],
    [{ statusCode: 404, message: 'Resource not found' }, 404, 'malformed'],
    [[], 404, 'malformed'],
    [[null, 7], 200, 'malformed'],
    [[{ Event: [] }], 200, 'malformed'],
    [{}, 200, 'malformed'],
    ['<html>', 200, 'malformed'],
  ],
  hostile: (number) => {
    const event = fc.record({
      EventId: fc.oneof(junk, fc.constantFrom(21, '5')),
      Date: junk,
      Description: junk,
    });
    const one = fc.record({
      Code: fc.oneof(junk, fc.constant(number)),
      Event: fc.oneof(junk, fc.array(fc.oneof(event, junk))),
    });
    return fc.array(fc.oneof(one, junk));
  },
  persons: ([name, phone, street, mail, longitude]) => [
    {
      ...{ Code: AWB, ConfirmationName: name, Observation: `${phone} ${mail}`, ResponseCode: longitude },
      Event: [{ Date: '2026-03-03T10:00:00', EventId: 21, Description: 'Livrat', LocalityName: street }],
    },
  ],
  askedInPersons: [AWB],
  statuses: [
    {
      words: WORDS,
      number: AWB,
      bodies: (word) => [[row([[Number(word)]])], [row([[word]])], [row([[Number(word), null]])]],
      kept: (word) => ({ rawStatus: word, courierStatus: word, at: at('2026-03-03T10:00:00') }),
    },
  ],
});
