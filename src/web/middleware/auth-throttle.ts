import type { Context } from 'hono';
import type { Fleet } from '../../fleet/index.ts';
import { addressReader } from '../request.ts';
import { createThrottle } from './throttle.ts';

/** Ten failures are free; then a delay of 1 s up to 1 min, reset after 15 minutes. */
const RULE = { free: 10, firstMs: 1_000, longestMs: 60_000, forgetMs: 15 * 60_000, size: 10_000 };

/**
 * R5: counts wrong secrets per client address. Call it after comparing the secret: the right one always passes, so that
 * nobody behind the same address can lock its owner out. Secrets of sixteen characters and more cannot be guessed; this
 * keeps the log small, and makes misconfigured clients back off.
 * @returns the response status for a wrong secret: 401, or 429 with Retry-After, which is not counted
 */
export function createAuthThrottle({
  config,
  clock,
}: Pick<Fleet, 'config' | 'clock'>): (c: Context, door: string) => 401 | 429 {
  const addressOf = addressReader(config.TRUSTED_PROXIES);
  const throttle = createThrottle(RULE);
  return (c, door) => {
    const [who, now] = [`${door} ${addressOf(c)}`, clock()];
    const waitMs = throttle.waitMs(who, now);
    if (waitMs === 0) {
      throttle.failed(who, now);
      return 401;
    }
    c.header('Retry-After', String(Math.ceil(waitMs / 1000)));
    return 429;
  };
}
