import { z } from 'zod';
import { type FailureKind, fail, ok, type Result } from '../../lib/errors.ts';
import type { HttpResponse } from '../../lib/http.ts';
import { longestIn } from '../../lib/retry-after.ts';
import { cut } from '../../lib/storable.ts';
import { isNewer, type Status } from '../engine/status.ts';
import type { Item } from './courier.ts';

/** Parsing couriers' responses: a field of an unexpected type is absent and does not invalidate others (R3, R4). */

/** Enough for a waybill, a status or a time. */
const LONGEST_TEXT = 200;
/** Rows of a list that are read (R4): a request has fifty parcels, a parcel a hundred scans at most. */
const MOST_ROWS = 1_000;

/** The rows of a list that are read; none of anything else. */
export const rowsOf = (value: unknown): unknown[] => (Array.isArray(value) ? value.slice(0, MOST_ROWS) : []);
/** The same for an object used as a list. */
export const entriesOf = (value: Json): [string, unknown][] => Object.entries(value).slice(0, MOST_ROWS);

/** A string, or a number as its digits; null for all else. Characters that Postgres does not accept (NUL) are dropped. */
export const text = z
  .unknown()
  .optional()
  .transform((value): string | null => {
    // a longer number has been rounded: it could be another parcel's
    if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : null;
    if (typeof value !== 'string') return null;
    const start = value.slice(0, LONGEST_TEXT);
    return (PRINTABLE.test(start) ? start : start.replace(UNSTORABLE, '')).trim() || null;
  });
const PRINTABLE = /^[ -~]*$/;
const UNSTORABLE = /\p{Cc}|\p{Cs}/gu;

/** An object of these fields; null for all else. PHP writes an empty object as []. */
export const part = <S extends z.ZodRawShape>(shape: S) => z.object(shape).nullable().catch(null);

/** A list of objects of these fields; other entries are left out, and anything but a list is empty. */
export const parts = <S extends z.ZodRawShape>(shape: S) => {
  const one = part(shape);
  return z
    .unknown()
    .optional()
    .transform((value) =>
      rowsOf(value).flatMap((raw) => {
        const read = one.parse(raw);
        return read === null ? [] : [read as z.output<z.ZodObject<S>>];
      }),
    );
};

export type Json = Record<string, unknown>;
export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The response's JSON; undefined when it is not JSON (an HTML page, plain text). */
export function jsonOf(response: HttpResponse): unknown {
  try {
    return JSON.parse(response.text);
  } catch {
    return undefined;
  }
}

/** True when the parcel has left the seller. */
export const hasMoved = (means: Status | 'unchanged' | undefined): boolean =>
  means !== undefined && means !== 'unchanged' && means !== 'pending' && means !== 'booking_cancelled';

const key = (number: string) => number.trim().toUpperCase();

/**
 * C4: items by the numbers as requested, in any case; other numbers are ignored. Of two items for one number the one
 * with the newer event counts, at equal times the one that is further along (C7). Failure: `malformed` when all that is
 * left is a status without a number.
 */
export function byNumber(
  courier: string,
  asked: readonly string[],
  found: readonly (readonly [number: string | null, item: Item])[],
): Result<Map<string, Item>> {
  const numbers = new Map<string, string[]>();
  for (const number of asked) numbers.set(key(number), [...(numbers.get(key(number)) ?? []), number]);
  const items = new Map<string, Item>();
  for (const [number, item] of found)
    for (const name of number === null ? [] : (numbers.get(key(number)) ?? [])) {
      const other = items.get(name);
      if (!other || (item.is === 'scan' && (other.is !== 'scan' || isNewer(item, other))))
        items.set(name, item);
    }
  const nameless = found.some(([number, item]) => number === null && item.is === 'scan');
  return items.size === 0 && nameless
    ? fail('malformed', `${courier} returned a status without a tracking number`)
    : ok(items);
}

/** What an error message of a courier means; `notFound` in a batch of several means `rejected` (C9). */
export type ErrorPatterns = readonly (readonly [pattern: RegExp, means: FailureKind | 'notFound'])[];

const COMMON: ErrorPatterns = [[/throttl|too many (requests|attempts)|rate limit/i, 'throttled']];
/** By the `status_code` in the body: some APIs send it with HTTP 200. */
const BY_CODE: Record<number, FailureKind> = { 401: 'credentials', 403: 'throttled', 429: 'throttled' };
/** The request was understood and refused: with fewer numbers it may pass. */
const REFUSALS = [400, 413, 414, 422];

/** What a response without items means: a known error message, a rejected batch, or nothing readable. */
export function refusal(
  courier: string,
  response: HttpResponse,
  asked: readonly string[],
  patterns: ErrorPatterns,
): Result<Map<string, Item>> {
  const body = jsonOf(response);
  const reply = body === undefined ? response.text.slice(0, 1_000) : errorMessages(body).join('; ');
  const shown = `${courier} returned ${quote(reply) || `HTTP ${response.status} with an unreadable body`}`;
  const means =
    [...patterns, ...COMMON].find(([pattern]) => pattern.test(reply))?.[1] ?? kindOf(response, body);
  const [first] = asked;
  if (means === 'notFound')
    return asked.length === 1 && first !== undefined
      ? ok(new Map([[first, { is: 'notFound', why: quote(reply) }]]))
      : fail('rejected', shown);
  const wait = means === 'throttled' ? longestIn(reply) : undefined;
  return fail(means, shown, wait === undefined ? {} : { retryAfterMs: wait });
}

function kindOf(response: HttpResponse, body: unknown): FailureKind {
  const code = codeOf(body);
  const known = BY_CODE[code];
  if (known) return known;
  if (REFUSALS.includes(response.status) || REFUSALS.includes(code)) return 'rejected';
  // a refusal with HTTP 200: a message, and no code in the body
  const success = response.status < 300 && Number.isNaN(code);
  return success && errorMessages(body).length > 0 ? 'rejected' : 'malformed';
}

/** The status code in the body; NaN without one. */
export const codeOf = (body: unknown): number =>
  isObject(body) ? Number(text.parse(body.status_code ?? body.statusCode) ?? Number.NaN) : Number.NaN;

/** Fields that hold error messages, two levels deep. */
const ERROR_FIELDS = /^(error|errors|message|msg|detail|details|reason|rmk|meta)$/i;

/** The error messages of a response; nothing from a parcel's own fields, which hold personal data. */
export function errorMessages(body: unknown, depth = 0): string[] {
  if (typeof body === 'string') return body.trim() ? [body.trim().slice(0, 300)] : [];
  if (depth > 3 || typeof body !== 'object' || body === null) return [];
  const inner = Array.isArray(body)
    ? body.slice(0, 5)
    : Object.entries(body)
        // below an error field the keys are names of the invalid fields
        .filter(
          ([name, value]) =>
            depth > 0 || ERROR_FIELDS.test(name) || (name === 'data' && typeof value === 'string'),
        )
        .slice(0, 10)
        .map(([, value]) => value);
  return [...new Set(inner.flatMap((value) => errorMessages(value, depth + 1)))].slice(0, 5);
}

/** A courier's message as quoted in ours: short, without phone numbers, mail addresses and tokens. */
export function quote(message: string): string {
  const line = message
    .replace(/<[^>]{0,500}>/g, ' ')
    .replace(/\S+@\S+/g, '…')
    .replace(/[\w-]{25,}(\.[\w-]+)*/g, '…')
    .replace(/\d[\d -]{5,}\d/g, '…')
    .replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ')
    .trim();
  return line && `"${cut(line, 200)}"`;
}
