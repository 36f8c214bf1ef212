import { z } from 'zod';
import { ok } from '../../errors.ts';
import { count, token } from '../../settings.ts';
import {
  byNumber,
  type Complaints,
  hasMoved,
  jsonOf,
  part,
  parts,
  refusal,
  rowsOf,
  text,
} from '../answer.ts';
import { address, bearer, below, post, readLogin } from '../connecting.ts';
import { defineCourier, type Item, type Pushed } from '../courier.ts';
import { newest, pastTime } from '../times.ts';
import { newestActivity, type TrackingData, trackingDataOf } from '../tracking-data.ts';
import { type Meaning, normalise, wordTable } from '../words.ts';

const DAY_MS = 24 * 3_600_000;

/** Shiprocket, a broker of many carriers: 50 parcels a request (https://apidocs.shiprocket.in). */
export default defineCourier({
  name: 'shiprocket',
  title: 'Shiprocket',
  // "Shiprocket Delhivery" is Shiprocket's parcel
  selection: { courier: 'shiprocket', sources: 'primary', number: 'awb', precedence: 10 },
  batch: 50,
  everyMs: 8 * 60_000,
  timeoutMs: 30_000,
  // none is published; 429 exists
  limit: () => ({ max: 1, seconds: 1 }),
  atOnce: ({ SHIPROCKET_TRACKING_WORKERS }) => SHIPROCKET_TRACKING_WORKERS,
  settings: {
    SHIPROCKET_URL: address()
      .default('https://apiv2.shiprocket.in/v1/external')
      .describe('Shiprocket’s API, up to /v1/external'),
    SHIPROCKET_EMAIL: z.string().optional().describe('mail address of an API user at Shiprocket'),
    SHIPROCKET_PASSWORD: z.string().optional().describe('password of that API user'),
    SHIPROCKET_WEBHOOK_TOKEN: token
      .optional()
      .describe('secret that Shiprocket sends with its webhook; without it /webhooks/shiprocket is closed'),
    SHIPROCKET_TRACKING_WORKERS: count(1, 100)
      .default(10)
      .describe('requests to Shiprocket at once, per process'),
  },
  connect({ SHIPROCKET_URL, SHIPROCKET_EMAIL: email, SHIPROCKET_PASSWORD: password }) {
    if (!email || !password) return undefined;
    return {
      access: {
        schemes: [bearer],
        login: {
          request: post(below(SHIPROCKET_URL, '/auth/login'), { email, password }),
          read: (response) => readLogin('Shiprocket', ['token'], 10 * DAY_MS, response),
          renewBeforeMs: 1.5 * DAY_MS,
        },
      },
      // numbers as text: with digits alone it answers 500
      request: (numbers) => post(below(SHIPROCKET_URL, '/courier/track/awbs'), { awbs: numbers }),
    };
  },
  meaning: (word) => WORDS.get(word),
  push: {
    // Shiprocket takes no address with "shiprocket", "kartrocket", "sr" or "kr" in it: it is given the second one
    paths: ['shiprocket', 'parcels-in'],
    // its documents have the first one, its dashboard has sent the other, too
    headers: ['x-api-key', 'anx-api-key'],
    secret: 'SHIPROCKET_WEBHOOK_TOKEN',
    read: (body, now) => listOf(body).flatMap((entry) => pushed(entry, now)),
    // {}, nothing, or a greeting: it takes no address that does not answer them with 200
    isTest: (body) => listOf(body).every((entry) => !push.parse(entry)?.awb),
  },
  read(response, asked, now) {
    const body = jsonOf(response);
    const found = trackingDataOf(body).map(([number, data]) => [number, itemOf(data, now)] as const);
    if (found.length > 0) return byNumber('Shiprocket', asked, found);
    // nothing but unknown parcels: {}, or [] from PHP
    const empty = typeof body === 'object' && body !== null && Object.keys(body).length === 0;
    if (empty && response.status < 300) return ok(new Map());
    return refusal('Shiprocket', response, asked, COMPLAINTS);
  },
});

/**
 * Words of `current_status` and of the labels. SHIPPED says nothing new, though its id means in_transit. NEW
 * (before a courier is chosen, or after one was dropped) and RETURN… (the buyer's, or on the way back to the seller?) say
 * too little: they are left to people (C6).
 */
const WORDS = wordTable({
  unchanged: `SHIPPED PICKUP_RESCHEDULED OUT_FOR_PICKUP PENDING PICKUP_ERROR AWB_ASSIGNED LABEL_GENERATED
    PICKUP_SCHEDULED PICKUP_QUEUED CANCELLATION_REQUESTED FULFILLED SELF_FULFILLED QC_FAILED READY_TO_SHIP`,
  pending: `PICKUP_GENERATED PICKUP_SCHEDULEDGENERATED MANIFEST_GENERATED PICKUP_EXCEPTION PICKUP_BOOKED SHIPMENT_BOOKED
    BOX_PACKING FC_ALLOCATED PICKLIST_GENERATED READY_TO_PACK PACKED FC_MANIFEST_GENERATED PACKED_EXCEPTION`,
  in_transit: `IN_TRANSIT PICKED_UP REACHED_DEST_CITY REACHED_AT_DESTINATION RECEIVED_AT_ORIGIN
    IN_TRANSIT_TO_NEXT_FACILITY DISPATCHED DELAYED REACHED_AT_DESTINATION_HUB MISROUTED REACHED_WAREHOUSE CUSTOM_CLEARED
    IN_FLIGHT HANDOVER_TO_COURIER IN_TRANSIT_OVERSEAS CONNECTION_ALIGNED REACHED_OVERSEAS_WAREHOUSE
    CUSTOM_CLEARED_OVERSEAS PROCESSED_AT_WAREHOUSE HANDOVER_EXCEPTION IN_TRANSIT_EN_ROUTE
    IN_TRANSIT_AT_DESTINATION_HUB REACHED_DESTINATION_HUB`,
  out_for_delivery: 'OUT_FOR_DELIVERY',
  ndr: `NDR FAILED_DELIVERY UNDELIVERED ISSUE_RELATED_TO_THE_RECIPIENT UNDELIVERED_1ST_ATTEMPT
    UNDELIVERED_2ND_ATTEMPT UNDELIVERED_3RD_ATTEMPT`,
  delivered: 'DELIVERED PARTIAL_DELIVERED',
  // RTO_INITIATED: with C5 it is only on its way
  rto_in_transit: `RTO_INITIATED RTO_IN_TRANSIT RTO_OFD RTO_OUT_FOR_DELIVERY RTO_NDR RTO_LOCK
    REACHED_BACK_AT_SELLER_CITY`,
  rto: 'RTO RTO_DELIVERED RTO_ACKNOWLEDGED',
  booking_cancelled: 'CANCELLED CANCELED NOT_PICKED CANCELED_BY_SELLER CANCELLED_BEFORE_DISPATCHED',
  lost: 'LOST UNTRACEABLE MISSING',
  destroyed: 'DESTROYED DISPOSED_OFF DAMAGED',
});

/**
 * Ids of `shipment_status`, of an activity's `sr-status` and of a push's `shipment_status_id`. The ids of an *order's*
 * status (`current_status_id`) are others: there 19 is out for delivery.
 */
const IDS = wordTable({
  pending: '1 2 3 4 5 11 13 15 19 20 27 52 59 60 61 62 63 67 72',
  // 6 comes after the pickup
  in_transit: '6 18 22 38 39 42 48 49 50 51 54 55 56 57 68 71',
  out_for_delivery: '17',
  ndr: '21 77',
  delivered: '7 23',
  rto_in_transit: '9 40 41 46 75 78',
  rto: '10 14',
  booking_cancelled: '8 45',
  lost: '12 76',
  destroyed: '24 25 44',
  // 16: its cancellation was asked for, not done
  unchanged: '16 26 43 47',
});

const COMPLAINTS: Complaints = [
  [/user blocked|unauthenticated|unauthori[sz]ed|invalid token|token (has )?expired/i, 'credentials'],
  [/wrong number of segments|token (is |could )?not (be )?(provided|parsed)/i, 'credentials'],
  [/404 not found|invalid argument supplied/i, 'malformed'],
];

interface Said {
  /** As words are looked up and kept. */
  word: string;
  raw: string;
  means: Meaning | undefined;
}

function byWord(raw: string | null): Said[] {
  const word = normalise(raw ?? '');
  return raw && word && word !== 'NA' ? [{ word, raw, means: WORDS.get(word) }] : [];
}

const byId = (id: string | null): Said[] =>
  id !== null && /^[1-9]\d*$/.test(id) ? [{ word: `ID_${id}`, raw: id, means: IDS.get(id) }] : [];

const known = (said: readonly Said[]): Said | undefined => said.find(({ means }) => means !== undefined);

function itemOf(data: TrackingData | null, now: number): Item {
  if (!data) return { is: 'notFound' };
  const track = data.shipment_track[0];
  const activity = newestActivity(data, now);
  // `error` is not looked at: a cancelled parcel has one beside its status
  const words = [...byWord(track?.current_status ?? null), ...byWord(activity.label)];
  const ids = [...byId(data.shipment_status), ...byId(activity.id)];
  // C4: the first word that is known. C6: an unknown one is kept, not replaced by what an id may mean
  const said = known(words) ?? words[0] ?? known(ids) ?? ids[0];
  if (!said) return { is: 'notFound', why: 'Shiprocket has no activities of it' };
  const at = activity.at ?? pastTime(track?.updated_time_stamp, now);
  return {
    is: 'scan',
    word: said.word,
    courierStatus: said.raw,
    means: said.means,
    at,
    pickedUpAt: hasMoved(said.means) ? pastTime(track?.pickup_date, now) : null,
    deliveredAt: said.means === 'delivered' ? (pastTime(track?.delivered_date, now) ?? at) : null,
  };
}

const push = part({
  awb: text,
  current_status: text,
  shipment_status: text,
  shipment_status_id: text,
  current_timestamp: text,
  scans: parts({ date: text }),
});

const listOf = (body: unknown): unknown[] => (Array.isArray(body) ? rowsOf(body) : [body]);

/**
 * C14: what Shiprocket sends on its own, one parcel a call. `current_status` is the *order's*, and may lag behind the
 * parcel's: so the parcel's id counts first, then its word, then the order's; of these the first that is known. The
 * order's reference in it is the channel's, not ours.
 */
function pushed(body: unknown, now: number): Pushed[] {
  const sent = push.parse(body);
  if (!sent?.awb) return [];
  const words = [...byWord(sent.shipment_status), ...byWord(sent.current_status)];
  const ids = byId(sent.shipment_status_id);
  const said = known([...ids, ...words]) ?? words[0] ?? ids[0];
  if (!said) return [];
  const at =
    pastTime(sent.current_timestamp, now) ?? newest(sent.scans.map((scan) => pastTime(scan.date, now)));
  const { word, means } = said;
  const courierStatus = words[0]?.raw ?? said.raw;
  return [
    [
      sent.awb,
      { is: 'scan', word, courierStatus, means, at, deliveredAt: means === 'delivered' ? at : null },
    ],
  ];
}
