import { z } from 'zod';
import { url } from '../../config/settings.ts';
import { fail, ok, type Result } from '../../lib/errors.ts';
import type { HttpResponse } from '../../lib/http.ts';
import type { CourierRequest, Scheme, Token } from './courier.ts';
import { errorMessages, isObject, type Json, jsonOf, quote, text } from './response.ts';
import type { Times } from './times.ts';

/** Helpers for couriers' settings, requests and logins (C11). */

export const address = () => url(['http:', 'https:']);

/** A key sent in a header: anything but printable ASCII is a copy-and-paste error. */
export const headerSecret = () =>
  z
    .string()
    .trim()
    .regex(/^[\x20-\x7e]+$/, { error: 'printable characters on one line' });

export const bearer: Scheme = (secret) => ({ authorization: `Bearer ${secret}` });
export const bare: Scheme = (secret) => ({ authorization: secret });

/** A URL with a path appended, with or without a trailing slash. */
export const below = (base: string, path: string): string => `${base.replace(/\/+$/, '')}${path}`;

/** An address with a query; a list repeats its key. Commas stay as they are, as couriers' own examples write lists. */
export function withQuery(base: string, query: Record<string, string | readonly string[]>): string {
  const target = new URL(base);
  for (const [name, values] of Object.entries(query)) {
    target.searchParams.delete(name);
    for (const value of [values].flat()) target.searchParams.append(name, value);
  }
  return target.href.replaceAll('%2C', ',');
}

/** A form, as OAuth's token endpoints want it. */
export const postForm = (target: string, fields: Record<string, string>): CourierRequest => ({
  url: target,
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
  body: new URLSearchParams(fields).toString(),
});

/** The header of HTTP's Basic authentication. */
export const basic = (user: string, password: string): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

export const post = (target: string, body: unknown): CourierRequest => ({
  url: target,
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json' },
  body: JSON.stringify(body),
});

/** What is valid in a header. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;
/** With these statuses a login was refused; with others its message decides. */
const REFUSED = [400, 401, 403, 422];
const REFUSED_TEXT =
  /credential|password|user|account|lock|block|unauthori[sz]ed|not authori[sz]ed|unauthenticated|denied|disabled|expired|invalid/i;

/** Where a courier's login has its token and when that expires. */
export interface LoginFields {
  /** Fields of the token, at the top or in `data`: the first one that is there. */
  token: readonly string[];
  /** The field of its expiry, a time of `times`; OAuth's `expires_in` (seconds) is looked for as well. */
  expiresAt?: string;
  times?: Times;
  /** How long it is valid at most, milliseconds: also where the answer does not say it. */
  lifeMs: number;
}

/**
 * A login's response: the token, and when it expires by the answer's fields or the `exp` of a JWT (read without
 * verifying). Failures: `credentials`, which stops the tracker before the account is locked; `malformed`.
 */
export function readLogin(courier: string, fields: LoginFields, response: HttpResponse): Result<Token> {
  const body = jsonOf(response);
  const inner = isObject(body) && isObject(body.data) ? body.data : {};
  const given = isObject(body) ? { ...body, ...inner } : {};
  const value = fields.token
    .map((name) => given[name])
    .find((one) => typeof one === 'string' && TOKEN.test(one));
  if (response.status < 300 && typeof value === 'string')
    return ok({ value, expiresAt: expiryOf(value, given, fields, sentAt(response)) });
  const said = errorMessages(body).join('; ');
  const refused = REFUSED.includes(response.status) || given.success === false || REFUSED_TEXT.test(said);
  const shown = quote(said) || `HTTP ${response.status}`;
  return refused
    ? fail('credentials', `${courier} rejected the login: ${shown}`)
    : fail('malformed', `${courier} returned no token: ${shown}`);
}

/** An expiry in the past, or none, would have us log in again with each request, until the account is locked. */
function expiryOf(
  token: string,
  given: Json,
  { expiresAt = '', times, lifeMs }: LoginFields,
  now: number,
): Date {
  const latest = now + lifeMs;
  const seconds = Number(text.parse(given.expires_in) ?? Number.NaN);
  const written = times?.at(text.parse(given[expiresAt]))?.getTime();
  const candidates = [written, now + seconds * 1_000, jwtExpiry(token)];
  const expires = candidates.find((time) => time !== undefined && time > now) ?? latest;
  return new Date(Math.min(expires, latest));
}

/** `exp` of a JWT in epoch milliseconds. */
function jwtExpiry(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const seconds = isObject(claims) ? claims.exp : undefined;
    return typeof seconds === 'number' && Number.isFinite(seconds) ? seconds * 1_000 : undefined;
  } catch {
    return undefined;
  }
}

/** When the response was sent, by the courier's clock: a login's parser is given no other. */
export function sentAt(response: HttpResponse): number {
  const date = Date.parse(response.headers.date ?? '');
  return Number.isNaN(date) ? Date.now() : date;
}
