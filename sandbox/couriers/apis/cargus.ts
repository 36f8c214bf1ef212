import { z } from 'zod';
import { parsedObject } from '../../http.ts';
import { type Answer, json } from '../../http-faults.ts';
import type { CourierCall } from '../desk.ts';
import { scansOf } from '../lives.ts';
import { wallTime } from '../local-time.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL } from '../places.ts';
import { defineStandIn, type SettingsOf } from '../stand-in.ts';
import { secretOf } from '../tokens.ts';

const settings = {
  batch: z.int().min(1).default(100),
  subscriptionKey: z.string().default('demo-cargus-subscription-key'),
  /** The HTTP status of a wrong user name or password. */
  loginFailsWith: z.union([z.literal(500), z.literal(200)]).default(500),
  /** Whether some AWBs have several parcels, which come along unasked. */
  children: z.boolean().default(true),
  /** Whether a delivered parcel that is paid in cash gets the event of its payout, a day later. */
  payouts: z.boolean().default(true),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    cargus: SettingsOf<typeof settings>;
  }
}

/** POST /LoginUser, GET /AwbTrace?barCode= and, by time, GET /AwbTrace/GetDeltaEvents?FromDate=&ToDate=. */
export default defineStandIn({
  name: 'cargus',
  prefix: '/couriers/cargus/api',
  settings,
  // as two scripts of one shop met it; the gateway says when
  limit: { max: 1, perSeconds: 1, headers: { 'retry-after': '1' } },
  loginLimit: { max: 10, perSeconds: 60 },
  account: {
    user: 'demo-cargus',
    password: 'demo-cargus-password',
    tokenSeconds: 86_400,
    lockAfter: 10,
    lockSeconds: 900,
    revokesEarlier: false,
  },
  env: {
    CARGUS_URL: ({ url }) => url,
    CARGUS_SUBSCRIPTION_KEY: ({ settings }) => settings.subscriptionKey,
    CARGUS_USERNAME: ({ account }) => account.user,
    CARGUS_PASSWORD: ({ account }) => account.password,
  },
  booking: { courier: 'cargus', source: 'temu' },
  newNumber: (random) => `8${random.digits(8)}`,
  // nothing of a cancellation, a loss, or of what becomes of a return: that has another number, which is not named here
  meanings: { sellerCancelled: null, lost: null, rtoDelivered: 'rto_in_transit' },
  mix: { locker: 8, uncollected: 2 },
  open: ({ clock, parcels, settings, account }) => {
    const login = ({ method, body }: CourierCall): Answer => {
      if (method !== 'POST') return json({ Message: NOT_SUPPORTED }, 405);
      const given = parsedObject(body);
      const result = account.login(given?.UserName, given?.Password);
      // a JSON text either way
      if (typeof result === 'string') return json('Failed to authenticate!', settings.loginFailsWith);
      return json(result.token);
    };

    const eventsOf = (parcel: Parcel) => events(parcel, clock.now(), settings.payouts);

    /** Without a scan it is as unknown as if it had not been booked. */
    const rowsOf = (parcel: Parcel, all: Event[]): unknown[] => {
      if (all.length === 0) return [];
      const raw = scansOf(parcel, clock.now()).at(-1)?.word?.raw;
      if (raw !== undefined) return [raw];
      const several = settings.children && parcel.seed % 4 === 0;
      // their numbers begin with the AWB; there is no 001
      const codes = several ? ['', '002', '003'] : [''];
      return codes.map((suffix) => rowOf(`${parcel.number}${suffix}`, all));
    };

    const trace = (query: URLSearchParams): Answer => {
      const codes = codesOf(query);
      if (codes.length === 0 || codes.length > settings.batch)
        return json({ Message: 'The request is invalid.' }, 400);
      const found = codes.flatMap((code) => parcels.find('cargus', code) ?? []);
      // not in the order of the request
      return json(
        found.sort((a, b) => a.seed - b.seed).flatMap((parcel) => rowsOf(parcel, eventsOf(parcel))),
      );
    };

    /** By days of Romania; assumed: the rows are those of AwbTrace, with the events of these days alone. */
    const delta = (query: URLSearchParams): Answer => {
      const from = dayOf(query.get('FromDate'));
      const to = dayOf(query.get('ToDate') ?? americanDay(clock.now()));
      if (!from || !to) return json({ Message: 'The request is invalid.' }, 400);
      const within = ({ at }: Event) => {
        const day = bucharest(at).slice(0, 10);
        return from <= day && day <= to;
      };
      const rows = parcels
        .list('cargus')
        .flatMap((parcel) => rowsOf(parcel, eventsOf(parcel).filter(within)));
      return json(rows);
    };

    const denied = (headers: CourierCall['headers']): Answer | undefined => {
      const key = headers['ocp-apim-subscription-key'];
      if (key === settings.subscriptionKey) return undefined;
      return json({ statusCode: 401, message: key === undefined ? NO_KEY : WRONG_KEY }, 401);
    };

    return {
      kindOf: (path) =>
        path === '/LoginUser' ? 'login' : path === TRACE || path === DELTA ? 'track' : 'other',
      numbersOf: ({ path, query }) => (path === TRACE ? codesOf(query) : []),
      unauthorized: (kind) =>
        kind === 'login' ? json('Failed to authenticate!', settings.loginFailsWith) : json(DENIED, 401),
      // its gateway's own
      limited: json({ statusCode: 429, message: 'Rate limit is exceeded. Try again in 1 seconds.' }, 429),
      wrongShapes: WRONG_SHAPES,
      answer: (call) => {
        const refused = denied(call.headers);
        if (refused) return refused;
        if (call.kind === 'login') return login(call);
        if (call.kind !== 'track') return json({ statusCode: 404, message: 'Resource not found' }, 404);
        if (account.check(secretOf(call.headers.authorization, 'Bearer')) !== 'ok') return json(DENIED, 401);
        return call.path === DELTA ? delta(call.query) : trace(call.query);
      },
    };
  },
});

const TRACE = '/AwbTrace';
const DELTA = '/AwbTrace/GetDeltaEvents';
const NOT_SUPPORTED = 'The requested resource does not support http method.';
const NO_KEY =
  'Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API.';
const WRONG_KEY =
  'Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription.';
const DENIED = { Message: 'Authorization has been denied for this request.' };

const WRONG_SHAPES = [
  '{}',
  'null',
  '"ok"',
  '[null]',
  '[{"Code":null,"Event":[]}]',
  '[{"Event":[{"EventId":21}]}]',
  '["Eroare interna"]',
  '{"Error":"Eroare interna"}',
];

/** a,b,c or ["a","b"] or [1,2]. */
function codesOf(query: URLSearchParams): string[] {
  const given = query.get('barCode') ?? '';
  const bare = given.replace(/^\[|\]$/g, '').replaceAll('"', '');
  return [...new Set(bare.split(',').map((code) => code.trim()))].filter(Boolean);
}

interface Event {
  at: number;
  EventId: number | string;
  Description: string;
}
type Words = readonly [id: number | string, description: string];

const IN_DEPOT: Words = [10, 'Intrare in depozit'];
const OUT_OF_DEPOT: Words = [11, 'DF Iesire din depozit catre tranzit '];

/** Ids and texts, some of which end with a blank; null: nothing is shown for it. */
const CARGUS: Record<EventName, Words | null> = {
  manifested: null,
  pickupScheduled: null,
  pickedUp: [234, 'PickUp Colectat'],
  atOrigin: IN_DEPOT,
  bagged: [249, 'Sortare'],
  onTrip: OUT_OF_DEPOT,
  tripArrived: [149, 'Intrat in depozit din cursa de tranzit'],
  received: [255, 'AF Sosire in centru'],
  atDestination: IN_DEPOT,
  outForDelivery: [5, 'Spre destinatar'],
  readyForPickup: [38, 'Se asteapta ridicarea coletului de la sediu'],
  failedAttempt: [110, 'Destinatar negasit la domiciliu: Avizat cu bileta la adresa'],
  delivered: [21, 'Livrat la destinatar (confirmat)'],
  notHandedOver: null,
  sellerCancelled: null,
  rtoStarted: [197, 'Expediere returnata: Solicitare destinatar'],
  rtoInTransit: null,
  rtoPending: null,
  rtoOutForDelivery: null,
  rtoDelivered: null,
  lost: [203, 'Transport intarziat'],
  destroyed: [89, 'Expediere distrusa'],
  strange: [299, 'Eveniment nou'],
};

/** Oldest first; the collection is noted twice. */
function events(parcel: Parcel, now: number, payouts: boolean): Event[] {
  const all = scansOf(parcel, now).flatMap(({ event, at, word }: Scan): Event[] => {
    const said: Words | null = word?.status === undefined ? CARGUS[event] : [word.status, ''];
    if (!said) return [];
    const one = { at, EventId: said[0], Description: said[1] };
    return event === 'pickedUp' ? [one, one] : [one];
  });
  const delivered = all.findLast(({ EventId }) => EventId === 21);
  const paid = delivered && delivered.at + 86_400_000;
  // every third one is paid in cash
  if (payouts && paid && paid <= now && parcel.seed % 3 === 0)
    all.push({ at: paid, EventId: 25, Description: 'Confirmare borderou CC' });
  return all;
}

const bucharest = (at: number) => wallTime('Europe/Bucharest', at);

/** No zone, and as many decimals as it needs. */
const shown = (at: number): string =>
  bucharest(at).replace(/\.(\d*?)0*$/, (_all, digits: string) => (digits ? `.${digits}` : ''));

function rowOf(code: string, all: readonly Event[]): unknown {
  const delivered = all.some(({ EventId }) => EventId === 21);
  return {
    Code: code,
    Type: 'Colet',
    MeasuredWeight: 1.2,
    VolumetricWeight: 0,
    ConfirmationName: delivered ? PERSONAL.consignee : null,
    Observation: PERSONAL.phone,
    ResponseCode: '',
    Event: all.map(({ at, ...event }) => ({ Date: shown(at), ...event, LocalityName: 'BUCURESTI' })),
  };
}

/** 03-25-2026 as 2026-03-25; undefined for anything else, as 25-03-2026. */
function dayOf(american: string | null): string | undefined {
  const [, month, day, year] = /^(0[1-9]|1[0-2])-(\d\d)-(\d{4})$/.exec(american ?? '') ?? [];
  return month && `${year}-${month}-${day}`;
}
const americanDay = (at: number): string => bucharest(at).replace(/^(\d{4})-(\d\d)-(\d\d).*$/, '$2-$3-$1');
