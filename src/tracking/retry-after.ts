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
  const ms = Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, asked ?? defaultMs));
  return Math.min(MAX_WAIT_MS, Math.ceil(ms * (1 + JITTER * random())));
}

/** Milliseconds that the answer asks for, whole seconds upward; undefined when it names none that lies ahead. */
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

/** One value of such a header, in milliseconds from `reference`; undefined when it is past or no time at all. */
export function readWait(value: string, reference: number, unit?: 'ms'): number | undefined {
  if (value === '') return undefined;
  const ms = /^[+-]?\d+(\.\d+)?$/.test(value)
    ? fromNumber(Number(value), reference, unit)
    : (structured(value) ?? duration(value) ?? fromDate(value, reference));
  if (ms === undefined || !Number.isFinite(ms) || ms < 0) return undefined;
  return Math.max(MIN_WAIT_MS, Math.ceil(ms / 1000) * 1000);
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

/** ISO 8601, IMF-fixdate, RFC 850, asctime; without a zone UTC is meant. */
function fromDate(value: string, reference: number): number | undefined {
  if (!/[-:]/.test(value)) return undefined;
  const iso = /^\d{4}-\d\d-\d\d[T ][\d:.]+$/.test(value) ? `${value.replace(' ', 'T')}Z` : value;
  // RFC 850 with its year of two digits; asctime, which names no zone
  const rfc850 = /^\w+, (\d\d)-(\w{3})-(\d\d) ([\d:]+) GMT$/.exec(value);
  const asctime = /^\w{3} (\w{3}) +(\d{1,2}) ([\d:]+) (\d{4})$/.exec(value);
  const time = Date.parse(
    rfc850
      ? `${rfc850[1]} ${rfc850[2]} 20${rfc850[3]} ${rfc850[4]} GMT`
      : asctime
        ? `${asctime[2]} ${asctime[1]} ${asctime[4]} ${asctime[3]} GMT`
        : iso,
  );
  return Number.isNaN(time) ? undefined : time - reference;
}

/** What bodies say: "wait 8 seconds", retryAfter, retry_after. */
function fromText(text: string, reference: number): number | undefined {
  const head = text.slice(0, 2_000);
  const words =
    /(?:wait|retry|try again|available)\D{0,20}(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|sec|seconds?|m|min|minutes?)\b/i.exec(
      head,
    );
  if (words) {
    const unit = (words[2] ?? '').toLowerCase();
    const factor = unit.startsWith('ms') || unit.startsWith('mil') ? 1 : unit.startsWith('m') ? 60_000 : 1000;
    return readWait(String((Number(words[1]) * factor) / 1000), reference);
  }
  const field = /"?retry[_-]?after"?\s*[:=]\s*"?([^",}\s]+)/i.exec(head)?.[1];
  if (field !== undefined) return readWait(field, reference);
  const until = /reset(?:s)? at\s*"?([^",}<]+)/i.exec(head)?.[1];
  return until === undefined ? undefined : readWait(until.trim(), reference);
}
