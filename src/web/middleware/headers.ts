import type { MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { isHttps } from '../request.ts';

type Options = NonNullable<Parameters<typeof secureHeaders>[0]>;

/** Nothing from other hosts, nothing inline, no framing. */
const OWN: NonNullable<Options['contentSecurityPolicy']> = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
  formAction: ["'self'"],
  baseUri: ["'none'"],
  frameAncestors: ["'none'"],
};

/** Bull Board's page has a <base>, and its libraries add <style> elements without a nonce; scripts stay restricted. */
const BOARD: typeof OWN = {
  ...OWN,
  baseUri: ["'self'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  fontSrc: ["'self'", 'data:'],
};

const withPolicy = (contentSecurityPolicy: typeof OWN) =>
  secureHeaders({
    contentSecurityPolicy,
    referrerPolicy: 'same-origin',
    strictTransportSecurity: false, // set below, with https only
  });
const [own, board] = [withPolicy(OWN), withPolicy(BOARD)];

/** Security headers on every response (O3). */
export const headers: MiddlewareHandler = async (c, next) => {
  await (/^\/queues(\/|$)/.test(c.req.path) ? board : own)(c, next);
  // half a year, this host only: other hosts of the domain are not ours
  if (isHttps(c)) c.header('Strict-Transport-Security', 'max-age=15552000');
};
