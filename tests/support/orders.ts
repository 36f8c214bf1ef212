import type { Sql } from 'postgres';
import { renderListItem } from '../../sandbox/temu/generator.ts';
import type { SandboxOrder, ShopSpec } from '../../sandbox/temu/model.ts';
import type { Fleet } from '../../src/fleet/index.ts';
import { parseExact } from '../../src/temu/json.ts';
import { storeInInbox, toInboxRow } from '../../src/temu/orders/inbox.ts';

/** A shop for tests that need just one. */
export const SHOP: ShopSpec = {
  name: 'shop',
  appKey: 'key',
  appSecret: 'secret',
  accessToken: 'token',
  region: 'EU',
  country: 'RO',
};

/**
 * Stores orders as a sync leaves them when they are ready for shipping, without its two calls an order.
 * @returns Temu's order numbers
 */
export async function storeReadyOrders(
  { fleet, sql }: { fleet: Fleet; sql: Sql },
  storeId: string,
  orders: readonly SandboxOrder[],
): Promise<string[]> {
  const rows = orders.map((order) => toInboxRow(parseExact(renderListItem(order, 'v1'))));
  await storeInInbox(fleet, storeId, rows);
  const stored = await sql<{ sn: string }[]>`
    with stored as (update temu_order_inbox set state = 'stored' returning *),
    made as (
      insert into orders (source, store_id, marketplace_order_id, status, marketplace_status, order_modified_at, ship_by_date)
      select 'temu', store_id, parent_order_sn, 'Ready for Shipping', 'UN_SHIPPING', update_time, now() + interval '2 days'
      from stored returning id, marketplace_order_id),
    more as (insert into temu_orders (order_id) select id from made)
    select marketplace_order_id as sn from made`;
  return stored.map(({ sn }) => sn);
}
