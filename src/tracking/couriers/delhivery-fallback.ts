import type { z } from 'zod';
import { count } from '../../config/settings.ts';
import { ok } from '../../lib/errors.ts';
import { defineCourier, type Item, type Scheme } from '../toolkit/courier.ts';
import {
  b2cMeaning,
  b2cRawStatus,
  b2cTable,
  bareToken,
  DELHIVERY_ERRORS,
  delhiveryToken,
  LEGACY,
  tokenScheme,
} from '../toolkit/delhivery.ts';
import { delhiveryWebhook, delhiveryWebhookToken } from '../toolkit/delhivery-shipment.ts';
import { address, withQuery } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  codeOf,
  errorMessages,
  hasMoved,
  isObject,
  jsonOf,
  part,
  parts,
  refusal,
  text,
} from '../toolkit/response.ts';
import { type Meaning, normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { earliest, indiaTimes } from '../toolkit/times.ts';

const HOUR_MS = 3_600_000;
const CONSUMER_SITE = 'https://dlv-api.delhivery.com/v3/unified-tracking';
const withoutToken: Scheme = () => ({});

/** Delhivery's consumer site: parcels of other sources, one per request. It is not documented. */
export default defineCourier({
  name: 'delhivery-fallback',
  title: 'Delhivery fallback',
  selection: { courier: 'delhivery', sources: 'other', number: 'any-awb', precedence: 30 },
  batch: 1,
  // it removes a parcel seven days after its end
  everyMs: 2 * HOUR_MS,
  timeoutMs: 30_000,
  // not a public API, without a published limit: one request in five seconds per worker
  limit: ({ FALLBACK_TRACKING_WORKERS }) => ({ max: FALLBACK_TRACKING_WORKERS, seconds: 5 }),
  atOnce: ({ FALLBACK_TRACKING_WORKERS }) => FALLBACK_TRACKING_WORKERS,
  settings: {
    // no default: setting it switches the tracker on
    DELHIVERY_FALLBACK_URL: address()
      .optional()
      .describe(`URL of Delhivery’s consumer tracking; default: ${CONSUMER_SITE}`),
    DELHIVERY_ORIGIN: address()
      .default('https://www.delhivery.com')
      .describe('Origin header of requests to Delhivery’s consumer tracking'),
    DELHIVERY_AUTH_TOKEN_B2C: delhiveryToken(),
    DELHIVERY_WEBHOOK_TOKEN: delhiveryWebhookToken(),
    FALLBACK_TRACKING_WORKERS: count(1, 100)
      .default(3)
      .describe('concurrent requests to Delhivery’s consumer tracking, and requests per five seconds'),
  },
  connect({ DELHIVERY_FALLBACK_URL, DELHIVERY_ORIGIN, DELHIVERY_AUTH_TOKEN_B2C }) {
    const key = bareToken(DELHIVERY_AUTH_TOKEN_B2C);
    if (!key && !DELHIVERY_FALLBACK_URL) return undefined;
    const { origin } = new URL(DELHIVERY_ORIGIN);
    return {
      // some clients send the token, the site itself does not
      access: key ? { schemes: [tokenScheme, withoutToken], key } : { schemes: [withoutToken], key: '' },
      request: (numbers) => ({
        url: withQuery(DELHIVERY_FALLBACK_URL ?? CONSUMER_SITE, { wbn: numbers.join(',') }),
        method: 'GET',
        headers: { accept: 'application/json', origin, referer: `${origin}/` },
      }),
    };
  },
  meaning: b2cTable,
  webhook: delhiveryWebhook,
  read(response, asked, now) {
    const body = jsonOf(response);
    const parcels = listOf(body).map((parcel) => [parcel.awb, itemOf(parcel, now)] as const);
    const items = byNumber('Delhivery fallback', asked, parcels);
    const [number] = asked;
    if (!items.ok || items.value.size > 0 || number === undefined) return items;
    const reply = errorMessages(body).join('; ');
    if (/tracking details are not visible/i.test(reply))
      return ok(
        new Map([[number, { is: 'ended', why: 'Delhivery no longer shows it: it ended a week ago' }]]),
      );
    if (/invalid awb|very old package/i.test(reply))
      return ok(new Map([[number, { is: 'ended', why: 'unknown to Delhivery', onlyAfterMs: 48 * HOUR_MS }]]));
    // empty, or another parcel's data: not found; a list with nothing readable in it is malformed
    const data = isObject(body) ? body.data : undefined;
    const named = parcels.some(([awb]) => awb !== null);
    const readable = data === null || named || (typeof data === 'object' && Object.keys(data).length === 0);
    const success = readable && response.status < 300 && !(codeOf(body) >= 300);
    return success ? items : refusal('Delhivery fallback', response, asked, DELHIVERY_ERRORS);
  },
});

/** The fields that are read; personal data and addresses go no further. */
const item = {
  awb: text,
  referenceNo: text,
  hqStatus: text,
  currentFlow: text,
  currentTrackIndex: text,
  status: part({ status: text, statusType: text, statusDateTime: text }),
  trackingStates: parts({ scans: parts({ scan: text, scanType: text, scanDateTime: text }) }),
};
const list = parts(item);
type Parcel = z.output<typeof list>[number];

const listOf = (body: unknown): Parcel[] => {
  const data = isObject(body) ? body.data : undefined;
  return list.parse(isObject(data) ? [data] : data);
};

/** `status.status`, used only when B2C's table does not map the status. */
const SECOND_OPINION = statusTable({
  unchanged: LEGACY.waiting,
  in_transit: `${LEGACY.in_transit} PICKUP REACHED_DEST_CITY`,
  out_for_delivery: `${LEGACY.out_for_delivery} OUT_DELIVERY`,
  ndr: LEGACY.ndr,
  delivered: LEGACY.delivered,
  // RETURNED includes parcels still on their way back; DELIVERED_SELLER is back at the origin
  rto_in_transit: `${LEGACY.rto_in_transit} RETURNED REACHED_SEL_CITY OUT_DELIVERY_SELLER`,
  rto: `${LEGACY.rto} DELIVERED_SELLER`,
  booking_cancelled: LEGACY.booking_cancelled,
  lost: LEGACY.lost,
  destroyed: LEGACY.destroyed,
});

function itemOf(parcel: Parcel, now: number): Item {
  const pickedUpAt = pickUpOf(parcel, now);
  const first = {
    type: parcel.status?.statusType ?? null,
    status: parcel.hqStatus,
    code: null,
    pickedUpAt,
  };
  const second = normalizeStatus(parcel.status?.status ?? '');
  const rawStatus = b2cRawStatus(first) ?? second;
  if (!rawStatus) return { is: 'notFound', why: 'the response has no status for it' };
  const meaning = (parcel.hqStatus && b2cMeaning(first, now)) || SECOND_OPINION.get(second);
  const means = backAtSeller(parcel, meaning);
  const at = indiaTimes.past(parcel.status?.statusDateTime, now);
  return {
    is: 'scan',
    rawStatus,
    courierStatus: rawStatus.toLowerCase(),
    means,
    at,
    reference: parcel.referenceNo,
    pickedUpAt: hasMoved(means) ? pickedUpAt : null,
    deliveredAt: means === 'delivered' ? at : null,
  };
}

/** On the way back "delivered" means back at the seller. */
const backAtSeller = (parcel: Parcel, means: Meaning | undefined): Meaning | undefined =>
  means === 'delivered' && /^(reverse|returned)$/i.test(parcel.currentFlow ?? '') ? 'rto' : means;

/** The first in-transit scan. Only steps up to the current one have happened. */
function pickUpOf({ trackingStates, currentTrackIndex }: Parcel, now: number): Date | null {
  const happened = trackingStates.slice(0, Number(currentTrackIndex ?? trackingStates.length) + 1);
  const scans = happened.flatMap((step) => step.scans);
  return earliest(
    scans
      .filter((scan) => b2cRawStatus({ type: scan.scanType, status: scan.scan }) === 'UD-IN_TRANSIT')
      .map((scan) => indiaTimes.past(scan.scanDateTime, now)),
  );
}
