import { z } from 'zod';
import { fail, ok, type Result } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { url } from '../settings.ts';
import { isObject, jsonOf, quote, sentences } from './answer.ts';
import type { CourierRequest, Scheme, Token } from './courier.ts';
import { timeOf } from './times.ts';

/** What couriers' settings, requests and logins have in common (C11). */

export const address = () => url(['http:', 'https:']);

/** A key that goes into a header: more than printable ASCII is a slip of copying. */
export const headerSecret = () =>
  z
    .string()
    .trim()
    .regex(/^[\x20-\x7e]+$/, { error: 'printable characters on one line' });

export const bearer: Scheme = (secret) => ({ authorization: `Bearer ${secret}` });
export const bare: Scheme = (secret) => ({ authorization: secret });

/** An address with a path below it, whether or not it was given with a slash at its end. */
export const below = (base: string, path: string): string => `${base.replace(/\/+$/, '')}${path}`;

/** An address with a query; commas stay as they are, as the couriers' own examples write lists. */
export function withQuery(base: string, query: Record<string, string>): string {
  const target = new URL(base);
  for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
  return target.href.replaceAll('%2C', ',');
}

export const post = (target: string, body: unknown): CourierRequest => ({
  url: target,
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json' },
  body: JSON.stringify(body),
});

/** What a header can carry. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;
/** With these a login was refused, whatever it says; with others only its words tell. */
const REFUSED = [400, 401, 403, 422];
const REFUSED_WORDS =
  /credential|password|user|account|lock|block|unauthori[sz]ed|not authori[sz]ed|unauthenticated|denied|disabled|expired|invalid/i;

/**
 * A login's answer: the token in the first of `names`, at the top or in `data`, and when it expires by its own word
 * (`expires_at`, or the `exp` of a JWT, read without verifying), at the latest after `lifeMs`.
 * Failures: `credentials`, which stops the tracker before the account is locked; `malformed`.
 */
export function readLogin(
  courier: string,
  names: readonly string[],
  lifeMs: number,
  response: HttpResponse,
): Result<Token> {
  const body = jsonOf(response);
  const inner = isObject(body) && isObject(body.data) ? body.data : {};
  const fields = isObject(body) ? { ...body, ...inner } : {};
  const value = names.map((name) => fields[name]).find((one) => typeof one === 'string' && TOKEN.test(one));
  if (response.status < 300 && typeof value === 'string')
    return ok({ value, expiresAt: expiry(value, fields.expires_at, lifeMs, sentAt(response)) });
  const said = sentences(body).join('; ');
  const refused = REFUSED.includes(response.status) || fields.success === false || REFUSED_WORDS.test(said);
  const shown = quote(said) || `HTTP ${response.status}`;
  return refused
    ? fail('credentials', `${courier} refused the login: ${shown}`)
    : fail('malformed', `${courier} answered the login without a token: ${shown}`);
}

/** A time of the past, or none, would have us log in again with each request, until the account is locked. */
function expiry(token: string, said: unknown, lifeMs: number, now: number): Date {
  const latest = now + lifeMs;
  const times = [timeOf(typeof said === 'string' ? said : null)?.getTime(), jwtExpiry(token)];
  const expires = times.find((time) => time !== undefined && time > now) ?? latest;
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

/** When the answer was made, by its own word: the interface hands no clock to a login's reader. */
function sentAt(response: HttpResponse): number {
  const date = Date.parse(response.headers.date ?? '');
  return Number.isNaN(date) ? Date.now() : date;
}
