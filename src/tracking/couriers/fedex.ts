import { z } from 'zod';
import { defineCourier, type Item, type Link } from '../toolkit/courier.ts';
import { type HistoryEvent, readHistory } from '../toolkit/history.ts';
import { address, bearer, below, headerSecret, post, postForm, readLogin } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
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
import { newest, timesIn } from '../toolkit/times.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Numbers are used again: a parcel whose newest scan is older than this is another one. */
const OTHERS_AFTER_MS = 120 * DAY_MS;

/** FedEx: Track API, POST /track/v1/trackingnumbers (https://developer.fedex.com/api/en-us/catalog/track.html). */
export default defineCourier({
  name: 'fedex',
  title: 'FedEx',
  selection: { courier: 'fedex', sources: 'all', number: 'any-awb', precedence: 20 },
  // Express; Ground, mail and freight; door tags; TNT, which it took over
  numberForm: {
    says: '12 digits, the last of which checks the others, or 9, 15, 18, 20, 22 or 34 digits',
    fits: (number) =>
      /^\d{12}$/.test(number)
        ? checkDigit(number.slice(0, 11)) === Number(number[11])
        : /^(\d{9}|\d{15}|\d{18}|\d{20}|\d{22}|\d{34}|DT\d{12,15}|[A-Z]{2}\d{9}([A-Z]{2})?)$/.test(number),
  },
  // the documented maximum
  batch: 30,
  everyMs: 60 * MINUTE_MS,
  timeoutMs: 30_000,
  // documented: 1,400 in 10 seconds, and 100,000 a day from midnight GMT
  limit: () => ({ max: 5, seconds: 1 }),
  dailyLimit: 100_000,
  atOnce: () => 3,
  settings: {
    FEDEX_URL: address().default('https://apis.fedex.com').describe('URL of FedEx’s APIs'),
    FEDEX_CLIENT_ID: headerSecret()
      .optional()
      .describe('API key of a FedEx project that has the Track API (client ID)'),
    FEDEX_CLIENT_SECRET: headerSecret().optional().describe('secret key of that FedEx project'),
  },
  connect({ FEDEX_URL: base, FEDEX_CLIENT_ID: id, FEDEX_CLIENT_SECRET: secret }) {
    if (!id || !secret) return undefined;
    return {
      access: {
        schemes: [bearer],
        login: {
          request: postForm(below(base, '/oauth/token'), {
            grant_type: 'client_credentials',
            client_id: id,
            client_secret: secret,
          }),
          read: (response) =>
            readLogin('FedEx', { token: ['access_token'], lifeMs: 60 * MINUTE_MS }, response),
          renewBeforeMs: 5 * MINUTE_MS,
        },
      },
      request: (numbers) =>
        post(below(base, '/track/v1/trackingnumbers'), {
          includeDetailedScans: true,
          trackingInfo: numbers.map((trackingNumber) => ({ trackingNumberInfo: { trackingNumber } })),
        }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  failureOf({ status, text: body }, of) {
    // more than 3 logins a second, or 1 a second for 2 minutes: its address is shut out for ten minutes
    if (status === 403 && of === 'login')
      return {
        kind: 'throttled',
        message: 'FedEx accepts no login for ten minutes (HTTP 403)',
        retryAfterMs: 10 * MINUTE_MS,
      };
    if (status === 403 && /FORBIDDEN\.ERROR/.test(body))
      return {
        kind: 'credentials',
        message: 'FedEx: the project has no permission for the Track API (HTTP 403)',
      };
    if (status === 429 && /daily/i.test(body))
      return {
        kind: 'throttled',
        message: 'FedEx: the daily quota is used up until midnight GMT',
        retryAfterMs: 30 * MINUTE_MS,
      };
    return undefined;
  },
  read(response, asked, now) {
    const body = jsonOf(response);
    const output = isObject(body) && isObject(body.output) ? body.output : {};
    // a number may have several results: those of its earlier parcels, and one for each ship date; the newest scan counts
    const found = complete.parse(output.completeTrackResults).flatMap(({ trackingNumber, trackResults }) =>
      trackResults.flatMap((result) => {
        const number = trackingNumber ?? result.trackingNumberInfo?.trackingNumber ?? null;
        const item = itemOf(result, number, now);
        return item ? [[number, item] as const] : [];
      }),
    );
    return found.length > 0 ? byNumber('FedEx', asked, found) : refusal('FedEx', response, asked, ERRORS);
  },
});

function checkDigit(serial: string): number {
  const weights = [3, 1, 7];
  const sum = [...serial].reduce((total, digit, at) => total + Number(digit) * (weights[at % 3] ?? 0), 0);
  return (sum % 11) % 10;
}

/** Times have offsets; the dates of some pickups have none, and are no times. */
const times = timesIn();

/** The fields that are read. Names of who signed, addresses and places go no further. */
const complete = parts({
  trackingNumber: text,
  trackResults: parts({
    trackingNumberInfo: part({ trackingNumber: text }),
    additionalTrackingInfo: part({
      packageIdentifiers: parts({
        type: text,
        values: z
          .unknown()
          .optional()
          .transform((list) => rowsOf(list).flatMap((one) => text.parse(one) ?? [])),
      }),
    }),
    latestStatusDetail: part({ code: text, derivedCode: text, description: text }),
    scanEvents: parts({ date: text, eventType: text, derivedStatusCode: text, eventDescription: text }),
    error: part({ code: text, message: text }),
  }),
});
type Result = z.output<typeof complete>[number]['trackResults'][number];

/**
 * By the event's type, or the derived code of the whole parcel; an open set, and others are unmapped, such as SP (several
 * pieces with different statuses). Exception codes (07, 08) are a set of their own, and not read. Meanings are in the comments.
 */
const STATUSES = statusTable({
  // order created, initiated, manifest data, courier on its way to the pickup
  pending: 'OC IN MD EP',
  // PU PX DO IP picked up, dropped off, in FedEx possession; IT IX on the way; AF AR AA AC AX OF SF FD at or arrived at a
  // facility, airport, post, origin, sort, destination; LO DP left, departed; EO EA PF PL by air; TR TP transfer; AE AO
  // DY DD RL early, on time, delayed, running late; CC CP customs cleared, in progress (EA is also "export approved")
  in_transit: `PU PX DO IP IT IX AF AR AA AC AX OF SF FD LO DP EO EA PF PL TR TP AE AO DY DD RL CC CP`,
  // on the vehicle, at the address, on the way to it
  out_for_delivery: 'OD AD ED',
  // held at a location, ready for pickup
  ready_for_pickup: 'HL HP',
  ndr: 'DE',
  // returning to the shipper; a DL after it is the end of the way back
  rto_in_transit: 'RS',
  delivered: 'DL',
  booking_cancelled: 'CA',
  // SE CD exception, clearance delay; RT return requested; RR RM RC HA RA PR AS delivery options and addresses; CH US new
  // place, new estimate; PD DR DS AP pickup delayed, vehicle not used, dispatched, at the pickup; PM in progress; OX data
  // to the post; LC LP RD RG RP links to return labels
  unchanged: 'SE CD RT RR RM RC HA RA PR AS CH US PD DR DS AP PM OX LC LP RD RG RP',
});
const PICKUPS = ['PU', 'PX', 'DO'];

const ERRORS: ErrorPatterns = [
  [/TRACKINGNUMBER\.NOTFOUND|cannot be found/i, 'notFound'],
  [/NOT\.AUTHORIZED|CXS JWT/i, 'credentials'],
  [/TOO\.MANY\.REQUESTS|quota exceeded/i, 'throttled'],
];

/** @returns undefined: FedEx failed to look it up, which says nothing about the parcel */
function itemOf(result: Result, number: string | null, now: number): Item | undefined {
  const { error, scanEvents, latestStatusDetail: latest } = result;
  const errorCode = error?.code;
  if (errorCode && scanEvents.length === 0)
    return errorCode.startsWith('TRACKING.')
      ? { is: 'notFound', why: quote(error.message ?? errorCode) }
      : undefined;
  // newest first
  const history = scanEvents.toReversed().flatMap((event): HistoryEvent[] => {
    const rawStatus = normalizeStatus(event.eventType ?? event.derivedStatusCode ?? '');
    if (!rawStatus) return [];
    const courierStatus = [rawStatus, event.eventDescription].filter(Boolean).join(' ');
    const at = times.past(event.date, now);
    return [
      { rawStatus, courierStatus, means: STATUSES.get(rawStatus), at, isPickup: PICKUPS.includes(rawStatus) },
    ];
  });
  const seen = newest(history.map(({ at }) => at));
  if (seen && seen.getTime() < now - OTHERS_AFTER_MS)
    return { is: 'notFound', why: 'its newest event is older than four months: of an earlier parcel' };
  const code = normalizeStatus(latest?.derivedCode ?? latest?.code ?? '');
  if (history.length === 0 && code)
    history.push({
      ...{ rawStatus: code, courierStatus: [code, latest?.description].filter(Boolean).join(' ') },
      ...{ means: STATUSES.get(code), at: null },
    });
  const scan = readHistory(history);
  if (!scan) return { is: 'notFound', why: 'the response has no status for it' };
  const links = scan.means === 'delivered' ? [] : linksOf(result, number);
  return links.length > 0 ? { ...scan, links } : scan;
}

/** E4: the numbers under which it goes back or on. */
function linksOf({ additionalTrackingInfo }: Result, number: string | null): Link[] {
  return (additionalTrackingInfo?.packageIdentifiers ?? []).flatMap(({ type, values }) => {
    const is = LINKS.get(type ?? '');
    return is ? values.filter((value) => value !== number).map((value) => ({ is, number: value })) : [];
  });
}
const LINKS = new Map<string, Link['is']>([
  ['RETURNED_TO_SHIPPER_TRACKING_NUMBER', 'return'],
  ['REROUTE_TRACKING_NUMBER', 'redirection'],
]);
