import { LRUCache } from 'lru-cache';

export interface ThrottleRule {
  /** Failures without a delay: typing errors. */
  free: number;
  /** The delay after the last free attempt; it doubles with each further one … */
  firstMs: number;
  /** … up to this. */
  longestMs: number;
  /** The count is reset after this long without a failure. */
  forgetMs: number;
  /** Most keys; beyond it the least recently failed one is evicted. */
  size: number;
}

/** Slows down password guessing (O3), by any key: an address, a user name. */
export interface Throttle {
  /** Milliseconds until the key may try again; 0: now. An earlier attempt must be rejected unchecked. */
  waitMs(key: string, now: number): number;
  failed(key: string, now: number): void;
  succeeded(key: string): void;
}

/**
 * Counts in this process's memory, not in Postgres: each additional web process allows only a few more guesses a minute,
 * and an attack on the login must not become one on the database. `size` bounds the memory.
 */
export function createThrottle(rule: ThrottleRule): Throttle {
  const counted = new LRUCache<string, { failures: number; at: number }>({ max: rule.size });

  const current = (key: string, now: number) => {
    const entry = counted.peek(key); // peek: only a failure refreshes an entry
    return entry && now - entry.at < rule.forgetMs ? entry : undefined;
  };
  return {
    waitMs(key, now) {
      const entry = current(key, now);
      if (!entry || entry.failures < rule.free) return 0;
      const wait = Math.min(rule.longestMs, rule.firstMs * 2 ** (entry.failures - rule.free));
      return Math.max(0, entry.at + wait - now);
    },
    failed(key, now) {
      counted.set(key, { failures: (current(key, now)?.failures ?? 0) + 1, at: now });
    },
    succeeded(key) {
      counted.delete(key);
    },
  };
}
