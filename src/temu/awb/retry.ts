import { z } from 'zod';
import { awbCreatedEvent } from '../../client.ts';
import type { temuPushes } from '../../db/schema/index.ts';
import { UserError } from '../../errors.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import type { OrdersBase } from '../orders/deps.ts';
import { pushes } from './offer.ts';
import { recordEvent, retryParkedEvents } from './record.ts';

/** A7: how many orders one `awb retry --failed` takes. */
export const RETRY_AT_ONCE = 50;

/** What was tried so lately comes after the rest. */
const LATELY_MS = 3_600_000;

/** States in which a push has come to rest without being sent; one that was replaced is history. */
const AT_REST = ['parked', 'rejected'];

export interface PushState {
  order: string;
  awbNumber: string;
  state: typeof temuPushes.$inferSelect.state;
  error: string | null;
  /** Its next try is later: it has had its answer for now. */
  later: boolean;
}

/**
 * Makes pushes due again: those of an order, or up to 50 with an error, the earliest deadline first (A7). Events that
 * were parked since their order was not known look for it again first (A3).
 * @returns ids of the pushes
 */
export async function retryPushes(
  deps: OrdersBase,
  of: { order: string } | { failed: true },
): Promise<string[]> {
  const sql = deps.db.$client;
  const now = new Date(deps.clock());
  const events = await retryParkedEvents(deps, 'order' in of ? of.order : undefined, RETRY_AT_ONCE);
  const due = await sql<{ id: string }[]>`
    with chosen as (
      select p.id from temu_pushes p join orders o on o.id = p.order_id
      where ${
        'order' in of
          ? sql`o.marketplace_order_id = ${of.order} and p.state = any(${[...AT_REST, 'pending', 'unknown']})`
          : sql`p.state = any(${AT_REST}) and p.error is not null and o.status <> 'Cancelled'`
      }
      -- a lease that ended lately is a late try: those come last, so that call after call gets through all of them
      order by p.due_at > ${new Date(deps.clock() - LATELY_MS)}, o.ship_by_date nulls last
      limit ${RETRY_AT_ONCE} for update of p)
    update temu_pushes p set due_at = ${now}, offered_at = null, parked_order_time = null,
      state = case when p.told_at is null then 'pending' else 'unknown' end
    from chosen where p.id = chosen.id returning p.id`;
  if ('order' in of && due.length === 0 && events.pushes.length === 0) {
    const [known] = await sql<{ sent: boolean }[]>`
      select exists (select from temu_pushes p where p.order_id = o.id and p.state = 'sent') as sent
      from orders o where o.marketplace_order_id = ${of.order}`;
    if (!known && events.waiting > 0)
      throw new UserError(`No order ${of.order} is known yet; its AWB waits for it again, for a day`);
    if (!known) throw new UserError(`No order ${of.order} is known`);
    throw new UserError(
      known.sent
        ? `The AWB of order ${of.order} is on Temu already`
        : `Order ${of.order} has no AWB to push: orderfleet awb push`,
    );
  }
  await enqueueDue(deps, pushes);
  return [...new Set([...events.pushes, ...due.map(({ id }) => id)])];
}

export const pushStates = (deps: OrdersBase, ids: readonly string[]): Promise<PushState[]> => deps.db.$client<
  PushState[]
>`
  select o.marketplace_order_id as order, s.awb_number as "awbNumber", p.state, p.error,
    p.state = 'pending' and p.due_at > ${new Date(deps.clock())} as later
  from temu_pushes p join orders o on o.id = p.order_id join shipments s on s.id = p.shipment_id
  where p.id = any(${ids as string[]}::uuid[]) order by o.ship_by_date nulls last, 1`;

/** Records an AWB by hand, as the shipping app would. @returns ids of the pushes of the order with this number */
export async function pushByHand(
  deps: OrdersBase,
  order: string,
  awbNumber: string,
  carrier: string,
): Promise<string[]> {
  const [known] = await deps.db.$client<{ source: string }[]>`
    select source from orders where marketplace_order_id = ${order} limit 1`;
  if (!known)
    throw new UserError(`No order ${order} is known: is its store added and synced (orderfleet status)?`);
  const event = awbCreatedEvent.safeParse({
    source: known.source,
    marketplaceOrderId: order,
    awbNumber,
    carrier,
  });
  if (!event.success) throw new UserError(`This AWB is refused: ${z.prettifyError(event.error)}`);
  const recorded = await recordEvent(deps, event.data, { anew: true });
  if (recorded.is === 'parked') throw new UserError(recorded.why);
  const ids = await deps.db.$client<{ id: string }[]>`
    select p.id from temu_pushes p join orders o on o.id = p.order_id join shipments s on s.id = p.shipment_id
    where o.marketplace_order_id = ${order} and s.awb_number = ${event.data.awbNumber}`;
  return ids.map(({ id }) => id);
}
