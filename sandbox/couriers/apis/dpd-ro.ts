import { z } from 'zod';
import { parsedObject } from '../../http.ts';
import { type Answer, json } from '../../http-faults.ts';
import type { CourierCall } from '../desk.ts';
import { scansOf } from '../lives.ts';
import { offsetText, wallTime } from '../local-time.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL } from '../places.ts';
import { defineStandIn, type SettingsOf } from '../stand-in.ts';

const settings = {
  userName: z.string().default('demo-dpd-ro'),
  password: z.string().default('demo-dpd-ro-password'),
  /** Ten are documented, two hundred are answered. */
  batch: z.int().min(1).default(200),
  /** A wrong user: in English with a context, or in Romanian with an empty one and an id, as both were recorded. */
  refusal: z.enum(['en', 'ro']).default('ro'),
  /** Order of operations, which is not documented; mixed: it depends on the parcel. */
  order: z.enum(['oldest first', 'newest first', 'mixed']).default('mixed'),
  /** An unknown parcel: no row, or a row with an error. */
  unknownAs: z.enum(['missing', 'error']).default('missing'),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    'dpd-ro': SettingsOf<typeof settings>;
  }
}

/** POST /track with user name and password in its body; it refuses with HTTP 200. */
export default defineStandIn({
  name: 'dpd-ro',
  prefix: '/couriers/dpd-ro/v1',
  settings,
  limit: { max: 5, perSeconds: 1 },
  env: {
    DPD_RO_URL: ({ url }) => url,
    DPD_RO_USERNAME: ({ settings }) => settings.userName,
    DPD_RO_PASSWORD: ({ settings }) => settings.password,
  },
  booking: { courier: 'dpd', source: 'temu' },
  newNumber: (random) => `80${random.digits(9, true)}`,
  secondNumbers: true,
  mix: { locker: 10, uncollected: 3, redirected: 3 },
  open: ({ clock, parcels, settings }) => {
    const row = (id: string, lastOnly: boolean): unknown[] => {
      const parcel = parcels.find('dpd-ro', id);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      if (parcel && scans.length > 0) return [rowOf(parcel, scans, settings.order, lastOnly)];
      return settings.unknownAs === 'missing' ? [] : [{ parcelId: id, error: UNAVAILABLE }];
    };

    const track = ({ method, body }: CourierCall): Answer => {
      const given = method === 'POST' ? parsedObject(body) : undefined;
      if (!given) return json({ error: { context: '', message: 'Invalid request', code: 1 } });
      if (given.userName !== settings.userName || given.password !== settings.password)
        return json(REFUSED[settings.refusal]);
      const ids = idsOf(body);
      if (ids.length === 0 || ids.length > settings.batch)
        return json({ error: { context: 'parcels', message: 'Invalid number of parcels', code: 1 } });
      // the order is not the request's
      const rows = [...new Set(ids)].sort().flatMap((id) => row(id, given.lastOperationOnly === true));
      return json({ parcels: rows });
    };

    return {
      kindOf: (path) => (path === '/track' ? 'track' : 'other'),
      numbersOf: ({ body }) => idsOf(body),
      unauthorized: () => json(REFUSED[settings.refusal]),
      limited: { status: 200, body: JSON.stringify(TOO_MANY) },
      wrongShapes: WRONG_SHAPES,
      answer: (call) =>
        call.kind === 'track'
          ? track(call)
          : { status: 404, type: 'text/html', body: '<html><body>404</body></html>' },
    };
  },
});

const REFUSED = {
  en: { error: { context: 'authentication', message: 'Unable to find user to authenticate!' }, parcels: [] },
  ro: {
    error: {
      context: '',
      message: 'Nu s-a putut găsi utilizatorul pentru autentificare! (EE20260000000000000)',
      id: 'EE20260000000000000',
      code: 1,
    },
  },
};
const TOO_MANY = {
  error: {
    context: 'method_threshold.too_many_requests.tracking.second',
    message: 'Too many tracking requests (5) per second.',
  },
  parcels: [],
};
const UNAVAILABLE = { context: '', message: 'no longer available', id: 'EE20260000000000000', code: 1 };

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"parcels":null}',
  '{"parcels":{}}',
  '{"parcels":[{"operations":[{"operationCode":-14}]}]}',
  '{"error":7}',
];

function idsOf(body: string): string[] {
  const parcels = parsedObject(body)?.parcels;
  return Array.isArray(parcels) ? parcels.map((one) => String(Object(one).id ?? '')) : [];
}

type Operation = readonly [code: number | string, description: string];
const DATA: Operation = [148, 'Shipment data received'];
const ARRIVAL: Operation = [1, 'Arrival Scan'];
const REDIRECTED: Operation = [115, 'Redirected'];
const RETURN: Operation = [111, 'Return to Sender'];

/** The operations of each event, of the same moment. */
const DPD: Record<EventName, readonly Operation[]> = {
  manifested: [DATA],
  pickupScheduled: [],
  pickedUp: [[39, 'Courier Pick-up']],
  atOrigin: [ARRIVAL],
  bagged: [[21, 'Processed in Office']],
  onTrip: [[2, 'Departure Scan']],
  tripArrived: [ARRIVAL],
  received: [[11, 'Received in Office']],
  atDestination: [ARRIVAL, [175, 'Predict']],
  outForDelivery: [[12, 'Out for Delivery']],
  readyForPickup: [[134, 'Prepared for Self-collecting Consignee']],
  failedAttempt: [
    [44, 'Unsuccessful Delivery'],
    [38, 'Returned to Office'],
  ],
  delivered: [[-14, 'Delivered']],
  notHandedOver: [[164, 'Unsuccessful Pick-up']],
  sellerCancelled: [[128, 'Canceled']],
  rtoStarted: [[123, 'Refused by recipient'], RETURN],
  rtoInTransit: [RETURN],
  rtoPending: [RETURN],
  rtoOutForDelivery: [RETURN],
  rtoDelivered: [[124, 'Delivered Back to Sender']],
  lost: [[129, 'Administrative Closure']],
  destroyed: [[125, 'Destroyed']],
  strange: [[999, 'New operation']],
};

const time = (at: number): string =>
  `${wallTime('Europe/Bucharest', at).slice(0, 19)}${offsetText('Europe/Bucharest', at)}`;

function rowOf(
  parcel: Parcel,
  scans: readonly Scan[],
  order: 'oldest first' | 'newest first' | 'mixed',
  lastOnly: boolean,
): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const all = scans.flatMap((scan) => {
    const own = scan.onward ? [REDIRECTED] : DPD[scan.event];
    const said: readonly Operation[] = scan.word?.status ? [[scan.word.status, '']] : own;
    return said.map(([operationCode, description]) => ({
      dateTime: time(scan.at),
      operationCode,
      description,
      place: 'BUCURESTI',
      ...(operationCode === 44 && { exceptionCodes: ['14'], comment: PERSONAL.address }),
      ...(operationCode === 111 && parcel.returnNumber && { returnShipmentId: parcel.returnNumber }),
      ...(operationCode === 115 && parcel.redirectNumber && { redirectShipmentId: parcel.redirectNumber }),
      ...(operationCode === -14 && { consignee: PERSONAL.consignee }),
    }));
  });
  const operations = lastOnly ? all.slice(-1) : all;
  const reversed = order === 'newest first' || (order === 'mixed' && parcel.seed % 2 === 1);
  return { parcelId: parcel.number, operations: reversed ? operations.reverse() : operations };
}
