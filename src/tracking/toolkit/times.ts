import { LRUCache } from 'lru-cache';
import { Temporal } from 'temporal-polyfill';

const DAY_MS = 24 * 3_600_000;
/** IST is a zone that times are written with; India's, not Israel's or Ireland's. */
const IST_MS = 5.5 * 3_600_000;
/** Couriers' clocks run a little ahead; a scan of the day after tomorrow is a mistake, and would outrank all to come. */
const AHEAD_MS = DAY_MS;
/** Earlier years are placeholders for "none": 0001, 1900, 1970. */
const FIRST_YEAR = 2000;

/** The time of day after a date, with 0 to 9 decimals, optionally AM or PM, and a zone. */
const CLOCK = String.raw`(?:(?:[T ]+|, )(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{0,9}))?)?(?: ?([ap])\.?m\.?)?(?: ?(Z|UTC|GMT|IST|(?:UTC|GMT)?[+-]\d\d:?\d\d))?)?`;
/** Ignored before the date. */
const DAY_OF_WEEK = '(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? )?';
const MONTHS = [
  ...['january', 'february', 'march', 'april', 'may', 'june', 'july'],
  ...['august', 'september', 'october', 'november', 'december'],
];

/** Date formats, with the positions of year, month and day. Ambiguous ones (02/03/2026) are left out. */
const FORMS = (
  [
    // 2026-08-24T23:56:59.79, 2026/2/4 9:05
    [String.raw`(\d{4})([-/])(\d{1,2})\2(\d{1,2})`, [1, 3, 4]],
    // Shiprocket's webhook: 23 05 2023 11:43:52
    [String.raw`(\d\d)([ -])(\d\d)\2(\d{4})`, [4, 3, 1]],
    // 22-Feb-2026, Sun, 22 February 2026 02:30 PM
    [String.raw`(\d{1,2})([ -])([a-z]{3,9})\2(\d{4})`, [4, 3, 1]],
    // Shiprocket's etd: Sep 27, 2026
    [String.raw`([a-z]{3,9})( )(\d{1,2}),? (\d{4})`, [4, 1, 3]],
  ] as const
).map(([date, order]) => ({ pattern: new RegExp(`^${DAY_OF_WEEK}${date}${CLOCK}$`, 'i'), order }));

/** How one courier writes its times (E2). */
export interface Times {
  /**
   * A time. Without a zone of its own it is the courier's; a date alone is its midnight.
   * @returns null for none ("", "NA", null, 0000-00-00), for what is no time, and for what can be read in two ways.
   */
  at(raw: string | null | undefined): Date | null;
  /** A time at which something happened: one that is more than a day ahead of us is none. */
  past(raw: string | null | undefined, now: number): Date | null;
  /**
   * Past times of a list, oldest first: a time in the hour that occurs twice is of its second pass when it would
   * otherwise be earlier than the one before it.
   */
  pastInOrder(raw: readonly (string | null | undefined)[], now: number): (Date | null)[];
}

/**
 * Times of a courier whose zone-less times are local to an IANA zone (`Europe/Bucharest`); undefined: those that name
 * no zone are no times, since they are local to wherever the parcel was. The host's zone never decides.
 */
export function timesIn(zone?: string): Times {
  const toInstants = zone === undefined ? () => [] : localTimesOf(zone);
  /** The instants that a text may stand for, in order: two in the hour that occurs twice. */
  const read = (raw: string | null | undefined): readonly number[] => {
    const parts = partsOf(raw);
    if (!parts) return [];
    if (parts.zone === undefined) return toInstants(parts.local);
    const offset = offsetOf(parts.zone);
    return offset === null ? [] : [parts.local - offset];
  };
  const first = ([instant]: readonly number[]) => (instant === undefined ? null : new Date(instant));
  const notAhead = (time: Date | null, now: number) =>
    time && time.getTime() <= now + AHEAD_MS ? time : null;
  return {
    at: (raw) => first(read(raw)),
    past: (raw, now) => notAhead(first(read(raw)), now),
    pastInOrder(list, now) {
      let before = Number.NEGATIVE_INFINITY;
      return list.map((raw) => {
        const instants = read(raw);
        const time = notAhead(first(instants.filter((one) => one >= before)) ?? first(instants), now);
        before = time?.getTime() ?? before;
        return time;
      });
    },
  };
}

/** Whether `timesIn` takes it: an IANA name, in any case, or an offset. */
export function isZone(zone: string): boolean {
  if (!/^([+-]\d\d(:?\d\d)?|[a-z][\w+/-]*)$/i.test(zone)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
    return true;
  } catch {
    return false;
  }
}

/** The calendar's day at a moment, `2026-10-25`. */
export const dateIn = (zone: string, at: Date): string =>
  Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(zone).toPlainDate().toString();

/** C4: couriers of India write India's time. */
export const indiaTimes = timesIn('Asia/Kolkata');

/**
 * E2: the instants of a local time by the zone's rules: two in the hour that occurs twice; in the hour that is skipped, as
 * if the clock had not been put forward. The offset of a day without a change is cached, since the library is slow
 * (docs/decisions/0051).
 */
function localTimesOf(zone: string): (local: number) => readonly number[] {
  const offsets = new LRUCache<number, number | 'changes'>({ max: 1_000 });
  const dateOf = (day: number) =>
    Temporal.Instant.fromEpochMilliseconds(day * DAY_MS)
      .toZonedDateTimeISO('UTC')
      .toPlainDate();
  const startOf = (day: number) => dateOf(day).toZonedDateTime(zone).epochMilliseconds;
  const offsetOn = (day: number) => {
    const [begins, ends] = [day * DAY_MS - startOf(day), (day + 1) * DAY_MS - startOf(day + 1)];
    return begins === ends ? begins : 'changes';
  };
  return (local) => {
    const day = Math.floor(local / DAY_MS);
    const offset = offsets.get(day) ?? offsetOn(day);
    offsets.set(day, offset);
    if (offset !== 'changes') return [local - offset];
    const time = Temporal.PlainDateTime.from(new Date(local).toISOString().slice(0, -1));
    const instant = (disambiguation: 'compatible' | 'later') =>
      time.toZonedDateTime(zone, { disambiguation }).epochMilliseconds;
    return [...new Set([instant('compatible'), instant('later')])];
  };
}

/** A time as it is written, its local part as if it were UTC; null for what is no time. */
function partsOf(raw: string | null | undefined): { local: number; zone: string | undefined } | null {
  const text = raw?.trim() ?? '';
  for (const { pattern, order } of FORMS) {
    const found = pattern.exec(text);
    if (!found) continue;
    const [year, month, day] = order.map((index) => found[index] ?? '') as [string, string, string];
    const [hour, minute, second, fraction, half, zone] = found.slice(5);
    const ms = (fraction ?? '').padEnd(3, '0').slice(0, 3);
    const hours = half === undefined ? Number(hour ?? 0) : of24(Number(hour), half);
    const local = localOf([
      ...[Number(year), monthOf(month), Number(day), hours],
      ...[minute, second, ms].map(toNumber),
    ]);
    return local === null ? null : { local, zone };
  }
  return null;
}

const toNumber = (part: string | undefined) => Number(part ?? 0);

/** 1 to 12, from a number or the beginning of an English name; NaN for anything else. */
export function monthOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const at = MONTHS.findIndex((name) => text.length >= 3 && name.startsWith(text.toLowerCase()));
  return at < 0 ? Number.NaN : at + 1;
}

/** 12 AM is midnight; NaN for 0 and for 13 PM. */
const of24 = (hour: number, half: string): number =>
  hour < 1 || hour > 12 ? Number.NaN : (hour % 12) + (half.toLowerCase() === 'p' ? 12 : 0);

function localOf(parts: number[]): number | null {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = parts;
  if (year < FIRST_YEAR || hour > 23 || minute > 59 || second > 59) return null;
  const local = new Date(Date.UTC(year, month - 1, day, hour, minute, second, ms));
  // rejects the 31st of June, and NaN
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day) return null;
  return local.getTime();
}

/** Milliseconds east of Greenwich. */
function offsetOf(zone: string): number | null {
  const offset = zone.replace(/^(utc|gmt)(?=[+-])/i, '');
  if (/^(z|utc|gmt)$/i.test(offset)) return 0;
  if (/^ist$/i.test(offset)) return IST_MS;
  const [hours, minutes] = [Number(offset.slice(1, 3)), Number(offset.slice(-2))];
  if (hours > 14 || minutes > 59) return null;
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

/** The midnight with which India's day of that moment began, epoch milliseconds. */
export const startOfIndiasDay = (now: number): number =>
  Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO('Asia/Kolkata').startOfDay()
    .epochMilliseconds;

export const newest = (times: readonly (Date | null)[]): Date | null =>
  times.reduce((best, time) => (time && (!best || time > best) ? time : best), null);

export const earliest = (times: readonly (Date | null)[]): Date | null =>
  times.reduce((best, time) => (time && (!best || time < best) ? time : best), null);
