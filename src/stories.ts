import type { Fleet } from './fleet.ts';
import { type ParcelStory, parcelStories } from './temu/awb/index.ts';
import { type OrderStory, orderStories } from './temu/orders/story.ts';
import { type TrackingStory, trackingStories } from './tracking/index.ts';

/** All that is known under a number; without personal data (T18). */
export interface Stories {
  orders: OrderStory[];
  /** With Temu. */
  parcels: ParcelStory[];
  /** With their couriers. */
  tracking: TrackingStory[];
}

/** @param number an order's, an AWB or an LR number (O6 `explain`) */
export async function readStories(
  { db, trackers, bufferDays, clock }: Pick<Fleet, 'db' | 'trackers' | 'bufferDays' | 'clock'>,
  number: string,
): Promise<Stories> {
  const rules = { trackers, bufferDays, now: clock() };
  const [found, tracking] = await Promise.all([
    parcelStories(db, number),
    trackingStories(db, number, rules),
  ]);
  const numbers = new Set([
    number,
    ...found.flatMap(({ order }) => order ?? []),
    ...tracking.map(({ order }) => order),
  ]);
  const orders = (await Promise.all([...numbers].map((one) => orderStories(db, one)))).flat();
  // an LR number is nothing that Temu knows
  const parcels =
    found.length > 0
      ? found
      : (
          await Promise.all(
            tracking.flatMap(({ awbNumber }) => (awbNumber ? [parcelStories(db, awbNumber)] : [])),
          )
        ).flat();
  return { orders, parcels, tracking };
}

/** Without what Temu has to do with orders of other sources: nothing. */
export const toldStories = ({ orders, parcels, tracking }: Stories): Stories => {
  const foreign = new Set(tracking.flatMap(({ order, source }) => (source === 'temu' ? [] : [order])));
  return {
    orders: orders.filter(({ marketplaceOrderId: id, store }) => store !== null || !foreign.has(id)),
    parcels: parcels.filter(({ order, push }) => push !== null || order === null || !foreign.has(order)),
    tracking,
  };
};
