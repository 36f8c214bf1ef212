import { z } from 'zod';
import { parsedObject } from '../../http.ts';
import { type Answer, json } from '../../http-faults.ts';
import { delhiveryWebhook } from '../delhivery.ts';
import { type CourierCall, FIREWALL } from '../desk.ts';
import { indianDate, indianTime } from '../india.ts';
import { scansOf } from '../lives.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { placeOf } from '../places.ts';
import { defineStandIn, type Json, type SettingsOf } from '../stand-in.ts';
import { secretOf, type TokenCheck } from '../tokens.ts';

const DAY_S = 86_400;
const status = z.int().min(200).max(599);

const settings = {
  /** The official LR statuses, the title-case ones of older responses, or one kind per parcel. */
  vocabulary: z.enum(['official', 'title', 'both']).default('both'),
  /** HTTP status of token errors. */
  tokenErrorStatus: status.default(401),
  /** HTTP status of "Data not found.". */
  unknownStatus: status.default(200),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    'delhivery-b2b': SettingsOf<typeof settings>;
  }
}

/** POST /ums/login and GET /lrn/track?lrnum=: one LR per request, its newest status without history. */
export default defineStandIn({
  name: 'delhivery-b2b',
  order: 2,
  prefix: '/couriers/delhivery-b2b',
  settings,
  limit: { max: 500, perSeconds: 300 },
  loginLimit: { max: 100, perSeconds: 300 },
  account: {
    user: 'demo-b2b',
    password: 'demo-b2b-password',
    tokenSeconds: DAY_S,
    // Documented: wrong credentials lock the user for ten minutes.
    lockAfter: 1,
    lockSeconds: 600,
    revokesEarlier: false,
  },
  env: {
    DELHIVERY_B2B_URL: ({ url }) => url,
    DELHIVERY_B2B_USERNAME: ({ account }) => account.user,
    DELHIVERY_B2B_PASSWORD: ({ account }) => account.password,
  },
  booking: { courier: 'delhivery b2b', source: 'Retailer', lr: true },
  // as recorded
  newNumber: (random) => random.digits(9),
  // no code distinguishes "not handed over yet" from "cancelled"
  meanings: { notHandedOver: 'booking_cancelled', readyForPickup: 'out_for_delivery' },
  mix: { sameDay: 6 },
  recorded: (read) => {
    const raw = read('delhivery-b2b.lrn-track.shape').data as Json;
    return [{ number: raw.lrnum, at: Date.parse('2026-02-20T04:30:00Z'), raw }];
  },
  webhook: delhiveryWebhook,
  open: ({ clock, parcels, settings, account }) => {
    const login = ({ method, body }: CourierCall): Answer => {
      if (method !== 'POST') return failure('No Such Resource', 404);
      const given = parsedObject(body);
      const result = account.login(given?.username, given?.password);
      if (result === 'wrong') return failure('Invalid username or password', 401);
      if (result === 'locked') return failure('User is locked, please try again after some time', 403);
      return json({ success: true, data: { jwt: result.token } });
    };

    const track = ({ method, query, headers }: CourierCall): Answer => {
      if (method !== 'GET') return failure('No Such Resource', 404);
      const token = secretOf(headers.authorization, 'Bearer');
      const checked = token === undefined ? 'missing' : account.check(token);
      if (checked !== 'ok') return failure(tokenError(checked, token), settings.tokenErrorStatus);
      const lr = query.get('lrnum') ?? query.get('track_id') ?? '';
      if (lr === '') return failure('Invalid Parameters, Please pass LR number or TrackId', 400);
      const parcel = parcels.find('delhivery-b2b', lr);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      if (!parcel || scans.length === 0) return failure('Data not found.', settings.unknownStatus);
      const title =
        settings.vocabulary === 'title' || (settings.vocabulary === 'both' && parcel.seed % 4 === 0);
      return json({ success: true, data: lrOf(parcel, scans, title, query.get('all_wbns') === 'true') });
    };

    return {
      kindOf: (path) => (path === '/ums/login' ? 'login' : path === '/lrn/track' ? 'track' : 'other'),
      numbersOf: ({ query }) => [query.get('lrnum') ?? query.get('track_id') ?? ''].filter(Boolean),
      unauthorized: (kind) =>
        kind === 'login'
          ? failure('Invalid username or password', 401)
          : failure('The user is not authorized to perform this action.', settings.tokenErrorStatus),
      limited: FIREWALL,
      wrongShapes: WRONG_SHAPES,
      answer: (call) => {
        if (call.kind === 'login') return login(call);
        return call.kind === 'track' ? track(call) : failure('No Such Resource', 404);
      },
    };
  },
});

/** Official LR statuses of Delhivery B2B, and the title-case ones of its example. */
const B2B: Record<EventName, readonly [official: string, title: string]> = {
  manifested: ['MANIFESTED', 'Manifested'],
  pickupScheduled: ['MANIFESTED', 'Manifested'],
  pickedUp: ['PICKED_UP', 'Picked Up'],
  atOrigin: ['PICKED_UP', 'In Transit'],
  bagged: ['PICKED_UP', 'In Transit'],
  onTrip: ['LEFT_ORIGIN', 'In Transit'],
  tripArrived: ['LEFT_ORIGIN', 'In Transit'],
  received: ['LEFT_ORIGIN', 'In Transit'],
  atDestination: ['REACH_DESTINATION', 'In Transit'],
  outForDelivery: ['OFD', 'Out For Delivery'],
  // without lockers
  readyForPickup: ['OFD', 'Out For Delivery'],
  failedAttempt: ['UNDEL_REATTEMPT', 'Undelivered'],
  delivered: ['DELIVERED', 'Delivered'],
  notHandedOver: ['NOT_PICKED', 'Not Picked'],
  sellerCancelled: ['NOT_PICKED', 'Not Picked'],
  rtoStarted: ['RETURNED_INTRANSIT', 'RTO In Transit'],
  rtoInTransit: ['RETURNED_INTRANSIT', 'RTO In Transit'],
  rtoPending: ['RECEIVED_AT_RETURN_CENTER', 'RTO In Transit'],
  rtoOutForDelivery: ['RETURN_OFD', 'RTO OFD'],
  rtoDelivered: ['RETURN_DELIVERED', 'RTO Delivered'],
  lost: ['LOST', 'Lost'],
  destroyed: ['DAMAGED', 'Damaged'],
  strange: ['HELD_AT_CUSTOMS', 'Held At Customs'],
};

export function b2bWord({ event, word }: Scan, title: boolean): string {
  return word?.status ?? B2B[event][title ? 1 : 0];
}

function failure(message: string, status: number): Answer {
  return json({ success: false, error: { message }, data: null }, status);
}

function tokenError(checked: Exclude<TokenCheck, 'ok'> | 'missing', token: string | undefined): string {
  if (checked === 'missing') return 'Invalid authorization header provided';
  if (checked === 'expired') return 'Token Decode Error: Signature has expired';
  return (token ?? '').split('.').length === 3
    ? 'The user is not authorized to perform this action.'
    : 'Token Decode Error: Not enough segments';
}

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"success":true}',
  '{"success":true,"data":null}',
  '{"success":true,"data":[]}',
  '{"success":true,"data":{"lrnum":null,"status":7,"wbns":{}}}',
  '{"success":true,"data":{"status":["DELIVERED"],"wbns":[null]}}',
];

/** data of one LR; with its children on request. */
function lrOf(parcel: Parcel, scans: readonly Scan[], title: boolean, all: boolean): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const status = b2bWord(last, title);
  const first = (event: Scan['event']): number | undefined => scans.find((scan) => scan.event === event)?.at;
  const [pickedUp, delivered] = [
    last.word?.pickedUpAt ?? first('pickedUp'),
    last.word?.deliveredAt ?? first('delivered'),
  ];
  const boxes = 1 + (parcel.seed % 3);
  const waybill = (index: number) => ({
    status,
    location: placeOf(parcel, last.place).hub,
    wbn: `${parcel.number}${String(index).padStart(5, '0')}`,
    count: boxes,
    manifested_date: indianDate(first('manifested') ?? parcel.bookedAt),
    scan_remark: null,
    scan_timestamp: indianTime(last.at, parcel.speed > 1 ? 3 : 0),
    estimated_date: null,
    promised_delivery_date: indianDate(parcel.bookedAt + 5 * DAY_S * 1000),
    pickup_date: pickedUp === undefined ? null : indianDate(pickedUp),
    delivered_date: delivered === undefined ? null : indianDate(delivered),
  });
  return {
    lrnum: parcel.number,
    status,
    mcount: boxes,
    wbns: Array.from({ length: all ? boxes + 1 : 1 }, (_, index) => waybill(index)),
  };
}
