import { z } from 'zod';
import { count } from '../../config/settings.ts';
import { defineCourier, type Item } from '../toolkit/courier.ts';
import { b2cTable, DELHIVERY_ERRORS, LEGACY, pendingMeaning } from '../toolkit/delhivery.ts';
import { delhiveryWebhook, delhiveryWebhookToken } from '../toolkit/delhivery-shipment.ts';
import { address, bearer, below, post, readLogin, withQuery } from '../toolkit/http-helpers.ts';
import { byNumber, hasMoved, isObject, jsonOf, part, parts, refusal, text } from '../toolkit/response.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { earliest, indiaTimes, newest } from '../toolkit/times.ts';

const HOUR_MS = 3_600_000;

/** Delhivery B2B (LTL): consignments with an LR number, one per request: `/lrn/track` of Delhivery's LTL API. */
export default defineCourier({
  name: 'delhivery-b2b',
  title: 'Delhivery B2B',
  selection: { courier: 'delhivery', sources: 'primary', number: 'lr', precedence: 20 },
  batch: 1,
  mostPerRun: 480,
  everyMs: 8 * 60_000,
  // 99 % of the responses arrive within 260 ms
  timeoutMs: 15_000,
  // 500 in 5 minutes are allowed per address: at most 488 leave in any 5 minutes
  limit: () => ({ max: 8, seconds: 5 }),
  atOnce: ({ B2B_TRACKING_WORKERS }) => B2B_TRACKING_WORKERS,
  settings: {
    DELHIVERY_B2B_URL: address()
      .default('https://ltl-clients-api.delhivery.com')
      .describe('origin of Delhivery’s API for B2B consignments'),
    DELHIVERY_B2B_USERNAME: z.string().optional().describe('user name at Delhivery’s B2B API'),
    DELHIVERY_B2B_PASSWORD: z.string().optional().describe('password at Delhivery’s B2B API'),
    DELHIVERY_WEBHOOK_TOKEN: delhiveryWebhookToken(),
    B2B_TRACKING_WORKERS: count(1, 100)
      .default(3)
      .describe('concurrent requests to Delhivery B2B, per process'),
  },
  connect({ DELHIVERY_B2B_URL, DELHIVERY_B2B_USERNAME: username, DELHIVERY_B2B_PASSWORD: password }) {
    if (!username || !password) return undefined;
    // the variable may hold the full URL of the tracking request
    const origin = DELHIVERY_B2B_URL.replace(/\/lrn\/track\/?$/, '');
    return {
      access: {
        schemes: [bearer],
        login: {
          request: post(below(origin, '/ums/login'), { username, password }),
          read: (response) =>
            readLogin(
              'Delhivery B2B',
              { token: ['jwt', 'token'], expiresAt: 'expires_at', times: indiaTimes, lifeMs: 24 * HOUR_MS },
              response,
            ),
          renewBeforeMs: 2 * HOUR_MS,
        },
      },
      request: (numbers) => ({
        url: withQuery(below(origin, '/lrn/track'), { lrnum: numbers.join(',') }),
        method: 'GET',
        headers: { accept: 'application/json' },
      }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus) ?? b2cTable(rawStatus),
  webhook: {
    ...delhiveryWebhook,
    // with B2C's type and status, for the whole LR
    read: (body, now) =>
      delhiveryWebhook
        .read(body, now)
        .map(([number, scan]) => [number, { ...scan, means: STATUSES.get(scan.rawStatus) ?? scan.means }]),
  },
  read(response, asked, now) {
    const body = jsonOf(response);
    const data = isObject(body) && body.success !== false ? consignment.parse(body.data) : null;
    if (!data || (data.lrnum === null && data.status === null))
      return refusal('Delhivery B2B', response, asked, DELHIVERY_ERRORS);
    return byNumber('Delhivery B2B', asked, [[data.lrnum, itemOf(data, now)]]);
  },
});

/** The official statuses, B2C's, and those of older responses. None is `unchanged` here (C6). */
const STATUSES = statusTable({
  // webhooks send it with its type
  pending: `${LEGACY.waiting} UD-MANIFESTED`,
  // DISPATCHED has left a hub, as in older responses; B2C's DISPATCHED is OFD here. PART_DEL: some boxes are delivered
  in_transit: `${LEGACY.in_transit} LEFT_ORIGIN REACH_DESTINATION PART_DEL`,
  out_for_delivery: LEGACY.out_for_delivery,
  ndr: `${LEGACY.ndr} UNDEL_REATTEMPT`,
  delivered: LEGACY.delivered,
  rto_in_transit: `${LEGACY.rto_in_transit} RECEIVED_AT_RETURN_CENTER RETURN_OFD`,
  rto: `${LEGACY.rto} RETURNED RETURN_DELIVERED`,
  booking_cancelled: LEGACY.booking_cancelled,
  lost: LEGACY.lost,
  destroyed: LEGACY.destroyed,
});

const consignment = part({
  lrnum: text,
  status: text,
  wbns: parts({ scan_timestamp: text, pickup_date: text, delivered_date: text }),
});

function itemOf(data: NonNullable<z.output<typeof consignment>>, now: number): Item {
  const rawStatus = normalizeStatus(data.status ?? '');
  if (!rawStatus) return { is: 'notFound', why: 'the response has no status for it' };
  const times = (field: keyof (typeof data.wbns)[number]) =>
    data.wbns.map((box) => indiaTimes.past(box[field], now));
  const pickedUpAt = earliest(times('pickup_date'));
  // B2C's "Pending" waits at any centre (C4)
  const means = rawStatus === 'PENDING' ? pendingMeaning(pickedUpAt, now) : STATUSES.get(rawStatus);
  const at = newest(times('scan_timestamp'));
  return {
    is: 'scan',
    rawStatus,
    courierStatus: data.status ?? rawStatus,
    means,
    at,
    // before the pickup this is the planned date
    pickedUpAt: hasMoved(means) ? pickedUpAt : null,
    deliveredAt: means === 'delivered' ? (newest(times('delivered_date')) ?? at) : null,
  };
}
