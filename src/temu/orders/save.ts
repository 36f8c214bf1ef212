import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../../db/client.ts';
import { arrayOf, assignments, excluded, isAnyOf, list, name, names, statement } from '../../db/query.ts';
import { orderErrors, orderItemLines, orders, productsInOrder, temuOrders } from '../../db/schema/index.ts';
import { type Claim, ClaimLost, finish, retry } from '../../leases/claim.ts';
import { cut } from '../../lib/storable.ts';
import { notify } from '../../notices/index.ts';
import type { Store } from '../client.ts';
import { ERROR_TYPES, type MappedOrder, type MappedProduct } from './map.ts';

/** What remains to be done for the inbox row, written with the order in one transaction. */
export interface InboxOutcome {
  /** When a missing part is fetched again, and since when it is missing; null: the order is stored. */
  again: { at: Date; since: Date } | null;
  error: string | null;
}

/**
 * T5: writes an order with all that belongs to it, and the inbox row's outcome, in one transaction.
 * T14: a copy that is older than the stored one, or the same, changes nothing. Nor does one that the inbox has
 * replaced (T4): of two copies of the same second only the inbox knows the newer, which has a job of its own.
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
      await ADOPT.run(tx, { storeId: store.id, number: order.marketplaceOrderId });
      const id = await upsertOrder(tx, store.id, order);
      if (id) {
        await saveProducts(tx, id, order.products);
        await SAVE_ERRORS.run(tx, {
          orderId: id,
          types: order.errors.map(({ type }) => type),
          messages: order.errors.map(({ message }) => message),
        });
        await notifyUnknownValues(tx, store, id, order);
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

const ph = sql.placeholder;

/**
 * Other programs write orders by source and number alone, and AWBs for them before the sync sees them: such a row
 * becomes this store's, with its parcels. Its time of change is not Temu's, so it blocks no copy of Temu's (T14).
 * Where the store has the order already, the other row stays as it is, since its writer knows its id; workers of two
 * stores wait for each other here, and the second finds nothing.
 */
const ADOPT = statement({}, () => {
  const which = (storeIs: SQL) =>
    sql`${orders.source} = 'temu' and ${orders.storeId} ${storeIs} and ${orders.marketplaceOrderId} = ${ph('number')}`;
  return sql`
    update ${orders} set ${assignments(orders, { storeId: ph('storeId'), orderModifiedAt: null })}
    where ${which(sql`is null`)} and not exists (select from ${orders} where ${which(sql`= ${ph('storeId')}`)})`;
});

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
  const { marketplaceOrderId } = order;
  const [row] = await upsertOf(values).run(tx, { source: 'temu', storeId, marketplaceOrderId, ...values });
  if (!row) return undefined;

  const temu = { regionId: order.regionId, ...(order.prices ? { temuDiscount, sellerDiscount } : {}) };
  await temuUpsertOf(temu).run(tx, { orderId: row.id, ...temu });
  return row.id;
}

/** Which columns are known varies little between orders: each statement is built once. */
function byColumns<K extends string, S>(build: (columns: K[]) => S): (values: { [Key in K]?: unknown }) => S {
  const built = new Map<string, S>();
  return (values) => {
    const columns = Object.keys(values) as K[];
    const key = columns.join();
    const found = built.get(key) ?? build(columns);
    built.set(key, found);
    return found;
  };
}

const upsertOf = byColumns((known: OrderColumn[]) => {
  const key: OrderColumn[] = ['source', 'storeId', 'marketplaceOrderId'];
  const columns = [...key, ...known];
  const set = Object.fromEntries(known.map((column) => [column, incoming(column)]));
  return statement(
    { id: orders.id },
    (read) => sql`
      insert into ${orders} (${names(columns.map((column) => orders[column]))})
      values (${list(columns.map((column) => sql`${sql.param(ph(column), orders[column])}`))})
      on conflict (${names(key.map((column) => orders[column]))}) do update
        set ${assignments(orders, { ...set, updatedAt: whenChanged(known) })}
        where ${orders.orderModifiedAt} is null or ${orders.orderModifiedAt} <= ${excluded(orders.orderModifiedAt)}
      returning ${read}`,
  );
});

type TemuColumn = 'regionId' | 'temuDiscount' | 'sellerDiscount';

const temuUpsertOf = byColumns((known: TemuColumn[]) => {
  const columns = known.map((column) => temuOrders[column]);
  return statement(
    {},
    () => sql`
      insert into ${temuOrders} (${names([temuOrders.orderId, ...columns])})
      values (${ph('orderId')}, ${list(known.map((column) => sql`${ph(column)}`))})
      on conflict (${name(temuOrders.orderId)}) do update set ${list(columns.map(asExcluded))}`,
  );
});

const asExcluded = (column: PgColumn) => sql`${name(column)} = ${excluded(column)}`;

type OrderColumn = keyof typeof orders.$inferInsert;

/** T18: columns that identify the buyer; the country does not. */
const PERSONAL: readonly OrderColumn[] = [
  'buyerMail',
  'shippingBuyerName',
  'shippingPhone',
  'shippingStreet1',
  'shippingCity',
  'shippingStateProvince',
  'shippingPostalCode',
];

/** T18: Temu reports the order as finished; when a parcel ends is up to its tracker. */
const hasEnded = ({ decision, marketplaceStatus }: MappedOrder) =>
  marketplaceStatus === 'RECEIPTED' || [decision.status, decision.statusAfterPending].includes('Cancelled');

/** T18: once a buyer is erased, a later copy does not bring the data back; and an order ends once. */
const incoming = (key: OrderColumn) => {
  const copy = excluded(orders[key]);
  if (key === 'endedAt')
    return sql`case when ${copy} is not null then coalesce(${orders.endedAt}, ${copy}) end`;
  return PERSONAL.includes(key)
    ? sql`case when ${orders.personalDataErasedAt} is null then ${copy} else ${orders[key]} end`
    : copy;
};

/** T14: an order that is read again unchanged keeps its time of change. */
const whenChanged = (keys: readonly OrderColumn[]) =>
  sql`case when (${list(keys.map((key) => orders[key]))}) is distinct from (${list(keys.map(incoming))})
    then now() else ${orders.updatedAt} end`;

const PRODUCT = [
  'itemOrderLineId',
  'channelItemId',
  'itemTitle',
  'itemTransactionId',
  'sku',
  'quantity',
  'itemPrice',
  'status',
] as const satisfies (keyof MappedProduct)[];

const SAVE_PRODUCTS = statement({}, () => {
  const { orderId, itemOrderLineId } = productsInOrder;
  const columns = PRODUCT.map((key) => productsInOrder[key]);
  const known = columns.filter((column) => column !== itemOrderLineId);
  return sql`
    insert into ${productsInOrder} (${names([orderId, ...columns])})
    select ${ph('orderId')}, * from unnest(${list(PRODUCT.map((key) => arrayOf(productsInOrder[key], ph(key))))})
    on conflict (${names([orderId, itemOrderLineId])}) do update set ${list(known.map(asExcluded))}
    where (${list(known)}) is distinct from (${list(known.map(excluded))})`;
});

const SAVE_LINES = statement({}, () => {
  const { orderId, productInOrderId, marketplaceOrderItemId, quantity } = orderItemLines;
  const { itemOrderLineId } = productsInOrder;
  const key = [orderId, marketplaceOrderItemId];
  const known = [productInOrderId, quantity];
  return sql`
    insert into ${orderItemLines} (${names([...key, ...known])})
    select ${productsInOrder.orderId}, line.${name(marketplaceOrderItemId)}, ${productsInOrder.id}, line.${name(quantity)}
    from unnest(${arrayOf(itemOrderLineId, ph('products'))}, ${arrayOf(marketplaceOrderItemId, ph('lines'))},
      ${arrayOf(quantity, ph('quantities'))}) as line (${names([itemOrderLineId, marketplaceOrderItemId, quantity])})
    join ${productsInOrder} on ${productsInOrder.orderId} = ${ph('orderId')}
      and ${itemOrderLineId} = line.${name(itemOrderLineId)}
    on conflict (${names(key)}) do update set ${list(known.map(asExcluded))}
    where (${list(known)}) is distinct from (${list(known.map(excluded))})`;
});

const FORGET_PRODUCTS = statement(
  {},
  () => sql`
    with gone as (
      delete from ${orderItemLines} where ${orderItemLines.orderId} = ${ph('orderId')}
        and ${orderItemLines.marketplaceOrderItemId} <> all(${arrayOf(orderItemLines.marketplaceOrderItemId, ph('lines'))}))
    delete from ${productsInOrder} where ${productsInOrder.orderId} = ${ph('orderId')}
      and ${productsInOrder.itemOrderLineId} <> all(${arrayOf(productsInOrder.itemOrderLineId, ph('products'))})`,
);

/** Products and lines become exactly what was mapped; unchanged rows keep their ids. */
async function saveProducts(tx: Tx, orderId: string, products: readonly MappedProduct[]): Promise<void> {
  const sorted = [...products].sort((a, b) => (a.itemOrderLineId < b.itemOrderLineId ? -1 : 1));
  const column = <K extends keyof MappedProduct>(key: K) => sorted.map((product) => product[key]);
  const lines = sorted.flatMap((product) =>
    product.lines.map((line) => ({ ...line, product: product.itemOrderLineId })),
  );
  const sns = lines.map((line) => line.marketplaceOrderItemId);
  await SAVE_PRODUCTS.run(tx, { orderId, ...Object.fromEntries(PRODUCT.map((key) => [key, column(key)])) });
  await SAVE_LINES.run(tx, {
    orderId,
    products: lines.map((line) => line.product),
    lines: sns,
    quantities: lines.map((line) => line.quantity),
  });
  await FORGET_PRODUCTS.run(tx, { orderId, lines: sns, products: column('itemOrderLineId') });
}

/** T13: errors that no longer apply are marked resolved; one that still applies is not written again. */
const SAVE_ERRORS = statement({}, () => {
  const { orderId, type, message, resolvedAt } = orderErrors;
  return sql`
    with found as (
      select * from unnest(${arrayOf(type, ph('types'))}, ${arrayOf(message, ph('messages'))}) as e (${names([type, message])})),
    resolved as (
      update ${orderErrors} set ${name(resolvedAt)} = now()
      where ${orderId} = ${ph('orderId')} and ${resolvedAt} is null and ${isAnyOf(type, Object.values(ERROR_TYPES))}
        and not exists (select from found where found.${name(type)} = ${type} and found.${name(message)} = ${message}))
    insert into ${orderErrors} (${names([orderId, type, message])})
    select distinct ${ph('orderId')}::uuid, ${names([type, message])} from found
    on conflict (${names([orderId, type, message])}) where ${name(resolvedAt)} is null do nothing`;
});

/** T7 and T9: an unknown status or country is notified once per store and value, not once per order. */
async function notifyUnknownValues(
  tx: Tx,
  store: Pick<Store, 'id' | 'name'>,
  orderId: string,
  order: MappedOrder,
): Promise<void> {
  const words = order.errors.filter(
    ({ type }) => type === ERROR_TYPES.status || type === ERROR_TYPES.country,
  );
  for (const { type, message } of words)
    await notify(tx, type === ERROR_TYPES.status ? 'unknown-status' : 'unknown-country', {
      ...{ store: store.name, orderId, marketplaceOrderId: order.marketplaceOrderId, why: message },
      once: cut(`${type}-${store.id}-${message}`.toLowerCase().replaceAll(' ', '-'), 250),
    });
}

/** @throws ClaimLost when a newer copy has arrived: none can arrive until this transaction ends */
async function settleInbox(tx: Tx, claim: Claim, { again, error }: InboxOutcome): Promise<void> {
  const set = { error, attempts: 0, incompleteSince: again?.since ?? null };
  if (!again) return await finish({ db: tx }, claim, 'stored', { set });
  const kept = await retry({ db: tx }, claim, {
    dueAt: again.at,
    set: { ...set, state: 'incomplete' },
  });
  if (kept === 0) throw new ClaimLost();
}
