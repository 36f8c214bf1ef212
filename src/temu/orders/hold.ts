import { enqueueDue } from '../../leases/enqueue.ts';
import type { OrdersBase } from './deps.ts';
import { inboxOrders } from './inbox-orders.ts';

/**
 * T12: orders whose wait is over get the status that was decided when they were stored. One that would be Incomplete
 * is also due in the inbox at once: its missing part is asked for again before anybody is bothered.
 * @returns how many were released
 */
export async function releaseHeld(deps: OrdersBase): Promise<number> {
  const now = new Date(deps.clock());
  const released = await deps.db.$client`
    with released as (
      update orders set status = status_after_pending, pending_until = null, status_after_pending = null, updated_at = ${now}
      where pending_until <= ${now} and status_after_pending is not null
      returning store_id, marketplace_order_id, status),
    again as (
      update temu_order_inbox i set due_at = ${now}, offered_at = null
      from released r
      where r.status = 'Incomplete' and i.store_id = r.store_id and i.parent_order_sn = r.marketplace_order_id
        and i.state = 'incomplete')
    select 1 from released`;
  if (released.length > 0) await enqueueDue(deps, inboxOrders);
  return released.length;
}
