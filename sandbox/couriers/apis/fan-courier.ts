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
  batch: z.int().min(1).default(50),
  clientId: z.string().default('7032158'),
  /** An unknown AWB: a row with a message, or no row. */
  unknownAs: z.enum(['message', 'missing']).default('message'),
  /** `data` as an object by index, as one client of theirs has met it. */
  dataAs: z.enum(['list', 'object']).default('list'),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    'fan-courier': SettingsOf<typeof settings>;
  }
}

/** POST /login and GET /reports/awb/tracking?clientId&awb[]&awb[]. */
export default defineStandIn({
  name: 'fan-courier',
  prefix: '/couriers/fan-courier',
  settings,
  // assumed: none is documented
  limit: { max: 2, perSeconds: 1 },
  loginLimit: { max: 5, perSeconds: 60 },
  account: {
    user: 'demo-fan',
    password: 'demo-fan-password',
    tokenSeconds: 86_400,
    lockAfter: 10,
    lockSeconds: 900,
    revokesEarlier: false,
  },
  env: {
    FAN_COURIER_URL: ({ url }) => url,
    FAN_COURIER_USERNAME: ({ account }) => account.user,
    FAN_COURIER_PASSWORD: ({ account }) => account.password,
    FAN_COURIER_CLIENT_ID: ({ settings }) => settings.clientId,
  },
  booking: { courier: 'fancourier', source: 'temu' },
  newNumber: (random) => `2${random.digits(12)}`,
  secondNumbers: true,
  // what is cancelled before the pickup stays "registered" forever;
  // back at the seller is what the return's own number says
  meanings: {
    ...{ notHandedOver: 'pending', sellerCancelled: 'pending' },
    ...{ destroyed: 'lost', rtoDelivered: 'rto_in_transit' },
  },
  mix: { locker: 12, uncollected: 3, redirected: 3, destroyed: 0 },
  open: ({ clock, parcels, settings, account }) => {
    const login = ({ method, body, query }: CourierCall): Answer => {
      if (method !== 'POST') return json({ message: 'Not found' }, 404);
      const given = parsedObject(body) ?? Object.fromEntries([...query, ...new URLSearchParams(body)]);
      const missing = ['username', 'password'].filter((name) => !given[name]);
      if (missing.length > 0) {
        const errors = Object.fromEntries(missing.map((name) => [name, [`The ${name} field is required.`]]));
        return json({ status: 'fail', message: Object.values(errors)[0]?.[0], data: { errors } }, 422);
      }
      const result = account.login(given.username, given.password);
      if (typeof result === 'string') return json({ status: 'error', ...REFUSED }, 401);
      // an id before the secret, and an expiry without its zone
      const data = { token: `1234|${result.token}`, expiresAt: blank(result.expiresAt) };
      return json({ status: 'success', data });
    };

    const row = (awb: string): unknown[] => {
      if (!/^[0-9A-Za-z]+$/.test(awb))
        return [{ awbNumber: awb, message: 'The reference.0 format is invalid.' }];
      const parcel = parcels.find('fan-courier', awb);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      const shown = scans.filter(({ event, word }) => word || FAN[event]);
      if (parcel && shown.length > 0) return [rowOf(parcel, shown)];
      if (parcel && scans.length > 0)
        return [{ awbNumber: awb, message: 'AWB-ul a fost inregistrat de catre clientul expeditor' }];
      return settings.unknownAs === 'missing' ? [] : [{ awbNumber: awb, message: 'AWB-ul nu a fost gasit.' }];
    };

    const track = ({ method, headers, query }: CourierCall): Answer => {
      const token = secretOf(headers.authorization, 'Bearer')?.replace(/^\d+\|/, '');
      if (account.check(token) !== 'ok') return json(REFUSED, 401);
      if (method !== 'GET') return json({ message: 'Not found' }, 404);
      if (query.get('clientId') !== settings.clientId)
        return json({ status: 'error', message: 'The selected client id is invalid.' }, 422);
      const awbs = query.getAll('awb[]');
      if (awbs.length === 0 || awbs.length > settings.batch)
        return json({ status: 'fail', message: 'The awb field is required.' }, 422);
      const rows = awbs.flatMap(row);
      return json({ status: 'success', data: settings.dataAs === 'list' ? rows : { ...rows } });
    };

    return {
      kindOf: (path) => (path === '/login' ? 'login' : path === '/reports/awb/tracking' ? 'track' : 'other'),
      numbersOf: ({ query }) => query.getAll('awb[]'),
      unauthorized: (kind) => json(kind === 'login' ? { status: 'error', ...REFUSED } : REFUSED, 401),
      limited: { status: 429, body: JSON.stringify({ message: 'Too Many Attempts.' }) },
      wrongShapes: WRONG_SHAPES,
      answer: (call) => {
        if (call.kind === 'login') return login(call);
        return call.kind === 'track' ? track(call) : json({ message: 'Not found' }, 404);
      },
    };
  },
});

const REDIRECTED = ['S9', 'Redirectionat'] as const;
const TAKEN_OUT = { id: 'C1', name: 'Expeditie preluata spre livrare' };
const REFUSED = { message: 'These credentials do not match our records.' };

/** Ids and texts; null: nothing is shown for it. */
const FAN: Record<EventName, readonly [id: string, name: string] | null> = {
  manifested: null,
  pickupScheduled: null,
  pickedUp: ['C0', 'Expeditie ridicata'],
  atOrigin: ['H0', 'Expeditie in tranzit spre depozitul de destinatie'],
  bagged: ['H12', 'Expeditie in depozit'],
  onTrip: ['H2', 'Expeditie in tranzit'],
  tripArrived: ['H1', 'Expeditie descarcata in depozitul de destinatie'],
  received: ['H3', 'Expeditie sortata pe banda'],
  atDestination: ['H17', 'Expeditie in depozitul de destinatie'],
  outForDelivery: ['S1', 'Expeditie in livrare'],
  readyForPickup: ['S46', 'Predat punct Livrare'],
  failedAttempt: ['S12', 'Contactat; livrare ulterioara'],
  delivered: ['S2', 'Livrat'],
  notHandedOver: null,
  sellerCancelled: null,
  rtoStarted: ['S33', 'Retur solicitat'],
  rtoInTransit: ['S43', 'Retur'],
  rtoPending: ['S43', 'Retur'],
  rtoOutForDelivery: ['S43', 'Retur'],
  rtoDelivered: ['S43', 'Retur'],
  lost: ['S37', 'Despagubit'],
  destroyed: ['S37', 'Despagubit'],
  strange: ['S99', 'Eveniment nou'],
};

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"status":"success"}',
  '{"status":"success","data":null}',
  '{"status":"success","data":[{"awbNumber":7}]}',
  '{"status":"success","data":[{"events":[{"id":"S2"}]}]}',
];

const blank = (at: number): string => wallTime('Europe/Bucharest', at).slice(0, 19).replace('T', ' ');

/** One row; oldest event first, some of them twice. */
function rowOf(parcel: Parcel, scans: readonly Scan[]): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const returning = scans.some(({ event }) => event === 'rtoStarted');
  const delivered = scans.find(({ event }) => event === 'delivered');
  const events = scans.flatMap((scan) => {
    const said = scan.onward ? REDIRECTED : (FAN[scan.event] ?? ['', '']);
    const [id, name] = scan.word?.status ? [scan.word.status, ''] : said;
    const one = { id, name, location: 'Bucuresti', date: blank(scan.at) };
    if (scan.event === 'bagged') return [one, one];
    // taken over at the full minute, out some seconds later
    return id === 'S1' ? [{ ...one, ...TAKEN_OUT, date: `${one.date.slice(0, 16)}:00` }, one] : [one];
  });
  return {
    content: PERSONAL.address,
    awbNumber: parcel.number,
    date: `${blank(parcel.bookedAt).slice(0, 10)} 00:00:00`,
    weight: 2,
    paymentDate: null,
    returnAwbNumber: returning ? (parcel.returnNumber ?? null) : null,
    redirectionAwbNumber: last.onward ? (parcel.redirectNumber ?? null) : null,
    reimbursementAwbNumber: null,
    oPODAwbNumber: null,
    confirmation: {
      name: delivered ? PERSONAL.consignee : null,
      date: delivered ? blank(delivered.at).slice(0, 16) : null,
    },
    service: null,
    options: null,
    events,
    barcodes: null,
    serviceId: 1,
    optionCodes: ['X'],
  };
}
