/**
 * Temu's 20 requests a second per app key (rate-limiting-rules) as a sliding window: no span of one second ever holds
 * more accepted requests. A rejected request does not count. Times are monotonic milliseconds.
 */
export interface Quota {
  /** True when the request is accepted. */
  take(appKey: string, nowMs: number): boolean;
}

const WINDOW_MS = 1000;

export function createQuota(limit: number): Quota {
  const accepted = new Map<string, number[]>();
  return {
    take: (appKey, nowMs) => {
      const times = accepted.get(appKey) ?? [];
      accepted.set(appKey, times);
      while (times.length > 0 && (times[0] as number) <= nowMs - WINDOW_MS) times.shift();
      if (times.length >= limit) return false;
      times.push(nowMs);
      return true;
    },
  };
}
