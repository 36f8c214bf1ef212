import type { Context } from 'hono';

/** Outages last seconds or minutes; duplicates are harmless. */
const RETRY_AFTER_S = 10;

/** 503: nothing was stored. Never 500: after one a courier may give up, or disable its webhook. */
export function sendAgain(c: Context, error: string) {
  c.header('Retry-After', String(RETRY_AFTER_S));
  return c.json({ error }, 503);
}
