/** Maximum requests in any span of so many seconds, and the response to others. */
export interface CourierLimit {
  max: number;
  perSeconds: number;
  /** Default: the API's own response. */
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** Whether a refused request counts as an arrival, as with AWS WAF; default true. */
  countsRefused?: boolean;
}

/** An exact sliding window over arrivals. Times are monotonic milliseconds. */
export interface Window {
  /** Counts an arrival; false when there were already `max` in the span that ends with it. */
  take(limit: CourierLimit, now: number): boolean;
  /** Arrivals that count in the span that ends now. */
  count(limit: CourierLimit, now: number): number;
  reset(): void;
}

export function createWindow(): Window {
  let arrivals: number[] = [];
  let head = 0;
  const trim = (since: number): void => {
    while (head < arrivals.length && (arrivals[head] as number) <= since) head++;
    if (head < 5000) return;
    arrivals = arrivals.slice(head);
    head = 0;
  };
  return {
    take: ({ max, perSeconds, countsRefused = true }, now) => {
      trim(now - perSeconds * 1000);
      const free = arrivals.length - head < max;
      if (free || countsRefused) arrivals.push(now);
      return free;
    },
    count: ({ perSeconds }, now) => {
      trim(now - perSeconds * 1000);
      return arrivals.length - head;
    },
    reset: () => {
      arrivals = [];
      head = 0;
    },
  };
}
