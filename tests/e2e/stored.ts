import type { Sql } from 'postgres';
import type { Expected as Truth } from '../../sandbox/temu/expected.ts';

/** The generator's truth as it comes over HTTP: times as ISO text. */
export type Expected = {
  [K in keyof Truth]: Truth[K];
};

export interface StoredOrder extends Omit<Truth, 'order_errors' | 'unknown_country'> {
  open_errors: { type: string; message: string }[];
}

/** Every order of a store as it stands in Postgres, in the shape of the truth, by its number. */
export async function readOrders(sql: Sql, storeName: string): Promise<Map<string, StoredOrder>> {
  const rows = await sql<{ sn: string; stored: StoredOrder }[]>`
    select o.marketplace_order_id as sn, jsonb_build_object(
      'orders', (select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(o) || jsonb_build_object(
          'order_total_amount', o.order_total_amount::text, 'order_subtotal_amount', o.order_subtotal_amount::text,
          'shipping_service_cost', o.shipping_service_cost::text, 'total_vat', o.total_vat::text,
          'total_sales_tax', o.total_sales_tax::text, 'discount_value', o.discount_value::text))
        where key not in ('id', 'store_id', 'created_at', 'updated_at', 'order_status', 'status_after_pending',
          'personal_data_erased_at', 'ended_at')),
      'temu_orders', (select jsonb_build_object('region_id', t.region_id, 'temu_discount', t.temu_discount::text,
          'seller_discount', t.seller_discount::text) from temu_orders t where t.order_id = o.id),
      'products_in_order', coalesce((select jsonb_agg(jsonb_build_object(
          'item_order_line_id', p.item_order_line_id, 'channel_item_id', p.channel_item_id, 'item_title', p.item_title,
          'item_transaction_id', p.item_transaction_id, 'sku', p.sku, 'quantity', p.quantity,
          'item_price', p.item_price::text, 'status', p.status,
          'order_item_lines', (select jsonb_agg(jsonb_build_object(
              'marketplace_order_item_id', l.marketplace_order_item_id, 'quantity', l.quantity)
              order by l.marketplace_order_item_id)
            from order_item_lines l where l.product_in_order_id = p.id)) order by p.item_order_line_id collate "C")
        from products_in_order p where p.order_id = o.id), '[]'),
      'open_errors', coalesce((select jsonb_agg(jsonb_build_object('type', e.type, 'message', e.message))
        from order_errors e where e.order_id = o.id and e.resolved_at is null), '[]')) as stored
    from orders o join temu_stores s on s.id = o.store_id where s.name = ${storeName}`;
  return new Map(rows.map(({ sn, stored }) => [sn, normal(stored)]));
}

/** Postgres writes times with an offset, JSON.stringify with a Z. */
function normal(stored: StoredOrder): StoredOrder {
  const times = Object.entries(stored.orders).map(([key, value]) =>
    typeof value === 'string' && /_(at|date|until)$/.test(key)
      ? [key, new Date(value).toISOString()]
      : [key, value],
  );
  return { ...stored, orders: Object.fromEntries(times) };
}

/** What differs between the truth and the stored order; empty when nothing does. */
export function differences(truth: Expected, stored: StoredOrder | undefined): string[] {
  if (!stored) return ['is missing'];
  const found: string[] = [];
  const compare = (path: string, want: unknown, have: unknown) => {
    if (want !== null && typeof want === 'object') {
      const keys = new Set([...Object.keys(want), ...Object.keys((have as object) ?? {})]);
      for (const key of keys) {
        compare(
          `${path}.${key}`,
          (want as Record<string, unknown>)[key],
          (have as Record<string, unknown> | null)?.[key],
        );
      }
    } else if (want !== have)
      found.push(`${path}: ${JSON.stringify(have)} instead of ${JSON.stringify(want)}`);
  };
  compare('orders', truth.orders, stored.orders);
  compare('temu_orders', truth.temu_orders, stored.temu_orders);
  const sorted = truth.products_in_order.map((product) => ({
    ...product,
    order_item_lines: [...product.order_item_lines].sort((a, b) =>
      a.marketplace_order_item_id < b.marketplace_order_item_id ? -1 : 1,
    ),
  }));
  compare('products_in_order', sorted, stored.products_in_order);

  const errors = [
    ...truth.order_errors,
    ...(truth.unknown_country ? [{ type: 'Unknown Country', includes: [truth.unknown_country] }] : []),
  ];
  const open = [...stored.open_errors];
  for (const error of errors) {
    const at = open.findIndex(
      ({ type, message }) =>
        (error.type === null || error.type === type) &&
        error.includes.every((part) => message.includes(part)),
    );
    if (at < 0) found.push(`no open error like ${JSON.stringify(error)}`);
    else open.splice(at, 1);
  }
  if (open.length > 0) found.push(`open errors that should not be: ${JSON.stringify(open)}`);
  return found;
}

/** The orders of a store that differ from the truth, are missing, or should not be there; each with what differs. */
export async function wrongOrders(
  sql: Sql,
  storeName: string,
  truth: readonly Expected[],
): Promise<string[][]> {
  const stored = await readOrders(sql, storeName);
  const wrong = truth
    .map((order) => {
      const sn = order.orders.marketplace_order_id;
      const found = differences(order, stored.get(sn));
      stored.delete(sn);
      return [sn, ...found];
    })
    .filter((order) => order.length > 1);
  return [...wrong, ...[...stored.keys()].map((sn) => [sn, 'is not Temu’s'])];
}
