import { z } from 'zod';
import type { Status } from '../engine/status.ts';
import { defineCourier, type Item, type Link } from '../toolkit/courier.ts';
import { type HistoryEvent, readHistory } from '../toolkit/history.ts';
import { address, bearer, below, headerSecret, post, readLogin, withQuery } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
  entriesOf,
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

/** FAN Courier, Romania: API of 2025-08, documented at https://www.fancourier.ro (PDF "API FAN Courier"). */
export default defineCourier({
  name: 'fan-courier',
  title: 'FAN Courier',
  // at the beginning of a word: "FAN Courier", "fancourier", "FAN"
  selection: { courier: ' fan', sources: 'all', number: 'any-awb', precedence: 20 },
  numberForm: { says: '13 digits', fits: (number) => /^\d{13}$/.test(number) },
  // no maximum is documented; 25 are in use
  batch: 25,
  everyMs: 30 * MINUTE_MS,
  timeoutMs: 30_000,
  // none is documented, and its API was not seen to answer 429; its public page does
  limit: () => ({ max: 1, seconds: 1 }),
  atOnce: () => 2,
  settings: {
    FAN_COURIER_URL: address().default('https://api.fancourier.ro').describe('URL of FAN Courier’s API'),
    FAN_COURIER_USERNAME: z.string().optional().describe('user name at FAN Courier (selfAWB)'),
    FAN_COURIER_PASSWORD: z.string().optional().describe('password at FAN Courier'),
    FAN_COURIER_CLIENT_ID: headerSecret().optional().describe('client ID at FAN Courier, a number'),
  },
  connect(settings) {
    const {
      FAN_COURIER_URL: base,
      FAN_COURIER_USERNAME: username,
      FAN_COURIER_PASSWORD: password,
    } = settings;
    const clientId = settings.FAN_COURIER_CLIENT_ID;
    if (!username || !password || !clientId) return undefined;
    return {
      access: {
        schemes: [bearer],
        login: {
          request: post(below(base, '/login'), { username, password }),
          read: (response) =>
            readLogin(
              'FAN Courier',
              { token: ['token'], expiresAt: 'expiresAt', times, lifeMs: DAY_MS },
              response,
            ),
          // FAN asks for one login a day
          renewBeforeMs: 60 * MINUTE_MS,
        },
      },
      request: (numbers) => ({
        url: withQuery(below(base, '/reports/awb/tracking'), { clientId, 'awb[]': numbers, language: 'ro' }),
        method: 'GET',
      }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  read(response, asked, now) {
    const body = jsonOf(response);
    const data = isObject(body) ? body.data : undefined;
    // one client of theirs reads an object as a list: both are
    const rows = Array.isArray(data)
      ? rowsOf(data)
      : isObject(data)
        ? entriesOf(data).map(([, row]) => row)
        : [];
    const found = rows.flatMap((raw) => {
      const parcel = row.parse(raw);
      return parcel?.awbNumber ? [[parcel.awbNumber, itemOf(parcel, now)] as const] : [];
    });
    const isEmpty = rows.length === 0 && (Array.isArray(data) || isObject(data));
    if (found.length > 0 || (isEmpty && response.status < 300)) return byNumber('FAN Courier', asked, found);
    return refusal('FAN Courier', response, asked, ERRORS);
  },
});

/** Zone-less times, also a token's expiry. */
const times = timesIn('Europe/Bucharest');

/** The fields that are read. The content, places and the name of who signed go no further. */
const row = part({
  awbNumber: text,
  message: text,
  returnAwbNumber: text,
  redirectionAwbNumber: text,
  confirmation: part({ date: text }),
  events: parts({ id: text, name: text, date: text }),
});
type Row = NonNullable<z.output<typeof row>>;

/**
 * By the event's id, as GET /reports/awb-events lists them, with their meaning in the same order; ids that it leaves out
 * are unmapped.
 */
const STATUSES = statusTable({
  // not handed over
  pending: 'S38 REGISTERED',
  // picked up; on the way, unloaded, sorted, in a depot; handed to a partner; redirected; customs papers missing
  in_transit: 'C0 H0 H10 H1 H11 H2 H3 H4 H12 H13 H15 H17 S47 S9 S64',
  // taken out for delivery; out for delivery; out again
  out_for_delivery: 'C1 S1 S35',
  // handed to a delivery point (FANbox, PayPoint); to be collected at FAN's office
  ready_for_pickup: 'S46 S8',
  // notified; notified by SMS; nobody there; no money; no proxy or identity card; address incomplete; address wrong; moved;
  // telephone missing or wrong (six ids); later, as agreed; no access; no answer; not confirmed; locker full; too large for
  // it; then three refusals, which are not final: a return follows
  ndr: 'S3 S11 S21 S22 S24 S4 S5 S10 S19 S20 S25 S27 S28 S42 S12 S14 S30 S50 S54 S55 S6 S7 S15',
  // return requested; at the end of the storage time; return. RETURN_AWB: the response names the return's number
  rto_in_transit: 'S33 S16 S43 RETURN_AWB',
  delivered: 'S2',
  // compensated
  lost: 'S37',
  // posted up; activity suspended
  unchanged: 'S34 S49',
});

const ERRORS: ErrorPatterns = [
  [/credentials do not match|unauthenticated/i, 'credentials'],
  [/\bfield is required|format is invalid/i, 'rejected'],
];

/** "AWB-ul a fost inregistrat …", "The AWB has been registerd …", as they write it; not "nu este inregistrat". */
const REGISTERED = /\ba fost [iî]nregistrat|\bhas been register/i;

function itemOf(parcel: Row, now: number): Item {
  const { message: reply, events, returnAwbNumber, redirectionAwbNumber, confirmation } = parcel;
  // booked and not yet handed over; a deleted AWB says so for ever, too: it ages out
  if (events.length === 0 && REGISTERED.test(reply ?? ''))
    return { is: 'scan', rawStatus: 'REGISTERED', courierStatus: 'registered', means: 'pending', at: null };
  // oldest first in every example of theirs
  const dates = times.pastInOrder(
    events.map(({ date }) => date),
    now,
  );
  const history = events.flatMap(({ id, name }, index): HistoryEvent[] => {
    const rawStatus = normalizeStatus(id ?? '');
    if (!rawStatus) return [];
    const at = dates[index] ?? (rawStatus === 'S2' ? times.past(confirmation?.date, now) : null);
    const courierStatus = [id, name].filter(Boolean).join(' ');
    return [{ rawStatus, courierStatus, means: STATUSES.get(rawStatus), at, isPickup: rawStatus === 'C0' }];
  });
  const has = (status: Status) => history.some(({ means }) => means === status);
  const [delivered, goesBack] = [has('delivered'), has('rto_in_transit')];
  // the return's number appears before any event of the return, or instead of one
  if (returnAwbNumber && !delivered && !goesBack && history.length > 0) {
    const courierStatus = history.at(-1)?.courierStatus ?? '';
    history.push({ rawStatus: 'RETURN_AWB', courierStatus, means: 'rto_in_transit', at: newest(dates) });
  }
  // delivered and no return before it: that number is of documents that go back
  const returned = delivered && !goesBack ? null : returnAwbNumber;
  const links: Link[] = [
    ...(returned ? [{ is: 'return', number: returned } as const] : []),
    ...(redirectionAwbNumber ? [{ is: 'redirection', number: redirectionAwbNumber } as const] : []),
  ];
  const scan = readHistory(history);
  if (!scan) return { is: 'notFound', ...(reply ? { why: quote(reply) } : {}) };
  return links.length > 0 ? { ...scan, links } : scan;
}
