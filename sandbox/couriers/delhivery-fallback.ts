import { type Answer, json } from '../http-faults.ts';
import type { SandboxClock } from '../temu/world.ts';
import { type CourierApi, type DeskSettings, FIREWALL } from './desk.ts';
import { indianMicros, indianPartOfDay, indianTime } from './india.ts';
import { lived, scansOf } from './lives.ts';
import type { EventName, Parcel, Scan } from './model.ts';
import type { Parcels } from './parcels.ts';
import { PERSONAL, placeOf } from './places.ts';
import { canonicalOf, delhiveryWord, fallbackWord } from './words.ts';

export interface FallbackSettings extends DeskSettings {
  /** Every other Origin is refused. */
  origin: string;
  /** After so long in its end state a parcel cannot be seen any more, days of its life. */
  endStateDays: number;
}

/** GET /v3/unified-tracking?wbn=AWB: the consumer site's call, one AWB and no token. */
export function createDelhiveryFallback(
  clock: SandboxClock,
  parcels: Parcels,
  change: Partial<FallbackSettings> = {},
): CourierApi<FallbackSettings> {
  const settings: FallbackSettings = {
    limit: null,
    loginLimit: null,
    latencyMs: 0,
    origin: 'https://www.delhivery.com',
    endStateDays: 7,
    ...change,
  };

  const track = (wbn: string): Answer => {
    const now = clock.now();
    const parcel = parcels.find('delhivery-fallback', wbn);
    const scans = parcel ? scansOf(parcel, now) : [];
    const last = scans.at(-1);
    if (!parcel || !last) return found('invalid AWB or very old package', []);
    if (last.word?.ended || endedLongAgo(parcel, last, now, settings.endStateDays))
      return found(
        'tracking details are not visible if the shipment reached end state 7 or more days ago',
        [],
      );
    return found('Success', [itemOf(parcel, scans)]);
  };

  return {
    name: 'delhivery-fallback',
    prefix: '/couriers/delhivery-fallback',
    settings,
    kindOf: (path) => (/^\/v3\/unified-tracking(-new)?\/?$/.test(path) ? 'track' : 'other'),
    numbersOf: ({ query }) => [query.get('wbn') ?? ''].filter(Boolean),
    unauthorized: () => INVALID_ORIGIN,
    limited: FIREWALL,
    wrongShapes: WRONG_SHAPES,
    answer: ({ kind, method, query, headers }) => {
      if (kind !== 'track' || method !== 'GET') return json({ statusCode: 404, message: 'Not Found' }, 404);
      if (headers.origin !== settings.origin) return INVALID_ORIGIN;
      const wbn = query.get('wbn') ?? '';
      return wbn === '' ? json({ statusCode: 400, message: 'wbn is required' }, 400) : track(wbn);
    },
  };
}

const INVALID_ORIGIN = json({ statusCode: 401, message: 'ERROR: Invalid Origin' }, 401);

function found(message: string, data: readonly unknown[]): Answer {
  return json({ statusCode: 200, message, data });
}

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"statusCode":200,"message":"Success"}',
  '{"statusCode":200,"message":"Success","data":{}}',
  '{"statusCode":200,"message":"Success","data":[null]}',
  '{"statusCode":200,"message":7,"data":[{"awb":null,"hqStatus":[],"status":"Delivered"}]}',
];

const FINAL = ['delivered', 'rto', 'booking_cancelled', 'lost', 'destroyed'];

function endedLongAgo(parcel: Parcel, last: Scan, now: number, days: number): boolean {
  const final = FINAL.includes(canonicalOf('delhivery-fallback', last.event) ?? '');
  return final && last.word === undefined && lived(parcel, now) - lived(parcel, last.at) >= days * 86_400_000;
}

/** The steps of the consumer page; those still to come are shown, too. */
const STEPS = {
  forward: ['Pick up Pending', 'In-transit', 'Out for delivery', 'Delivered'],
  cancelled: ['Pick up Pending', 'Canceled'],
  back: ['Pick up Pending', 'In-transit', 'Out for delivery', 'Returning', 'Returned'],
} as const;

function stepOf(event: EventName, flow: keyof typeof STEPS): number {
  if (event === 'manifested' || event === 'pickupScheduled') return 0;
  if (flow === 'cancelled') return 1;
  if (event === 'rtoDelivered') return 4;
  if (event.startsWith('rto')) return 3;
  if (event === 'delivered') return 3;
  return event === 'outForDelivery' || event === 'failedAttempt' ? 2 : 1;
}

/** data[0], as recorded. */
function itemOf(parcel: Parcel, scans: readonly Scan[]): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const { type, status, remark } = delhiveryWord(last);
  const cancelled = last.event === 'notHandedOver' || last.event === 'sellerCancelled';
  const back = type === 'RT' || last.event === 'rtoDelivered' || last.word?.status === 'RTO';
  const flow = cancelled ? 'cancelled' : back ? 'back' : 'forward';
  const index = stepOf(last.event, flow);
  const { city } = placeOf(parcel, 'destination');
  return {
    status: {
      status: fallbackWord(last),
      statusDateTime: indianTime(last.at, 3),
      statusType: type,
      instructions: remark,
    },
    slot: {},
    referenceNo: last.word?.reference ?? parcel.reference,
    awb: parcel.number,
    hqStatus: status,
    dispatchCenterId: 'IND560025AAA',
    destination: city,
    productName: 'Books & Documents:Envelope / Pouch',
    orderAmount: 500,
    deliveryDateText: '',
    deliveryDate: '',
    promiseDeliveryDate: '',
    user_type: 'both',
    packageType: 'Prepaid',
    productType: 'B2C',
    mcount: null,
    isInternational: false,
    clientName: 'Demo Seller',
    displayName: 'Demo Seller',
    consigneeAddress: PERSONAL.address,
    srcDestCxRemarks: { xnsl_present: false },
    consignor: 'Demo Seller',
    consignee: PERSONAL.consignee,
    clt: 'delhivery_direct',
    currentFlow: back ? (last.event === 'rtoDelivered' ? 'Returned' : 'Reverse') : 'Forward',
    paymentTerms: 'Prepaid',
    pay_cod_charges: false,
    fePhoneMasked: '',
    fePhoneErrMsg: '',
    trackingStates: STEPS[flow].map((label, step) => stateOf(parcel, label, stepScans(scans, step, flow))),
    currentTrackIndex: index,
    deliveryDate_v1: 'Not Applicable',
    deliveryDateText_v1: 'Estimated Date',
    deliveryLabel: STEPS[flow][index],
  };
}

function stepScans(scans: readonly Scan[], step: number, flow: keyof typeof STEPS): Scan[] {
  return scans.filter(({ event }) => stepOf(event, flow) === step);
}

function stateOf(parcel: Parcel, label: string, scans: readonly Scan[]) {
  const last = scans.at(-1);
  return {
    label,
    date: last ? indianPartOfDay(last.at) : '',
    scans: last ? scans.map((scan) => scanOf(parcel, scan)) : null,
    scanDateTime: last ? indianMicros(last.at) : '',
  };
}

function scanOf(parcel: Parcel, scan: Scan) {
  const { type, status, remark } = delhiveryWord(scan);
  return {
    scanDate: indianPartOfDay(scan.at),
    scanDateTime: indianMicros(scan.at),
    scanNslRemark: remark,
    cityLocation: placeOf(parcel, scan.place).city,
    scanType: type,
    scan: status,
    tsUpdateNsl: false,
    setUndeliveredNsl: false,
  };
}
