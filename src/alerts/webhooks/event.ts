import { z } from 'zod';
import type { Db } from '../../db/client.ts';
import type { Claimed } from '../outbox.ts';

const text = z.string().nullish().catch(null);
/** What the change of status left in the notice. */
const change = z.object({
  orderId: z.uuid().nullish().catch(null),
  ...{ marketplaceOrderId: text, source: text, shipmentId: text, number: text },
  ...{ tracker: text, status: text, before: text, courierStatus: text, occurredAt: text },
});
type Change = z.output<typeof change>;

interface OrderNow {
  id: string;
  total: string | null;
  currency: string | null;
  status: string;
  phone: string | null;
}

/**
 * The body of a webhook request. `id` is the notice's: the same at every try, so that a receiver can tell a repetition.
 * `order.rto` has the order's total and the customer's phone besides, for the CRM: they are read here, just before they
 * are sent, and are kept nowhere (T18). Its order's status is the parcel's, `rto` or `rto_in_transit`. Amounts are decimal
 * texts, times ISO 8601 in UTC. Fields are named one by one, so that nothing leaves that was not meant to.
 */
export async function bodyOf(
  db: Db,
  notice: Pick<Claimed, 'id' | 'kind' | 'payload' | 'createdAt'>,
): Promise<string> {
  const said = change.catch(change.parse({})).parse(notice.payload.event ?? {});
  const head = { event: notice.kind, id: notice.id, occurred_at: timeOf(said.occurredAt, notice.createdAt) };
  const shipment = {
    id: said.shipmentId ?? null,
    number: said.number ?? null,
    tracker: said.tracker ?? null,
    status: said.status ?? null,
    previous_status: said.before ?? null,
    courier_status: said.courierStatus ?? null,
  };
  const order = {
    id: said.orderId ?? null,
    marketplace_order_id: said.marketplaceOrderId ?? null,
    source: said.source ?? null,
  };
  if (notice.kind !== 'order.rto') return JSON.stringify({ ...head, order, shipment });
  const now = await orderNow(db, said);
  return JSON.stringify({
    ...head,
    order: {
      ...order,
      total: now?.total ?? null,
      currency: now?.currency ?? null,
      status: said.status ?? now?.status ?? null,
    },
    customer: { phone: now?.phone ?? null },
    shipment,
  });
}

const timeOf = (said: string | null | undefined, otherwise: Date) => {
  const time = new Date(said ?? Number.NaN);
  return (Number.isNaN(time.getTime()) ? otherwise : time).toISOString();
};

async function orderNow(db: Db, { orderId }: Change): Promise<OrderNow | undefined> {
  if (!orderId) return undefined;
  const [order] = await db.$client<OrderNow[]>`
    select id, order_total_amount::text as total, order_currency as currency, status, shipping_phone as phone
    from orders where id = ${orderId}`;
  return order;
}
