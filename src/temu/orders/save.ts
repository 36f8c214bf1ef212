import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../../db/client.ts';
import {
  asExcluded,
  assignments,
  excluded,
  type Fields,
  insertion,
  isAnyOf,
  list,
  name,
  names,
  type RowOf,
  type Statement,
  statement,
} from '../../db/query.ts';
import { type Recordset, recordset } from '../../db/recordset.ts';
import { orderErrors, orders, temuOrders } from '../../db/schema/index.ts';
import { type Claim, ClaimLost, retry } from '../../leases/claim.ts';
import { finishAll } from '../../leases/each.ts';
import { alike } from '../../lib/alike.ts';
import { cut } from '../../lib/storable.ts';
import { notify } from '../../notices/index.ts';
import type { Store } from '../client.ts';
import { ERROR_TYPES, type MappedOrder } from './map.ts';
import { saveProducts } from './save-products.ts';

/** What remains to be done for the inbox row, written with the order in one transaction. */
export interface InboxOutcome {
  /** When a missing part is fetched again, and since when it is missing; null: the order is stored. */
  again: { at: Date; since: Date } | null;
  error: string | null;
}

/** An order that this worker has claimed, to be stored. */
export interface ToSave {
  store: Pick<Store, 'id' | 'name'>;
  order: MappedOrder;
  claim: Claim;
  outcome: InboxOutcome;
}
/** One that was stored. */
interface Saved extends ToSave {
  id: string;
  /** It was not known before. */
  fresh: boolean;
}

/**
 * T5: writes orders with all that belongs to them, and the inbox rows' outcomes, in one transaction.
 * T14: a copy that is older than the stored one, or the same, changes nothing. Nor does one that the inbox has
 * replaced (T4): of two copies of the same second only the inbox knows the newer, which has a job of its own.
 * What need not wait for another's result is sent along with it (P7).
 * @returns those that were stored; of the others the stored copy is newer
 * @throws ClaimLost when the inbox has replaced one; then none is stored
 */
export async function saveOrders(db: Db, group: readonly ToSave[]): Promise<ReadonlySet<ToSave>> {
  // rows that other workers may lock as well are locked in one order
  const sorted = [...group].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return await db.transaction(async (tx) => {
    const saved = await upsertOrders(tx, sorted);
    await Promise.all([
      ...upsertTemu(tx, saved.map(temuRowOf)),
      saveProducts(tx, saved),
      saveErrors(tx, saved),
      notifyUnknownValues(tx, saved),
      // the inbox last: whoever locks both takes the order first (hold.ts)
      ...settleInbox(tx, sorted),
    ]);
    const ids = new Set(saved.map(keyOf));
    return new Set(group.filter((one) => ids.has(keyOf(one))));
  });
}

const keyOf = ({ store, order }: Pick<ToSave, 'store' | 'order'>) =>
  `${store.id} ${order.marketplaceOrderId}`;

const ph = sql.placeholder;

const key = recordset('key', { storeId: orders.storeId, number: orders.marketplaceOrderId });

/**
 * Other programs write orders by source and number alone, and AWBs for them before the sync sees them: such a row
 * becomes this store's, with its parcels. Its time of change is not Temu's, so it blocks no copy of Temu's (T14).
 * Where the store has the order already, the other row stays as it is, since its writer knows its id; workers of two
 * stores wait for each other here, and the second finds nothing.
 */
const ADOPT = statement({}, () => {
  const which = (storeIs: SQL) =>
    sql`${orders.source} = 'temu' and ${orders.storeId} ${storeIs} and ${orders.marketplaceOrderId} = ${key.fields.number}`;
  return sql`
    update ${orders} set ${assignments(orders, { storeId: key.fields.storeId, orderModifiedAt: null })}
    from ${key.from(ph('keys'))}
    where ${which(sql`is null`)} and not exists (select from ${orders} where ${which(sql`= ${key.fields.storeId}`)})`;
});

/** Columns of a failed call are left out, so that what an earlier read found stays (T13: "all that is known"). */
function rowOf({ store, order }: ToSave) {
  const { temuDiscount: _, sellerDiscount: __, ...prices } = order.prices ?? {};
  return {
    storeId: store.id,
    marketplaceOrderId: order.marketplaceOrderId,
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
}

function temuRowOf({ id: orderId, order: { regionId, prices } }: Saved) {
  const { temuDiscount, sellerDiscount } = prices ?? {};
  return { orderId, regionId, ...(prices ? { temuDiscount, sellerDiscount } : {}) };
}

async function upsertOrders(tx: Tx, group: readonly ToSave[]): Promise<Saved[]> {
  const keys = group.map(({ store, order }) => ({ storeId: store.id, number: order.marketplaceOrderId }));
  const [, ...upserted] = await Promise.all([
    ADOPT.run(tx, { keys: key.textOf(keys) }),
    ...upsert(tx, group.map(rowOf)),
  ]);
  const stored = new Map(upserted.flat().map((row) => [`${row.storeId} ${row.number}`, row]));
  return group.flatMap((one) => {
    const row = stored.get(keyOf(one));
    return row ? [{ ...one, id: row.id, fresh: row.fresh }] : [];
  });
}

type ColumnOf<T extends PgTable> = keyof T['$inferInsert'] & string;
type Row<T extends PgTable> = { [Key in ColumnOf<T>]?: T['$inferInsert'][Key] | undefined };

/** Which columns are known varies little between orders: each statement is built once. */
function byColumns<T extends PgTable, F extends Fields>(
  table: T,
  build: (given: Pick<Recordset<Columns>, 'from' | 'fields'>, known: ColumnOf<T>[]) => Statement<F>,
): (tx: Tx, rows: readonly Row<T>[]) => Promise<RowOf<F>[]>[] {
  const all = getTableColumns(table) as Columns;
  const make = (known: ColumnOf<T>[]) => {
    const given = recordset(
      'given',
      Object.fromEntries(known.map((column) => [column, all[column] as PgColumn])),
    );
    return { textOf: given.textOf, upsert: build(given, known) };
  };
  const made = new Map<string, ReturnType<typeof make>>();
  return (tx, rows) =>
    alike(rows, (row) => Object.keys(row).join()).map(([columns, its]) => {
      const { textOf, upsert } = made.get(columns) ?? make(columns.split(',') as ColumnOf<T>[]);
      made.set(columns, { textOf, upsert });
      return upsert.run(tx, { rows: textOf(its) });
    });
}
type Columns = Record<string, PgColumn>;

const KEY: readonly OrderColumn[] = ['storeId', 'marketplaceOrderId'];

const upsert = byColumns(orders, ({ from, fields }, columns) => {
  const known = columns.filter((column) => !KEY.includes(column));
  const set = Object.fromEntries(known.map((column) => [column, incoming(column)]));
  const unique = [orders.source, orders.storeId, orders.marketplaceOrderId];
  const upserted = {
    id: orders.id,
    storeId: orders.storeId,
    number: orders.marketplaceOrderId,
    fresh: sql<boolean>`${orders}.xmax = 0`,
  };
  return statement(
    upserted,
    (read) => sql`
      ${insertion(orders, { source: 'temu', ...fields })} from ${from(ph('rows'))}
      on conflict (${names(unique)}) do update set ${assignments(orders, { ...set, updatedAt: whenChanged(known) })}
      where ${orders.orderModifiedAt} is null or ${orders.orderModifiedAt} <= ${excluded(orders.orderModifiedAt)}
      returning ${read}`,
  );
});

const upsertTemu = byColumns(temuOrders, ({ from, fields }, columns) => {
  const known = columns.filter((column) => column !== 'orderId').map((column) => temuOrders[column]);
  return statement(
    {},
    () => sql`
      ${insertion(temuOrders, fields)} from ${from(ph('rows'))}
      on conflict (${name(temuOrders.orderId)}) do update set ${list(known.map(asExcluded))}`,
  );
});

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

const found = recordset('found', {
  orderId: orderErrors.orderId,
  type: orderErrors.type,
  message: orderErrors.message,
});

/** T13: errors that no longer apply are marked resolved; one that still applies is not written again. */
const SAVE_ERRORS = statement({}, () => {
  const { orderId, type, message, resolvedAt } = orderErrors;
  const { fields } = found;
  return sql`
    with found as materialized (select distinct * from ${found.from(ph('errors'))}),
    resolved as (
      update ${orderErrors} set ${assignments(orderErrors, { resolvedAt: sql`now()` })}
      where ${isAnyOf(orderId, ph('orders'))} and ${resolvedAt} is null and ${isAnyOf(type, Object.values(ERROR_TYPES))}
        and not exists (select from found where ${fields.orderId} = ${orderId} and ${fields.type} = ${type}
          and ${fields.message} = ${message}))
    ${insertion(orderErrors, fields)} from found
    on conflict (${names([orderId, type, message])}) where ${name(resolvedAt)} is null do nothing`;
});

async function saveErrors(tx: Tx, saved: readonly Saved[]): Promise<void> {
  const errors = saved.flatMap(({ id: orderId, order }) =>
    order.errors.map((error) => ({ orderId, ...error })),
  );
  const concerned = saved.filter(({ fresh, order }) => !fresh || order.errors.length > 0);
  if (concerned.length > 0)
    await SAVE_ERRORS.run(tx, { errors: found.textOf(errors), orders: concerned.map(({ id }) => id) });
}

/** T7 and T9: an unknown status or country is notified once per store and value, not once per order. */
async function notifyUnknownValues(tx: Tx, saved: readonly Saved[]): Promise<void> {
  const words = saved.flatMap(({ id: orderId, store, order }) =>
    order.errors
      .filter(({ type }) => type === ERROR_TYPES.status || type === ERROR_TYPES.country)
      .map(({ type, message }) => ({
        kind: type === ERROR_TYPES.status ? ('unknown-status' as const) : ('unknown-country' as const),
        ...{ store: store.name, orderId, marketplaceOrderId: order.marketplaceOrderId, why: message },
        once: cut(`${type}-${store.id}-${message}`.toLowerCase().replaceAll(' ', '-'), 250),
      })),
  );
  for (const { kind, ...word } of words.sort((a, b) => (a.once < b.once ? -1 : 1)))
    await notify(tx, kind, word);
}

/** @throws ClaimLost when a newer copy has arrived: none can arrive until this transaction ends */
function settleInbox(tx: Tx, group: readonly ToSave[]): Promise<void>[] {
  const stored = group.filter(({ outcome }) => !outcome.again);
  return [
    ...alike(stored, ({ outcome }) => outcome.error).map(([error, its]) =>
      finishAll(
        tx,
        its.map(({ claim }) => claim),
        'stored',
        { error, attempts: 0, incompleteSince: null },
      ),
    ),
    ...group.map(({ claim, outcome }) => tryAgain(tx, claim, outcome)),
  ];
}

async function tryAgain(tx: Tx, claim: Claim, { again, error }: InboxOutcome): Promise<void> {
  if (!again) return;
  const kept = await retry({ db: tx }, claim, {
    dueAt: again.at,
    set: { error, attempts: 0, incompleteSince: again.since, state: 'incomplete' },
  });
  if (kept === 0) throw new ClaimLost();
}
