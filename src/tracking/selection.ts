import { type SQL, sql } from 'drizzle-orm';
import { orders, shipments, trackers } from '../db/schema/index.ts';
import type { Courier } from './toolkit/courier.ts';

// C2 is implemented in the database (drizzle/0016), since other programs write parcels too.

/** The name of the tracker that a parcel belongs to, whether or not it is still polled and that tracker is on. */
export const courierOf = sql<
  string | null
>`courier_of(${shipments.bookingCourier}, ${shipments.awbNumber}, ${shipments.lrNumber}, ${orders.source})`;

/** Which conditions of a tracker's selection a parcel meets. */
export const matches = {
  courier: sql<boolean>`matches_courier(${shipments.bookingCourier}, ${trackers.courier})`,
  source: sql<boolean>`matches_source(${orders.source}, ${trackers.sources})`,
  number: sql<boolean>`matches_number(${shipments.awbNumber}, ${shipments.lrNumber}, ${trackers.number})`,
};

/** The same as the database's matches_courier, for a name that is in no row yet. */
export function matchesCourier(bookingCourier: string, courier: string): boolean {
  const [name, part] = [bookingCourier.toLowerCase(), courier.toLowerCase()];
  return part.includes(' ') ? ` ${name.replace(/[^a-z0-9]+/g, ' ')} `.includes(part) : name.includes(part);
}

/** The number by which a courier is asked for a parcel; '' where it has none. */
export const numberOf = ({ selection }: Pick<Courier, 'selection'>): SQL<string> =>
  sql<string>`coalesce(btrim(${selection.number === 'lr' ? shipments.lrNumber : shipments.awbNumber}), '')`;
