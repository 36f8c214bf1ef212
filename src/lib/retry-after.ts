/**
 * How long a response tells us to wait: in Retry-After and similar headers, or in its body (C10; also for Slack and
 * webhooks). APIs use many forms, and this file reads all that we have met: seconds, milliseconds, Unix times in either,
 * "22m27.84s", "1 minute 30 seconds", PT20M, 00:20:00, dates of four kinds, structured fields. Of two possible meanings the
 * longer one counts: never less than requested. Times are relative to the response's own Date, so that clock skew does not
 * matter. Our own code, since libraries read one or two of these forms.
 */

/**
 * In order of precedence: Retry-After first (draft-ietf-httpapi-ratelimit-headers). The reset of a limit is also sent when
 * it is not used up: then there is nothing to wait for.
 */
const HEADERS: readonly { name: RegExp; unit?: 'ms' }[] = [
  { name: /^retry-after$/ },
  { name: /^(x-ms-)?retry-after-ms$/, unit: 'ms' },
  { name: /^x-(ratelimit-)?retry-after$/ },
  { name: /^ratelimit$/ },
  { name: /^x-ratelimit-reset-after$/ },
  { name: /^ratelimit-reset$/ },
  { name: /^x-ratelimit-reset$/ },
  { name: /^x-rate-limit-reset$/ },
  { name: /^x-ratelimit-next$/ },
  { name: /^x-ratelimit-reset-[a-z]+$/ },
  { name: /-ratelimit-[a-z-]*reset$|-rate-limit-reset$/ },
];

export const MIN_WAIT_MS = 1_000;
export const MAX_WAIT_MS = 30 * 60_000;
/** Jitter, upward only: several fleets must not come back at the same moment. */
const JITTER = 0.1;
/** Longer values are not times; only this much of a body is read. */
const LONGEST_VALUE = 300;
const LONGEST_TEXT = 2_000;

interface Answer {
  status?: number;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  text: string;
}

/**
 * @param defaultMs if the response has no usable time
 * @param now epoch milliseconds, for responses without a Date
 * @returns milliseconds from 1 s to 30 min, plus up to a tenth of jitter
 */
export function waitFor(answer: Answer, defaultMs: number, now: number, random = Math.random): number {
  const asked = askedFor(answer, now);
  const ms = asked ?? Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, defaultMs));
  return Math.min(MAX_WAIT_MS, Math.ceil(ms * (1 + JITTER * random())));
}

/** Milliseconds that the response requests, 1 s to `mostMs`; undefined if it has no time in the future. */
export function askedFor(answer: Answer, now: number, mostMs = MAX_WAIT_MS): number | undefined {
  const date = Date.parse(answer.headers.date ?? '');
  const reference = Number.isNaN(date) ? now : date;
  for (const { name, unit } of HEADERS) {
    const found = Object.entries(answer.headers)
      .filter(([header]) => name.test(header) && !hasLeft(answer, header))
      .map(([, value]) => readWait(value, reference, unit, mostMs));
    const longest = longestOf(found);
    if (longest !== undefined) return longest;
  }
  return fromText(answer.text.slice(0, LONGEST_TEXT), reference, mostMs);
}

/** `x-ratelimit-remaining: 59` beside `x-ratelimit-reset` in a response other than 429: a different problem. */
const hasLeft = ({ status, headers }: Answer, header: string): boolean =>
  status !== 429 &&
  header.includes('reset') &&
  Number(headers[header.replace(/reset(-after)?/, 'remaining')]) > 0;

/**
 * One value of such a header or field, in milliseconds from `reference`; undefined if it is past or not a time.
 * @param unit of a bare number, by default seconds
 */
export function readWait(
  value: string,
  reference: number,
  unit?: 'ms' | 'min',
  mostMs = MAX_WAIT_MS,
): number | undefined {
  const bare = value.length > LONGEST_VALUE ? '' : value.trim().replace(/^["']+|[\s"';.]+$/g, '');
  const ms = NUMBERS.test(bare)
    ? fromNumbers(bare, reference, unit)
    : (structured(value) ?? duration(bare) ?? fromDate(bare, reference));
  return within(ms, mostMs);
}

function within(ms: number | undefined, mostMs: number): number | undefined {
  if (ms === undefined || !Number.isFinite(ms) || ms < 0) return undefined;
  return Math.min(mostMs, Math.max(MIN_WAIT_MS, Math.ceil(ms / 1000) * 1000));
}

const longestOf = (waits: readonly (number | undefined)[]): number | undefined => {
  const known = waits.filter((ms) => ms !== undefined);
  return known.length > 0 ? Math.max(...known) : undefined;
};

/** Repeated headers are joined to one. */
const NUMBERS = /^[+-]?\d+(\.\d+)?(\s*,\s*[+-]?\d+(\.\d+)?)*$/;
const THOUSANDS = /^\d{1,3}(,\d{3})+$/;

/** The longest of several values; 1,200 may also be one number. */
function fromNumbers(list: string, reference: number, unit?: 'ms' | 'min'): number {
  const numbers = list.split(',').map(Number);
  if (THOUSANDS.test(list)) numbers.push(Number(list.replaceAll(',', '')));
  return Math.max(...numbers.map((number) => fromNumber(number, reference, unit)));
}

/** A number of seconds, or a Unix time in seconds or milliseconds: nobody requests thirty years. */
function fromNumber(value: number, reference: number, unit?: 'ms' | 'min'): number {
  if (unit === 'ms' && value < 1e9) return value;
  if (value > 1e11) return value - reference;
  if (value > 1e9) return value * 1000 - reference;
  return value * (unit === 'min' ? 60_000 : 1_000);
}

const NUMBER = String.raw`\d+(?:,\d{3})*(?:[.,]\d+)?`;
const UNIT =
  '(?:milliseconds?|millis|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])';
/** "22m27.84s", "1 minute 30 seconds", "2 hours and 5 min", "1,200 seconds". */
const DURATION = String.raw`${NUMBER}\s*${UNIT}(?:[\s,]*(?:and\s+)?${NUMBER}\s*${UNIT})*`;
const WHOLE_DURATION = new RegExp(`^${DURATION}$`, 'i');
const PARTS = new RegExp(String.raw`(${NUMBER})\s*(${UNIT})`, 'gi');
const ISO_DURATION =
  /^P(?=[\dT])(?:(\d+)D)?(?:T(?=\d)(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?$/i;
/** 00:20:00, also with days before it: 1.00:20:00. */
const CLOCK = /^(?:(\d{1,4})\.)?(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)$/;

function duration(value: string): number | undefined {
  if (WHOLE_DURATION.test(value)) return sumOf(value);
  const parts = ISO_DURATION.exec(value) ?? CLOCK.exec(value);
  if (!parts) return undefined;
  const [d = 0, h = 0, m = 0, s = 0] = parts.slice(1).map((part) => Number((part ?? '0').replace(',', '.')));
  return (((d * 24 + h) * 60 + m) * 60 + s) * 1_000;
}

/** Sum of all numbers with a unit in the text, in milliseconds. */
const sumOf = (text: string): number =>
  [...text.matchAll(PARTS)].reduce((sum, [, number = '', unit = '']) => {
    const plain = THOUSANDS.test(number.split('.')[0] ?? '')
      ? number.replaceAll(',', '')
      : number.replace(',', '.');
    return sum + Number(plain) * factorOf(unit.toLowerCase());
  }, 0);

/** Milliseconds of a unit, by its first letters. */
const factorOf = (unit: string): number =>
  /^m(s|il)/.test(unit)
    ? 1
    : ({ s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit.charAt(0)] ?? Number.NaN);

/** `limit=100, remaining=0, reset=30` (draft 7) and `"default";r=0;t=30` (drafts 8 on), the longest with nothing left. */
function structured(value: string): number | undefined {
  const waits = value.split(',').flatMap((item) => {
    const t = /;\s*t=(\d+)/.exec(item)?.[1];
    const r = /;\s*r=(\d+)/.exec(item)?.[1];
    return t !== undefined && (r === undefined || Number(r) === 0) ? [Number(t) * 1000] : [];
  });
  if (waits.length > 0) return Math.max(...waits);
  const reset = /(?:^|[,;\s])reset=(\d+(?:\.\d+)?)/i.exec(value)?.[1];
  return reset === undefined ? undefined : Number(reset) * 1000;
}

const ZONE = String.raw`(?:Z|UTC|GMT|[+-]\d\d:?\d\d|[+-]\d\d(?![\d:]))`;
/** ISO 8601, also with a blank; the three forms of RFC 9110, section 5.6.7, with any zone. Each also inside a sentence. */
const DATES: readonly { form: string; read(parts: string[], reference: number): string }[] = [
  {
    form: String.raw`(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(${ZONE})?)?`,
    read: ([day, time = '00:00', zone]) => `${day}T${time}${isoZone(zone)}`,
  },
  {
    form: String.raw`(?:[a-z]{3,9}, )?(\d\d? [a-z]{3} \d{4} \d\d:\d\d:\d\d)(?: ?(${ZONE}))?`,
    read: ([time, zone]) => `${time} ${isoZone(zone)}`,
  },
  {
    form: String.raw`[a-z]{6,9}, (\d\d)-([a-z]{3})-(\d\d) (\d\d:\d\d:\d\d)(?: ?(${ZONE}))?`,
    read: ([day, month, digits, time, zone], reference) => {
      const year = 2000 + Number(digits);
      // more than fifty years ahead means the previous century
      const past = year > new Date(reference).getUTCFullYear() + 50;
      return `${day} ${month} ${past ? year - 100 : year} ${time} ${isoZone(zone)}`;
    },
  },
  {
    form: String.raw`[a-z]{3} ([a-z]{3}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4})`,
    read: ([month, day, time, year]) => `${day} ${month} ${year} ${time} Z`,
  },
];

/** Without a zone it is UTC, never the host's. */
const isoZone = (zone = 'Z'): string =>
  /^(Z|UTC|GMT)$/i.test(zone)
    ? 'Z'
    : zone.length === 3
      ? `${zone}:00`
      : zone.replace(/(\d\d)$/, ':$1').replace('::', ':');

/** Milliseconds to a date. */
function fromDate(value: string, reference: number): number | undefined {
  for (const { form, read } of DATES) {
    const found = new RegExp(`^${form}$`, 'i').exec(value);
    const time = found ? Date.parse(read(found.slice(1), reference)) : Number.NaN;
    if (!Number.isNaN(time)) return time - reference;
  }
  return undefined;
}

/** Words after which a sentence names a duration or a time. */
const ASKS = String.raw`(?:wait|retr(?:y|ies)|again|available|reset|block|lock|until)\D{0,40}?`;
const FOR = new RegExp(String.raw`${ASKS}(?:${NUMBER}\s*(?:-|–|to|or)\s*)?(${DURATION})`, 'gi');
const UNTIL = new RegExp(
  `${ASKS}(${DATES.map(({ form }) => form.replaceAll(/\((?!\?)/g, '(?:')).join('|')}|\\d{10,13}(?!\\d))`,
  'gi',
);
/** retryAfter, "retry_after_seconds": 40, retryDelay, wait_ms, reset_in. "retry" alone may be a counter. */
const FIELD =
  /(?:retry[\s_-]?(?:after|in|at|delay|wait|time)|wait|reset)(?:[\s_-]?(?:after|in|at|for|time))?[\s_-]?(ms|millis\w*|s|secs?|seconds?|mins?|minutes?)?["']?\s*[:=]\s*(?:"([^"]{0,300})"|([^\s",}\]]{1,300}))/gi;

/** The longest time in a body. */
function fromText(text: string, reference: number, mostMs: number): number | undefined {
  const durations = [...text.matchAll(FOR)].map(([, found = '']) => within(sumOf(found), mostMs));
  const dates = [...text.matchAll(UNTIL)].map(([, found = '']) =>
    readWait(found, reference, undefined, mostMs),
  );
  const fields = [...text.matchAll(FIELD)].map(([, unit = '', quoted, plain = '']) =>
    readWait(
      quoted ?? plain,
      reference,
      /^m(s|illi)/i.test(unit) ? 'ms' : /^m/i.test(unit) ? 'min' : undefined,
      mostMs,
    ),
  );
  return longestOf([...durations, ...dates, ...fields]);
}

/**
 * The longest time in a sentence, whatever its context: for messages that are certainly about a rate limit.
 * @returns milliseconds, without an upper bound
 */
export const longestIn = (said: string): number | undefined =>
  longestOf(
    [...said.slice(0, LONGEST_TEXT).matchAll(new RegExp(DURATION, 'gi'))].map(([found]) =>
      Math.ceil(sumOf(found)),
    ),
  );
