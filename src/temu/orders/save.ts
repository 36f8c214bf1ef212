import { sql as raw } from 'drizzle-orm';
import type { Db, Tx } from '../../db/client.ts';
import { notices, orders, temuOrders } from '../../db/schema/index.ts';
import { type Claim, ClaimLost, finish, retry } from '../../leases/claim.ts';
import { cut } from '../../storable.ts';
import type { Store } from '../client.ts';
import { ERROR_TYPES, type MappedOrder, type MappedProduct, type OrderError } from './map.ts';

/** What remains to be done about the inbox row, written with the order in one transaction. */
export interface InboxOutcome {
  /** When a part that is missing is asked for again, and since when it is; null: the order is stored. */
  again: { at: Date; since: Date } | null;
  error: string | null;
}

/**
 * T5: writes an order with all that belongs to it, and the inbox row's outcome, in one transaction.
 * T14: an older copy than the stored one changes nothing; the same copy again changes nothing. Nor does one that is no
 * longer the inbox's (T4): of two copies of the same second only the inbox knows the newer, which has a job of its own.
 * @returns false when the stored order or the inbox's copy is newer
 */
export async function saveOrder(
  db: Db,
  store: Pick<Store, 'id' | 'name'>,
  order: MappedOrder,
  claim: Claim,
  outcome: InboxOutcome,
): Promise<boolean> {
  try {
    return await db.transaction(async (tx) => {
      await adoptOrder(tx, store.id, order.marketplaceOrderId);
      const id = await upsertOrder(tx, store.id, order);
      if (id) {
        await saveProducts(tx, id, order.products);
        await saveErrors(tx, id, order.errors);
        await tellPeople(tx, store, id, order);
      }
      // the inbox last: whoever locks both takes the order first (hold.ts)
      await settleInbox(tx, claim, outcome);
      return id !== undefined;
    });
  } catch (error) {
    if (error instanceof ClaimLost) return false;
    throw error;
  }
}

/**
 * Other programs write orders by source and number alone, and AWBs for them before the sync sees them: such a row becomes
 * this store's, with the parcels that it has. Its time of change is not Temu's, so that it bars no copy of Temu's (T14).
 * Where the store has the order already, the other row stays as it is, since its writer knows it by its id; two stores'
 * workers at once wait for each other here, and the second finds nothing.
 */
async function adoptOrder(tx: Tx, storeId: string, marketplaceOrderId: string): Promise<void> {
  await tx.execute(raw`
    update orders set store_id = ${storeId}, order_modified_at = null
    where source = 'temu' and store_id is null and marketplace_order_id = ${marketplaceOrderId}
      and not exists (select from orders
        where source = 'temu' and store_id = ${storeId} and marketplace_order_id = ${marketplaceOrderId})`);
}

/** Columns of a failed call are left out, so that what an earlier read found stays (T13: "all that is known"). */
async function upsertOrder(tx: Tx, storeId: string, order: MappedOrder): Promise<string | undefined> {
  const { temuDiscount, sellerDiscount, ...prices } = order.prices ?? {};
  const values = {
    status: order.decision.status,
    marketplaceStatus: order.marketplaceStatus,
    orderCreatedAt: order.orderCreatedAt,
    orderModifiedAt: order.orderModifiedAt,
    shipByDate: order.shipByDate,
    pendingUntil: order.decision.pendingUntil,
    statusAfterPending: order.decision.statusAfterPending,
    endedAt: hasEnded(order) ? order.orderModifiedAt : null,
    ...prices,
    ...order.address,
  };
  const [row] = await tx
    .insert(orders)
    .values({ source: 'temu', storeId, marketplaceOrderId: order.marketplaceOrderId, ...values })
    .onConflictDoUpdate({
      target: [orders.source, orders.storeId, orders.marketplaceOrderId],
      set: {
        ...values,
        endedAt: incoming('endedAt'),
        ...unlessForgotten(values),
        updatedAt: whenChanged(values),
      },
      setWhere: raw`${orders.orderModifiedAt} is null or ${orders.orderModifiedAt} <= excluded.order_modified_at`,
    })
    .returning({ id: orders.id });
  if (!row) return undefined;

  const temu = { regionId: order.regionId, ...(order.prices ? { temuDiscount, sellerDiscount } : {}) };
  await tx
    .insert(temuOrders)
    .values({ orderId: row.id, ...temu })
    .onConflictDoUpdate({ target: temuOrders.orderId, set: temu });
  return row.id;
}

type OrderColumn = keyof typeof orders.$inferInsert;

/** T18: what tells who the buyer is; the country does not. */
const PERSONAL: readonly OrderColumn[] = [
  'buyerMail',
  'shippingBuyerName',
  'shippingPhone',
  'shippingStreet1',
  'shippingCity',
  'shippingStateProvince',
  'shippingPostalCode',
];

/** T18: Temu says that it is over; a parcel's end is its tracker's word. */
const hasEnded = ({ decision, marketplaceStatus }: MappedOrder) =>
  marketplaceStatus === 'RECEIPTED' || [decision.status, decision.statusAfterPending].includes('Cancelled');

/** T18: once a buyer is forgotten, a later copy does not bring him back; and an order ends once. */
const incoming = (key: OrderColumn) => {
  const copy = raw`excluded.${raw.identifier(orders[key].name)}`;
  if (key === 'endedAt')
    return raw`case when ${copy} is not null then coalesce(${orders.endedAt}, ${copy}) end`;
  return PERSONAL.includes(key)
    ? raw`case when ${orders.personalDataErasedAt} is null then ${copy} else ${orders[key]} end`
    : copy;
};

const unlessForgotten = (values: Partial<typeof orders.$inferInsert>) =>
  Object.fromEntries(PERSONAL.filter((key) => key in values).map((key) => [key, incoming(key)]));

/** T14: an order that is read again without news keeps its time of change. */
function whenChanged(values: Partial<typeof orders.$inferInsert>) {
  const keys = Object.keys(values) as OrderColumn[];
  const were = raw.join(
    keys.map((key) => raw`${orders[key]}`),
    raw`, `,
  );
  const are = raw.join(keys.map(incoming), raw`, `);
  return raw`case when (${were}) is distinct from (${are}) then now() else ${orders.updatedAt} end`;
}

/** Products and lines become exactly what was mapped; rows that stay keep their ids. */
async function saveProducts(tx: Tx, orderId: string, products: readonly MappedProduct[]): Promise<void> {
  const sorted = [...products].sort((a, b) => (a.itemOrderLineId < b.itemOrderLineId ? -1 : 1));
  const column = <K extends keyof MappedProduct>(key: K) => sorted.map((product) => product[key]);
  const lines = sorted.flatMap((product) =>
    product.lines.map((line) => ({ ...line, product: product.itemOrderLineId })),
  );
  await tx.execute(raw`
    insert into products_in_order as p
      (order_id, item_order_line_id, channel_item_id, item_title, item_transaction_id, sku, quantity, item_price, status)
    select ${orderId}, * from unnest(
      ${raw.param(column('itemOrderLineId'))}::text[], ${raw.param(column('channelItemId'))}::text[],
      ${raw.param(column('itemTitle'))}::text[], ${raw.param(column('itemTransactionId'))}::text[],
      ${raw.param(column('sku'))}::text[], ${raw.param(column('quantity'))}::int[],
      ${raw.param(column('itemPrice'))}::numeric[], ${raw.param(column('status'))}::text[])
    on conflict (order_id, item_order_line_id) do update set
      channel_item_id = excluded.channel_item_id, item_title = excluded.item_title,
      item_transaction_id = excluded.item_transaction_id, sku = excluded.sku, quantity = excluded.quantity,
      item_price = excluded.item_price, status = excluded.status
    where (p.channel_item_id, p.item_title, p.item_transaction_id, p.sku, p.quantity, p.item_price, p.status)
      is distinct from (excluded.channel_item_id, excluded.item_title, excluded.item_transaction_id, excluded.sku,
        excluded.quantity, excluded.item_price, excluded.status)`);
  await tx.execute(raw`
    insert into order_item_lines as l (order_id, product_in_order_id, marketplace_order_item_id, quantity)
    select ${orderId}, p.id, line.sn, line.quantity
    from unnest(
      ${raw.param(lines.map((line) => line.product))}::text[],
      ${raw.param(lines.map((line) => line.marketplaceOrderItemId))}::text[],
      ${raw.param(lines.map((line) => line.quantity))}::int[]) as line (product, sn, quantity)
    join products_in_order p on p.order_id = ${orderId} and p.item_order_line_id = line.product
    on conflict (order_id, marketplace_order_item_id) do update set
      product_in_order_id = excluded.product_in_order_id, quantity = excluded.quantity
    where (l.product_in_order_id, l.quantity) is distinct from (excluded.product_in_order_id, excluded.quantity)`);
  await tx.execute(raw`
    with gone as (
      delete from order_item_lines where order_id = ${orderId}
        and marketplace_order_item_id <> all(${raw.param(lines.map((line) => line.marketplaceOrderItemId))}::text[]))
    delete from products_in_order where order_id = ${orderId}
      and item_order_line_id <> all(${raw.param(column('itemOrderLineId'))}::text[])`);
}

/** T13: errors that are no longer true are marked resolved; one that is still true is not written again. */
async function saveErrors(tx: Tx, orderId: string, errors: readonly OrderError[]): Promise<void> {
  const types = raw.param(errors.map((error) => error.type));
  const messages = raw.param(errors.map((error) => error.message));
  await tx.execute(raw`
    with current as (select * from unnest(${types}::text[], ${messages}::text[]) as e (type, message)),
    resolved as (
      update order_errors e set resolved_at = now()
      where order_id = ${orderId} and resolved_at is null and type = any(${raw.param(Object.values(ERROR_TYPES))}::text[])
        and not exists (select from current c where c.type = e.type and c.message = e.message))
    insert into order_errors (order_id, type, message)
    select distinct ${orderId}::uuid, type, message from current
    on conflict (order_id, type, message) where resolved_at is null do nothing`);
}

/** T7 and T9: an unknown status or country is told once per store and word, not once per order. */
async function tellPeople(
  tx: Tx,
  store: Pick<Store, 'id' | 'name'>,
  orderId: string,
  order: MappedOrder,
): Promise<void> {
  const words = order.errors.filter(
    ({ type }) => type === ERROR_TYPES.status || type === ERROR_TYPES.country,
  );
  if (words.length === 0) return;
  await tx
    .insert(notices)
    .values(
      words.map(({ type, message }) => ({
        kind: type === ERROR_TYPES.status ? 'unknown-status' : 'unknown-country',
        key: cut(`${type}-${store.id}-${message}`.toLowerCase().replaceAll(' ', '-'), 250),
        subject: orderId,
        payload: { store: store.name, orderId, marketplaceOrderId: order.marketplaceOrderId, text: message },
      })),
    )
    .onConflictDoNothing();
}

/** @throws ClaimLost when a newer copy has come meanwhile: until this transaction ends, none can come any more */
async function settleInbox(tx: Tx, claim: Claim, { again, error }: InboxOutcome): Promise<void> {
  const set = { error, attempts: 0, incompleteSince: again?.since ?? null };
  if (!again) return await finish({ db: tx }, claim, 'stored', { set });
  const kept = await retry({ db: tx }, claim, {
    dueAt: again.at,
    set: { ...set, state: 'incomplete' },
  });
  if (kept === 0) throw new ClaimLost();
}
