import { eq } from 'drizzle-orm';
import { z } from 'zod';
import type { Db } from '../../db/client.ts';
import { orders } from '../../db/schema/index.ts';
import type { Claimed } from '../outbox.ts';

const text = z.string().nullish().catch(null);
/** The status change, as stored in the notice. */
const change = z.object({
  orderId: z.uuid().nullish().catch(null),
  ...{ marketplaceOrderId: text, source: text, shipmentId: text, number: text },
  ...{ tracker: text, status: text, before: text, courierStatus: text, occurredAt: text },
});
type Change = z.output<typeof change>;

/**
 * The body of a webhook request. `id` is the notice's: the same for every attempt, so that receivers can deduplicate.
 * `order.rto` also has the order's total and the customer's phone, for the CRM: read just before sending and stored
 * nowhere (T18). Its order's status is the parcel's, `rto` or `rto_in_transit`. Amounts are decimal strings, times ISO 8601
 * in UTC. Fields are listed one by one, so that nothing else leaks.
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

async function orderNow(db: Db, { orderId }: Change) {
  if (!orderId) return undefined;
  const { orderTotalAmount: total, orderCurrency: currency, status, shippingPhone: phone } = orders;
  const [order] = await db
    .select({ total, currency, status, phone })
    .from(orders)
    .where(eq(orders.id, orderId));
  return order;
}
