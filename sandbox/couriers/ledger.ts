export type CallKind = 'track' | 'login' | 'other';

/** One request as a courier saw it. */
export interface CourierEntry {
  kind: CallKind;
  /** Arrival, epoch milliseconds by the monotonic clock. */
  at: number;
  /** Until the response was sent or the connection ended, milliseconds; null while it is open. */
  ms: number | null;
  /** The numbers in the request. */
  numbers: readonly string[];
  /** Null: not answered (yet). */
  status: number | null;
  /** `ok`, `limited`, `unauthorized`, `refused` (any other 4xx), `fault:<kind>`, `late` (cut by the client). */
  outcome: string;
}

export interface CourierSummary {
  requests: number;
  tracking: number;
  /** Refused by the limit. */
  limited: number;
  logins: number;
  loginsRefused: number;
  /** Requests with an injected fault. */
  faults: number;
  statuses: Record<string, number>;
  outcomes: Record<string, number>;
  /** Numbers requested, repeats included. */
  numbersAsked: number;
  distinctNumbers: number;
  largestBatch: number;
  /** Most requests that were open at the same time. */
  maxInFlight: number;
  /** Epoch milliseconds of the first and the newest arrival. */
  firstAt: number | null;
  lastAt: number | null;
}

export interface CourierLedger {
  /** The newest entries (at most the capacity), oldest first. */
  entries(filter?: { kind?: CallKind; outcome?: string; since?: number; number?: string }): CourierEntry[];
  /** How often a number was requested in total. */
  asked(number: string): number;
  /** Most tracking requests that arrived in any span of so many milliseconds, of the kept entries. */
  peak(spanMs: number): number;
  summary(): CourierSummary;
  reset(): void;
}

export interface CourierRecorder extends CourierLedger {
  /** A request has arrived, at this monotonic moment. */
  open(kind: CallKind, t: number): OpenEntry;
}

export interface OpenEntry {
  entry: CourierEntry;
  /** Its outcome; called again if that changes. */
  decided(numbers: readonly string[], outcome: string): void;
  /** The response has been sent, or there will be none. */
  ended(status: number | null): void;
}

const COUNTED = ['limited', 'unauthorized', 'refused'];

export function createCourierLedger(capacity = 50_000): CourierRecorder {
  let kept: CourierEntry[] = [];
  let dropped = 0;
  let counts = new Map<string, number>();
  let total = freshTotals();
  let inFlight = 0;

  const open = (kind: CallKind, t: number): OpenEntry => {
    const entry: CourierEntry = {
      kind,
      at: performance.timeOrigin + t,
      ms: null,
      numbers: [],
      status: null,
      outcome: 'open',
    };
    kept.push(entry);
    if (kept.length - dropped > capacity) dropped++;
    if (dropped > capacity) {
      kept = kept.slice(dropped);
      dropped = 0;
    }
    total.firstAt ??= entry.at;
    total.lastAt = entry.at;
    total.requests++;
    if (kind === 'track') total.tracking++;
    if (kind === 'login') total.logins++;
    total.maxInFlight = Math.max(total.maxInFlight, ++inFlight);
    return {
      entry,
      decided: (numbers, outcome) => {
        entry.numbers = numbers;
        entry.outcome = outcome;
        for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
        total.numbersAsked += numbers.length;
        total.largestBatch = Math.max(total.largestBatch, numbers.length);
      },
      ended: (status) => {
        if (entry.ms !== null) return;
        inFlight--;
        entry.ms = performance.now() - t;
        entry.status = status;
        if (entry.outcome === 'open' || (status === null && entry.outcome === 'ok')) entry.outcome = 'late';
        bump(total.statuses, status === null ? 'none' : String(status));
        bump(total.outcomes, entry.outcome);
        if (entry.outcome === 'limited') total.limited++;
        if (entry.outcome.startsWith('fault:')) total.faults++;
        if (kind === 'login' && COUNTED.includes(entry.outcome)) total.loginsRefused++;
      },
    };
  };
  const entries: CourierLedger['entries'] = ({ kind, outcome, since, number } = {}) =>
    kept
      .slice(dropped)
      .filter(
        (entry) =>
          (kind === undefined || entry.kind === kind) &&
          (outcome === undefined || entry.outcome === outcome) &&
          (since === undefined || entry.at >= since) &&
          (number === undefined || entry.numbers.includes(number)),
      );
  return {
    open,
    entries,
    asked: (number) => counts.get(number) ?? 0,
    peak: (spanMs) => peakOf(entries({ kind: 'track' }), spanMs),
    summary: () => ({
      ...total,
      statuses: { ...total.statuses },
      outcomes: { ...total.outcomes },
      distinctNumbers: counts.size,
    }),
    reset: () => {
      kept = [];
      dropped = 0;
      counts = new Map();
      total = freshTotals();
    },
  };
}

function freshTotals(): Omit<CourierSummary, 'distinctNumbers'> {
  return {
    requests: 0,
    tracking: 0,
    limited: 0,
    logins: 0,
    loginsRefused: 0,
    faults: 0,
    statuses: {},
    outcomes: {},
    numbersAsked: 0,
    largestBatch: 0,
    maxInFlight: 0,
    firstAt: null,
    lastAt: null,
  };
}

function bump(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

function peakOf(entries: readonly CourierEntry[], spanMs: number): number {
  let first = 0;
  let most = 0;
  for (let last = 0; last < entries.length; last++) {
    const { at } = entries[last] as CourierEntry;
    while ((entries[first] as CourierEntry).at <= at - spanMs) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
