import { createHash } from 'node:crypto';
import { stringifyExact } from './json.ts';

export type TemuParams = Record<string, unknown>;

/**
 * Temu's request signature (T15; "Signature method for API request" in its documentation): upper-case MD5 over secret +
 * key1value1key2value2… + secret, top-level keys sorted by code unit, `sign` and absent values left out, strings bare,
 * everything else as compact JSON with nested keys in the order in which they are sent.
 */
export function sign(params: TemuParams, appSecret: string): string {
  const base = Object.keys(params)
    .filter((key) => key !== 'sign' && params[key] !== undefined && params[key] !== null)
    .sort((a, b) => (a < b ? -1 : 1))
    .map((key) => key + valueText(params[key]))
    .join('');
  return createHash('md5')
    .update(appSecret + base + appSecret, 'utf8')
    .digest('hex')
    .toUpperCase();
}

const valueText = (value: unknown) => (typeof value === 'string' ? value : stringifyExact(value));

/** The body of a signed request: what is signed is exactly what is sent. */
export function signedBody(params: TemuParams, appSecret: string): string {
  const sent = Object.fromEntries(
    Object.entries(params).filter(([, value]) => value !== undefined && value !== null),
  );
  return stringifyExact({ ...sent, sign: sign(sent, appSecret) });
}
