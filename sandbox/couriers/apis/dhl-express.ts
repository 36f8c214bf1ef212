import { z } from 'zod';
import { type Answer, json } from '../../http-faults.ts';
import type { CourierCall } from '../desk.ts';
import { scansOf } from '../lives.ts';
import { offsetText, wallTime } from '../local-time.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL } from '../places.ts';
import { defineStandIn, type SettingsOf } from '../stand-in.ts';

const settings = {
  batch: z.int().min(1).default(200),
  user: z.string().default('demo-dhl'),
  password: z.string().default('demo-dhl-password'),
  /** An unknown number beside known ones: left out, or an entry that says so. */
  unknownInBatch: z.enum(['missing', 'entry']).default('missing'),
  /** Order of events; none is promised. */
  order: z.enum(['oldestFirst', 'newestFirst']).default('oldestFirst'),
  /** Where parcels are delivered: in Vienna, or in a country of several zones. */
  destination: z.enum(['Vienna', 'New York']).default('Vienna'),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    'dhl-express': SettingsOf<typeof settings>;
  }
}

/** GET /tracking?shipmentTrackingNumber&shipmentTrackingNumber and GET /shipments/NUMBER/tracking. */
export default defineStandIn({
  name: 'dhl-express',
  prefix: '/couriers/dhl-express',
  settings,
  // assumed: none is documented
  limit: { max: 5, perSeconds: 1 },
  env: {
    DHL_EXPRESS_URL: ({ url }) => url,
    DHL_EXPRESS_USERNAME: ({ settings }) => settings.user,
    DHL_EXPRESS_PASSWORD: ({ settings }) => settings.password,
  },
  booking: { courier: 'dhl', source: 'temu' },
  newNumber: (random) => {
    const serial = random.digits(9);
    return `${serial}${Number(serial) % 7}`;
  },
  // no code for a cancelled, a lost and a returning shipment: the return is seen at its end
  meanings: {
    ...{ sellerCancelled: null, lost: null, rtoStarted: 'ndr' },
    ...{ rtoInTransit: null, rtoPending: null, rtoOutForDelivery: null },
  },
  mix: { locker: 6, uncollected: 2 },
  open: ({ clock, parcels, settings }) => {
    const known = (number: string): [Parcel, Scan[]] | undefined => {
      const parcel = parcels.find('dhl-express', number);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      return parcel && scans.length > 0 ? [parcel, scans] : undefined;
    };

    const track = ({ method, path, query, headers }: CourierCall): Answer => {
      const secret = Buffer.from(`${settings.user}:${settings.password}`).toString('base64');
      if (headers.authorization !== `Basic ${secret}`) return UNAUTHORIZED;
      if (method !== 'GET') return problem(405, 'Method Not Allowed', 'Method not allowed', path);
      const single = SINGLE.test(path);
      const numbers = numbersOf(path, query);
      const invalid = numbers.some((number) => !/^\d{10,11}$/.test(number));
      if (numbers.length === 0 || numbers.length > settings.batch || invalid)
        return problem(400, 'Bad request', 'Multiple problems found, see Additional Details', path);
      // offsets only for a single shipment, and on request
      const offsets = single && query.get('requestGMTOffsetPerEvent') === 'true';
      const shipments = numbers.flatMap((number) => {
        const found = known(number);
        if (found) return [shipmentOf(...found, settings, offsets)];
        const missing = { shipmentTrackingNumber: number, status: 'No Shipments Found', events: [] };
        return settings.unknownInBatch === 'entry' ? [missing] : [];
      });
      if (!numbers.some(known))
        return problem(404, 'Not Found', 'No shipments found for the given tracking number', path);
      return json({ shipments });
    };

    return {
      kindOf: (path) => (path === '/tracking' || SINGLE.test(path) ? 'track' : 'other'),
      numbersOf: ({ path, query }) => numbersOf(path, query),
      unauthorized: () => UNAUTHORIZED,
      limited: problem(429, 'Too Many Requests', 'Too many requests', '/tracking'),
      wrongShapes: WRONG_SHAPES,
      answer: (call) =>
        call.kind === 'track'
          ? track(call)
          : problem(404, 'Not Found', 'The resource does not exist', call.path),
    };
  },
});

const SINGLE = /^\/shipments\/([^/]+)\/tracking$/;

function numbersOf(path: string, query: URLSearchParams): string[] {
  const single = SINGLE.exec(path)?.[1];
  return single === undefined ? query.getAll('shipmentTrackingNumber') : [decodeURIComponent(single)];
}

const problem = (status: number, title: string, detail: string, path: string): Answer =>
  json({ instance: `/mydhlapi${path}`, title, status, detail }, status);
const UNAUTHORIZED = json(
  { reasons: [{ msg: 'Invalid Credentials' }], title: 'Unauthorized', status: 401 },
  401,
);

/** typeCodes with their texts; null: nothing is shown for it. */
const DHL: Record<EventName, readonly [typeCode: string, text: string] | null> = {
  manifested: ['SD', 'Shipment information received'],
  pickupScheduled: null,
  pickedUp: ['PU', 'Shipment picked up'],
  atOrigin: ['PL', 'Processed'],
  bagged: ['SM', 'Scheduled for movement'],
  onTrip: ['DF', 'Shipment has departed from a DHL facility'],
  tripArrived: ['AF', 'Arrived at DHL Sort Facility'],
  received: ['CR', 'Clearance processing complete'],
  atDestination: ['AR', 'Shipment has arrived at a DHL delivery facility'],
  outForDelivery: ['WC', 'Shipment is out with courier for delivery'],
  readyForPickup: ['CC', 'Awaiting collection by the consignee'],
  failedAttempt: ['NH', 'Delivery attempted; consignee premises closed'],
  delivered: ['OK', `Delivered - Signed for by : ${PERSONAL.consignee}`],
  notHandedOver: ['OH', 'Shipment is on hold'],
  sellerCancelled: null,
  rtoStarted: ['RD', 'Consignee refused to accept delivery'],
  rtoInTransit: ['DF', 'Shipment has departed from a DHL facility'],
  rtoPending: ['AF', 'Arrived at DHL Sort Facility'],
  rtoOutForDelivery: ['AR', 'Shipment has arrived at a DHL delivery facility'],
  rtoDelivered: ['RT', 'Returned to shipper'],
  lost: ['TI', 'Trace initiated'],
  destroyed: ['DS', 'Destroyed or disposed'],
  strange: ['ZX', 'New kind of event'],
};

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"shipments":null}',
  '{"shipments":{}}',
  '{"shipments":[]}',
  '{"shipments":[{"status":"Success","events":[{"typeCode":"OK"}]}]}',
];

type Destination = z.output<typeof settings.destination>;
/** Zone, code and name of the service areas; the name ends in the country. */
const depotOf = (
  place: Scan['place'],
  destination: Destination,
): [zone: string, code: string, name: string] => {
  if (place === 'origin') return ['Europe/Bucharest', 'OTP', 'Bucharest-RO'];
  if (place === 'hub') return ['Europe/Berlin', 'LEJ', 'Leipzig-DE'];
  return destination === 'Vienna'
    ? ['Europe/Vienna', 'VIE', 'Vienna-AT']
    : ['America/New_York', 'JFK', 'New York, NY-US'];
};

/** One shipment; `status` is that of the request. */
function shipmentOf(
  parcel: Parcel,
  scans: readonly Scan[],
  { order, destination }: { order: string; destination: Destination },
  offsets: boolean,
): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const events = scans.flatMap((scan) => {
    const [typeCode, description] = scan.word?.status
      ? [scan.word.status, '']
      : (DHL[scan.event] ?? ['', '']);
    if (!typeCode) return [];
    const [zone, code, name] = depotOf(scan.place, destination);
    const [date, time] = wallTime(zone, scan.at).slice(0, 19).split('T');
    const offset = offsetText(zone, scan.at).replace(/(\d\d)$/, ':$1');
    return [
      {
        ...{ date, time, ...(offsets && { GMTOffset: offset }), typeCode, description },
        serviceArea: [{ code, description: name }],
        ...(scan.event === 'delivered' && { signedBy: PERSONAL.consignee }),
      },
    ];
  });
  return {
    shipmentTrackingNumber: parcel.number,
    status: 'Success',
    shipmentTimestamp: wallTime('Europe/Bucharest', parcel.bookedAt).slice(0, 19),
    productCode: 'U',
    description: 'Goods',
    shipperDetails: { name: '', postalAddress: { cityName: '', postalCode: '', countryCode: 'RO' } },
    receiverDetails: {
      name: PERSONAL.consignee,
      postalAddress: { addressLine1: PERSONAL.address, countryCode: 'AT' },
    },
    numberOfPieces: 1,
    events: order === 'oldestFirst' ? events : events.toReversed(),
    pieces: [{ number: 1, events: events.slice(0, 1) }],
  };
}
