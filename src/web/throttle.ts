export interface ThrottleRule {
  /** Wrong tries that cost no wait: people mistype. */
  free: number;
  /** The wait after the last free try; it doubles with each further one … */
  firstMs: number;
  /** … up to this. */
  longestMs: number;
  /** Without a wrong try for so long, what was counted is forgotten. */
  forgetMs: number;
  /** Keys that are remembered at most; beyond it the one that has been quiet for longest goes. */
  size: number;
}

/** Slows down whoever tries wrong passwords (O3), by any key: an address, a user name. */
export interface Throttle {
  /** Milliseconds until the key may try again; 0: now. A try during the wait is not to be looked at. */
  waitMs(key: string, now: number): number;
  failed(key: string, now: number): void;
  succeeded(key: string): void;
}

/**
 * Counts in this process' memory, not in Postgres: a web process more gives a guesser a few tries a minute more, which
 * is nothing against a password, and an attack on the login must not become one on the database. Of few tries a minute
 * from each of many addresses the memory is bounded by `size`.
 */
export function createThrottle(rule: ThrottleRule): Throttle {
  const counted = new Map<string, { failures: number; at: number }>();

  const current = (key: string, now: number) => {
    const entry = counted.get(key);
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
      const failures = (current(key, now)?.failures ?? 0) + 1;
      counted.delete(key); // a Map keeps the order of insertion: now it is the youngest
      counted.set(key, { failures, at: now });
      const [oldest] = counted.keys();
      if (counted.size > rule.size && oldest !== undefined) counted.delete(oldest);
    },
    succeeded(key) {
      counted.delete(key);
    },
  };
}
