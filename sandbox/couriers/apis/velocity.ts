import { z } from 'zod';
import { parsedObject } from '../../http.ts';
import { type Answer, json } from '../../http-faults.ts';
import { delhiveryWord } from '../delhivery.ts';
import type { CourierCall } from '../desk.ts';
import { indianBlank, indianTime } from '../india.ts';
import { scansOf } from '../lives.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL, placeOf } from '../places.ts';
import { defineStandIn, type SettingsOf } from '../stand-in.ts';
import { secretOf } from '../tokens.ts';

const settings = {
  batch: z.int().min(1).default(50),
  /** The token's form in the Authorization header. */
  header: z.enum(['raw', 'bearer', 'both']).default('raw'),
  /** An API key, which needs no login. */
  apiKey: z.string().default('demo-velocity-api-key'),
  /** Off: the key is refused with 403. */
  apiAccess: z.boolean().default(true),
  /** The login, deprecated in newer documentation; false: removed. */
  loginWorks: z.boolean().default(true),
  /** An unknown AWB: its key is missing, or its tracking_data is null or empty. */
  unknownAs: z.enum(['missing', 'null', 'empty']).default('missing'),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    velocity: SettingsOf<typeof settings>;
  }
}

/** POST /auth-token and POST /order-tracking. */
export default defineStandIn({
  name: 'velocity',
  order: 4,
  prefix: '/couriers/velocity/custom/api/v1',
  settings,
  account: {
    user: '+919000000002',
    password: 'demo-velocity-password',
    tokenSeconds: 86_400,
    lockAfter: 5,
    lockSeconds: 1800,
    revokesEarlier: true,
  },
  env: {
    VELOCITY_URL: ({ url }) => url,
    VELOCITY_USERNAME: ({ account }) => account.user,
    VELOCITY_PASSWORD: ({ account }) => account.password,
  },
  booking: { courier: 'VELOCITY', source: 'Outbound' },
  // neither code nor id distinguishes "not handed over yet" from "cancelled"
  meanings: { notHandedOver: 'booking_cancelled', readyForPickup: 'out_for_delivery' },
  open: ({ clock, parcels, settings, account }) => {
    const login = ({ method, body }: CourierCall): Answer => {
      if (method !== 'POST') return json({ message: 'Method Not Allowed' }, 405);
      if (!settings.loginWorks)
        return json({ message: 'This endpoint has been removed. Please use an API key.' }, 410);
      const given = parsedObject(body);
      if (typeof given?.username !== 'string' || typeof given.password !== 'string')
        return json({ errors: { username: ["can't be blank"], password: ["can't be blank"] } }, 400);
      const result = account.login(given.username, given.password);
      if (result === 'wrong') return json({ message: 'Invalid username or password' }, 401);
      if (result === 'locked')
        return json({ message: 'Account locked due to multiple failed attempts' }, 401);
      return json({ token: result.token, expires_at: indianTime(result.expiresAt) });
    };

    const refusedToken = (header: string | undefined): Answer | undefined => {
      const secret =
        (settings.header !== 'bearer' ? secretOf(header, null) : undefined) ??
        (settings.header !== 'raw' ? secretOf(header, 'Bearer') : undefined);
      if (secret === settings.apiKey)
        return settings.apiAccess ? undefined : json({ message: 'API access is disabled' }, 403);
      if (account.check(secret) === 'ok') return undefined;
      return json({ meta: { message: 'Unauthorized', details: 'Invalid or expired token' } }, 401);
    };

    const track = ({ method, body, headers }: CourierCall): Answer => {
      const refused = refusedToken(headers.authorization);
      if (refused) return refused;
      if (method !== 'POST') return json({ message: 'Method Not Allowed' }, 405);
      const awbs = parsedObject(body)?.awbs;
      if (!Array.isArray(awbs) || awbs.length === 0 || !awbs.every((awb) => typeof awb === 'string'))
        return json({ errors: { awbs: ['is invalid'] } }, 400);
      if (awbs.length > settings.batch)
        return json({ message: `awbs: at most ${settings.batch} are allowed` }, 422);
      const rows = [...new Set(awbs)].flatMap((awb) => row(awb) ?? []).sort((a, b) => a.seed - b.seed);
      return json({ result: Object.fromEntries(rows.map(({ awb, item }) => [awb, item])) });
    };

    const row = (awb: string): { awb: string; seed: number; item: unknown } | undefined => {
      const parcel = parcels.find('velocity', awb);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      if (parcel && scans.length > 0) return { awb, seed: parcel.seed, item: itemOf(parcel, scans) };
      if (settings.unknownAs === 'missing') return undefined;
      return { awb, seed: 0, item: { tracking_data: settings.unknownAs === 'null' ? null : {} } };
    };

    return {
      kindOf: (path) => (path === '/auth-token' ? 'login' : path === '/order-tracking' ? 'track' : 'other'),
      numbersOf: ({ body }) => {
        const awbs = parsedObject(body)?.awbs;
        return Array.isArray(awbs) ? awbs.map(String) : [];
      },
      unauthorized: (kind) =>
        json({ message: kind === 'login' ? 'Invalid username or password' : 'Unauthorized' }, 401),
      limited: { status: 429, body: JSON.stringify({ message: 'Too many requests' }) },
      wrongShapes: WRONG_SHAPES,
      answer: (call) => {
        if (call.kind === 'login') return login(call);
        return call.kind === 'track' ? track(call) : json({ message: 'Not Found' }, 404);
      },
    };
  },
});

const VELOCITY: Record<EventName, string> = {
  manifested: 'pending',
  pickupScheduled: 'pickup_scheduled',
  pickedUp: 'picked_up',
  atOrigin: 'in_transit',
  bagged: 'in_transit',
  onTrip: 'in_transit',
  tripArrived: 'in_transit',
  received: 'in_transit',
  atDestination: 'in_transit',
  outForDelivery: 'out_for_delivery',
  // without lockers
  readyForPickup: 'out_for_delivery',
  failedAttempt: 'ndr_raised',
  delivered: 'delivered',
  notHandedOver: 'not_picked',
  sellerCancelled: 'cancelled',
  rtoStarted: 'rto_initiated',
  rtoInTransit: 'rto_in_transit',
  rtoPending: 'rto_in_transit',
  rtoOutForDelivery: 'rto_in_transit',
  rtoDelivered: 'rto_delivered',
  lost: 'lost',
  destroyed: 'damaged',
  strange: 'held_at_customs',
};

export function velocityWord({ event, word }: Scan): string {
  return word?.status ?? VELOCITY[event];
}

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"result":null}',
  '{"result":[]}',
  '{"result":{"AWB":null}}',
  '{"result":{"AWB":{"tracking_data":[]}}}',
  '{"result":{"AWB":{"tracking_data":{"shipment_status":7,"shipment_track":{}}}}}',
];

/** One parcel; track_status is null even when delivered, activities come newest first. */
function itemOf(parcel: Parcel, scans: readonly Scan[]): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const status = velocityWord(last);
  const first = (event: Scan['event']): number | undefined => scans.find((scan) => scan.event === event)?.at;
  const time = (at: number | undefined): string => (at === undefined ? '' : indianBlank(at));
  return {
    tracking_data: {
      track_status: null,
      shipment_status: status,
      shipment_track: [
        {
          awb_code: parcel.number,
          courier_company_id: null,
          shipment_id: `SHI${parcel.seed}`,
          order_id: `ORD${parcel.seed}`,
          pickup_date: time(last.word?.pickedUpAt ?? first('pickedUp')),
          delivered_date: time(last.word?.deliveredAt ?? first('delivered')),
          weight: 0.5,
          packages: 1,
          current_status: status,
          delivered_to: placeOf(parcel, 'destination').city,
          destination: placeOf(parcel, 'destination').city,
          consignee_name: PERSONAL.consignee,
          origin: placeOf(parcel, 'origin').city,
          courier_name: 'Delhivery',
        },
      ],
      shipment_track_activities: scans
        .map((scan) => ({
          date: indianBlank(scan.at),
          activity: delhiveryWord(scan).remark,
          location: placeOf(parcel, scan.place).hub,
        }))
        .reverse(),
      track_url: `https://track.velocity.example/${parcel.number}`,
    },
  };
}
