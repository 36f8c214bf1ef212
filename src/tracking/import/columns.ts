import { STATUSES, type Status } from '../status.ts';
import { timeOf } from '../times.ts';

/** What a line of an import may hold; whatever else it holds is left alone. */
export const COLUMNS = [
  'source',
  'marketplace_order_id',
  'booking_courier',
  'booked_at',
  'awb_number',
  'lr_number',
  'carrier',
  'status',
  'order_status',
] as const;
export type Column = (typeof COLUMNS)[number];
export type Values = Partial<Record<Column, string>>;

/** Other names under which the columns come; compared in lower case without blanks, hyphens and underscores. */
const ALSO: Partial<Record<Column, string>> = {
  marketplace_order_id: 'marketplaceorder ordernumber orderno',
  booking_courier: 'courier couriername',
  booked_at: 'bookingdate bookeddate bookingtime',
  awb_number: 'awb awbno waybill trackingnumber',
  lr_number: 'lr lrn lrno',
};
const bare = (name: string) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
const BY_NAME: ReadonlyMap<string, Column> = new Map(
  COLUMNS.flatMap((column) =>
    [bare(column), ...(ALSO[column]?.split(' ') ?? [])].map((name) => [name, column] as const),
  ),
);

/** `AWB Number`, `awbNumber` and `awb` are awb_number; undefined for a column that is not ours. */
export const columnOf = (name: string): Column | undefined => BY_NAME.get(bare(name));

/** A line that can go into the database. */
export interface Row {
  line: number;
  source: string;
  number: string;
  courier: string;
  bookedAt: Date;
  awb: string | null;
  lr: string | null;
  carrier: string | null;
  status: Status | null;
  /** A code of order_statuses. */
  orderStatus: number | null;
}

export interface Rules {
  /** The zone of times that name none: `+05:30`, `Z`. */
  zone: string;
  /** Epoch milliseconds. */
  now: number;
  /** Codes of order_statuses by their name and by themselves. */
  orderStatuses: ReadonlyMap<string, number>;
}

/** The spellings that decide whose parcels they are (C2), which compare them letter by letter. */
const SOURCES = ['shopify', 'woocommerce', 'Outbound', 'other', 'Retailer', 'temu'];
/** As couriers' numbers are, and as they can be asked for (batch.ts). */
const NUMBER = /^[\w./-]{1,60}$/;
const ROUNDED = /^\d([.,]\d+)?E\+?\d+$/i;
const LONGEST = 200;
/** A booking lies in the past; clocks differ by less than this. */
const AHEAD_MS = 86_400_000;

/** A line refused, with the reason. */
class Refused extends Error {
  override name = 'Refused';
}
const refuse = (reason: string): never => {
  throw new Refused(reason);
};

/** Checks a line's values. @returns the row, or why the line is refused */
export function rowOf(line: number, values: Values, rules: Rules): Row | string {
  try {
    const awb = numberOf(values, 'awb_number');
    const lr = numberOf(values, 'lr_number');
    if (awb === null && lr === null) refuse('it has neither an awb_number nor a lr_number');
    const source = required(values, 'source');
    return {
      line,
      source: SOURCES.find((one) => one.toLowerCase() === source.toLowerCase()) ?? source,
      number: required(values, 'marketplace_order_id'),
      courier: required(values, 'booking_courier'),
      bookedAt: bookedAtOf(required(values, 'booked_at'), rules),
      awb,
      lr,
      carrier: textOf(values, 'carrier') || null,
      status: statusOf(textOf(values, 'status')),
      orderStatus: orderStatusOf(textOf(values, 'order_status'), rules),
    };
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

function textOf(values: Values, column: Column): string {
  const text = values[column]?.trim() ?? '';
  if (text.includes('\uFFFD')) refuse(`${column} is not UTF-8: save the file as UTF-8`);
  if (/\p{Cc}/u.test(text)) refuse(`${column} holds a line break or another control character`);
  if (text.length > LONGEST) refuse(`${column} is longer than ${LONGEST} characters`);
  return text;
}

const required = (values: Values, column: Column): string =>
  textOf(values, column) || refuse(`${column} is missing`);

function numberOf(values: Values, column: 'awb_number' | 'lr_number'): string | null {
  const text = textOf(values, column).replace(/^'/, ''); // a spreadsheet's mark for "this is text"
  if (text === '') return null;
  if (ROUNDED.test(text))
    refuse(`${column} ${text} was rounded by a spreadsheet: make its column text, and export again`);
  if (!NUMBER.test(text)) refuse(`${column} "${text}" has signs that no number has`);
  return text;
}

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ]+(\d\d:\d\d\S*?)(?:\s*(z|utc|[+-]\d\d(?::?\d\d)?))?)?$/i;

/** ISO 8601. Without a zone it is a time of `rules.zone`; a day alone is its midnight there. */
function bookedAtOf(text: string, { zone, now }: Rules): Date {
  const [, day, clock = '00:00', given = zone] = TIME.exec(text) ?? [];
  // Postgres writes whole hours as +00
  const time = day ? timeOf(`${day} ${clock}${/^[+-]\d\d$/.test(given) ? `${given}:00` : given}`) : null;
  if (!time) return refuse(`booked_at "${text}" is no time like 2026-03-31T18:05:00+05:30`);
  if (time.getTime() > now + AHEAD_MS) refuse(`booked_at ${text} lies in the future`);
  return time;
}

function statusOf(text: string): Status | null {
  if (text === '') return null;
  const word = text.toLowerCase().replace(/[\s-]+/g, '_');
  return (
    STATUSES.find((status) => status === word) ?? refuse(`status "${text}" is none of ${STATUSES.join(', ')}`)
  );
}

function orderStatusOf(text: string, { orderStatuses }: Rules): number | null {
  if (text === '') return null;
  return (
    orderStatuses.get(text.toLowerCase()) ??
    refuse(`order_status "${text}" is none of table order_statuses (${[...orderStatuses.keys()].join(', ')})`)
  );
}
