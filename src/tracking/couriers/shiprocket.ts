import { z } from 'zod';
import { count, token } from '../../config/settings.ts';
import { ok } from '../../lib/errors.ts';
import { defineCourier, type Item, type NumberedScan } from '../toolkit/courier.ts';
import { address, bearer, below, post, readLogin } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
  hasMoved,
  jsonOf,
  part,
  parts,
  refusal,
  rowsOf,
  text,
} from '../toolkit/response.ts';
import { newestActivity, type TrackingData, trackingDataOf } from '../toolkit/shiprocket-format.ts';
import { type Meaning, normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { indiaTimes, newest } from '../toolkit/times.ts';

const DAY_MS = 24 * 3_600_000;

/** Shiprocket, a broker of many carriers: 50 parcels per request (https://apidocs.shiprocket.in). */
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
      .describe('URL of Shiprocket’s API, up to /v1/external'),
    SHIPROCKET_EMAIL: z
      .string()
      .optional()
      .describe('email address of an API user at Shiprocket (not the main login)'),
    SHIPROCKET_PASSWORD: z.string().optional().describe('password of that API user'),
    SHIPROCKET_WEBHOOK_TOKEN: token
      .optional()
      .describe('secret that Shiprocket sends with its webhook; without it /webhooks/shiprocket is disabled'),
    SHIPROCKET_TRACKING_WORKERS: count(1, 100)
      .default(10)
      .describe('concurrent requests to Shiprocket, per process'),
  },
  connect({ SHIPROCKET_URL, SHIPROCKET_EMAIL: email, SHIPROCKET_PASSWORD: password }) {
    if (!email || !password) return undefined;
    return {
      access: {
        schemes: [bearer],
        login: {
          request: post(below(SHIPROCKET_URL, '/auth/login'), { email, password }),
          read: (response) =>
            readLogin(
              'Shiprocket',
              { token: ['token'], expiresAt: 'expires_at', times: indiaTimes, lifeMs: 10 * DAY_MS },
              response,
            ),
          renewBeforeMs: 1.5 * DAY_MS,
        },
      },
      // numbers as strings: for JSON numbers it returns 500
      request: (numbers) => post(below(SHIPROCKET_URL, '/courier/track/awbs'), { awbs: numbers }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  webhook: {
    // Shiprocket accepts no URL that contains "shiprocket", "kartrocket", "sr" or "kr": give it the second one
    paths: ['shiprocket', 'parcels-in'],
    // the first is documented, its dashboard has sent the other too
    headers: ['x-api-key', 'anx-api-key'],
    secret: 'SHIPROCKET_WEBHOOK_TOKEN',
    read: (body, now) => listOf(body).flatMap((entry) => scanOf(entry, now)),
    // {}, an empty body or a greeting: it accepts no URL that does not return 200 to them
    isTest: (body) => listOf(body).every((entry) => !webhookBody.parse(entry)?.awb),
  },
  read(response, asked, now) {
    const body = jsonOf(response);
    const found = trackingDataOf(body).map(([number, data]) => [number, itemOf(data, now)] as const);
    if (found.length > 0) return byNumber('Shiprocket', asked, found);
    // only unknown parcels: {}, or [] from PHP
    const empty = typeof body === 'object' && body !== null && Object.keys(body).length === 0;
    if (empty && response.status < 300) return ok(new Map());
    return refusal('Shiprocket', response, asked, ERRORS);
  },
});

/**
 * Statuses of `current_status` and of the labels. SHIPPED is `unchanged`, though its id means in_transit. NEW (before a
 * courier is chosen, or after one was dropped) and RETURN… (by the buyer, or back to the seller?) are ambiguous: they are
 * left unmapped (C6).
 */
const STATUSES = statusTable({
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
  // RTO_INITIATED: by C5 it is only on its way back
  rto_in_transit: `RTO_INITIATED RTO_IN_TRANSIT RTO_OFD RTO_OUT_FOR_DELIVERY RTO_NDR RTO_LOCK
    REACHED_BACK_AT_SELLER_CITY`,
  rto: 'RTO RTO_DELIVERED RTO_ACKNOWLEDGED',
  booking_cancelled: 'CANCELLED CANCELED NOT_PICKED CANCELED_BY_SELLER CANCELLED_BEFORE_DISPATCHED',
  lost: 'LOST UNTRACEABLE MISSING',
  destroyed: 'DESTROYED DISPOSED_OFF DAMAGED',
});

/**
 * Ids of `shipment_status`, of an activity's `sr-status` and of a webhook's `shipment_status_id`. The ids of an *order's*
 * status (`current_status_id`) are different: there 19 is out for delivery.
 */
const IDS = statusTable({
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
  // 16: cancellation requested, not done
  unchanged: '16 26 43 47',
});

const ERRORS: ErrorPatterns = [
  [/user blocked|unauthenticated|unauthori[sz]ed|invalid token|token (has )?expired/i, 'credentials'],
  [/wrong number of segments|token (is |could )?not (be )?(provided|parsed)/i, 'credentials'],
  [/404 not found|invalid argument supplied/i, 'malformed'],
];

interface Candidate {
  /** Normalized. */
  rawStatus: string;
  raw: string;
  means: Meaning | undefined;
}

function byText(raw: string | null): Candidate[] {
  const rawStatus = normalizeStatus(raw ?? '');
  return raw && rawStatus && rawStatus !== 'NA' ? [{ rawStatus, raw, means: STATUSES.get(rawStatus) }] : [];
}

const byId = (id: string | null): Candidate[] =>
  id !== null && /^[1-9]\d*$/.test(id) ? [{ rawStatus: `ID_${id}`, raw: id, means: IDS.get(id) }] : [];

const mapped = (all: readonly Candidate[]): Candidate | undefined =>
  all.find(({ means }) => means !== undefined);

function itemOf(data: TrackingData | null, now: number): Item {
  if (!data) return { is: 'notFound' };
  const track = data.shipment_track[0];
  const activity = newestActivity(data, now);
  // `error` is ignored: a cancelled parcel has one beside its status
  const texts = [...byText(track?.current_status ?? null), ...byText(activity.label)];
  const ids = [...byId(data.shipment_status), ...byId(activity.id)];
  // C4: the first that is mapped. C6: an unmapped text is kept, not replaced by what an id may mean
  const found = mapped(texts) ?? texts[0] ?? mapped(ids) ?? ids[0];
  if (!found) return { is: 'notFound', why: 'Shiprocket has no activities for it' };
  const at = activity.at ?? indiaTimes.past(track?.updated_time_stamp, now);
  return {
    is: 'scan',
    rawStatus: found.rawStatus,
    courierStatus: found.raw,
    means: found.means,
    at,
    pickedUpAt: hasMoved(found.means) ? indiaTimes.past(track?.pickup_date, now) : null,
    deliveredAt: found.means === 'delivered' ? (indiaTimes.past(track?.delivered_date, now) ?? at) : null,
  };
}

const webhookBody = part({
  awb: text,
  current_status: text,
  shipment_status: text,
  shipment_status_id: text,
  current_timestamp: text,
  scans: parts({ date: text }),
});

const listOf = (body: unknown): unknown[] => (Array.isArray(body) ? rowsOf(body) : [body]);

/**
 * C14: Shiprocket's webhook, one parcel per call. `current_status` is the *order's* and may lag behind the parcel's: so the
 * first that is mapped counts, of the parcel's id, its text, then the order's. The order's reference in it is the
 * channel's, not ours.
 */
function scanOf(body: unknown, now: number): NumberedScan[] {
  const sent = webhookBody.parse(body);
  if (!sent?.awb) return [];
  const texts = [...byText(sent.shipment_status), ...byText(sent.current_status)];
  const ids = byId(sent.shipment_status_id);
  const found = mapped([...ids, ...texts]) ?? texts[0] ?? ids[0];
  if (!found) return [];
  const at =
    indiaTimes.past(sent.current_timestamp, now) ??
    newest(sent.scans.map((scan) => indiaTimes.past(scan.date, now)));
  const { rawStatus, means } = found;
  const courierStatus = texts[0]?.raw ?? found.raw;
  return [
    [
      sent.awb,
      { is: 'scan', rawStatus, courierStatus, means, at, deliveredAt: means === 'delivered' ? at : null },
    ],
  ];
}
