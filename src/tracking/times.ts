/** C4: couriers of India write local time without a zone: UTC+05:30, all year. The host's zone never decides. */
const INDIA_MS = 5.5 * 3_600_000;
const DAY_MS = 24 * 3_600_000;
/** Couriers' clocks run a little ahead; a scan of the day after tomorrow is a mistake, and would outrank all to come. */
const AHEAD_MS = DAY_MS;
/** Years before are other systems' forms of "none": 0001, 1900, 1970. */
const FIRST_YEAR = 2000;

/** 2026-08-24T23:56:59.79, with a blank for the T, 0 to 9 decimals, a date alone; a zone counts where one is given. */
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ]+(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{0,9}))?)?(Z| ?UTC|[+-]\d\d:?\d\d)?)?$/i;
/** Shiprocket's webhook: 23 05 2023 11:43:52. */
const DAY_FIRST = /^(\d\d)[ -](\d\d)[ -](\d{4})(?: (\d\d):(\d\d)(?::(\d\d))?)?$/;
/** Shiprocket's etd: Sep 27, 2026. */
const MONTH_FIRST = /^([a-z]{3})[a-z]* (\d{1,2}), (\d{4})$/i;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/**
 * A courier's time. Without a zone it is India's; a date alone is its midnight.
 * @returns null for none ("", "NA", null, 0000-00-00) and for what is no time.
 */
export function timeOf(raw: string | null | undefined): Date | null {
  const text = raw?.trim() ?? '';
  const iso = ISO.exec(text);
  if (iso) {
    const [, year, month, day, hour, minute, second, fraction, zone] = iso;
    const ms = (fraction ?? '').padEnd(3, '0').slice(0, 3);
    return instant([year, month, day, hour, minute, second, ms], zone);
  }
  const dayFirst = DAY_FIRST.exec(text);
  if (dayFirst) {
    const [, day, month, year, hour, minute, second] = dayFirst;
    return instant([year, month, day, hour, minute, second]);
  }
  const monthFirst = MONTH_FIRST.exec(text);
  if (monthFirst) {
    const [, month, day, year] = monthFirst;
    return instant([year, String(MONTHS.indexOf((month ?? '').toLowerCase()) + 1), day]);
  }
  return null;
}

function instant(parts: (string | undefined)[], zone?: string): Date | null {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = parts.map((part) =>
    Number(part ?? 0),
  );
  if (year < FIRST_YEAR || hour > 23 || minute > 59 || second > 59) return null;
  const local = new Date(Date.UTC(year, month - 1, day, hour, minute, second, ms));
  // the 31st of June is no day
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day) return null;
  const offset = zone === undefined ? INDIA_MS : offsetOf(zone);
  return offset === null ? null : new Date(local.getTime() - offset);
}

/** Milliseconds east of Greenwich. */
function offsetOf(zone: string): number | null {
  if (/^(z| ?utc)$/i.test(zone)) return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
  if (hours > 14 || minutes > 59) return null;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
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
