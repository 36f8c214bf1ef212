import { eq } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { orders, temuStores } from '../../db/schema/index.ts';
import { notify } from '../../notices/index.ts';
import type { OrdersBase } from '../deps.ts';

/**
 * E9: operators are notified of numbers that cannot be one of their carrier's, once each, in the transaction that records
 * them. They are pushed all the same.
 */
export async function warnOfNumbers(
  tx: Tx,
  { numberWarning }: Pick<OrdersBase, 'numberWarning'>,
  parcels: readonly { orderId: string; carrier: string; awbNumber: string }[],
): Promise<void> {
  for (const { orderId, carrier, awbNumber } of parcels) {
    const why = numberWarning(carrier, awbNumber);
    if (why !== undefined)
      await notify(tx, 'awb-number', { ...(await orderOf(tx, orderId)), awbNumber, why });
  }
}

/** What a notice includes of an order besides the reason. */
export async function orderOf(tx: Tx, orderId: string) {
  const [order] = await tx
    .select({ marketplaceOrderId: orders.marketplaceOrderId, store: temuStores.name })
    .from(orders)
    .leftJoin(temuStores, eq(temuStores.id, orders.storeId))
    .where(eq(orders.id, orderId));
  return { orderId, marketplaceOrderId: order?.marketplaceOrderId ?? '', store: order?.store ?? null };
}
