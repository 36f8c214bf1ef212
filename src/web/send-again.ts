import type { Context } from 'hono';

/** A store that refuses is well again in seconds or minutes; what comes in twice is one. */
const RETRY_AFTER_S = 10;

/** To a program: 503, nothing of it is kept. Never 500: a courier that hears it may give up, or switch its webhook off. */
export function sendAgain(c: Context, error: string) {
  c.header('Retry-After', String(RETRY_AFTER_S));
  return c.json({ error }, 503);
}
