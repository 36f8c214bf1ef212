import type { z } from 'zod';
import type { HttpResponse } from '../../lib/http.ts';
import { defineCourier, type Item } from '../toolkit/courier.ts';
import { type HistoryEvent, readHistory } from '../toolkit/history.ts';
import {
  address,
  basic,
  bearer,
  below,
  headerSecret,
  postForm,
  readLogin,
  withQuery,
} from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
  isObject,
  jsonOf,
  part,
  parts,
  quote,
  refusal,
  text,
} from '../toolkit/response.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { timesIn } from '../toolkit/times.ts';

const MINUTE_MS = 60_000;

/** UPS: Track API, GET /api/track/v1/details/NUMBER (https://developer.ups.com/tag/Tracking). */
export default defineCourier({
  name: 'ups',
  title: 'UPS',
  // the whole word: "Groups" has it too
  selection: { courier: ' ups ', sources: 'all', number: 'any-awb', precedence: 20 },
  numberForm: {
    says: '1Z and 16 letters and digits, the last of which checks the others, or 9 to 12, or 18 and more digits',
    // freight, mail and notices have no 1Z
    fits: (number) =>
      number.startsWith('1Z')
        ? /^1Z[A-Z\d]{15}\d$/.test(number) && checkDigit(number.slice(2, 17)) === Number(number[17])
        : /^(\d{9,12}|\d{18,34}|[A-Z]\d{10}|MI\d{6}\w+)$/.test(number),
  },
  batch: 1,
  everyMs: 120 * MINUTE_MS,
  timeoutMs: 30_000,
  // not published
  limit: () => ({ max: 1, seconds: 1 }),
  atOnce: () => 2,
  settings: {
    UPS_URL: address().default('https://onlinetools.ups.com').describe('URL of UPS’s APIs'),
    UPS_CLIENT_ID: headerSecret().optional().describe('client ID of a UPS app that has the Tracking API'),
    UPS_CLIENT_SECRET: headerSecret().optional().describe('client secret of that UPS app'),
  },
  connect({ UPS_URL: base, UPS_CLIENT_ID: id, UPS_CLIENT_SECRET: secret }) {
    if (!id || !secret) return undefined;
    const login = postForm(below(base, '/security/v1/oauth/token'), { grant_type: 'client_credentials' });
    return {
      access: {
        schemes: [bearer],
        login: {
          request: { ...login, headers: { ...login.headers, ...basic(id, secret) } },
          // expires_in is a text; four hours, and less since 2026
          read: (response) =>
            readLogin('UPS', { token: ['access_token'], lifeMs: 240 * MINUTE_MS }, unwrapped(response)),
          renewBeforeMs: 5 * MINUTE_MS,
        },
      },
      request: ([number = '']) => ({
        url: withQuery(below(base, `/api/track/v1/details/${encodeURIComponent(number)}`), {
          locale: 'en_US',
          returnSignature: 'false',
          returnMilestones: 'false',
          returnPOD: 'false',
        }),
        method: 'GET',
        // both are required
        headers: { transId: encodeURIComponent(number), transactionSrc: 'orderfleet' },
      }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  failureOf: ({ status }) =>
    // "Blocked Merchant": of who sends too much
    status === 403
      ? { kind: 'throttled', message: 'UPS blocks this app (HTTP 403)', retryAfterMs: 30 * MINUTE_MS }
      : undefined,
  read(response, asked, now) {
    const body = jsonOf(response);
    const { shipment } = track.parse(isObject(body) ? body.trackResponse : undefined) ?? { shipment: [] };
    const found = shipment.flatMap(({ inquiryNumber, warnings, package: packages }) => {
      const [warning] = warnings;
      if (packages.length === 0)
        return warning
          ? [[inquiryNumber, { is: 'notFound', why: quote(warning.message ?? '') }] as const]
          : [];
      return packages.flatMap((parcel) => {
        const item = itemOf(parcel, now);
        // the answer to another of the parcel's numbers names its own
        const numbers =
          packages.length === 1 ? [parcel.trackingNumber, inquiryNumber] : [parcel.trackingNumber];
        const named = numbers.filter((number) => number !== null);
        return (named.length > 0 ? named : [null]).map((number) => [number, item] as const);
      });
    });
    return found.length > 0
      ? byNumber('UPS', asked, found)
      : refusal('UPS', unwrapped(response), asked, ERRORS);
  },
});

/** Letters count 2, 3, …, 9, 0, 1, … from A on; every second one counts twice. */
function checkDigit(serial: string): number {
  const sum = [...serial].reduce((total, one, at) => {
    const value = /\d/.test(one) ? Number(one) : (one.charCodeAt(0) - 63) % 10;
    return total + value * (at % 2 === 0 ? 1 : 2);
  }, 0);
  return (10 - (sum % 10)) % 10;
}

/** The fields that are read. Names of who received it, addresses and places go no further. */
const track = part({
  shipment: parts({
    inquiryNumber: text,
    warnings: parts({ message: text }),
    package: parts({
      trackingNumber: text,
      activity: parts({
        date: text,
        time: text,
        gmtDate: text,
        gmtTime: text,
        gmtOffset: text,
        status: part({ statusCode: text, description: text }),
      }),
      currentStatus: part({ code: text, description: text }),
    }),
  }),
});
type Package = NonNullable<z.output<typeof track>>['shipment'][number]['package'][number];
type Activity = Package['activity'][number];

/** Errors come as `{response: {errors: […]}}`. */
function unwrapped(response: HttpResponse): HttpResponse {
  const body = jsonOf(response);
  return isObject(body) && isObject(body.response)
    ? { ...response, text: JSON.stringify(body.response) }
    : response;
}

const ERRORS: ErrorPatterns = [
  [/\bTW0001\b|information not found/i, 'notFound'],
  [/\b(250002|250003|251004|UJ0001)\b|authentication information/i, 'credentials'],
  [/\b10429\b|quota limit exceeded/i, 'throttled'],
];

/** "3 93-95" as CODE_3 CODE_93 CODE_94 CODE_95. */
const codes = (list: string) =>
  list
    .split(/\s+/)
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => `CODE_${first + index}`);
    })
    .join(' ');

/**
 * By statusCode without its leading zeros, from UPS's list of 169 codes with customer-facing texts. Its `type` says less:
 * D covers loaded, out for delivery, and handed over at an Access Point. Meanings are in the comments.
 */
const STATUSES = statusTable({
  // ready for UPS, on the way to UPS, order processed, ready for Roadie
  pending: codes('3 44-45 79-80 157 166'),
  // 38 160 picked up; 167-169 dropped off by the customer; 12 14 84 92 134 clearance in progress, completed; 16 in a
  // warehouse; 57 70 on the way to an Access Point; 71 preparing for delivery; 73 74 137 with a delivery partner; 138 awaits
  // departure; the others: on the way
  in_transit: codes('5 10 12 14 16 25 38-39 47 57 70-71 73-74 84 87 92 134 137-138 158-160 164-165 167-169'),
  // 72 loaded on the vehicle, 78 arriving soon
  out_for_delivery: codes('6 21 37 72 78 89 91 146 162'),
  // held for pickup, ready for it, delivered to an agent, a post office, an Access Point
  ready_for_pickup: codes('17 40 143-144 161'),
  // 13 29 30 76 exceptions; 22-24 attempts; 50 address wanted; 60-62 66 145 attempted; 64 refused (a return follows: not
  // final); 69 unable to deliver
  ndr: codes('13 22-24 29-30 50 60-62 64 66 69 76 145'),
  // delivered, by the local post office too
  delivered: codes('11 26'),
  rto_in_transit: codes('35-36'),
  // returned, by the post office, damaged
  rto: codes('34 67 81'),
  // shipment information voided
  booking_cancelled: codes('7'),
  // claim paid
  lost: codes('140'),
  // seized by law enforcement, destroyed for its contents
  destroyed: codes('147 149'),
  // requests and their confirmations, delays, holds, pickups, claims, papers: they do not say where it is
  unchanged: codes(
    `0 18-20 27-28 32-33 41-43 46 48-49 51-56 58-59 63 65 68 75 77 82-83 85-86 88 90 93-133 135-136 139 141-142 148
    153-156 163`,
  ),
});
const PICKUPS = codes('38 160 167-169').split(' ');

/** `CODE_11` of "011". */
const rawStatusOf = (code: string | null | undefined): string => {
  const normalized = normalizeStatus(code ?? '');
  return normalized && `CODE_${/^\d{1,5}$/.test(normalized) ? Number(normalized) : normalized}`;
};

function itemOf({ activity, currentStatus }: Package, now: number): Item {
  // newest first
  const history = activity.toReversed().flatMap((one) => {
    const { statusCode = null, description = null } = one.status ?? {};
    return eventOf(statusCode, description, timeOf(one, now));
  });
  const { code = null, description = null } = currentStatus ?? {};
  const scan = readHistory(history.length > 0 ? history : eventOf(code, description, { at: null }));
  return scan ?? { is: 'notFound', why: 'the response has no status for it' };
}

function eventOf(
  code: string | null,
  description: string | null,
  time: Pick<HistoryEvent, 'at' | 'about'>,
): HistoryEvent[] {
  const rawStatus = rawStatusOf(code);
  if (!rawStatus) return [];
  const courierStatus = [code, description].filter(Boolean).join(' ');
  const isPickup = PICKUPS.includes(rawStatus);
  return [{ rawStatus, courierStatus, means: STATUSES.get(rawStatus), isPickup, ...time }];
}

/** E2: in GMT; else local with its offset. Older activities have neither: their local time gives the order only. */
function timeOf(activity: Activity, now: number): Pick<HistoryEvent, 'at' | 'about'> {
  const { date, time, gmtDate, gmtTime, gmtOffset } = activity;
  const [inGmt, local] = [written(gmtDate, gmtTime), written(date, time)];
  const at =
    times.past(inGmt && `${inGmt}Z`, now) ?? times.past(local && gmtOffset && `${local}${gmtOffset}`, now);
  return { at, about: at ?? times.past(local && `${local}Z`, now) };
}

const times = timesIn();

/** 20260303 and 111500, 11:15:00, or 74700: seen with its leading zero lost. */
function written(date: string | null, time: string | null): string | null {
  const [, year, month, day] = /^(\d{4})(\d\d)(\d\d)$/.exec(date ?? '') ?? [];
  const digits = time?.replaceAll(':', '') ?? '';
  if (!year || !/^\d{1,6}$/.test(digits)) return null;
  const [, hour, minute, second] = /^(\d\d)(\d\d)(\d\d)$/.exec(digits.padStart(6, '0')) ?? [];
  return `${year}-${month}-${day}T${hour}:${minute}:${second}`;
}
