import type { Context } from 'hono';
import type { Fleet } from '../fleet.ts';
import { addressReader } from './request.ts';
import { createThrottle } from './throttle.ts';

/** Ten slips are free; then 1 s up to 1 min, forgotten after a quarter of an hour. */
const RULE = { free: 10, firstMs: 1_000, longestMs: 60_000, forgetMs: 15 * 60_000, size: 10_000 };

/**
 * R5: counts wrong secrets of programs by their addresses. To be asked after the secret was compared: the right one
 * always passes, so that nobody who shares an address with its owner can keep him out. Secrets of sixteen characters and
 * more are not guessed; what this spares is the log, and whoever sends a wrong one by mistake learns to wait.
 * @returns the status of the answer to a wrong secret: 401, or 429 with Retry-After, when it is not counted
 */
export function createWrongSecrets({
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
