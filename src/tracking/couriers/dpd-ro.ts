import { z } from 'zod';
import { fail, type Result } from '../../lib/errors.ts';
import { defineCourier, type Item, type Link, type Scheme } from '../toolkit/courier.ts';
import { type HistoryEvent, readHistory } from '../toolkit/history.ts';
import { address, below, post } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
  errorMessages,
  isObject,
  jsonOf,
  part,
  parts,
  quote,
  refusal,
  rowsOf,
  text,
} from '../toolkit/response.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { timesIn } from '../toolkit/times.ts';

const MINUTE_MS = 60_000;
/** Over the limit; it is free again within a second. */
const WAIT_MS = 2_000;

/** User name and password are in each body: there is no login, and no header. */
const inBody: Scheme = () => ({});

/** DPD Romania: Web API v1, documented at https://api.dpd.ro/api/docs (POST /track, Appendix 1). */
export default defineCourier({
  name: 'dpd-ro',
  title: 'DPD Romania',
  selection: { courier: 'dpd', sources: 'all', number: 'any-awb', precedence: 20 },
  // as documented; more are let through
  batch: 10,
  everyMs: 20 * MINUTE_MS,
  timeoutMs: 30_000,
  // five a second are allowed to an account, which the seller's shop uses as well
  limit: () => ({ max: 2, seconds: 1 }),
  atOnce: () => 2,
  settings: {
    DPD_RO_URL: address().default('https://api.dpd.ro/v1').describe('URL of DPD Romania’s API'),
    DPD_RO_USERNAME: z
      .string()
      .optional()
      .describe('user name at DPD Romania’s API; one of its own leaves the shop’s limit alone'),
    DPD_RO_PASSWORD: z.string().optional().describe('password of that user'),
  },
  connect({ DPD_RO_URL: base, DPD_RO_USERNAME: userName, DPD_RO_PASSWORD: password }) {
    if (!userName || !password) return undefined;
    return {
      access: { schemes: [inBody], key: '' },
      // all operations: the last one alone hides the return before it (E5)
      request: (numbers) =>
        post(below(base, '/track'), {
          ...{ userName, password, language: 'EN' },
          parcels: numbers.map((id) => ({ id })),
        }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  read(response, asked, now) {
    const body = jsonOf(response);
    const { error, parcels } = isObject(body) ? body : {};
    // E8: errors come with HTTP 200 and an empty list beside them
    if (error || !Array.isArray(parcels) || response.status >= 300)
      return refused(error, () => refusal(TITLE, response, asked, ERRORS));
    // what it does not know is left out, and the order is another one
    const found = rowsOf(parcels).flatMap((raw) => {
      const one = parcel.parse(raw);
      return one ? [[one.parcelId, itemOf(one, now)] as const] : [];
    });
    return byNumber(TITLE, asked, found);
  },
});

const TITLE = 'DPD Romania';

type Answer = Result<Map<string, Item>>;

/** E8: too many requests, a failure of its own kind; everything else is read as for any courier. */
function refused(error: unknown, others: () => Answer): Answer {
  const said = errorMessages(error).join('; ');
  if (!TOO_MANY.test(said)) return others();
  return fail('throttled', `${TITLE} returned ${quote(said)}`, { retryAfterMs: WAIT_MS });
}

/** `context` and message: "method_threshold.too_many_requests.tracking.second", "Too many tracking requests (5) per second." */
const TOO_MANY = /too_many_requests|method_threshold|too many( \w+)? requests/i;

/** An authentication's error has an empty `context` at times, and the general code 1. */
const ERRORS: ErrorPatterns = [
  [
    /\bauthentication\b|user to authenticate|utilizatorul pentru autentificare|wrong username|wrong password/i,
    'credentials',
  ],
];

/** An offset is with all of them; without one a time is none. */
const times = timesIn();

/** The fields that are read. Places, comments, names and pictures of signatures go no further. */
const parcel = part({
  parcelId: text,
  error: part({ message: text }),
  operations: parts({
    dateTime: text,
    operationCode: text,
    description: text,
    returnShipmentId: text,
    redirectShipmentId: text,
  }),
});
type Parcel = NonNullable<z.output<typeof parcel>>;

/**
 * By `operationCode`, Appendix 1. The sign counts: -14 is delivered, and 14 is among the codes that explain a failed
 * delivery (`exceptionCodes`, Appendix 2), which are not read. Unmapped on purpose: 121, stopped by the sender.
 */
const STATUSES = statusTable({
  // shipment data received; pickup failed, refused by the sender; REGISTERED: known, without an operation
  pending: 'OP_148 OP_164 OP_120 REGISTERED',
  // picked up (39), arrived, departed, received and processed in an office, redirected, forwarded, routed to another
  // location, exported, handed to a carrier on the way, content checked; 38 "returned to office" is back at the depot for
  // another attempt, no return
  in_transit: 'OP_39 OP_1 OP_2 OP_11 OP_21 OP_115 OP_116 OP_152 OP_176 OP_217 OP_144 OP_38',
  out_for_delivery: 'OP_12',
  // prepared for self-collecting; the same at an office or locker
  ready_for_pickup: 'OP_134 OP_1134',
  // unsuccessful; refused (a return follows: not final); to be clarified; postponed; content check refused
  ndr: 'OP_44 OP_123 OP_136 OP_190 OP_195',
  rto_in_transit: 'OP_111',
  // "delivered back to sender"
  rto: 'OP_124',
  delivered: 'OP_MINUS_14',
  // theft or burglary; closed by the administration: mostly lost
  lost: 'OP_127 OP_129',
  destroyed: 'OP_125',
  booking_cancelled: 'OP_128',
  // deferred, with the insurers, processed for destruction, no capacity, time of delivery predicted, unexpected delay
  unchanged: 'OP_69 OP_112 OP_114 OP_169 OP_175 OP_181',
});

/** `normalizeStatus` would drop the sign. */
const rawStatusOf = (code: string): string =>
  /^[-+]?\d+$/.test(code)
    ? `OP_${Number(code) < 0 ? 'MINUS_' : ''}${Math.abs(Number(code))}`
    : `OP_${normalizeStatus(code)}`;

function itemOf({ operations, error }: Parcel, now: number): Item {
  const history = operations.flatMap(({ operationCode, description, dateTime }): HistoryEvent[] => {
    if (!operationCode) return [];
    const rawStatus = rawStatusOf(operationCode);
    const courierStatus = [operationCode, description].filter(Boolean).join(' ');
    const at = times.past(dateTime, now);
    return [
      { rawStatus, courierStatus, means: STATUSES.get(rawStatus), at, isPickup: rawStatus === 'OP_39' },
    ];
  });
  const scan = readHistory(history);
  if (!scan)
    return error
      ? { is: 'notFound', ...(error.message ? { why: quote(error.message) } : {}) }
      : { is: 'scan', rawStatus: 'REGISTERED', courierStatus: 'registered', means: 'pending', at: null };
  // E4: a return named beside a delivery would carry something else back
  const isDelivered = (scan.before ?? scan).means === 'delivered';
  const named = (is: Link['is'], numbers: (string | null)[]) =>
    [...new Set(numbers)].flatMap((number): Link[] => (number ? [{ is, number }] : []));
  const links = [
    ...(isDelivered
      ? []
      : named(
          'return',
          operations.map(({ returnShipmentId }) => returnShipmentId),
        )),
    ...named(
      'redirection',
      operations.map(({ redirectShipmentId }) => redirectShipmentId),
    ),
  ];
  return links.length > 0 ? { ...scan, links } : scan;
}
