import { z } from 'zod';
import { count } from '../../config/settings.ts';
import { type Access, defineCourier, type Item } from '../toolkit/courier.ts';
import { address, bare, bearer, below, headerSecret, post, readLogin } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
  errorMessages,
  hasMoved,
  isObject,
  jsonOf,
  refusal,
} from '../toolkit/response.ts';
import { newestActivity, type TrackingData, trackingDataOf } from '../toolkit/shiprocket-format.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { indiaTimes } from '../toolkit/times.ts';

const HOUR_MS = 3_600_000;

/** Velocity, a broker of many carriers: 45 parcels per request. */
export default defineCourier({
  name: 'velocity',
  title: 'Velocity',
  selection: { courier: 'velocity', sources: 'primary', number: 'awb', precedence: 10 },
  // 50 are documented
  batch: 45,
  mostPerRun: 10_000,
  everyMs: 8 * 60_000,
  timeoutMs: 30_000,
  // none is published
  limit: () => ({ max: 1, seconds: 1 }),
  atOnce: ({ VELOCITY_TRACKING_WORKERS }) => VELOCITY_TRACKING_WORKERS,
  settings: {
    VELOCITY_URL: address()
      .default('https://shazam.velocity.in/custom/api/v1')
      .describe('URL of Velocity’s API, up to /custom/api/v1'),
    VELOCITY_API_KEY: headerSecret()
      .optional()
      .describe('API key from Velocity’s dashboard; with it no login is needed'),
    VELOCITY_USERNAME: z.string().optional().describe('user name at Velocity, a phone number: +91…'),
    VELOCITY_PASSWORD: z.string().optional().describe('password at Velocity'),
    VELOCITY_TRACKING_WORKERS: count(1, 100)
      .default(10)
      .describe('concurrent requests to Velocity, per process'),
  },
  connect({ VELOCITY_URL, VELOCITY_API_KEY, VELOCITY_USERNAME: username, VELOCITY_PASSWORD: password }) {
    const key = (VELOCITY_API_KEY ?? '').replace(/^bearer\s+/i, '');
    if (!key && !(username && password)) return undefined;
    // its documentation has the bare token, its clients send Bearer
    const schemes: Access['schemes'] = [bare, bearer];
    return {
      access: key
        ? { schemes, key }
        : {
            schemes,
            login: {
              request: post(below(VELOCITY_URL, '/auth-token'), { username, password }),
              read: (response) =>
                readLogin(
                  'Velocity',
                  { token: ['token'], expiresAt: 'expires_at', times: indiaTimes, lifeMs: 24 * HOUR_MS },
                  response,
                ),
              renewBeforeMs: 2 * HOUR_MS,
            },
          },
      request: (numbers) => post(below(VELOCITY_URL, '/order-tracking'), { awbs: numbers }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  read(response, asked, now) {
    const body = jsonOf(response);
    const result = isObject(body) ? body.result : undefined;
    const found = trackingDataOf(result).map(([number, data]) => [number, itemOf(data, now)] as const);
    // null, [] and {}: none was found, unless there is an error message
    const junk = Array.isArray(result) && result.length > 0;
    const empty = typeof result === 'object' && !junk && errorMessages(body).length === 0;
    if (found.length > 0 || (empty && response.status < 300)) return byNumber('Velocity', asked, found);
    return refusal('Velocity', response, asked, ERRORS);
  },
});

/** Upper-case statuses of older responses, and Velocity's own, in lower case with underscores. */
const STATUSES = statusTable({
  pending: 'PENDING READY_FOR_PICKUP READY_TO_SHIP PICKUP_SCHEDULED',
  in_transit: 'IN_TRANSIT SHIPPED PICKED_UP',
  out_for_delivery: 'OUT_FOR_DELIVERY',
  delivered: 'DELIVERED',
  // after a failed attempt, until the next one begins
  ndr: 'NDR UNDELIVERED FAILED_ATTEMPT NDR_RAISED NEED_ATTENTION REATTEMPT_DELIVERY',
  // RTO_INITIATED: by C5 it is only on its way back
  rto_in_transit: 'RTO_INITIATED RTO_IN_TRANSIT RETURN_TO_ORIGIN',
  rto: 'RTO RTO_DELIVERED',
  booking_cancelled: 'CANCELLED CANCELED NOT_PICKED',
  lost: 'LOST MISSING',
  destroyed: 'DAMAGED DESTROYED',
  // RETURN_*: the buyer's return, which is not an RTO. REJECTED: unclear by whom, and whether it is final
  unchanged: `MANIFEST_UPLOADED REJECTED RETURN_PICKUP_SCHEDULED RETURN_NOT_PICKED RETURN_IN_TRANSIT RETURN_DELIVERED
    RETURN_CANCELLED RETURN_NDR_RAISED`,
});

const ERRORS: ErrorPatterns = [
  [/unauthori[sz]ed|unauthenticated|invalid token|token (has )?expired|api access/i, 'credentials'],
];

function itemOf(data: TrackingData | null, now: number): Item {
  const track = data?.shipment_track[0];
  // C4: shipment_status, else the first track's
  const status = [data?.shipment_status, track?.current_status].find(
    (one) => one && normalizeStatus(one) !== '',
  );
  if (!data || !status) return { is: 'notFound' };
  const rawStatus = normalizeStatus(status);
  const means = STATUSES.get(rawStatus);
  const at = newestActivity(data, now).at ?? indiaTimes.past(track?.updated_time_stamp, now);
  return {
    is: 'scan',
    rawStatus,
    courierStatus: status,
    means,
    at,
    pickedUpAt: hasMoved(means) ? indiaTimes.past(track?.pickup_date, now) : null,
    deliveredAt: means === 'delivered' ? (indiaTimes.past(track?.delivered_date, now) ?? at) : null,
  };
}
