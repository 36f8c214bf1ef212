import { sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db } from '../db/client.ts';
import { list, name, type RowOf, rows } from '../db/query.ts';
import { orderStatuses, orders, shipments } from '../db/schema/index.ts';
import { credentialSettings, type Tracker } from './registry.ts';

const GROUP = {
  /** As the seller's systems name it. */
  bookingCourier: sql<string>`alike.${name(shipments.bookingCourier)}`,
  /** The tracker that would poll them if it were on; null: there is none for that courier, source and number. */
  tracker: sql<string | null>`alike.whose`,
  parcels: sql<number>`sum(alike.parcels)::int`,
};
export type UntrackedParcels = RowOf<typeof GROUP>;

const isBlank = (number: PgColumn) => sql`coalesce(btrim(${number}), '') = ''`;

/**
 * E10: parcels on their way that no tracker polls, by booking courier, the most first. Read by `shipments_unpolled`; which
 * tracker would poll them is looked up once for all that are alike.
 */
export function untrackedParcels(db: Db, bookedSince: Date): Promise<UntrackedParcels[]> {
  const { bookingCourier, bookedAt, awbNumber, lrNumber, orderId } = shipments;
  const alike = sql`
    select ${bookingCourier}, count(*) as parcels,
      courier_of(${bookingCourier}, max(${awbNumber}), max(${lrNumber}), ${orders.source}) as whose
    from ${shipments}
      join ${orders} on ${orders.id} = ${orderId}
      join ${orderStatuses} on ${orderStatuses.code} = ${orders.orderStatus} and ${orderStatuses.trackable}
    where ${isUntracked} and ${bookedAt} > ${sql.param(bookedSince, bookedAt)}
    group by ${list([bookingCourier, orders.source, isBlank(awbNumber), isBlank(lrNumber)])}`;
  return rows(
    db,
    GROUP,
    (read) => sql`select ${read} from (${alike}) alike group by 1, 2 order by 3 desc, 1 limit 20`,
  );
}

/** As the index has it, and their last status. */
const isUntracked = sql`${shipments.trackedBy} is null and ${shipments.trackingEnded} is null
  and ${shipments.beingTracked} is distinct from false and ${shipments.deliveredAt} is null
  and ${shipments.status} not in ('delivered', 'rto', 'booking_cancelled', 'lost', 'destroyed')`;

/** What switches tracking on for such parcels. */
export function whatWouldTrack(trackers: readonly Tracker[], { tracker }: UntrackedParcels): string {
  const found = trackers.find(({ name }) => name === tracker);
  if (!found)
    return `there is no tracker for them; there are: ${trackers.map(({ courier }) => courier.title).join(', ')}`;
  if (found.off === 'notChosen')
    return `add ${found.name} to TRACKERS, and restart the scheduler and the workers`;
  if (found.off === 'noCredentials')
    return `set ${credentialSettings(found.courier).join(', ')}, and restart the scheduler and the workers`;
  return 'restart the scheduler';
}
