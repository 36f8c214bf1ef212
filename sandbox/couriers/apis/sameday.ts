import { z } from 'zod';
import { type Answer, json } from '../../http-faults.ts';
import type { CourierCall } from '../desk.ts';
import { scansOf } from '../lives.ts';
import { offsetText, wallTime } from '../local-time.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL } from '../places.ts';
import { defineStandIn, type SettingsOf } from '../stand-in.ts';

const settings = {
  /** The history's order: the SDK's examples are oldest first, its public page newest first. */
  order: z.enum(['oldest', 'newest']).default('oldest'),
  /** A 403 with a page instead of an answer, as its front gives while it checks who calls. */
  challenge: z.boolean().default(false),
  /** Whether a delivered parcel that is paid in cash gets the entry of its payout, two days later. */
  payouts: z.boolean().default(true),
  /** Whether `status-sync` answers; else it refuses with 400. */
  feedWorks: z.boolean().default(true),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    sameday: SettingsOf<typeof settings>;
  }
}

const HOUR_S = 3600;
const HOUR_MS = HOUR_S * 1000;
/** Of `status-sync`. */
const LONGEST_WINDOW_S = 2 * HOUR_S;
const LARGEST_PAGE = 500;

/** POST /api/authenticate, GET /api/client/awb/{awb}/status and, by time, GET /api/client/status-sync. */
export default defineStandIn({
  name: 'sameday',
  prefix: '/couriers/sameday',
  settings,
  // assumed: none is published
  limit: { max: 4, perSeconds: 1 },
  loginLimit: { max: 12, perSeconds: 60 },
  account: {
    user: 'demo-sameday',
    password: 'demo-sameday-password',
    // with remember_me; without: twelve hours
    tokenSeconds: 14 * 86_400,
    lockAfter: 10,
    lockSeconds: 900,
    revokesEarlier: false,
  },
  env: {
    SAMEDAY_URL: ({ url }) => url,
    SAMEDAY_USERNAME: ({ account }) => account.user,
    SAMEDAY_PASSWORD: ({ account }) => account.password,
  },
  booking: { courier: 'sameday', source: 'temu' },
  newNumber: (random) => `1ONB${random.digits(11)}`,
  // it cannot be located: nothing says that it is lost
  meanings: { lost: null, destroyed: null },
  mix: { locker: 20, uncollected: 4, destroyed: 0 },
  open: ({ clock, parcels, settings, account }) => {
    const login = ({ method, headers, body }: CourierCall): Answer => {
      if (method !== 'POST') return error(405, 'Method Not Allowed');
      const result = account.login(headers['x-auth-username'], headers['x-auth-password']);
      if (typeof result === 'string') return error(403, 'Invalid credentials.');
      const form = new URLSearchParams(body);
      if (form.get('remember_me') === '1') return token(result.token, result.expiresAt);
      return token(account.issue(12 * HOUR_S), clock.now() + 12 * HOUR_MS);
    };

    const entriesOf = (parcel: Parcel): Entry[] => entries(parcel, clock.now(), settings.payouts);

    const status = (awb: string): Answer => {
      const parcel = parcels.find('sameday', awb);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      const last = scans.at(-1);
      if (!parcel || !last) return error(404, `Couldn't determine an AWB/parcel with \`${awb}\` number.`);
      if (last.word?.raw !== undefined) return json(last.word.raw);
      return json(parcelOf(parcel, scans, entriesOf(parcel), settings.order));
    };

    const sync = (query: URLSearchParams): Answer => {
      const [start = 0, end = 0] = ['startTimestamp', 'endTimestamp'].map((name) => unix(query.get(name)));
      // Unix seconds only: a date is refused
      if (Number.isNaN(start + end) || end < start || end - start > LONGEST_WINDOW_S)
        return json({ code: 400, message: 'Validation Failed', errors: { children: WINDOW_ERRORS } }, 400);
      const page = Number(query.get('page') ?? 1) || 1;
      const perPage = Math.min(LARGEST_PAGE, Number(query.get('countPerPage') ?? 50) || 50);
      const changes = parcels
        .list('sameday')
        .flatMap((parcel) => entriesOf(parcel).map((entry) => ({ parcel, entry })))
        .filter(({ entry }) => entry.at >= start * 1000 && entry.at < (end + 1) * 1000)
        .sort((a, b) => b.entry.at - a.entry.at);
      // neither how many pages there are nor how many entries
      const data = changes.slice((page - 1) * perPage, page * perPage).map(changeOf);
      return json({ currentPage: page, perPage, data });
    };

    const track = ({ method, headers, path, query }: CourierCall): Answer => {
      if (settings.challenge) return CHALLENGE;
      const given = headers['x-auth-token'];
      if (account.check(typeof given === 'string' ? given : undefined) !== 'ok')
        return error(401, 'Invalid credentials.');
      if (method !== 'GET') return error(405, 'Method Not Allowed');
      if (path === SYNC && !settings.feedWorks) return error(400, 'Validation Failed');
      return path === SYNC ? sync(query) : status(awbOf(path) ?? '');
    };

    return {
      kindOf: (path) =>
        path === '/api/authenticate' ? 'login' : path === SYNC || awbOf(path) ? 'track' : 'other',
      numbersOf: ({ path }) => {
        const awb = awbOf(path);
        return awb ? [awb] : [];
      },
      unauthorized: (kind) => error(kind === 'login' ? 403 : 401, 'Invalid credentials.'),
      // assumed: none was seen
      limited: error(429, 'Too Many Requests'),
      wrongShapes: WRONG_SHAPES,
      answer: (call) => {
        if (call.kind === 'login') return settings.challenge ? CHALLENGE : login(call);
        return call.kind === 'track' ? track(call) : error(404, `No route found for "GET ${call.path}"`);
      },
    };
  },
});

const SYNC = '/api/client/status-sync';
const awbOf = (path: string): string | undefined => {
  const found = /^\/api\/client\/awb\/([^/]+)\/status$/.exec(path)?.[1];
  return found === undefined ? undefined : decodeURIComponent(found);
};

const error = (code: number, message: string): Answer => json({ error: { code, message } }, code);

const CHALLENGE: Answer = {
  status: 403,
  type: 'text/html',
  body: '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head><body></body></html>',
};

/** Its expiry twice, to the minute and without a zone: Romania's and UTC. */
const token = (value: string, expiresAt: number): Answer => {
  const minute = (zone: string) => wallTime(zone, expiresAt).slice(0, 16).replace('T', ' ');
  return json({ token: value, expire_at: minute('Europe/Bucharest'), expire_at_utc: minute('UTC') });
};

const unix = (given: string | null): number => (/^\d{1,12}$/.test(given ?? '') ? Number(given) : Number.NaN);
const WINDOW_ERRORS = { startTimestamp: { errors: ['This value is not valid.'] }, endTimestamp: {} };

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"expeditionSummary":null}',
  '{"expeditionSummary":{"awbNumber":7}}',
  '{"expeditionSummary":[],"expeditionHistory":{}}',
  '{"expeditionStatus":{"statusId":9},"expeditionHistory":[]}',
];

/** One entry of the history. */
interface Entry {
  at: number;
  statusId: number;
  status: string;
  statusLabel: string;
  statusState: string;
  reason?: string;
}
type Words = readonly [id: number, status: string, label: string, state: string, reason?: string];

const IN_TRANSIT: Words = [
  56,
  'In tranzit',
  'Coletul este in drum spre depozitul local.',
  'Coletul este in tranzit',
];
const BACK: Words = [35, 'Retur', 'Retur', 'Coletul se intoarce la expeditor'];
const NOT_LOCATED: Words = [
  88,
  'Nelocalizat',
  'Din pacate, coletul nu poate fi localizat. Revenim cu vesti.',
  'Nelocalizat',
];
const PAID_OUT: Words = [3, 'Ramburs transferat', 'Rambursul a fost transferat.', 'Ramburs transferat'];

/** Ids and texts; null: nothing is shown for it. */
const SAMEDAY: Record<EventName, Words | null> = {
  manifested: [1, 'AWB Emis', 'Document de transport emis', 'Comanda curier primita'],
  pickupScheduled: [
    23,
    'Alocata pentru ridicare',
    'Un curier urmeaza sa ridice coletul de la expeditor.',
    'Expedierea a fost inregistrata',
  ],
  pickedUp: [
    4,
    'Ridicata de la client',
    'Expeditorul a predat coletul catre Sameday.',
    'Coletul a intrat in posesia noastra',
  ],
  atOrigin: IN_TRANSIT,
  bagged: IN_TRANSIT,
  onTrip: IN_TRANSIT,
  tripArrived: IN_TRANSIT,
  received: IN_TRANSIT,
  atDestination: IN_TRANSIT,
  outForDelivery: [
    33,
    'In livrare la curier',
    'Curierul urmeaza sa efectueze livrarea in curand.',
    'Curierul Sameday urmeaza sa efectueze livrarea',
  ],
  readyForPickup: [
    78,
    'Incarcat in OOH',
    'Coletul a ajuns in punctul de livrare. Detaliile de ridicare sunt disponibile in SAMEDAY App.',
    'Colet incarcat in punctul de livrare',
  ],
  failedAttempt: [12, 'Avizat', 'Avizat', 'Coletul nu a putut fi livrat', 'Destinatar absent'],
  delivered: [9, 'Livrata cu succes', 'Coletul a fost livrat cu succes.', 'Coletul a fost livrat cu succes'],
  notHandedOver: null,
  // in the summary alone
  sellerCancelled: null,
  rtoStarted: BACK,
  rtoInTransit: BACK,
  rtoPending: BACK,
  rtoOutForDelivery: BACK,
  rtoDelivered: [22, 'Returnata', 'Ți-am returnat coletul cu succes.', 'Coletul a fost returnat'],
  lost: NOT_LOCATED,
  destroyed: NOT_LOCATED,
  strange: [120, 'Stare noua', 'Stare noua', 'Stare noua'],
};

const entryOf = ([statusId, status, statusLabel, statusState, reason = '']: Words, at: number): Entry => ({
  ...{ at, statusId, status, statusLabel, statusState, reason },
});

/** Oldest first. */
function entries(parcel: Parcel, now: number, payouts: boolean): Entry[] {
  const all = scansOf(parcel, now).flatMap(({ event, at, word }) => {
    const said = word?.status === undefined ? SAMEDAY[event] : ([0, '', '', word.status] as const);
    return said ? [entryOf(said, at)] : [];
  });
  const delivered = all.findLast(({ statusId }) => statusId === 9);
  const paid = delivered && delivered.at + 2 * 24 * HOUR_MS;
  // every third one is paid in cash
  if (payouts && paid && paid <= now && parcel.seed % 3 === 0) all.push(entryOf(PAID_OUT, paid));
  return all;
}

const local = (at: number): string =>
  `${wallTime('Europe/Bucharest', at).slice(0, 19)}${offsetText('Europe/Bucharest', at)}`;

const shown = ({ at, reason = '', ...entry }: Entry) => ({
  ...entry,
  statusDate: local(at),
  county: PERSONAL.address,
  reason,
  transitLocation: '',
});

const detailsOf = (parcelNumber: string) =>
  `https://api.sameday.ro/api/client/parcel/${parcelNumber}/status-history`;

function parcelOf(parcel: Parcel, scans: readonly Scan[], all: Entry[], order: 'oldest' | 'newest'): unknown {
  const delivered = all.find(({ statusId }) => statusId === 9);
  const last = all.at(-1);
  const parcelAwbNumber = `${parcel.number}001`;
  return {
    expeditionSummary: {
      deliveredAt: delivered ? local(delivered.at) : '',
      lastDeliveryAttempt: delivered ? local(delivered.at) : '',
      delivered: delivered !== undefined,
      canceled: scans.some(({ event }) => event === 'sellerCancelled'),
      deliveryAttempts: scans.filter(({ event }) => event === 'failedAttempt').length + (delivered ? 1 : 0),
      servicePayment: 0,
      awbWeight: 1,
      cashOnDelivery: 0,
      awbNumber: parcel.number,
      redirectionsAttempts: 0,
    },
    expeditionStatus: last ? shown(last) : [],
    parcelsStatus: last
      ? [{ ...shown(last), parcelAwbNumber, parcelDetails: detailsOf(parcelAwbNumber) }]
      : [],
    expeditionHistory: (order === 'oldest' ? all : [...all].reverse()).map(shown),
  };
}

/** By the number of the parcel, which is the AWB's with three digits more. */
function changeOf({ parcel, entry }: { parcel: Parcel; entry: Entry }): unknown {
  const { county, ...said } = shown(entry);
  const parcelAwbNumber = `${parcel.number}001`;
  // a number, "" or null
  const reasonId = entry.reason ? 1 : entry.statusId === 1 ? null : '';
  return { ...said, parcelAwbNumber, reasonId, parcelDetails: detailsOf(parcelAwbNumber) };
}
