import { cleanNumber, isNone, type NumberKind, numberFault } from '../../lib/numbers.ts';
import { STATUSES, type Status } from '../engine/status.ts';
import type { Column, Values } from './columns.ts';
import { bookedAtOf, type DateRules } from './dates.ts';

/** A valid line. */
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

export interface Rules extends DateRules {
  /** Codes of order_statuses by their name and by themselves. */
  orderStatuses: ReadonlyMap<string, number>;
}

/** The spellings that the selection of trackers compares, case-sensitively (C2). */
const SOURCES = ['shopify', 'woocommerce', 'Outbound', 'other', 'Retailer', 'temu'];
const LONGEST = 200;
const REQUIRED = ['source', 'marketplace_order_id', 'booking_courier', 'booked_at'] as const;
const TOTALS = /^\W*((grand|sub)[- ]?)?(totals?|sum)\b/i;

/** Refuses a line; the message is the reason. */
class Refused extends Error {
  override name = 'Refused';
}
const refuse = (reason: string): never => {
  throw new Refused(reason);
};

/** Checks a line's values. @returns the row, or why the line is refused */
export function rowOf(line: number, values: Values, rules: Rules): Row | string {
  try {
    if (isTotals(values)) refuse('it is a row of totals, not a parcel');
    const awb = numberOf(values, 'awb_number', 'parcel');
    const lr = numberOf(values, 'lr_number', 'parcel');
    if (awb === null && lr === null)
      refuse(`it has neither an awb_number nor an lr_number${placeholders(values)}`);
    const source = required(values, 'source');
    return {
      line,
      source: SOURCES.find((one) => one.toLowerCase() === source.toLowerCase()) ?? source,
      number: numberOf(values, 'marketplace_order_id', 'order') ?? required(values, 'marketplace_order_id'),
      courier: required(values, 'booking_courier'),
      bookedAt: timeIn(required(values, 'booked_at'), rules),
      awb,
      lr,
      carrier: optional(values, 'carrier') || null,
      status: statusOf(textOf(values, 'status')),
      orderStatus: orderStatusOf(textOf(values, 'order_status'), rules),
    };
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

/** Reports end with a row of totals. */
const isTotals = (values: Values): boolean =>
  REQUIRED.filter((column) => isNone(values[column] ?? '')).length > 1 &&
  Object.values(values).some((text) => TOTALS.test(text));

function textOf(values: Values, column: Column): string {
  const text = values[column]?.trim() ?? '';
  if (text.includes('\uFFFD')) refuse(`${column} is not UTF-8: save the file as UTF-8`);
  if (/\p{Cc}/u.test(text)) refuse(`${column} contains a line break or another control character`);
  if (text.length > LONGEST) refuse(`${column} is longer than ${LONGEST} characters`);
  return text;
}

/** A placeholder (nan, NULL, -) counts as empty. */
function optional(values: Values, column: Column): string {
  const text = textOf(values, column);
  return isNone(text) ? '' : text;
}

function required(values: Values, column: Column): string {
  const text = textOf(values, column);
  if (text === '') refuse(`${column} is missing`);
  if (isNone(text)) refuse(`${column} "${text}" is a placeholder: give the real one`);
  return text;
}

function numberOf(values: Values, column: Column, kind: NumberKind): string | null {
  const text = textOf(values, column);
  const fault = numberFault(text, kind);
  if (fault?.is === 'none') return null;
  return fault ? refuse(`${column} "${text}" ${fault.why}`) : cleanNumber(text);
}

/** ` (awb_number "NA" is a placeholder)`, or nothing where both are empty. */
function placeholders(values: Values): string {
  const given = (['awb_number', 'lr_number'] as const)
    .filter((column) => values[column]?.trim())
    .map((column) => `${column} "${values[column]?.trim()}" is a placeholder`);
  return given.length > 0 ? ` (${given.join(', ')})` : '';
}

function timeIn(text: string, rules: Rules): Date {
  const time = bookedAtOf(text, rules);
  return typeof time === 'string' ? refuse(time) : time;
}

function statusOf(text: string): Status | null {
  const wanted = text.toLowerCase().replace(/[\s-]+/g, '_');
  const status = STATUSES.find((one) => one === wanted);
  if (!status && !isNone(text)) refuse(`status "${text}" is not one of ${STATUSES.join(', ')}`);
  return status ?? null;
}

function orderStatusOf(text: string, { orderStatuses }: Rules): number | null {
  const code = orderStatuses.get(text.toLowerCase());
  if (code === undefined && !isNone(text))
    refuse(`order_status "${text}" is not in table order_statuses (${[...orderStatuses.keys()].join(', ')})`);
  return code ?? null;
}
