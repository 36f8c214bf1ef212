import type { Fleet } from '../fleet/index.ts';
import { type OrderTimeline, orderTimelines } from '../orders/timeline.ts';
import { type PushTimeline, pushTimelines } from '../temu/awb/index.ts';
import { type TrackingTimeline, trackingTimelines } from '../tracking/index.ts';

/** Everything about a number, without personal data (T18). */
export interface Timelines {
  orders: OrderTimeline[];
  /** Parcels as Temu knows them. */
  parcels: PushTimeline[];
  /** Parcels as their couriers know them. */
  tracking: TrackingTimeline[];
  /** E9: numbers that cannot be one of their carrier's, a sentence each. */
  warnings: string[];
}

/** @param number an order's, an AWB or an LR number (O6 `explain`) */
export async function readTimelines(
  fleet: Pick<Fleet, 'db' | 'trackers' | 'bufferDays' | 'clock' | 'numberWarning'>,
  number: string,
): Promise<Timelines> {
  const { db, trackers, bufferDays, clock } = fleet;
  const rules = { trackers, bufferDays, now: clock() };
  const [found, tracking] = await Promise.all([
    pushTimelines(db, number),
    trackingTimelines(db, number, rules),
  ]);
  const numbers = new Set([
    number,
    ...found.flatMap(({ order }) => order ?? []),
    ...tracking.map(({ order }) => order),
  ]);
  const orders = (await Promise.all([...numbers].map((one) => orderTimelines(db, one)))).flat();
  // Temu knows no LR numbers
  const parcels =
    found.length > 0
      ? found
      : (
          await Promise.all(
            tracking.flatMap(({ awbNumber }) => (awbNumber ? [pushTimelines(db, awbNumber)] : [])),
          )
        ).flat();
  return { orders, parcels, tracking, warnings: warningsOf(fleet, parcels) };
}

const warningsOf = (
  { numberWarning }: Pick<Fleet, 'numberWarning'>,
  parcels: readonly PushTimeline[],
): string[] => {
  const booked = parcels.filter(({ link, push }) => link === null && push !== 'replaced');
  const found = booked.flatMap(({ carrier, awbNumber }) =>
    carrier && awbNumber ? (numberWarning(carrier, awbNumber) ?? []) : [],
  );
  return [...new Set(found)];
};

/** Leaves out the Temu part of orders from other sources. */
export const visibleTimelines = ({ orders, parcels, tracking, warnings }: Timelines): Timelines => {
  const foreign = new Set(tracking.flatMap(({ order, source }) => (source === 'temu' ? [] : [order])));
  return {
    orders: orders.filter(({ marketplaceOrderId: id, store }) => store !== null || !foreign.has(id)),
    parcels: parcels.filter(({ order, push }) => push !== null || order === null || !foreign.has(order)),
    tracking,
    warnings,
  };
};
