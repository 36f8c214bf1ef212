/** What one call claims about one parcel of one order. */
export interface ShipmentClaim {
  parentOrderSn: string | null;
  orderSns: readonly string[];
  /** As received, valid or not; null: none. */
  trackingNumber: string | null;
  carrierId: number | null;
  warehouseId: string | null;
  /** `bg.logistics.shipment.v2.confirm` or `bg.logistics.shipment.shippingtype.update`. */
  via: 'confirm' | 'update';
}

/** `accepted`: Temu now has the number. `refused`: it answered an error. `fault`: the call never took effect. */
export type Outcome = 'accepted' | `refused:${number}` | 'fault';

export interface Attempt extends ShipmentClaim {
  /** Number of the call, shared by all claims of one request. */
  call: number;
  /** Epoch milliseconds of the sandbox's clock: when it took effect, was refused or was lost. */
  at: number;
  /** Null: the token belongs to no shop. */
  shop: string | null;
  outcome: Outcome;
  /** Kind of the injected fault; with `accepted` the response was lost, late or corrupted. */
  fault: string | null;
}

export interface EffectFilter {
  shop?: string;
  parentOrderSn?: string;
  orderSn?: string;
  trackingNumber?: string;
  via?: ShipmentClaim['via'];
  /** Exact, or a prefix: `refused` matches every code. */
  outcome?: string;
  fault?: string;
  /** Epoch milliseconds. */
  since?: number;
}

/** How many calls contained a number, and how many of them took effect. */
export interface NumberCalls {
  arrived: number;
  accepted: number;
}

export interface EffectSummary {
  calls: number;
  attempts: number;
  accepted: number;
  refused: Record<string, number>;
  faults: Record<string, number>;
  /** Numbers in more than one call. */
  numbersToldAgain: (NumberCalls & { trackingNumber: string })[];
  /** Numbers that took effect in more than one call. */
  numbersAcceptedAgain: (NumberCalls & { trackingNumber: string })[];
  /** Orders that received several numbers, and those that took effect. */
  ordersWithSeveralNumbers: { parentOrderSn: string; told: string[]; accepted: string[] }[];
}

/** Every tracking number sent to Temu, how often, and the outcomes. */
export interface Effects {
  /** Records one call; a call without claims is ignored. */
  record(about: Pick<Attempt, 'at' | 'shop' | 'outcome' | 'fault'>, claims: readonly ShipmentClaim[]): void;
  /** Everything that arrived, oldest first. */
  attempts(filter?: EffectFilter): Attempt[];
  /** What took effect, oldest first. */
  accepted(filter?: EffectFilter): Attempt[];
  told(trackingNumber: string): NumberCalls;
  /** All attempts about an order, by its parentOrderSn or the orderSn of a row. */
  ofOrder(sn: string): Attempt[];
  summary(filter?: EffectFilter): EffectSummary;
  restore(attempts: readonly Attempt[]): void;
  reset(): void;
}

export function createEffects(): Effects {
  let all: Attempt[] = [];
  let calls = 0;
  const byNumber = new Map<string, Attempt[]>();
  const byOrder = new Map<string, Attempt[]>();

  const keep = (attempt: Attempt): void => {
    all.push(attempt);
    calls = Math.max(calls, attempt.call);
    if (attempt.trackingNumber !== null) append(byNumber, attempt.trackingNumber, attempt);
    for (const sn of new Set([attempt.parentOrderSn, ...attempt.orderSns])) {
      if (sn !== null) append(byOrder, sn, attempt);
    }
  };
  const reset = (): void => {
    all = [];
    calls = 0;
    byNumber.clear();
    byOrder.clear();
  };
  const attempts = (filter: EffectFilter = {}): Attempt[] => {
    const sn = filter.parentOrderSn ?? filter.orderSn;
    const narrowed =
      filter.trackingNumber !== undefined
        ? byNumber.get(filter.trackingNumber)
        : sn !== undefined
          ? byOrder.get(sn)
          : all;
    return (narrowed ?? []).filter((attempt) => matches(attempt, filter));
  };
  return {
    record: (about, claims) => {
      const call = calls + 1;
      for (const claim of claims) keep({ call, ...about, ...claim });
    },
    attempts,
    accepted: (filter) => attempts(filter).filter(({ outcome }) => outcome === 'accepted'),
    told: (trackingNumber) => countCalls(byNumber.get(trackingNumber) ?? []),
    ofOrder: (sn) => [...(byOrder.get(sn) ?? [])],
    summary: (filter) => summaryOf(attempts(filter)),
    restore: (saved) => {
      reset();
      for (const attempt of saved) keep(attempt);
    },
    reset,
  };
}

function append(index: Map<string, Attempt[]>, key: string, attempt: Attempt): void {
  const list = index.get(key);
  if (list) list.push(attempt);
  else index.set(key, [attempt]);
}

function matches(attempt: Attempt, filter: EffectFilter): boolean {
  const { orderSn, outcome, since = Number.NEGATIVE_INFINITY } = filter;
  if (attempt.at < since) return false;
  if (orderSn !== undefined && !attempt.orderSns.includes(orderSn)) return false;
  if (outcome !== undefined && attempt.outcome !== outcome && !attempt.outcome.startsWith(`${outcome}:`))
    return false;
  return (['shop', 'parentOrderSn', 'trackingNumber', 'via', 'fault'] as const).every(
    (key) => filter[key] === undefined || filter[key] === attempt[key],
  );
}

function countCalls(attempts: readonly Attempt[]): NumberCalls {
  const calls = (wanted: readonly Attempt[]): number => new Set(wanted.map(({ call }) => call)).size;
  return {
    arrived: calls(attempts),
    accepted: calls(attempts.filter(({ outcome }) => outcome === 'accepted')),
  };
}

function summaryOf(attempts: readonly Attempt[]): EffectSummary {
  const numbers = grouped(attempts, ({ trackingNumber }) => trackingNumber).map(([trackingNumber, list]) => ({
    trackingNumber,
    ...countCalls(list),
  }));
  const orders = grouped(attempts, ({ parentOrderSn }) => parentOrderSn).map(([parentOrderSn, list]) => ({
    parentOrderSn,
    told: numbersOf(list),
    accepted: numbersOf(list.filter(({ outcome }) => outcome === 'accepted')),
  }));
  const codes = attempts.flatMap(({ outcome }) => (outcome.startsWith('refused:') ? [outcome.slice(8)] : []));
  return {
    calls: new Set(attempts.map(({ call }) => call)).size,
    attempts: attempts.length,
    accepted: attempts.filter(({ outcome }) => outcome === 'accepted').length,
    refused: tally(codes),
    faults: tally(attempts.flatMap(({ fault }) => fault ?? [])),
    numbersToldAgain: numbers.filter(({ arrived }) => arrived > 1),
    numbersAcceptedAgain: numbers.filter(({ accepted }) => accepted > 1),
    ordersWithSeveralNumbers: orders.filter(({ told }) => told.length > 1),
  };
}

function grouped(
  attempts: readonly Attempt[],
  keyOf: (attempt: Attempt) => string | null,
): [string, Attempt[]][] {
  const groups = new Map<string, Attempt[]>();
  for (const attempt of attempts) {
    const key = keyOf(attempt);
    if (key !== null) append(groups, key, attempt);
  }
  return [...groups];
}

function numbersOf(attempts: readonly Attempt[]): string[] {
  return [...new Set(attempts.flatMap(({ trackingNumber }) => trackingNumber ?? []))];
}

function tally(keys: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return Object.fromEntries(counts);
}
