import { z } from 'zod';
import { type FailureKind, fail, ok, type Result } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { longestIn } from '../retry-after.ts';
import { cut } from '../storable.ts';
import type { Item } from './courier.ts';
import { isNewer, type Status } from './status.ts';

/** Reading couriers' answers: what is of another type than expected is absent, and spoils nothing beside it (R3, R4). */

/** Enough for a waybill, a word, a time; what is longer is none of them. */
const LONGEST_TEXT = 200;
/** Rows of a list that are looked at (R4): a request has fifty parcels, and the longest lives have a hundred scans. */
const MOST_ROWS = 1_000;

/** What is looked at of a list; what is no list is empty. */
export const rowsOf = (value: unknown): unknown[] => (Array.isArray(value) ? value.slice(0, MOST_ROWS) : []);
/** The same of an object that is a list by its keys. */
export const entriesOf = (value: Json): [string, unknown][] => Object.entries(value).slice(0, MOST_ROWS);

/** A text, or a number as its digits; null for all else. What Postgres takes no text with (NUL) is dropped. */
export const text = z
  .unknown()
  .optional()
  .transform((value): string | null => {
    // a number of more digits has been rounded: it could be another parcel's
    if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : null;
    if (typeof value !== 'string') return null;
    return value.slice(0, LONGEST_TEXT).replace(UNSTORABLE, '').trim() || null;
  });
const UNSTORABLE = /\p{Cc}|\p{Cs}/gu;

/** An object of these fields; null for all else. PHP writes an empty object as []. */
export const part = <S extends z.ZodRawShape>(shape: S) => z.object(shape).nullable().catch(null);

/** A list's objects of these fields; what is no object is left out, and what is no list is empty. */
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

/** The answer's JSON; undefined when it is none (an HTML page, a plain line). */
export function jsonOf(response: HttpResponse): unknown {
  try {
    return JSON.parse(response.text);
  } catch {
    return undefined;
  }
}

/** Of a word of "not there yet" and of "never was": everything else has left the seller's hands. */
export const hasMoved = (means: Status | 'unchanged' | undefined): boolean =>
  means !== undefined && means !== 'unchanged' && means !== 'pending' && means !== 'booking_cancelled';

const key = (number: string) => number.trim().toUpperCase();

/**
 * C4: what was found, by the numbers as they were asked, whatever their case; what was not asked is ignored. Of two
 * items for one number the one with the newer event stays, of one moment the one that is further along (C7). Failure:
 * `malformed` when nothing is left but the status of a parcel that the answer does not name.
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
    ? fail('malformed', `${courier} answered with a status and did not say of which parcel`)
    : ok(items);
}

/** What a courier's sentence means; `notFound` for one parcel, for several the batch is at fault (C9). */
export type Complaints = readonly (readonly [pattern: RegExp, means: FailureKind | 'notFound'])[];

const COMMON: Complaints = [[/throttl|too many (requests|attempts)|rate limit/i, 'throttled']];
/** A `status_code` in the body, as PHP's APIs have it beside a friendlier HTTP status. */
const BY_CODE: Record<number, FailureKind> = { 401: 'credentials', 403: 'throttled', 429: 'throttled' };
/** Of these the request was understood and refused: with fewer numbers it may pass. */
const REFUSALS = [400, 413, 414, 422];

/** What an answer without items means: a sentence that is known, a refusal of the batch, or nothing readable. */
export function refusal(
  courier: string,
  response: HttpResponse,
  asked: readonly string[],
  complaints: Complaints,
): Result<Map<string, Item>> {
  const body = jsonOf(response);
  const said = body === undefined ? response.text.slice(0, 1_000) : sentences(body).join('; ');
  const shown = `${courier} answered ${quote(said) || `HTTP ${response.status} with nothing that can be read`}`;
  const means =
    [...complaints, ...COMMON].find(([pattern]) => pattern.test(said))?.[1] ?? kindOf(response, body);
  const [first] = asked;
  if (means === 'notFound')
    return asked.length === 1 && first !== undefined
      ? ok(new Map([[first, { is: 'notFound', why: quote(said) }]]))
      : fail('rejected', shown);
  const wait = means === 'throttled' ? longestIn(said) : undefined;
  return fail(means, shown, wait === undefined ? {} : { retryAfterMs: wait });
}

function kindOf(response: HttpResponse, body: unknown): FailureKind {
  const code = codeOf(body);
  const known = BY_CODE[code];
  if (known) return known;
  if (REFUSALS.includes(response.status) || REFUSALS.includes(code)) return 'rejected';
  // a refusal with a friendly status: it has words, and no code that says otherwise
  const friendly = response.status < 300 && Number.isNaN(code);
  return friendly && sentences(body).length > 0 ? 'rejected' : 'malformed';
}

/** The code that an answer's body has beside its HTTP status; NaN where it has none. */
export const codeOf = (body: unknown): number =>
  isObject(body) ? Number(text.parse(body.status_code ?? body.statusCode) ?? Number.NaN) : Number.NaN;

/** The fields in which errors are told, two levels deep. */
const TOLD_IN = /^(error|errors|message|msg|detail|details|reason|rmk|meta)$/i;

/** What an answer says in words; nothing of a parcel's own fields, which tell of persons. */
export function sentences(body: unknown, depth = 0): string[] {
  if (typeof body === 'string') return body.trim() ? [body.trim().slice(0, 300)] : [];
  if (depth > 3 || typeof body !== 'object' || body === null) return [];
  const inner = Array.isArray(body)
    ? body.slice(0, 5)
    : Object.entries(body)
        // below a field for errors the keys are the faulty fields' names
        .filter(
          ([name, value]) =>
            depth > 0 || TOLD_IN.test(name) || (name === 'data' && typeof value === 'string'),
        )
        .slice(0, 10)
        .map(([, value]) => value);
  return [...new Set(inner.flatMap((value) => sentences(value, depth + 1)))].slice(0, 5);
}

/** A courier's sentence for our messages: short, and without what may be a phone, a mail address or a token. */
export function quote(said: string): string {
  const line = said
    .replace(/<[^>]{0,500}>/g, ' ')
    .replace(/\S+@\S+/g, '…')
    .replace(/[\w-]{25,}(\.[\w-]+)*/g, '…')
    .replace(/\d[\d -]{5,}\d/g, '…')
    .replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ')
    .trim();
  return line && `"${cut(line, 200)}"`;
}
