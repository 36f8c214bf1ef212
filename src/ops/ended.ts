import { type SQL, sql } from 'drizzle-orm';
import { isAnyOf } from '../db/query.ts';
import { orders, shipments } from '../db/schema/index.ts';
import { isOpen } from '../orders/status.ts';
import { isFinal, STATUSES } from '../tracking/index.ts';

/** Final order_statuses: delivered, booking_cancelled, rto, lost, destroyed. */
const FINAL_CODES = [10, 12, 13, 15, 17];
const FINAL_STATUSES = STATUSES.filter(isFinal);

/** Something of it is still to be shipped; other sources do not say. */
export const isUnshipped = sql`(${orders.source} = 'temu' and ${isOpen})`;

/**
 * True for an order that had ended at a time: when the marketplace reports it cancelled or received, when all its
 * parcels or its order status are final, or after a while without a change.
 * @param quietSince an order without a change since then counts as ended with its last change
 */
export function hadEnded(endedBefore: Date, quietSince: Date): SQL<boolean> {
  const time = (value: Date) => sql.param(value, orders.endedAt);
  const changed = sql`coalesce(${orders.orderModifiedAt}, ${orders.updatedAt})`;
  const isOver = isAnyOf(shipments.status, FINAL_STATUSES);
  return sql`coalesce((
    select least(
        case when ${orders.status} = 'Cancelled' or ${orders.marketplaceStatus} = 'RECEIPTED'
          then coalesce(${orders.endedAt}, ${changed}) end,
        case when not ${isUnshipped} and (parcels.arrived or ${isAnyOf(orders.orderStatus, FINAL_CODES)})
          then coalesce(parcels.ended, ${changed}) end) <= ${time(endedBefore)}
      or greatest(${changed}, parcels.changed) <= ${time(quietSince)}
    from (
      select bool_and(${isOver}) as arrived,
        max(coalesce(${shipments.statusAt}, ${shipments.deliveredAt})) filter (where ${isOver}) as ended,
        max(greatest(${shipments.bookedAt}, ${shipments.statusAt})) as changed
      from ${shipments} where ${shipments.orderId} = ${orders.id}) parcels), false)`;
}
