/** C4: couriers of India write local time without a zone: UTC+05:30, all year. The host's zone never decides. */
const INDIA_MS = 5.5 * 3_600_000;
const DAY_MS = 24 * 3_600_000;
/** Couriers' clocks run a little ahead; a scan of the day after tomorrow is a mistake, and would outrank all to come. */
const AHEAD_MS = DAY_MS;
/** Years before are other systems' forms of "none": 0001, 1900, 1970. */
const FIRST_YEAR = 2000;

/** A clock behind a date, with 0 to 9 decimals, AM or PM, and a zone, which counts where one is given. */
const CLOCK = String.raw`(?:(?:[T ]+|, )(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{0,9}))?)?(?: ?([ap])\.?m\.?)?(?: ?(Z|UTC|GMT|IST|(?:UTC|GMT)?[+-]\d\d:?\d\d))?)?`;
/** What stands before the date says nothing new. */
const DAY_OF_WEEK = '(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? )?';
const MONTHS = [
  ...['january', 'february', 'march', 'april', 'may', 'june', 'july'],
  ...['august', 'september', 'october', 'november', 'december'],
];

/** Forms of a date, and which of its three parts are year, month and day. Where these are open (02/03/2026), none. */
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

/**
 * A courier's time. Without a zone it is India's, which its name (IST) says, too; a date alone is its midnight.
 * @returns null for none ("", "NA", null, 0000-00-00), for what is no time, and for what can be read in two ways.
 */
export function timeOf(raw: string | null | undefined): Date | null {
  const text = raw?.trim() ?? '';
  for (const { pattern, order } of FORMS) {
    const found = pattern.exec(text);
    if (!found) continue;
    const [year, month, day] = order.map((index) => found[index] ?? '') as [string, string, string];
    const [hour, minute, second, fraction, half, zone] = found.slice(5);
    const ms = (fraction ?? '').padEnd(3, '0').slice(0, 3);
    const hours = half === undefined ? Number(hour ?? 0) : of24(Number(hour), half);
    return instant(
      [Number(year), monthOf(month), Number(day), hours, ...[minute, second, ms].map(toNumber)],
      zone,
    );
  }
  return null;
}

const toNumber = (part: string | undefined) => Number(part ?? 0);

/** 1 to 12, from a number or the beginning of an English name; NaN for what is no month. */
export function monthOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const at = MONTHS.findIndex((name) => text.length >= 3 && name.startsWith(text.toLowerCase()));
  return at < 0 ? Number.NaN : at + 1;
}

/** 12 AM is midnight; NaN for 0 and for 13 PM. */
const of24 = (hour: number, half: string): number =>
  hour < 1 || hour > 12 ? Number.NaN : (hour % 12) + (half.toLowerCase() === 'p' ? 12 : 0);

function instant(parts: number[], zone?: string): Date | null {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = parts;
  if (year < FIRST_YEAR || hour > 23 || minute > 59 || second > 59) return null;
  const local = new Date(Date.UTC(year, month - 1, day, hour, minute, second, ms));
  // the 31st of June is no day, NaN none either
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day) return null;
  const offset = zone === undefined ? INDIA_MS : offsetOf(zone);
  return offset === null ? null : new Date(local.getTime() - offset);
}

/** Milliseconds east of Greenwich. */
function offsetOf(zone: string): number | null {
  const offset = zone.replace(/^(utc|gmt)(?=[+-])/i, '');
  if (/^(z|utc|gmt)$/i.test(offset)) return 0;
  if (/^ist$/i.test(offset)) return INDIA_MS;
  const [hours, minutes] = [Number(offset.slice(1, 3)), Number(offset.slice(-2))];
  if (hours > 14 || minutes > 59) return null;
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

/** A time at which something happened: one that lies more than a day ahead of us is no such time. */
export function pastTime(raw: string | null | undefined, now: number): Date | null {
  const time = timeOf(raw);
  return time && time.getTime() <= now + AHEAD_MS ? time : null;
}

/** The midnight with which India's day of that moment began, epoch milliseconds. */
export const startOfIndiasDay = (now: number): number =>
  Math.floor((now + INDIA_MS) / DAY_MS) * DAY_MS - INDIA_MS;

export const newest = (times: readonly (Date | null)[]): Date | null =>
  times.reduce((best, time) => (time && (!best || time > best) ? time : best), null);

export const earliest = (times: readonly (Date | null)[]): Date | null =>
  times.reduce((best, time) => (time && (!best || time < best) ? time : best), null);
