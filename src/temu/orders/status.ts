import type { OrderStatus } from '../../orders/status.ts';

/** T7: Temu's number → its state's name and our status. */
const STATES: Record<number, { state: string; status: OrderStatus }> = {
  1: { state: 'PENDING', status: 'Pending' },
  2: { state: 'UN_SHIPPING', status: 'Ready for Shipping' },
  3: { state: 'CANCELED', status: 'Cancelled' },
  4: { state: 'SHIPPED', status: 'Shipped' },
  5: { state: 'RECEIPTED', status: 'Shipped' },
  41: { state: 'PARTIAL DELIVERY', status: 'Partially Shipped' },
  51: { state: 'PARTIAL RECEIPT', status: 'Partially Shipped' },
};

/** What Temu returns as a state: a number; a text or nothing is an unknown one. */
export type StateValue = number | string | null;

const known = (value: StateValue) => (typeof value === 'number' ? STATES[value] : undefined);
export const isKnownState = (value: StateValue): boolean => known(value) !== undefined;
/** The state's name; an unknown value as received. */
export const stateName = (value: StateValue): string | null =>
  known(value)?.state ?? (value === null ? null : String(value));

/** T12: how long an order with cancelled units is held, for the refunds to come in. */
export const HOLD_MS = 30 * 60_000;

export interface StatusInput {
  /** parentOrderStatus */
  value: StateValue;
  updateTime: Date;
  lines: readonly { ordered: number; cancelled: number }[];
  /** True when the price or the shipping call ended in failure. */
  partMissing: boolean;
  now: Date;
}

export interface StatusDecision {
  status: OrderStatus;
  pendingUntil: Date | null;
  statusAfterPending: OrderStatus | null;
  /** True when a missing part is an error of this order and is to be fetched again (T13). */
  backfillable: boolean;
}

/**
 * T7, T12 and T13 in one place.
 *
 * T12 to the letter would also hold an order that has shipped since, and then call it Ready for Shipping, for as long
 * as Temu repeats its cancelled quantity. Cancellation before shipment only matters before shipment: states 1, 2 and
 * 3 wait; state 1 then stays Pending (Temu does not let it ship yet) and state 3 is Cancelled, whatever the
 * quantities are.
 */
export function decideStatus({ value, updateTime, lines, partMissing, now }: StatusInput): StatusDecision {
  const state = known(value);
  if (!state)
    return { status: 'Incomplete', pendingUntil: null, statusAfterPending: null, backfillable: false };

  const beforeShipment = value === 1 || value === 2 || value === 3;
  const cut = beforeShipment && lines.some((line) => line.cancelled > 0);
  const allCancelled = lines.length > 0 && lines.every((line) => line.cancelled >= line.ordered);
  const settled: OrderStatus = cut && allCancelled ? 'Cancelled' : state.status;
  const needsAllParts = settled === 'Ready for Shipping' || settled === 'Partially Shipped';
  const backfillable = needsAllParts && partMissing;
  const final: OrderStatus = backfillable ? 'Incomplete' : settled;

  const until = new Date(updateTime.getTime() + HOLD_MS);
  return cut && now < until
    ? { status: 'Pending', pendingUntil: until, statusAfterPending: final, backfillable }
    : { status: final, pendingUntil: null, statusAfterPending: null, backfillable };
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * T13: when a missing part is fetched again: hourly for a day, daily for a week, then null.
 * Amounts that Temu is still computing (T16 "not ready") take minutes: 2, 4, 8, 16, 32 first.
 */
export function nextBackfill(since: Date, now: Date, notReadyTries: number | null): Date | null {
  const age = now.getTime() - since.getTime();
  if (notReadyTries !== null && notReadyTries <= 5)
    return new Date(now.getTime() + 60_000 * 2 ** notReadyTries);
  if (age < DAY_MS) return new Date(now.getTime() + HOUR_MS);
  if (age < 8 * DAY_MS) return new Date(now.getTime() + DAY_MS);
  return null;
}
