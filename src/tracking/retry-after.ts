/**
 * C10: how long an answer asks us to wait, found in Retry-After and its kin (reference/couriers.md, section 6).
 * Nobody agrees on a form: seconds, milliseconds, Unix times in either, durations as Go writes them, dates of four
 * kinds, structured fields. Times are measured against the answer's own Date, so that a clock that differs does not
 * matter.
 */

/** In order of precedence: Retry-After counts above everything (draft-ietf-httpapi-ratelimit-headers). */
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
/** Added at random, upward only: several fleets must not come back in the same moment. */
const JITTER = 0.1;

interface Answer {
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  text: string;
}

/**
 * @param defaultMs where the answer says nothing that can be used
 * @param now epoch milliseconds, for answers without a Date
 * @returns milliseconds from 1 s to 30 min, with up to a tenth added at random
 */
export function waitFor(answer: Answer, defaultMs: number, now: number, random = Math.random): number {
  const asked = askedFor(answer, now);
  const ms = asked ?? Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, defaultMs));
  return Math.min(MAX_WAIT_MS, Math.ceil(ms * (1 + JITTER * random())));
}

/** Milliseconds that the answer asks for, 1 s to 30 min; undefined when it names no time that lies ahead. */
export function askedFor({ headers, text }: Answer, now: number): number | undefined {
  const date = Date.parse(headers.date ?? '');
  const reference = Number.isNaN(date) ? now : date;
  for (const { name, unit } of HEADERS) {
    const found = Object.entries(headers)
      .filter(([header]) => name.test(header))
      .map(([, value]) => readWait(value.trim(), reference, unit))
      .filter((ms) => ms !== undefined);
    if (found.length > 0) return Math.max(...found);
  }
  return fromText(text, reference);
}

const DURATION =
  /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/;

/** A header that was sent twice comes as one. */
const NUMBERS = /^[+-]?\d+(\.\d+)?(\s*,\s*\d+(\.\d+)?)*$/;

/** One value of such a header, in milliseconds from `reference`; undefined when it is past or no time at all. */
export function readWait(value: string, reference: number, unit?: 'ms'): number | undefined {
  if (value === '') return undefined;
  const ms = NUMBERS.test(value)
    ? Math.max(...value.split(',').map((number) => fromNumber(Number(number), reference, unit)))
    : (structured(value) ?? duration(value) ?? fromDate(value, reference));
  if (ms === undefined || !Number.isFinite(ms) || ms < 0) return undefined;
  return Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, Math.ceil(ms / 1000) * 1000));
}

/** A count of seconds, or a Unix time in seconds or milliseconds: nobody asks for thirty years. */
function fromNumber(value: number, reference: number, unit?: 'ms'): number {
  if (unit === 'ms' && value < 1e9) return value;
  if (value > 1e11) return value - reference;
  if (value > 1e9) return value * 1000 - reference;
  return value * 1000;
}

function duration(value: string): number | undefined {
  const parts = DURATION.exec(value.toLowerCase().replaceAll(' ', ''));
  if (!parts) return undefined;
  const [h, m, s, ms] = parts.slice(1).map((part) => Number(part ?? 0));
  return (((h ?? 0) * 60 + (m ?? 0)) * 60 + (s ?? 0)) * 1000 + (ms ?? 0);
}

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

const ISO =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(?:Z|UTC|GMT|([+-]\d\d):?(\d\d))?)?$/i;
const IMF = /^[a-z]{3,9}, (\d\d? [a-z]{3} \d{4} \d\d:\d\d:\d\d)(?: (?:GMT|UTC))?$/i;
const RFC_850 = /^[a-z]{6,9}, (\d\d)-([a-z]{3})-(\d\d) (\d\d:\d\d:\d\d) GMT$/i;
const ASCTIME = /^[a-z]{3} ([a-z]{3}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4})$/i;

/** Milliseconds to a date; without a zone UTC is meant, never the host's. */
function fromDate(value: string, reference: number): number | undefined {
  const date = isoDate(value) ?? httpDate(value, reference);
  const time = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(time) ? undefined : time - reference;
}

function isoDate(value: string): string | undefined {
  const [, day, time = '00:00', hours, minutes] = ISO.exec(value) ?? [];
  return day && `${day}T${time}${hours ? `${hours}:${minutes}` : 'Z'}`;
}

/** The three forms of RFC 9110, section 5.6.7. */
function httpDate(value: string, reference: number): string | undefined {
  const imf = IMF.exec(value)?.[1];
  if (imf) return `${imf} GMT`;
  const [, month, dayOfMonth, clock, fullYear] = ASCTIME.exec(value) ?? [];
  if (month) return `${dayOfMonth} ${month} ${fullYear} ${clock} GMT`;
  const [, day, name, digits, time] = RFC_850.exec(value) ?? [];
  if (!day) return undefined;
  const year = 2000 + Number(digits);
  // more than fifty years ahead: it is the century before
  const past = year > new Date(reference).getUTCFullYear() + 50;
  return `${day} ${name} ${past ? year - 100 : year} ${time} GMT`;
}

/** What bodies say: "wait 8 seconds", retryAfter, retry_after. */
function fromText(text: string, reference: number): number | undefined {
  const head = text.slice(0, 2_000);
  const words =
    /(?:wait|retry|try again|available)\D{0,20}(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b/i.exec(
      head,
    );
  if (words) {
    const unit = (words[2] ?? '').toLowerCase();
    return readWait(String(Number(words[1]) * factorOf(unit)), reference, 'ms');
  }
  const [, ms, field] = /"?retry[_-]?after([_-]?ms)?"?\s*[:=]\s*"?([^",}\s]+)/i.exec(head) ?? [];
  if (field !== undefined) return readWait(field, reference, ms ? 'ms' : undefined);
  const until = /reset(?:s)? at\s*"?([^",}<]+)/i.exec(head)?.[1];
  return until === undefined ? undefined : readWait(until.trim(), reference);
}

/** Milliseconds of a unit, by its beginning. */
const factorOf = (unit: string): number =>
  /^(ms|mil)/.test(unit) ? 1 : unit.startsWith('h') ? 3_600_000 : unit.startsWith('m') ? 60_000 : 1_000;
