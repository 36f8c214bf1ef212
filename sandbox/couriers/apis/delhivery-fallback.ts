import { z } from 'zod';
import { type Answer, json } from '../../http-faults.ts';
import { delhiveryWebhook, delhiveryWord } from '../delhivery.ts';
import { FIREWALL } from '../desk.ts';
import { indian, indianMicros, indianPartOfDay, indianTime } from '../india.ts';
import { lived, scansOf } from '../lives.ts';
import { canonicalOf, type Meanings } from '../meanings.ts';
import type { EventName, Parcel, Scan, Word } from '../model.ts';
import { PERSONAL, placeOf } from '../places.ts';
import { defineStandIn, type Json, type SettingsOf } from '../stand-in.ts';

const settings = {
  /** Every other Origin is refused. */
  origin: z.string().default('https://www.delhivery.com'),
  /** Days after its end when a parcel is no longer shown. */
  endStateDays: z.number().min(0).default(7),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    'delhivery-fallback': SettingsOf<typeof settings>;
  }
}

const meanings: Meanings = {
  readyForPickup: 'out_for_delivery',
  // no code distinguishes "not handed over yet" from "cancelled"
  notHandedOver: 'booking_cancelled',
  // shown as Pending, without its code: picked up, not delivered
  failedAttempt: 'in_transit',
  // no status for it: it returns lost
  destroyed: 'lost',
};

/** GET /v3/unified-tracking?wbn=AWB: the consumer site's call, one AWB and no token. */
export default defineStandIn({
  name: 'delhivery-fallback',
  order: 5,
  prefix: '/couriers/delhivery-fallback',
  settings,
  env: {
    DELHIVERY_FALLBACK_URL: ({ url }) => `${url}/v3/unified-tracking`,
    DELHIVERY_ORIGIN: ({ settings }) => settings.origin,
  },
  booking: { courier: 'Delhivery', source: 'marketplace' },
  meanings,
  mix: { destroyed: 0 },
  // the consumer site shows Delhivery's other parcels too
  alsoKnows: 'delhivery-b2c',
  recorded: (read) =>
    ['delhivery-fallback.not-picked.item', 'delhivery-fallback.waiting-pickup.item'].map((file) => {
      const raw = read(file);
      const { statusDateTime } = raw.status as Json;
      return { number: raw.awb, reference: raw.referenceNo, at: indian(statusDateTime), raw };
    }),
  webhook: delhiveryWebhook,
  open: ({ clock, parcels, settings }) => {
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
  },
});

/** status.status of the fallback; DELIVERED under currentFlow Returned means back at the seller. */
const FALLBACK: Record<EventName, string> = {
  manifested: 'WAITING_PICKUP',
  pickupScheduled: 'WAITING_PICKUP',
  pickedUp: 'PICKUP',
  atOrigin: 'IN_TRANSIT',
  bagged: 'IN_TRANSIT',
  onTrip: 'IN_TRANSIT',
  tripArrived: 'IN_TRANSIT',
  received: 'IN_TRANSIT',
  atDestination: 'REACHED_DEST_CITY',
  outForDelivery: 'OUT_DELIVERY',
  // without lockers
  readyForPickup: 'OUT_DELIVERY',
  failedAttempt: 'REACHED_DEST_CITY',
  delivered: 'DELIVERED',
  notHandedOver: 'NOT_PICKED',
  sellerCancelled: 'NOT_PICKED',
  rtoStarted: 'RETURNED',
  rtoInTransit: 'RETURNED',
  rtoPending: 'REACHED_SEL_CITY',
  rtoOutForDelivery: 'OUT_DELIVERY_SELLER',
  rtoDelivered: 'DELIVERED_SELLER',
  lost: 'LOST',
  destroyed: 'LOST',
  strange: 'HELD_AT_CUSTOMS',
};

export function fallbackWord({ event, word }: Scan): string {
  return word?.label ?? (word?.status === undefined ? FALLBACK[event] : wordOf(word));
}

function wordOf(word: Word): string {
  return (word.status ?? '').toUpperCase().replaceAll(' ', '_');
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
  const final = FINAL.includes(canonicalOf(meanings, last.event) ?? '');
  return final && last.word === undefined && lived(parcel, now) - lived(parcel, last.at) >= days * 86_400_000;
}

/** The steps of the consumer page, including future ones. */
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
