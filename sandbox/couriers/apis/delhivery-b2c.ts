import { z } from 'zod';
import { type Answer, json } from '../../http-faults.ts';
import { delhiveryWebhook, delhiveryWord } from '../delhivery.ts';
import { FIREWALL } from '../desk.ts';
import { indian, indianTime } from '../india.ts';
import { scansOf } from '../lives.ts';
import type { Parcel, Scan } from '../model.ts';
import { PERSONAL, placeOf } from '../places.ts';
import { defineStandIn, type Json, type SettingsOf } from '../stand-in.ts';
import { secretOf } from '../tokens.ts';

const TRACK = '/api/v1/packages/json';

const settings = {
  key: z.string().default('demo-delhivery-key'),
  /** Maximum waybills per request. */
  batch: z.int().min(1).default(50),
  /** A batch with some unknown numbers: they are missing, or the whole batch fails. */
  unknownInBatch: z.enum(['missing', 'error']).default('missing'),
  /** HTTP status of "Data does not exists"; 200 as recorded, 400 by another source. */
  unknownStatus: z.int().min(200).max(599).default(200),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    'delhivery-b2c': SettingsOf<typeof settings>;
  }
}

/** GET /api/v1/packages/json/?waybill=A,B: up to 50 waybills, returned in any order. */
export default defineStandIn({
  name: 'delhivery-b2c',
  order: 1,
  prefix: '/couriers/delhivery',
  settings,
  limit: { max: 750, perSeconds: 300 },
  env: {
    DELHIVERY_URL: ({ url }) => `${url}${TRACK}/`,
    DELHIVERY_AUTH_TOKEN_B2C: ({ settings }) => settings.key,
    DELHIVERY_WEBHOOK_TOKEN: () => delhiveryWebhook.secret,
  },
  booking: { courier: 'Delhivery Surface', source: 'shopify' },
  // no status for it: it returns lost
  meanings: { destroyed: 'lost', readyForPickup: 'out_for_delivery' },
  mix: { destroyed: 0 },
  recorded: (read) =>
    [
      'delhivery-b2c.in-transit',
      'delhivery-b2c.cancelled-before-pickup.verbose2',
      'delhivery-b2c.manifested.verbose0',
    ].map((file) => {
      const [first] = read(file).ShipmentData as { Shipment: Json }[];
      const { Shipment: raw } = first as { Shipment: Json };
      return { number: raw.AWB, reference: raw.ReferenceNo, at: indian(raw.PickUpDate), raw };
    }),
  webhook: delhiveryWebhook,
  open: ({ clock, parcels, settings }) => {
    const found = (number: string): Found[] => {
      const parcel = parcels.find('delhivery-b2c', number);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      return parcel && scans.length > 0 ? [{ parcel, scans }] : [];
    };
    return {
      kindOf: (path) => (path.replace(/\/$/, '') === TRACK ? 'track' : 'other'),
      numbersOf: ({ query }) => waybills(query),
      unauthorized: () => json({ detail: 'Login or API Key Required' }, 401),
      limited: FIREWALL,
      wrongShapes: WRONG_SHAPES,
      answer: ({ kind, method, query, headers }) => {
        if (kind !== 'track') return { status: 404, type: 'text/html', body: '<h1>Not Found</h1>' };
        if (method !== 'GET') return json({ detail: `Method "${method}" not allowed.` }, 405);
        const key = secretOf(headers.authorization, 'Token');
        if (key === undefined) return json({ detail: 'Authentication credentials were not provided.' }, 401);
        if (key !== settings.key) return json({ detail: 'Login or API Key Required' }, 401);
        const asked = [...new Set(waybills(query))];
        if (asked.length === 0)
          return json({ Error: 'Parameter refIDs/refNos or waybill or dateRange is required' }, 400);
        if (asked.length > settings.batch)
          return json({ Error: `ref_ids/ref_nos or waybill cannot be greater than ${settings.batch}` }, 400);
        return answered(asked, asked.flatMap(found), settings, query.get('verbose') ?? '1');
      },
    };
  },
});

interface Found {
  parcel: Parcel;
  scans: Scan[];
}

const waybills = (query: URLSearchParams): string[] =>
  (query.get('waybill') ?? '').split(',').flatMap((text) => text.trim() || []);

function answered(
  asked: readonly string[],
  found: Found[],
  { unknownInBatch, unknownStatus }: SettingsOf<typeof settings>,
  verbose: string,
): Answer {
  if (found.length === 0 || (found.length < asked.length && unknownInBatch === 'error'))
    return json(UNKNOWN, unknownStatus);
  // The order of the items is not documented: not the order of the request.
  found.sort((a, b) => a.parcel.seed - b.parcel.seed);
  const items = found.map(({ parcel, scans }) => `{"Shipment":${shipmentText(parcel, scans, verbose)}}`);
  return { status: 200, body: `{"ShipmentData":[${items.join(',')}]}` };
}

const UNKNOWN = {
  Success: false,
  Error: 'Data does not exists for provided Waybill(s)',
  rmk: 'Some error has occurred. Please contact client.support@delhivery.com with error message- Data does not exists for provided Waybill(s)',
};

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '42',
  '{}',
  '{"ShipmentData":{}}',
  '{"ShipmentData":null}',
  '{"ShipmentData":[null,7,"x",[]]}',
  '{"ShipmentData":[{"Shipment":null},{"Shipment":[]}]}',
  '{"ShipmentData":[{"Shipment":{"AWB":null,"Status":{"Status":"Delivered","StatusType":"DL"}}}]}',
  '{"ShipmentData":[{"Shipment":{"AWB":{},"Status":"Delivered","Scans":"none"}}]}',
];

/** One Shipment: without Scans (verbose 0), with them (1, and without the parameter), with Consignee too (2). */
function shipmentText(parcel: Parcel, scans: readonly Scan[], verbose: string): string {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return JSON.stringify(withVerbosity(last.word.raw, verbose));
  const time = timeWriter(parcel);
  const head = JSON.stringify({
    ...headOf(parcel, scans, time),
    ...(verbose === '2' && { Consignee: consigneeOf(parcel) }),
  });
  if (verbose === '0') return head;
  return `${head.slice(0, -1)},"Scans":[${scans.map((scan) => scanText(parcel, scan, time(scan.at))).join(',')}]}`;
}

type TimeWriter = (at: number | null) => string | null;

function headOf(parcel: Parcel, scans: readonly Scan[], time: TimeWriter) {
  const last = scans.at(-1) as Scan;
  const [origin, destination] = [placeOf(parcel, 'origin'), placeOf(parcel, 'destination')];
  const attempts = scans.filter(({ event }) => event === 'outForDelivery');
  const back = milestone(scans, 'rtoStarted', 'rtoStartedAt');
  const pickedUp = milestone(scans, 'pickedUp', 'pickedUpAt');
  const delivered = milestone(scans, 'delivered', 'deliveredAt');
  const returned = milestone(scans, 'rtoDelivered');
  const expected = `${indianTime(parcel.bookedAt + 5 * 86_400_000).slice(0, 10)}T23:59:59`;
  const cod = parcel.seed % 3 === 0;
  return {
    AWB: parcel.number,
    CODAmount: cod ? 1000 : 0,
    ChargedWeight: null,
    DeliveryDate: time(delivered),
    DestRecieveDate: time(milestone(scans, 'atDestination')),
    Destination: destination.city,
    DispatchCount: attempts.length,
    Ewaybill: [],
    ExpectedDeliveryDate: pickedUp === null ? null : expected,
    Extras: '',
    FirstAttemptDate: time(attempts[0]?.at ?? null),
    InvoiceAmount: 1000,
    OrderType: cod ? 'COD' : 'Pre-paid',
    Origin: origin.hub,
    OriginRecieveDate: time(milestone(scans, 'atOrigin')),
    OutDestinationDate: time(milestone(scans, 'onTrip')),
    // As recorded: set when the parcel is manifested, long before any pickup.
    PickUpDate: time(pickedUp ?? parcel.bookedAt),
    PickedupDate: time(pickedUp),
    PickupLocation: 'Demo Warehouse',
    PromisedDeliveryDate: pickedUp === null ? null : expected,
    Quantity: '1',
    RTOStartedDate: time(back),
    ReferenceNo: last.word?.reference ?? parcel.reference,
    ReturnPromisedDeliveryDate: null,
    ReturnedDate: time(returned),
    ReverseInTransit: back !== null && returned === null,
    SenderName: 'DEMO-do',
    Status: statusOf(parcel, last, time(last.at)),
  };
}

/** A time as in this parcel's scans: 0 to 6 decimals. */
function timeWriter(parcel: Parcel): TimeWriter {
  return (at) => {
    if (at === null) return null;
    const mixed = (parcel.seed + Math.floor(at / 1000)) % 7;
    // At high speed, whole seconds would reorder scans.
    return indianTime(at, parcel.speed > 1 ? Math.max(3, mixed) : mixed, parcel.seed);
  };
}

/** When something first happened, or the time in the newest word. */
function milestone(
  scans: readonly Scan[],
  event: Scan['event'],
  key?: 'pickedUpAt' | 'deliveredAt' | 'rtoStartedAt',
): number | null {
  const said = key && scans.findLast(({ word }) => word?.[key] !== undefined)?.word?.[key];
  return said ?? scans.find((scan) => scan.event === event)?.at ?? null;
}

function statusOf(parcel: Parcel, scan: Scan, time: string | null) {
  const { type, status, code, remark } = delhiveryWord(scan);
  return {
    Instructions: remark,
    RecievedBy: scan.event === 'delivered' ? PERSONAL.consignee : '',
    Status: status,
    StatusCode: code,
    StatusDateTime: time,
    StatusLocation: placeOf(parcel, scan.place).hub,
    StatusType: type,
  };
}

/** The constant part of an event's scans, as JSON: there are hundreds of scans in a response. */
const beginnings = new Map<string, string>();

function scanText(parcel: Parcel, scan: Scan, time: string | null): string {
  const key = scan.word ? undefined : `${scan.event} ${scan.code ?? ''}`;
  let beginning = key === undefined ? undefined : beginnings.get(key);
  if (beginning === undefined) {
    const { type, status, code, remark } = delhiveryWord(scan);
    const same = { Instructions: remark, Scan: status, ScanType: type, StatusCode: code };
    beginning = JSON.stringify(same).slice(0, -1);
    if (key !== undefined) beginnings.set(key, beginning);
  }
  const { hub } = placeOf(parcel, scan.place);
  return `{"ScanDetail":${beginning},"ScanDateTime":"${time}","ScannedLocation":"${hub}","StatusDateTime":"${time}"}}`;
}

function consigneeOf(parcel: Parcel) {
  const { city, state } = placeOf(parcel, 'destination');
  return {
    Address1: [],
    Address2: [],
    Address3: PERSONAL.address,
    City: city,
    Country: 'India',
    Name: PERSONAL.consignee,
    PinCode: 110_000 + (parcel.seed % 1000),
    State: state,
    Telephone1: PERSONAL.phone,
    Telephone2: '',
  };
}

function withVerbosity(raw: unknown, verbose: string): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw;
  const { Scans, Consignee, ...rest } = raw as Record<string, unknown>;
  return {
    ...rest,
    ...(Scans !== undefined && verbose !== '0' && { Scans }),
    ...(Consignee !== undefined && verbose === '2' && { Consignee }),
  };
}
