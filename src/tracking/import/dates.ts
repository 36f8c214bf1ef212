import { UserError } from '../../lib/errors.ts';
import { isZone, monthOf, type Times, timesIn } from '../toolkit/times.ts';
import type { Given } from './given.ts';

/** Which part of 03/04/2026 or 03/04/26 is the day, the month, the year. 2026/04/03 is read without it. */
export const DATE_ORDERS = ['dmy', 'mdy', 'ymd'] as const;
export type DateOrder = (typeof DATE_ORDERS)[number];

export interface DateRules {
  /** As they are read in the zone of those without one. */
  times: Times;
  /** Epoch milliseconds. */
  now: number;
  /** undefined: not given, and the file could not be read beforehand. */
  order: DateOrder | undefined;
}

/**
 * E2: times of a zone that a person names: an offset (`+05:30`), `Z`, or an IANA name (`Europe/Bucharest`). When its clocks
 * are put back, the hour that comes twice is its first pass: lines of a file are in no order that could tell.
 * @returns undefined: it is no zone
 */
export function timesOfZone(zone: string): Times | undefined {
  const name = /^z$/i.test(zone) ? 'UTC' : zone;
  return isZone(name) ? timesIn(name) : undefined;
}

const utc = timesIn('UTC');

/** A booking is in the past; clocks differ by less than this. */
const AHEAD_MS = 86_400_000;

const CLOCK = String.raw`(?:(?:T|,?\s+)(?<hour>\d{1,2}):(?<minute>\d\d)(?::(?<second>\d\d)(?:[.,](?<fraction>\d{1,9}))?)?(?:\s*(?<half>[ap])\.?m\.?)?(?:\s*(?<zone>z|utc|gmt|ist|[+-]\d\d(?::?\d\d)?))?)?$`;
const form = (day: string) => new RegExp(`^${day}${CLOCK}`, 'i');
const YEAR_FIRST = form(String.raw`(?<year>\d{4})(?<sign>[-/.])(?<month>\d{1,2})\k<sign>(?<day>\d{1,2})`);
/** 22/02/2026, 2.22.26, 23 05 2023. */
const BY_ORDER = form(String.raw`(?<a>\d{1,2})(?<sign>[-/. ])(?<b>\d{1,2})\k<sign>(?<c>\d{4}|\d{2})`);
/** 22-Feb-2026, 22 February 26; Feb 22, 2026. */
const NAMED = [
  form(String.raw`(?<day>\d{1,2})[-/. ]\s*(?<name>[a-z]{3,9})\.?[-/., ]\s*(?<year>\d{4}|\d{2})`),
  form(String.raw`(?<name>[a-z]{3,9})\.?[- ](?<day>\d{1,2})(?:[-/]|,? )(?<year>\d{4})`),
];
/** Days since 30 December 1899 with a part of a day: 46075.604. */
const SERIAL = /^\d{5}(?:[.,]\d+)?$/;
/** Old Excel for Mac counts from 1904: its serial numbers are this much lower. */
const DAYS_TO_1904 = 1_462;
/** Seconds or milliseconds since 1970. */
const EPOCH = /^(?:\d{10}|\d{13})(?:\.\d+)?$/;

type Parts = Record<string, string | undefined>;

/**
 * When a parcel was booked. Accepts unambiguous formats: ISO 8601 and similar, months by name, Excel's serial numbers,
 * Unix times; ambiguous dates are read by `rules.order`. A date alone is its midnight.
 * @returns the time, or why it is invalid
 */
export function bookedAtOf(text: string, rules: DateRules): Date | string {
  const { now } = rules;
  const time = SERIAL.test(text)
    ? serial(text, rules)
    : EPOCH.test(text)
      ? epoch(text)
      : written(text, rules);
  if (typeof time === 'string') return time;
  if (!time) return `booked_at "${text}" is not a valid time (example: 2026-03-31T18:05:00+05:30)`;
  return time.getTime() > now + AHEAD_MS ? `booked_at ${text} is in the future` : time;
}

function written(text: string, { times, order }: DateRules): Date | string | null {
  const parts = BY_ORDER.exec(text)?.groups;
  if (!parts) {
    const named = NAMED.map((one) => one.exec(text)?.groups).find((one) => one !== undefined);
    const groups: Parts | undefined = named
      ? { ...named, month: String(monthOf(named.name ?? '')) }
      : YEAR_FIRST.exec(text)?.groups;
    return groups ? instant(groups, times) : null;
  }
  const orders = ordersOf(text) ?? DATE_ORDERS;
  if (orders.length === 0) return null;
  // 05/05/2026 is unambiguous
  const by = order ?? (ordersOf(text) ? undefined : 'dmy');
  if (!by)
    return `booked_at "${text}" is ambiguous, and standard input can be read only once: use --dates dmy, mdy or ymd`;
  return orders.includes(by)
    ? inOrder(parts, by, times)
    : `booked_at "${text}" is not a valid date with --dates ${by}`;
}

function inOrder({ a, b, c, ...clock }: Parts, order: DateOrder, times: Times): Date | null {
  const at = Object.fromEntries([...order].map((part, index) => [part, [a, b, c][index]]));
  return instant({ ...clock, year: at.y, month: at.m, day: at.d }, times);
}

function instant(parts: Parts, times: Times): Date | null {
  const { year = '', month = '', day = '', hour = '0', minute = '00', second = '00', fraction = '0' } = parts;
  const full = year.length === 2 ? `20${year}` : year;
  const twelve = parts.half ? Number(hour) <= 12 : true;
  const hours = parts.half ? (Number(hour) % 12) + (/p/i.test(parts.half) ? 12 : 0) : Number(hour);
  const two = (value: string | number) => String(value).padStart(2, '0');
  if (!twelve) return null;
  return times.at(
    `${full}-${two(month)}-${two(day)}T${two(hours)}:${minute}:${second}.${fraction}${offsetOf(parts.zone ?? '')}`,
  );
}

/** As `Times` reads it. Postgres writes whole hours as +00. */
const offsetOf = (zone: string): string => (/^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone);

function serial(text: string, { times, now }: DateRules): Date | string | null {
  // to the second: 46075.604 is not exact to the millisecond
  const seconds = Math.round(Number(text.replace(',', '.')) * 86_400);
  const [local = '', other = ''] = [0, DAYS_TO_1904].map((days) =>
    new Date(Date.UTC(1899, 11, 30 + days) + seconds * 1_000).toISOString().slice(0, 19),
  );
  const [time, later] = [times.at(local), times.at(other)];
  return time && later && later.getTime() <= now + AHEAD_MS
    ? `booked_at ${text} is ${local.slice(0, 10)} in Excel and ${other.slice(0, 10)} in old versions of Excel for Mac: format the column as a date and export again`
    : time;
}

function epoch(text: string): Date | null {
  const [whole = ''] = text.split('.');
  const time = new Date(whole.length === 13 ? Number(whole) : Math.round(Number(text) * 1_000));
  return utc.at(time.toISOString()); // rejects implausible years
}

/**
 * The orders in which such a date is valid; empty: it is not a date. undefined where no order is needed: another format,
 * or 05/05/2026.
 */
export function ordersOf(text: string): DateOrder[] | undefined {
  const parts = BY_ORDER.exec(text)?.groups;
  if (!parts) return undefined;
  const orders = DATE_ORDERS.filter(
    (order) => (parts.c?.length === 2 || order !== 'ymd') && inOrder(parts, order, utc) !== null,
  );
  const meant = new Set(orders.map((order) => inOrder(parts, order, utc)?.getTime()));
  return meant.size === 1 && orders.length > 1 ? undefined : orders;
}

/**
 * Looks a file through for the order of its dates, which every line must allow and one at least must prove (22/02/2026 is
 * no month first). A line that is a date by no order is its own fault. Whether a date lies in the future proves nothing:
 * one mistyped line must not decide for all.
 * @returns undefined when no date needs one
 * @throws UserError when lines contradict each other, or all are ambiguous
 */
export async function findOrder(lines: AsyncIterable<Given>): Promise<DateOrder | undefined> {
  let left: readonly DateOrder[] = DATE_ORDERS;
  const against: Partial<Record<DateOrder, string>> = {};
  let first: string | undefined;
  for await (const given of lines) {
    if ('refused' in given) continue; // its fields may be shifted
    const text = given.values.booked_at?.trim() ?? '';
    const orders = ordersOf(text);
    if (!orders || orders.length === 0) continue;
    const here = `line ${given.line} (${text})`;
    first ??= here;
    for (const order of left) if (!orders.includes(order)) against[order] = here;
    left = left.filter((order) => orders.includes(order));
    if (left.length === 0) break;
  }
  if (first === undefined) return undefined;
  if (left.length === 1) return left[0];
  const which = (left.length > 1 ? left : DATE_ORDERS).map((order) => `--dates ${order}`).join(' or ');
  if (left.length > 1)
    throw new UserError(
      `Dates in this file are ambiguous: ${first} could be ${left.join(' or ')}. Use ${which}.`,
    );
  const contradicted = DATE_ORDERS.filter((order) => order !== 'ymd' || !/\d{4}/.test(against[order] ?? ''));
  throw new UserError(
    `Dates in this file are inconsistent: ${contradicted.map((order) => `${against[order]} is not ${order}`).join(', ')}. Use ${which}; lines that do not match are then rejected.`,
  );
}
