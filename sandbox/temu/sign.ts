import { createHash } from 'node:crypto';
import { parse, stringify } from 'lossless-json';

/** A request as received: numbers keep their text (ids may be above 2^53), nested keys keep their order. */
export type Params = Record<string, unknown>;

/** Reads a JSON body without losing digits. Throws SyntaxError on bad JSON or on anything but an object. */
export function parseParams(body: string): Params {
  const value = parse(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SyntaxError('the body must be a JSON object');
  }
  return value as Params;
}

/**
 * Temu's signature over the top-level keys: MD5(secret + key1 + value1 + … + secret) in upper-case hex. Keys in code-unit
 * order without `sign`, null left out, strings bare, arrays and objects as compact JSON in the order received.
 * Docs: signature-method-for-api-request. Written apart from the client's own signing, so that each checks the other.
 */
export function signatureOf(params: Params, appSecret: string): string {
  const base = Object.keys(params)
    .filter((key) => key !== 'sign' && params[key] !== null && params[key] !== undefined)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    .map((key) => key + textOf(params[key]))
    .join('');
  return createHash('md5')
    .update(appSecret + base + appSecret, 'utf8')
    .digest('hex')
    .toUpperCase();
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (stringify(value) ?? '');
}

/** Signs a request for tests and examples: common parameters added, `sign` set. */
export function signRequest(
  params: Params,
  app: { appKey: string; appSecret: string; accessToken: string },
  timestamp: number,
): Params {
  const full: Params = {
    app_key: app.appKey,
    access_token: app.accessToken,
    data_type: 'JSON',
    timestamp,
    version: 'V1',
    ...params,
  };
  return { ...full, sign: signatureOf(full, app.appSecret) };
}
