import type { z } from 'zod';
import { ok } from '../../errors.ts';
import { count } from '../../settings.ts';
import {
  byNumber,
  codeOf,
  hasMoved,
  isObject,
  jsonOf,
  part,
  parts,
  refusal,
  sentences,
  text,
} from '../answer.ts';
import { address, withQuery } from '../connecting.ts';
import { defineCourier, type Item, type Scheme } from '../courier.ts';
import {
  b2cMeaning,
  b2cTable,
  b2cWord,
  bareToken,
  DELHIVERY_COMPLAINTS,
  delhiveryToken,
  LEGACY,
  tokenScheme,
} from '../delhivery.ts';
import { delhiveryPush, delhiveryWebhookToken } from '../delhivery-shipment.ts';
import { earliest, pastTime } from '../times.ts';
import { type Meaning, normalise, wordTable } from '../words.ts';

const HOUR_MS = 3_600_000;
const CONSUMER_SITE = 'https://dlv-api.delhivery.com/v3/unified-tracking';
const withoutToken: Scheme = () => ({});

/** Delhivery's consumer site: parcels of other sources, one a request. Nobody documents it. */
export default defineCourier({
  name: 'delhivery-fallback',
  title: 'Delhivery fallback',
  selection: { courier: 'delhivery', sources: 'other', number: 'any-awb', precedence: 30 },
  batch: 1,
  // it forgets a parcel seven days after its end
  everyMs: 2 * HOUR_MS,
  timeoutMs: 30_000,
  // no limit is published, and it is nobody's API: one request in five seconds per worker
  limit: ({ FALLBACK_TRACKING_WORKERS }) => ({ max: FALLBACK_TRACKING_WORKERS, seconds: 5 }),
  atOnce: ({ FALLBACK_TRACKING_WORKERS }) => FALLBACK_TRACKING_WORKERS,
  settings: {
    // no default here: to set it switches the tracker on
    DELHIVERY_FALLBACK_URL: address()
      .optional()
      .describe(`Delhivery’s consumer tracking; without it ${CONSUMER_SITE}`),
    DELHIVERY_ORIGIN: address()
      .default('https://www.delhivery.com')
      .describe('origin that requests to Delhivery’s consumer tracking name'),
    DELHIVERY_AUTH_TOKEN_B2C: delhiveryToken(),
    DELHIVERY_WEBHOOK_TOKEN: delhiveryWebhookToken(),
    FALLBACK_TRACKING_WORKERS: count(1, 100)
      .default(3)
      .describe('requests to Delhivery’s consumer tracking at once, and in any five seconds'),
  },
  connect({ DELHIVERY_FALLBACK_URL, DELHIVERY_ORIGIN, DELHIVERY_AUTH_TOKEN_B2C }) {
    const key = bareToken(DELHIVERY_AUTH_TOKEN_B2C);
    if (!key && !DELHIVERY_FALLBACK_URL) return undefined;
    const { origin } = new URL(DELHIVERY_ORIGIN);
    return {
      // some clients send the token, the site itself does without
      access: key ? { schemes: [tokenScheme, withoutToken], key } : { schemes: [withoutToken], key: '' },
      request: (numbers) => ({
        url: withQuery(DELHIVERY_FALLBACK_URL ?? CONSUMER_SITE, { wbn: numbers.join(',') }),
        method: 'GET',
        headers: { accept: 'application/json', origin, referer: `${origin}/` },
      }),
    };
  },
  meaning: b2cTable,
  push: delhiveryPush,
  read(response, asked, now) {
    const body = jsonOf(response);
    const parcels = listOf(body).map((parcel) => [parcel.awb, itemOf(parcel, now)] as const);
    const items = byNumber('Delhivery fallback', asked, parcels);
    const [number] = asked;
    if (!items.ok || items.value.size > 0 || number === undefined) return items;
    const said = sentences(body).join('; ');
    if (/tracking details are not visible/i.test(said))
      return ok(
        new Map([[number, { is: 'ended', why: 'Delhivery shows it no longer: its end is a week ago' }]]),
      );
    if (/invalid awb|very old package/i.test(said))
      return ok(
        new Map([[number, { is: 'ended', why: 'Delhivery does not know it', onlyAfterMs: 48 * HOUR_MS }]]),
      );
    // nothing, or another parcel; a list in which nothing can be read is neither
    const data = isObject(body) ? body.data : undefined;
    const named = parcels.some(([awb]) => awb !== null);
    const told = data === null || named || (typeof data === 'object' && Object.keys(data).length === 0);
    const fine = told && response.status < 300 && !(codeOf(body) >= 300);
    return fine ? items : refusal('Delhivery fallback', response, asked, DELHIVERY_COMPLAINTS);
  },
});

/** What is read of a parcel; its persons and addresses go no further. */
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

/** What `status.status` says, asked only when the table of B2C has no such word. */
const SECOND_OPINION = wordTable({
  unchanged: LEGACY.waiting,
  in_transit: `${LEGACY.in_transit} PICKUP REACHED_DEST_CITY`,
  out_for_delivery: `${LEGACY.out_for_delivery} OUT_DELIVERY`,
  ndr: LEGACY.ndr,
  delivered: LEGACY.delivered,
  // RETURNED is said of parcels on their way back, too; that they are back is DELIVERED_SELLER
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
  const second = normalise(parcel.status?.status ?? '');
  const word = b2cWord(first) ?? second;
  if (!word) return { is: 'notFound', why: 'the answer has no status of it' };
  const said = (parcel.hqStatus && b2cMeaning(first, now)) || SECOND_OPINION.get(second);
  const means = backAtSeller(parcel, said);
  const at = pastTime(parcel.status?.statusDateTime, now);
  return {
    is: 'scan',
    word,
    courierStatus: word.toLowerCase(),
    means,
    at,
    reference: parcel.referenceNo,
    pickedUpAt: hasMoved(means) ? pickedUpAt : null,
    deliveredAt: means === 'delivered' ? at : null,
  };
}

/** On the way back "delivered" means: to the seller. */
const backAtSeller = (parcel: Parcel, means: Meaning | undefined): Meaning | undefined =>
  means === 'delivered' && /^(reverse|returned)$/i.test(parcel.currentFlow ?? '') ? 'rto' : means;

/** The first scan on the way. Of the steps only those up to the current one have happened. */
function pickUpOf({ trackingStates, currentTrackIndex }: Parcel, now: number): Date | null {
  const happened = trackingStates.slice(0, Number(currentTrackIndex ?? trackingStates.length) + 1);
  const scans = happened.flatMap((step) => step.scans);
  return earliest(
    scans
      .filter((scan) => b2cWord({ type: scan.scanType, status: scan.scan }) === 'UD-IN_TRANSIT')
      .map((scan) => pastTime(scan.scanDateTime, now)),
  );
}
