import { sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { asExcluded, excluded, insertion, isAnyOf, list, names, statement } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { orderItemLines, productsInOrder } from '../../db/schema/index.ts';
import type { MappedOrder } from './map.ts';

/** An order that was stored; `fresh`: it was not known before. */
interface Saved {
  id: string;
  fresh: boolean;
  order: Pick<MappedOrder, 'products'>;
}

const ph = sql.placeholder;

const { itemOrderLineId, channelItemId, itemTitle, itemTransactionId, sku, quantity, itemPrice, status } =
  productsInOrder;
const product = recordset('product', {
  ...{ orderId: productsInOrder.orderId, itemOrderLineId },
  ...{ channelItemId, itemTitle, itemTransactionId, sku, quantity, itemPrice, status },
});
const line = recordset('line', {
  orderId: orderItemLines.orderId,
  itemOrderLineId,
  marketplaceOrderItemId: orderItemLines.marketplaceOrderItemId,
  quantity: orderItemLines.quantity,
});

const SAVE_PRODUCTS = statement({}, () => {
  const known = [channelItemId, itemTitle, itemTransactionId, sku, quantity, itemPrice, status];
  return sql`
    ${insertion(productsInOrder, product.fields)} from ${product.from(ph('products'))}
    on conflict (${names([productsInOrder.orderId, itemOrderLineId])}) do update set ${list(known.map(asExcluded))}
    where (${list(known)}) is distinct from (${list(known.map(excluded))})`;
});

const SAVE_LINES = statement({}, () => {
  const { orderId, productInOrderId, marketplaceOrderItemId } = orderItemLines;
  const known = [productInOrderId, orderItemLines.quantity];
  const { itemOrderLineId: ofProduct, ...its } = line.fields;
  return sql`
    ${insertion(orderItemLines, { ...its, productInOrderId: sql`${productsInOrder.id}` })} from ${line.from(ph('lines'))}
    join ${productsInOrder} on ${productsInOrder.orderId} = ${its.orderId} and ${itemOrderLineId} = ${ofProduct}
    on conflict (${names([orderId, marketplaceOrderItemId])}) do update set ${list(known.map(asExcluded))}
    where (${list(known)}) is distinct from (${list(known.map(excluded))})`;
});

const FORGET_PRODUCTS = statement({}, () => {
  const { orderId, marketplaceOrderItemId } = orderItemLines;
  return sql`
    with gone as (
      delete from ${orderItemLines} where ${isAnyOf(orderId, ph('orders'))}
        and (${orderId}, ${marketplaceOrderItemId}) not in (
          select ${line.fields.orderId}, ${line.fields.marketplaceOrderItemId} from ${line.from(ph('lines'))}))
    delete from ${productsInOrder} where ${isAnyOf(productsInOrder.orderId, ph('orders'))}
      and (${productsInOrder.orderId}, ${itemOrderLineId}) not in (
        select ${product.fields.orderId}, ${product.fields.itemOrderLineId} from ${product.from(ph('products'))})`;
});

/** Products and lines become exactly what was mapped; unchanged rows keep their ids. */
export async function saveProducts(tx: Tx, saved: readonly Saved[]): Promise<void> {
  if (saved.length === 0) return;
  const all = saved.flatMap(({ id: orderId, order }) =>
    order.products.map((product) => ({ orderId, ...product })),
  );
  const products = product.textOf(all);
  const lines = line.textOf(
    all.flatMap(({ orderId, itemOrderLineId, lines }) =>
      lines.map((line) => ({ orderId, itemOrderLineId, ...line })),
    ),
  );
  const known = saved.filter(({ fresh }) => !fresh).map(({ id }) => id);
  await Promise.all([
    SAVE_PRODUCTS.run(tx, { products }),
    SAVE_LINES.run(tx, { lines }),
    known.length > 0 && FORGET_PRODUCTS.run(tx, { orders: known, lines, products }),
  ]);
}
