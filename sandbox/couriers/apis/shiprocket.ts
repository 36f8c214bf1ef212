import { z } from 'zod';
import { parsedObject } from '../../http.ts';
import { type Answer, json } from '../../http-faults.ts';
import { delhiveryWord } from '../delhivery.ts';
import type { CourierCall } from '../desk.ts';
import { indian, indianBlank, indianDay, indianWebhook } from '../india.ts';
import { scansOf } from '../lives.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL, placeOf } from '../places.ts';
import { defineStandIn, type Json, type SettingsOf } from '../stand-in.ts';
import { secretOf } from '../tokens.ts';

const settings = {
  /** Maximum AWBs per request. */
  batch: z.int().min(1).default(50),
  /** All unknown: `{}`, or `[]` as PHP writes an empty array. */
  emptyAs: z.enum(['{}', '[]']).default('{}'),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    shiprocket: SettingsOf<typeof settings>;
  }
}

const SECRET = 'demo-secret-of-broker';

/** POST /auth/login, POST /courier/track/awbs, GET /courier/track/awb/AWB. */
export default defineStandIn({
  name: 'shiprocket',
  order: 3,
  prefix: '/couriers/shiprocket/v1/external',
  settings,
  account: {
    user: 'demo@orderfleet.example',
    password: 'demo-shiprocket-password',
    tokenSeconds: 10 * 86_400,
    lockAfter: 3,
    lockSeconds: 1800,
    revokesEarlier: false,
  },
  env: {
    SHIPROCKET_URL: ({ url }) => url,
    SHIPROCKET_EMAIL: ({ account }) => account.user,
    SHIPROCKET_PASSWORD: ({ account }) => account.password,
    SHIPROCKET_WEBHOOK_TOKEN: () => SECRET,
  },
  booking: { courier: 'Shiprocket', source: 'woocommerce' },
  meanings: { readyForPickup: 'out_for_delivery' },
  recorded: (read) => {
    const single = read('shiprocket.track-shipment.delhivery-picked-up');
    const all = { ...read('shiprocket.track-awbs.bulk'), '1091188857722': single };
    return Object.entries(all).map(([number, raw]) => {
      const [newest] = ((raw as Json).tracking_data as Json).shipment_track_activities as Json[];
      return { number, at: indian(newest?.date), raw };
    });
  },
  webhook: {
    who: 'Shiprocket',
    // it accepts no URL with "sr" or "kr" in it
    path: 'parcels-in',
    secret: SECRET,
    // retries are not documented
    tries: 1,
    body: webhookOf,
  },
  open: ({ clock, parcels, settings, account }) => {
    const login = ({ method, body }: CourierCall): Answer => {
      if (method !== 'POST') return failure('405 Method Not Allowed', 405);
      const given = parsedObject(body);
      const result = account.login(given?.email, given?.password);
      if (result === 'wrong') return failure('Invalid email and password combination', 400);
      if (result === 'locked') return failure('User blocked due to too many failed login attempts.', 403);
      return json({
        company_id: 25_149,
        created_at: '2024-04-01 10:00:00',
        email: account.settings.user,
        first_name: 'API',
        id: 47_251,
        last_name: 'USER',
        token: result.token,
      });
    };

    const bulk = ({ body }: CourierCall): Answer => {
      const awbs = parsedObject(body)?.awbs;
      if (!Array.isArray(awbs)) return failure('Invalid argument supplied for foreach()', 500);
      if (!awbs.every((awb) => typeof awb === 'string'))
        return invalid('awbs.0', 'The awbs.0 must be a string.');
      if (awbs.length > settings.batch)
        return invalid('awbs', `The awbs may not have more than ${settings.batch} items.`);
      const found = [...new Set(awbs)].flatMap((awb) => tracked(awb) ?? []);
      if (found.length === 0) return { status: 200, body: settings.emptyAs };
      found.sort((a, b) => a.seed - b.seed);
      return json(Object.fromEntries(found.map(({ awb, item }) => [awb, item])));
    };

    const tracked = (awb: string): { awb: string; seed: number; item: unknown } | undefined => {
      const parcel = parcels.find('shiprocket', awb);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      return parcel && scans.length > 0 ? { awb, seed: parcel.seed, item: itemOf(parcel, scans) } : undefined;
    };

    return {
      kindOf: (path) =>
        path === '/auth/login' ? 'login' : path.startsWith('/courier/track/awb') ? 'track' : 'other',
      numbersOf: ({ path, body }) => {
        if (path !== BULK) return [decodeURIComponent(path.slice(SINGLE.length))];
        const awbs = parsedObject(body)?.awbs;
        return Array.isArray(awbs) ? awbs.map(String) : [];
      },
      unauthorized: (kind) =>
        kind === 'login'
          ? failure('Invalid email and password combination', 400)
          : failure('Token has expired', 401),
      limited: { status: 429, body: JSON.stringify({ message: 'Too Many Attempts.', status_code: 429 }) },
      wrongShapes: WRONG_SHAPES,
      answer: (call) => {
        if (call.kind === 'login') return login(call);
        if (call.kind !== 'track') return failure('404 Not Found', 404);
        const checked = account.check(secretOf(call.headers.authorization, 'Bearer'));
        if (checked !== 'ok')
          return failure(checked === 'expired' ? 'Token has expired' : 'Unauthenticated.', 401);
        if (call.path === BULK)
          return call.method === 'POST' ? bulk(call) : failure('405 Method Not Allowed', 405);
        const awb = decodeURIComponent(call.path.slice(SINGLE.length));
        return awb === '' ? failure('404 Not Found', 404) : json(tracked(awb)?.item ?? UNKNOWN);
      },
    };
  },
});

export interface ShiprocketWord {
  id: number;
  status: string;
  /** sr-status of an activity: a numeric text, or NA. */
  sr: string;
}

const SHIPROCKET: Record<EventName, readonly [id: number, status: string]> = {
  manifested: [5, 'Manifest Generated'],
  pickupScheduled: [3, 'Pickup Scheduled'],
  pickedUp: [42, 'Picked Up'],
  atOrigin: [18, 'In Transit'],
  bagged: [18, 'In Transit'],
  onTrip: [18, 'In Transit'],
  tripArrived: [18, 'In Transit'],
  received: [18, 'In Transit'],
  atDestination: [38, 'Reached At Destination Hub'],
  outForDelivery: [17, 'Out For Delivery'],
  // without lockers
  readyForPickup: [17, 'Out For Delivery'],
  failedAttempt: [21, 'Undelivered'],
  delivered: [7, 'Delivered'],
  notHandedOver: [20, 'Pickup Exception'],
  sellerCancelled: [8, 'Canceled'],
  rtoStarted: [9, 'RTO Initiated'],
  rtoInTransit: [46, 'RTO In Transit'],
  rtoPending: [46, 'RTO In Transit'],
  rtoOutForDelivery: [41, 'RTO_OFD'],
  rtoDelivered: [10, 'RTO Delivered'],
  lost: [12, 'Lost'],
  destroyed: [25, 'Damaged'],
  strange: [990, 'Held At Customs'],
};

export function shiprocketWord({ event, word }: Scan): ShiprocketWord {
  const [id, status] = SHIPROCKET[event];
  const own = word?.status === undefined && word?.code === undefined;
  const code = own ? id : Number(word?.code ?? Number.NaN);
  return { id: code, status: word?.status ?? status, sr: Number.isNaN(code) ? 'NA' : String(code) };
}

const BULK = '/courier/track/awbs';
const SINGLE = '/courier/track/awb/';

const UNKNOWN = {
  tracking_data: {
    track_status: 0,
    error: 'Aahh! There is no activities found in our DB. Please have some patience it will be updated soon.',
  },
};

const WRONG_SHAPES = [
  '[[]]',
  'null',
  '"ok"',
  '{"message":"Something went wrong","status_code":202}',
  '{"AWB":null}',
  '{"AWB":{"tracking_data":null}}',
  '{"AWB":{"tracking_data":[]}}',
  '{"AWB":{"tracking_data":{"shipment_status":"many","shipment_track":{},"shipment_track_activities":7}}}',
];

function failure(message: string, status: number): Answer {
  return json({ message, status_code: status }, status);
}

function invalid(field: string, text: string): Answer {
  return json({ message: 'The given data was invalid.', errors: { [field]: [text] }, status_code: 422 }, 422);
}

/** One parcel of the bulk response; a cancelled one has only its status and a text. */
function itemOf(parcel: Parcel, scans: readonly Scan[]): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const { id, status } = shiprocketWord(last);
  if (last.event === 'sellerCancelled')
    return { tracking_data: { shipment_status: id, error: 'Ohh! This AWB has been cancelled.' } };
  const first = (event: Scan['event']): number | undefined => scans.find((scan) => scan.event === event)?.at;
  const time = (at: number | undefined): string | null => (at === undefined ? null : indianBlank(at));
  const expected = parcel.bookedAt + 5 * 86_400_000;
  const activities = scans.map((scan) => activityOf(parcel, scan)).reverse();
  return {
    tracking_data: {
      track_status: 1,
      shipment_status: Number.isNaN(id) ? null : id,
      shipment_track: [
        {
          id: parcel.seed,
          awb_code: parcel.number,
          courier_company_id: 10,
          shipment_id: null,
          order_id: parcel.seed % 100_000_000,
          pickup_date: time(last.word?.pickedUpAt ?? first('pickedUp')),
          delivered_date: dateOrNot(parcel, last.word?.deliveredAt ?? first('delivered')),
          weight: '0.10',
          packages: 1,
          // As recorded: "Delivered" and "PICKED UP".
          current_status: last.word === undefined && parcel.seed % 2 === 0 ? status.toUpperCase() : status,
          delivered_to: placeOf(parcel, 'destination').city,
          destination: placeOf(parcel, 'destination').city,
          consignee_name: PERSONAL.consignee,
          origin: placeOf(parcel, 'origin').city,
          courier_agent_details: null,
          courier_name: 'Delhivery Surface',
          edd: indianBlank(expected),
          updated_time_stamp: indianBlank(last.at),
        },
      ],
      // Null for some parcels that have only a label yet.
      shipment_track_activities: scans.length === 1 && parcel.seed % 3 === 0 ? null : activities,
      track_url: `https://shiprocket.co//tracking/${parcel.number}`,
      etd: parcel.seed % 2 === 0 ? indianDay(expected) : indianBlank(expected),
    },
  };
}

/** Missing dates are returned in several forms. */
function dateOrNot(parcel: Parcel, at: number | undefined): string | null {
  if (at !== undefined) return indianBlank(at);
  return [null, '', 'NA'][parcel.seed % 3] as string | null;
}

function activityOf(parcel: Parcel, scan: Scan) {
  const { status, sr } = shiprocketWord(scan);
  const { code, remark, status: carrierStatus } = delhiveryWord(scan);
  const rider = scan.event === 'outForDelivery' ? ` by ${PERSONAL.rider} (${PERSONAL.phone})` : '';
  return {
    date: indianBlank(scan.at),
    status: code,
    activity: `${carrierStatus} - ${remark}${rider}`,
    location: placeOf(parcel, scan.place).hub,
    'sr-status': sr,
    // Absent with some carriers; always there for words set by tests.
    ...((scan.word !== undefined || parcel.seed % 5 !== 0) && {
      'sr-status-label': scan.word?.label ?? status.toUpperCase(),
    }),
  };
}

function webhookOf(parcel: Parcel, scans: readonly Scan[]): unknown {
  const last = scans.at(-1) as Scan;
  const { id, status } = shiprocketWord(last);
  const label = status.toUpperCase();
  return {
    awb: parcel.number,
    courier_name: 'Delhivery Surface',
    current_status: label,
    // Ids of orders, not of shipments: another table (20 is In Transit here, Pickup Exception there).
    current_status_id: 20,
    shipment_status: label,
    shipment_status_id: id,
    current_timestamp: indianWebhook(last.at),
    order_id: last.word?.reference ?? parcel.reference,
    sr_order_id: parcel.seed,
    awb_assigned_date: indianBlank(parcel.bookedAt),
    pickup_scheduled_date: indianBlank(parcel.bookedAt),
    etd: indianBlank(parcel.bookedAt + 5 * 86_400_000),
    scans: scans.map((scan) => ({
      date: indianBlank(scan.at),
      status: delhiveryWord(scan).code,
      activity: delhiveryWord(scan).remark,
      location: placeOf(parcel, scan.place).hub,
      'sr-status': shiprocketWord(scan).sr,
      'sr-status-label': shiprocketWord(scan).status.toUpperCase(),
    })),
    is_return: 0,
    channel_id: 3_422_553,
    pod_status: 'OTP Based Delivery',
    pod: 'Not Available',
  };
}
