import { z } from 'zod';
import { count } from '../../settings.ts';
import { byNumber, type Complaints, hasMoved, isObject, jsonOf, refusal, sentences } from '../answer.ts';
import { address, bare, bearer, below, headerSecret, post, readLogin } from '../connecting.ts';
import { type Access, defineCourier, type Item } from '../courier.ts';
import { pastTime } from '../times.ts';
import { newestActivity, type TrackingData, trackingDataOf } from '../tracking-data.ts';
import { normalise, wordTable } from '../words.ts';

const HOUR_MS = 3_600_000;

/** Velocity, a broker of many carriers: 45 parcels a request. */
export default defineCourier({
  name: 'velocity',
  title: 'Velocity',
  selection: { courier: 'velocity', sources: 'primary', number: 'awb', precedence: 10 },
  // 50 are said to be allowed
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
      .describe('Velocity’s API, up to /custom/api/v1'),
    VELOCITY_API_KEY: headerSecret()
      .optional()
      .describe('Velocity’s API key from its dashboard; with it no login is needed'),
    VELOCITY_USERNAME: z.string().optional().describe('user name at Velocity, a phone number: +91…'),
    VELOCITY_PASSWORD: z.string().optional().describe('password at Velocity'),
    VELOCITY_TRACKING_WORKERS: count(1, 100)
      .default(10)
      .describe('requests to Velocity at once, per process'),
  },
  connect({ VELOCITY_URL, VELOCITY_API_KEY, VELOCITY_USERNAME: username, VELOCITY_PASSWORD: password }) {
    const key = (VELOCITY_API_KEY ?? '').replace(/^bearer\s+/i, '');
    if (!key && !(username && password)) return undefined;
    // its documentation has the bare token, its clients Bearer
    const schemes: Access['schemes'] = [bare, bearer];
    return {
      access: key
        ? { schemes, key }
        : {
            schemes,
            login: {
              request: post(below(VELOCITY_URL, '/auth-token'), { username, password }),
              read: (response) => readLogin('Velocity', ['token'], 24 * HOUR_MS, response),
              renewBeforeMs: 2 * HOUR_MS,
            },
          },
      request: (numbers) => post(below(VELOCITY_URL, '/order-tracking'), { awbs: numbers }),
    };
  },
  meaning: (word) => WORDS.get(word),
  read(response, asked, now) {
    const body = jsonOf(response);
    const result = isObject(body) ? body.result : undefined;
    const found = trackingDataOf(result).map(([number, data]) => [number, itemOf(data, now)] as const);
    // null, [] and {}: it knows none of them, unless it says something else
    const junk = Array.isArray(result) && result.length > 0;
    const empty = typeof result === 'object' && !junk && sentences(body).length === 0;
    if (found.length > 0 || (empty && response.status < 300)) return byNumber('Velocity', asked, found);
    return refusal('Velocity', response, asked, COMPLAINTS);
  },
});

/** Upper-case words of older answers, and Velocity's own, which are lower case with underscores. */
const WORDS = wordTable({
  pending: 'PENDING READY_FOR_PICKUP READY_TO_SHIP PICKUP_SCHEDULED',
  in_transit: 'IN_TRANSIT SHIPPED PICKED_UP',
  out_for_delivery: 'OUT_FOR_DELIVERY',
  delivered: 'DELIVERED',
  // what follows a failed attempt, until the next one begins
  ndr: 'NDR UNDELIVERED FAILED_ATTEMPT NDR_RAISED NEED_ATTENTION REATTEMPT_DELIVERY',
  // RTO_INITIATED: with C5 it is only on its way
  rto_in_transit: 'RTO_INITIATED RTO_IN_TRANSIT RETURN_TO_ORIGIN',
  rto: 'RTO RTO_DELIVERED',
  booking_cancelled: 'CANCELLED CANCELED NOT_PICKED',
  lost: 'LOST MISSING',
  destroyed: 'DAMAGED DESTROYED',
  // RETURN_*: the buyer sends goods back, which is no RTO. REJECTED says neither by whom nor whether it is the end
  unchanged: `MANIFEST_UPLOADED REJECTED RETURN_PICKUP_SCHEDULED RETURN_NOT_PICKED RETURN_IN_TRANSIT RETURN_DELIVERED
    RETURN_CANCELLED RETURN_NDR_RAISED`,
});

const COMPLAINTS: Complaints = [
  [/unauthori[sz]ed|unauthenticated|invalid token|token (has )?expired|api access/i, 'credentials'],
];

function itemOf(data: TrackingData | null, now: number): Item {
  const track = data?.shipment_track[0];
  // C4: shipment_status, else the first track's
  const said = [data?.shipment_status, track?.current_status].find((one) => one && normalise(one) !== '');
  if (!data || !said) return { is: 'notFound' };
  const word = normalise(said);
  const means = WORDS.get(word);
  const at = newestActivity(data, now).at ?? pastTime(track?.updated_time_stamp, now);
  return {
    is: 'scan',
    word,
    courierStatus: said,
    means,
    at,
    pickedUpAt: hasMoved(means) ? pastTime(track?.pickup_date, now) : null,
    deliveredAt: means === 'delivered' ? (pastTime(track?.delivered_date, now) ?? at) : null,
  };
}
