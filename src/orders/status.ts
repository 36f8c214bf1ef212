import { type SQL, sql } from 'drizzle-orm';
import { orders } from '../db/schema/index.ts';

/** T7: the statuses of an order, whichever marketplace it came from. */
export type OrderStatus =
  | 'Pending'
  | 'Ready for Shipping'
  | 'Cancelled'
  | 'Shipped'
  | 'Partially Shipped'
  | 'Incomplete';

/** T7: nothing is left to be done for it. They are nearly all that are stored. */
export const DONE = ['Shipped', 'Cancelled'] as const satisfies readonly OrderStatus[];

/** As literals: a parameter would not match the partial indexes of these statuses. */
const hasStatus = (...statuses: readonly OrderStatus[]): SQL =>
  sql`${orders.status} in (${sql.raw(statuses.map((status) => `'${status}'`).join(', '))})`;

/** T7, T13: part of it is to be shipped now. */
export const isToBeShipped = hasStatus('Ready for Shipping', 'Partially Shipped', 'Incomplete');
/** The same, or may become so. */
export const isOpen = hasStatus('Pending', 'Ready for Shipping', 'Partially Shipped', 'Incomplete');
