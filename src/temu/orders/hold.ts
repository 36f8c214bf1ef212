import { lte, sql } from 'drizzle-orm';
import { assignments, name, names, rows } from '../../db/query.ts';
import { orders, temuOrderInbox } from '../../db/schema/index.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import type { OrdersBase } from '../deps.ts';
import { inboxOrders } from './inbox-orders.ts';

/**
 * T12: orders whose hold is over get the status that was decided when they were stored. One that would be Incomplete
 * is also due in the inbox at once: its missing part is fetched again before anybody is notified.
 * @returns how many were released
 */
export async function releaseHeld(deps: OrdersBase): Promise<number> {
  const now = new Date(deps.clock());
  const { storeId, marketplaceOrderId, status, statusAfterPending, pendingUntil } = orders;
  const released = await rows(
    deps.db,
    { one: sql<number>`1` },
    (read) => sql`
      with released as (
        update ${orders} set ${assignments(orders, {
          status: sql`${statusAfterPending}`,
          pendingUntil: null,
          statusAfterPending: null,
          updatedAt: now,
        })}
        where ${lte(pendingUntil, now)} and ${statusAfterPending} is not null
        returning ${names([storeId, marketplaceOrderId, status])}),
      again as (
        update ${temuOrderInbox} set ${assignments(temuOrderInbox, { dueAt: now, offeredAt: null })}
        from released
        where released.${name(status)} = 'Incomplete' and ${temuOrderInbox.storeId} = released.${name(storeId)}
          and ${temuOrderInbox.parentOrderSn} = released.${name(marketplaceOrderId)} and ${temuOrderInbox.state} = 'incomplete')
      select ${read} from released`,
  );
  if (released.length > 0) await enqueueDue(deps, inboxOrders);
  return released.length;
}
