import { z } from 'zod';
import { count } from '../../settings.ts';
import { byNumber, hasMoved, isObject, jsonOf, part, parts, refusal, text } from '../answer.ts';
import { address, bearer, below, post, readLogin, withQuery } from '../connecting.ts';
import { defineCourier, type Item } from '../courier.ts';
import { b2cTable, DELHIVERY_COMPLAINTS, LEGACY, pendingMeaning } from '../delhivery.ts';
import { delhiveryPush, delhiveryWebhookToken } from '../delhivery-shipment.ts';
import { earliest, newest, pastTime } from '../times.ts';
import { normalise, wordTable } from '../words.ts';

const HOUR_MS = 3_600_000;

/** Delhivery B2B (LTL): consignments with an LR number, one a request: `/lrn/track` of Delhivery's LTL API. */
export default defineCourier({
  name: 'delhivery-b2b',
  title: 'Delhivery B2B',
  selection: { courier: 'delhivery', sources: 'primary', number: 'lr', precedence: 20 },
  batch: 1,
  mostPerRun: 480,
  everyMs: 8 * 60_000,
  // 99 % of the answers are there after 260 ms
  timeoutMs: 15_000,
  // 500 in 5 minutes are allowed per address: at most 488 leave in any 5 minutes
  limit: () => ({ max: 8, seconds: 5 }),
  atOnce: ({ B2B_TRACKING_WORKERS }) => B2B_TRACKING_WORKERS,
  settings: {
    DELHIVERY_B2B_URL: address()
      .default('https://ltl-clients-api.delhivery.com')
      .describe('Delhivery’s API for B2B consignments: its origin'),
    DELHIVERY_B2B_USERNAME: z.string().optional().describe('user name at Delhivery’s B2B API'),
    DELHIVERY_B2B_PASSWORD: z.string().optional().describe('password at Delhivery’s B2B API'),
    DELHIVERY_WEBHOOK_TOKEN: delhiveryWebhookToken(),
    B2B_TRACKING_WORKERS: count(1, 100).default(3).describe('requests to Delhivery B2B at once, per process'),
  },
  connect({ DELHIVERY_B2B_URL, DELHIVERY_B2B_USERNAME: username, DELHIVERY_B2B_PASSWORD: password }) {
    if (!username || !password) return undefined;
    // the variable may hold the whole address of the tracking call
    const origin = DELHIVERY_B2B_URL.replace(/\/lrn\/track\/?$/, '');
    return {
      access: {
        schemes: [bearer],
        login: {
          request: post(below(origin, '/ums/login'), { username, password }),
          read: (response) => readLogin('Delhivery B2B', ['jwt', 'token'], 24 * HOUR_MS, response),
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
  meaning: (word) => WORDS.get(word) ?? b2cTable(word),
  push: {
    ...delhiveryPush,
    // in the words of B2C, by type and status, at the level of the LR
    read: (body, now) =>
      delhiveryPush
        .read(body, now)
        .map(([number, scan]) => [number, { ...scan, means: WORDS.get(scan.word) ?? scan.means }]),
  },
  read(response, asked, now) {
    const body = jsonOf(response);
    const data = isObject(body) && body.success !== false ? consignment.parse(body.data) : null;
    if (!data || (data.lrnum === null && data.status === null))
      return refusal('Delhivery B2B', response, asked, DELHIVERY_COMPLAINTS);
    return byNumber('Delhivery B2B', asked, [[data.lrnum, itemOf(data, now)]]);
  },
});

/** The official words and B2C's beside those of older answers. No word is `unchanged` here (C6). */
const WORDS = wordTable({
  // a push writes it with its type
  pending: `${LEGACY.waiting} UD-MANIFESTED`,
  // DISPATCHED has left a hub, as older answers mean it; what B2C calls so is OFD here. PART_DEL: some boxes are there
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
  const word = normalise(data.status ?? '');
  if (!word) return { is: 'notFound', why: 'the answer has no status of it' };
  const times = (field: keyof (typeof data.wbns)[number]) =>
    data.wbns.map((box) => pastTime(box[field], now));
  const pickedUpAt = earliest(times('pickup_date'));
  // B2C's "Pending" waits at a centre, wherever that is (C4)
  const means = word === 'PENDING' ? pendingMeaning(pickedUpAt, now) : WORDS.get(word);
  const at = newest(times('scan_timestamp'));
  return {
    is: 'scan',
    word,
    courierStatus: data.status ?? word,
    means,
    at,
    // before the pickup the date is the one that was planned
    pickedUpAt: hasMoved(means) ? pickedUpAt : null,
    deliveredAt: means === 'delivered' ? (newest(times('delivered_date')) ?? at) : null,
  };
}
