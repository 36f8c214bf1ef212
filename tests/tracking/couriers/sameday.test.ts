import fc from 'fast-check';
import { expect } from 'vitest';
import courier from '../../../src/tracking/couriers/sameday.ts';
import { describeCourier } from './four.ts';
import { junk, recorded, rows } from './reading.ts';

const AWB = '1ONB00000000017';
/** A winter's time in Bucharest. */
const at = (local: string, zone = '+02:00') => new Date(`${local}${zone}`);
const file = (name: string) => recorded(`sameday.${name}.json`);
const env = { SAMEDAY_USERNAME: 'user', SAMEDAY_PASSWORD: 'pass' };

interface Entry {
  statusId?: unknown;
  status?: string;
  statusLabel?: string;
  statusState?: string;
  statusDate?: string;
  inReturn?: boolean;
}
const DATE = '2026-03-16T10:00:00+0200';
const answer = (history: Entry[], summary: object = {}, status: Entry | undefined = undefined) => ({
  expeditionSummary: { awbNumber: AWB, delivered: false, canceled: false, deliveredAt: '', ...summary },
  ...(status && { expeditionStatus: status }),
  expeditionHistory: history.map((entry) => ({ statusDate: DATE, ...entry })),
});
// what is sure of the ids
const IDS = rows(`
  pending: 1 23
  in_transit: 4 56 84
  out_for_delivery: 33
  ready_for_pickup: 78
  delivered: 9
  rto_in_transit: 35
`);

const common = {
  is: 'scan',
  pickedUpAt: at('2026-03-15T17:54:54'),
  deliveredAt: null,
  rtoStartedAt: null,
};

describeCourier(courier, {
  request: [
    {
      env: { ...env, SAMEDAY_URL: 'http://127.0.0.1:9/sd/' },
      numbers: ['1ONB00000000017'],
      sends: { url: 'http://127.0.0.1:9/sd/api/client/awb/1ONB00000000017/status', method: 'GET' },
      login: {
        url: 'http://127.0.0.1:9/sd/api/authenticate',
        method: 'POST',
        headers: {
          'x-auth-username': 'user',
          'x-auth-password': 'pass',
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
        },
        body: 'remember_me=1&_format=json',
      },
      secrets: [{ 'x-auth-token': 'secret' }],
    },
    {
      env,
      numbers: ['a/b?c'],
      sends: { url: 'https://api.sameday.ro/api/client/awb/a%2Fb%3Fc/status' },
    },
  ],
  off: [{ SAMEDAY_USERNAME: 'user' }, { SAMEDAY_PASSWORD: 'pass' }],
  rhythm: {
    batch: 1,
    everyMs: 1_800_000,
    limit: { max: 2, seconds: 1 },
    atOnce: 4,
    selection: { courier: 'sameday', sources: 'all', number: 'any-awb', precedence: 20 },
  },
  read: [
    {
      what: 'in transit',
      body: file('in-transit'),
      asked: [AWB],
      says: {
        [AWB]: {
          ...common,
          rawStatus: 'COLETUL_ESTE_IN_DRUM_SPRE_DEPOZITUL_LOCAL',
          courierStatus: '56 Coletul este in tranzit',
          means: 'in_transit',
          at: at('2026-03-15T21:43:23'),
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
          rawStatus: 'COLETUL_A_FOST_LIVRAT_CU_SUCCES',
          courierStatus: '9 Coletul a fost livrat cu succes',
          means: 'delivered',
          at: at('2026-03-16T13:20:14'),
          deliveredAt: at('2026-03-16T13:20:14'),
        },
      },
    },
    {
      what: 'E3: in a locker',
      body: file('easybox-loaded'),
      asked: ['1ONB00000000031'],
      says: {
        '1ONB00000000031': {
          ...common,
          rawStatus: 'INCARCAT_IN_OOH',
          courierStatus: '78 Colet incarcat in punctul de livrare',
          means: 'ready_for_pickup',
          at: at('2026-03-16T14:27:06'),
        },
      },
    },
    {
      what: 'a failed attempt',
      body: file('failed-attempt'),
      asked: ['1ONB00000000048'],
      says: {
        '1ONB00000000048': {
          ...common,
          rawStatus: 'AVIZAT',
          courierStatus: '0 Coletul nu a putut fi livrat',
          means: 'ndr',
          at: at('2026-03-16T15:40:00'),
        },
      },
    },
    {
      what: 'cancelled, by its summary alone',
      body: file('canceled'),
      asked: ['1ONB00000000086'],
      says: {
        '1ONB00000000086': {
          ...common,
          rawStatus: 'CANCELED',
          courierStatus: 'canceled',
          means: 'booking_cancelled',
          at: null,
          pickedUpAt: null,
        },
      },
    },
    {
      what: 'cannot be located: not lost yet',
      body: file('not-locatable'),
      asked: ['1ONB00000000079'],
      says: {
        '1ONB00000000079': {
          ...common,
          rawStatus: 'COLETUL_ESTE_IN_DRUM_SPRE_DEPOZITUL_LOCAL',
          courierStatus: '56 Coletul este in tranzit',
          means: 'in_transit',
          at: at('2026-03-15T21:43:23'),
        },
      },
    },
    {
      what: 'the SDK’s example: delivered by its summary, not by its history',
      body: file('sdk-status'),
      asked: ['1SDY000000023'],
      says: {
        '1SDY000000023': {
          ...common,
          rawStatus: 'DELIVERED',
          courierStatus: 'delivered',
          means: 'delivered',
          at: at('2019-02-26T12:37:28'),
          pickedUpAt: null,
          deliveredAt: at('2019-02-26T12:37:28'),
        },
      },
    },
    {
      what: 'C9: unknown',
      body: file('unknown'),
      status: 404,
      asked: ['1ONB00000000062'],
      says: { '1ONB00000000062': { is: 'notFound', why: expect.stringContaining('determine an AWB') } },
    },
    {
      what: 'C9: unknown in other words',
      body: { error: { code: 404, message: 'AWB inexistent.' } },
      status: 404,
      asked: [AWB],
      says: { [AWB]: { is: 'notFound', why: '"AWB inexistent."' } },
    },
    {
      what: 'booked, not yet handed over',
      body: answer([]),
      asked: [AWB],
      says: {
        [AWB]: {
          ...common,
          rawStatus: 'REGISTERED',
          courierStatus: 'registered',
          means: 'pending',
          at: null,
          pickedUpAt: null,
        },
      },
    },
    { what: 'C4: another parcel', body: answer([{ statusId: 9 }]), asked: ['1ONB00000000099'], says: {} },
  ],
  askedInErrors: [AWB],
  errors: [
    [file('auth-error'), 200, 'credentials'],
    [{ error: { code: 400, message: 'Validation Failed' } }, 400, 'rejected'],
    [{ code: 400, message: 'Validation Failed', errors: { children: {} } }, 400, 'rejected'],
    [{ error: { code: 429, message: 'Too Many Requests' } }, 200, 'throttled'],
    // a URL that is not the API's: not a parcel that is unknown
    [{ error: { code: 404, message: 'No route found for "GET /x"' } }, 404, 'malformed'],
    ['<html>', 404, 'malformed'],
    ['<html>', 200, 'malformed'],
    [{}, 200, 'malformed'],
    [[], 200, 'malformed'],
    [{ expeditionSummary: [] }, 200, 'malformed'],
    [{ expeditionSummary: {}, expeditionHistory: [{ statusId: 9 }] }, 200, 'malformed'],
    // answers of its other endpoints
    [file('sdk-parcel-history'), 200, 'malformed'],
    [file('sdk-status-sync'), 200, 'malformed'],
    [file('public.in-transit'), 200, 'malformed'],
    [file('public.empty'), 200, 'malformed'],
  ],
  hostile: (number) => {
    const entry = fc.record({
      statusId: fc.oneof(junk, fc.constantFrom(1, 9, 35)),
      status: junk,
      statusLabel: junk,
      statusState: junk,
      statusDate: junk,
      inReturn: fc.oneof(junk, fc.boolean()),
    });
    return fc.record({
      error: fc.oneof(fc.constant(undefined), junk),
      expeditionSummary: fc.oneof(
        junk,
        fc.record({
          awbNumber: fc.oneof(junk, fc.constant(number)),
          delivered: fc.oneof(junk, fc.boolean()),
          canceled: fc.oneof(junk, fc.boolean()),
          deliveredAt: junk,
        }),
      ),
      expeditionStatus: fc.oneof(junk, entry),
      expeditionHistory: fc.oneof(junk, fc.array(fc.oneof(entry, junk))),
    });
  },
  persons: ([name, phone, street, mail, longitude]) => {
    const entry = { statusId: 9, statusDate: DATE, county: street, reason: name, transitLocation: mail };
    return {
      expeditionSummary: { awbNumber: AWB, cashOnDelivery: longitude },
      expeditionStatus: { ...entry, reasonId: phone },
      parcelsStatus: [entry],
      expeditionHistory: [entry],
    };
  },
  askedInPersons: [AWB],
  statuses: [
    {
      words: IDS,
      number: AWB,
      bodies: (id) => [
        answer([{ statusId: Number(id) }]),
        answer([{ statusId: id, status: 'x', statusState: 'y' }]),
        answer([], {}, { statusId: id, statusDate: DATE }),
      ],
      kept: (id) => ({ rawStatus: `ID_${id}`, courierStatus: id, at: at('2026-03-16T10:00:00') }),
    },
  ],
});
