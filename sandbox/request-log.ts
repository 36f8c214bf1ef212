/** A request with its outcome: a failed check, an errorCode, a fault, or 'ok'. */
interface RequestEntry {
  /** Monotonic milliseconds (performance.now). */
  t: number;
  /** The same moment as epoch milliseconds, from the monotonic clock. */
  at: number;
  host: string;
  type: string | null;
  appKey: string | null;
  parentOrderSn: string | null;
  page: number | null;
  /** `ok`, `refused` (quota), `fault:<kind>` or `error:<code>`. */
  outcome: string;
}

export type RequestFilter = { since?: number; until?: number } & {
  [K in 'host' | 'type' | 'appKey' | 'parentOrderSn' | 'page' | 'outcome']?: RequestEntry[K];
};

export interface RequestLog {
  record(entry: Omit<RequestEntry, 'at'>): void;
  /** The newest entries (at most the capacity), oldest first. */
  entries(filter?: RequestFilter): RequestEntry[];
  /** How many kept entries match. */
  count(filter?: RequestFilter): number;
  /** Most requests of an app key in any second, over everything that arrived since the start or `reset`. */
  maxPerSecond(appKey: string): number;
  /** Requests of an app key that the quota rejected, since the start or `reset`. */
  refused(appKey: string): number;
  /** Share of the quota that accepted requests used between two epoch milliseconds: 1 is all of it. */
  utilisation(appKey: string, from: number, to: number, qps: number): number;
  /** Counts since the start or `reset`. */
  totals(): LedgerTotals;
  reset(): void;
}

interface LedgerTotals {
  requests: number;
  outcomes: Record<string, number>;
  types: Record<string, number>;
  apps: Record<string, { requests: number; refused: number; maxPerSecond: number }>;
}

interface AppTotals {
  requests: number;
  refused: number;
  maxPerSecond: number;
  /** Arrivals of the last second, as a ring that grows: `head` is the oldest that still counts. */
  recent: number[];
  head: number;
}

const SECOND = 1000;

/** Logs requests: the newest `capacity` in full, peaks and counts over all. */
export function createRequestLog(capacity = 200_000): RequestLog {
  let ring: RequestEntry[] = [];
  let next = 0;
  let apps = new Map<string, AppTotals>();
  let outcomes = new Map<string, number>();
  let types = new Map<string, number>();
  let requests = 0;

  const ordered = (): RequestEntry[] =>
    ring.length < capacity ? ring : [...ring.slice(next), ...ring.slice(0, next)];
  const entries = (filter: RequestFilter = {}): RequestEntry[] =>
    ordered().filter((entry) => matches(entry, filter));

  return {
    record: (entry) => {
      const full = { ...entry, at: performance.timeOrigin + entry.t };
      if (ring.length < capacity) ring.push(full);
      else ring[next] = full;
      next = (next + 1) % capacity;
      requests++;
      bump(outcomes, entry.outcome);
      bump(types, entry.type ?? '(none)');
      if (entry.appKey !== null) countApp(apps, entry.appKey, entry.t, entry.outcome);
    },
    entries,
    count: (filter) => entries(filter).length,
    maxPerSecond: (appKey) => apps.get(appKey)?.maxPerSecond ?? 0,
    refused: (appKey) => apps.get(appKey)?.refused ?? 0,
    utilisation: (appKey, from, to, qps) => {
      const used = entries({ appKey, since: from, until: to }).filter(
        ({ outcome }) => outcome !== 'refused',
      ).length;
      return used / ((qps * (to - from)) / SECOND);
    },
    totals: () => ({
      requests,
      outcomes: Object.fromEntries(outcomes),
      types: Object.fromEntries(types),
      apps: Object.fromEntries(
        [...apps].map(([key, { requests, refused, maxPerSecond }]) => [
          key,
          { requests, refused, maxPerSecond },
        ]),
      ),
    }),
    reset: () => {
      ring = [];
      next = 0;
      apps = new Map();
      outcomes = new Map();
      types = new Map();
      requests = 0;
    },
  };
}

function bump(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

function countApp(apps: Map<string, AppTotals>, appKey: string, t: number, outcome: string): void {
  const app = apps.get(appKey) ?? { requests: 0, refused: 0, maxPerSecond: 0, recent: [], head: 0 };
  apps.set(appKey, app);
  app.requests++;
  if (outcome === 'refused') app.refused++;
  app.recent.push(t);
  while ((app.recent[app.head] as number) <= t - SECOND) app.head++;
  app.maxPerSecond = Math.max(app.maxPerSecond, app.recent.length - app.head);
  if (app.head > 1000) {
    app.recent = app.recent.slice(app.head);
    app.head = 0;
  }
}

function matches(entry: RequestEntry, filter: RequestFilter): boolean {
  if (filter.since !== undefined && entry.at < filter.since) return false;
  if (filter.until !== undefined && entry.at >= filter.until) return false;
  return (['host', 'type', 'appKey', 'parentOrderSn', 'page', 'outcome'] as const).every(
    (key) => filter[key] === undefined || filter[key] === entry[key],
  );
}
