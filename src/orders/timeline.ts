import { eq, sql } from 'drizzle-orm';
import type { Db } from '../db/client.ts';
import { list, name, outer, type RowOf, rows } from '../db/query.ts';
import { orderErrors, orders, productsInOrder, temuOrderInbox, temuStores } from '../db/schema/index.ts';
import { utc } from '../lib/format-time.ts';
import { plural } from '../lib/plural.ts';

export interface TimelineEvent {
  at: Date;
  what: string;
}

/** An order's history with its reasons (O6 `explain`). Address and buyer are given as present or not (T18). */
export interface OrderTimeline {
  marketplaceOrderId: string;
  store: string | null;
  status: string;
  /** Why it has that status, and what happens next. */
  because: string;
  /** Times are dates: each view writes them in its own way. */
  facts: Record<string, string | Date | null>;
  products: Awaited<ReturnType<typeof productsOf>>;
  openErrors: string[];
  events: TimelineEvent[];
}

const TIMELINE = {
  sn: sql<string>`found.${name(orders.marketplaceOrderId)}`,
  ...outer({
    id: orders.id,
    store: temuStores.name,
    active: temuStores.active,
    pausedReason: temuStores.pausedReason,
    status: orders.status,
    marketplaceStatus: orders.marketplaceStatus,
    createdAt: orders.orderCreatedAt,
    modifiedAt: orders.orderModifiedAt,
    shipBy: orders.shipByDate,
    total: orders.orderTotalAmount,
    currency: orders.orderCurrency,
    hasAddress: sql<boolean>`${orders.shippingStreet1} is not null or ${orders.shippingBuyerName} is not null`,
    erasedAt: orders.personalDataErasedAt,
    country: sql<string>`coalesce(${orders.shippingCountryCode}, ${orders.shippingCountryName})`,
    pendingUntil: orders.pendingUntil,
    afterPending: orders.statusAfterPending,
    savedAt: orders.updatedAt,
    inboxState: temuOrderInbox.state,
    inboxError: temuOrderInbox.error,
    inboxAttempts: temuOrderInbox.attempts,
    dueAt: temuOrderInbox.dueAt,
    receivedAt: temuOrderInbox.receivedAt,
    updateTime: temuOrderInbox.updateTime,
    incompleteSince: temuOrderInbox.incompleteSince,
  }),
};
type TimelineRow = RowOf<typeof TIMELINE>;

/** Timelines of all orders with this marketplace number: one, unless two stores share it. */
export async function orderTimelines(db: Db, number: string): Promise<OrderTimeline[]> {
  const { id, storeId, marketplaceOrderId } = orders;
  const inbox = temuOrderInbox;
  const found = await rows(
    db,
    TIMELINE,
    (read) => sql`
      with found as (
        select ${list([id, storeId, marketplaceOrderId])} from ${orders} where ${marketplaceOrderId} = ${number}
        union
        -- by way of the stores: the inbox's key begins with them
        select ${list([id, inbox.storeId, inbox.parentOrderSn])} from ${temuStores}
          join ${inbox} on ${inbox.storeId} = ${temuStores.id} and ${inbox.parentOrderSn} = ${number}
          left join ${orders} on ${storeId} = ${inbox.storeId} and ${orders.source} = 'temu'
            and ${marketplaceOrderId} = ${inbox.parentOrderSn})
      select ${read} from found left join ${orders} on ${id} = found.${name(id)}
        left join ${temuStores} on ${temuStores.id} = found.${name(storeId)}
        left join ${inbox} on ${inbox.storeId} = found.${name(storeId)}
          and ${inbox.parentOrderSn} = found.${name(marketplaceOrderId)}`,
  );
  return await Promise.all(found.map((row) => timelineOf(db, row)));
}

const errorsOf = (db: Db, orderId: string) =>
  db.select().from(orderErrors).where(eq(orderErrors.orderId, orderId)).orderBy(orderErrors.createdAt);

const productsOf = (db: Db, orderId: string) =>
  db
    .select({
      sku: productsInOrder.sku,
      temuSkuId: productsInOrder.itemTransactionId,
      title: productsInOrder.itemTitle,
      quantity: productsInOrder.quantity,
      price: productsInOrder.itemPrice,
    })
    .from(productsInOrder)
    .where(eq(productsInOrder.orderId, orderId))
    .orderBy(productsInOrder.itemOrderLineId);

async function timelineOf(db: Db, row: TimelineRow): Promise<OrderTimeline> {
  const errors = row.id === null ? [] : await errorsOf(db, row.id);
  const products = row.id === null ? [] : await productsOf(db, row.id);
  const open = errors.filter((error) => !error.resolvedAt);
  const happened = (at: Date | null, what: string): TimelineEvent[] => (at ? [{ at, what }] : []);
  return {
    marketplaceOrderId: row.sn,
    store: row.store,
    status: row.status ?? 'not saved yet',
    because: because(
      row,
      open.map((error) => error.message),
    ),
    facts: {
      'on Temu': row.marketplaceStatus === null ? null : temuStatus(row.marketplaceStatus),
      'ship by': row.shipBy,
      total: row.total === null ? null : `${row.total} ${row.currency ?? ''}`.trim(),
      address: row.hasAddress
        ? `known (${row.country ?? 'country unknown'})`
        : row.erasedAt
          ? `erased ${utc(row.erasedAt)} (PERSONAL_DATA_DAYS after the order’s end)`
          : 'unknown',
    },
    products,
    openErrors: open.map((error) => `${error.type}: ${error.message}`),
    events: [
      ...happened(row.createdAt, 'placed on Temu'),
      ...happened(row.modifiedAt ?? row.updateTime, 'last changed on Temu'),
      ...happened(row.receivedAt, 'imported from Temu'),
      ...happened(row.savedAt, `saved as ${row.status}`),
      ...errors.flatMap((error) => [
        { at: error.createdAt, what: `${error.type}: ${error.message}` },
        ...happened(error.resolvedAt, `resolved: ${error.message}`),
      ]),
    ].sort((a, b) => a.at.getTime() - b.at.getTime()),
  };
}

/** Temu's own names of an order's status, with what they mean. */
const TEMU_STATUSES: Record<string, string> = {
  PENDING: 'pending',
  UN_SHIPPING: 'awaiting shipment',
  CANCELED: 'cancelled',
  SHIPPED: 'shipped',
  RECEIPTED: 'delivered',
  'PARTIAL DELIVERY': 'partially shipped',
  'PARTIAL RECEIPT': 'partially delivered',
};
const temuStatus = (code: string) => (TEMU_STATUSES[code] ? `${TEMU_STATUSES[code]} (${code})` : code);

/** Temu's messages end with or without a full stop. */
const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** The reason in a sentence, and what comes next. */
function because(row: TimelineRow, openErrors: readonly string[]): string {
  const next = row.dueAt ? ` Next retry: ${utc(row.dueAt)}.` : '';
  if (row.active === false) return `The store is paused: ${row.pausedReason ?? 'no reason was given'}.`;
  if (row.inboxState === 'failed')
    return `Not saved: ${row.inboxError}. It is retried when Temu changes it. Once the cause is fixed: orderfleet sync --failed`;
  if (!row.id) {
    const tries = row.inboxAttempts
      ? `, ${plural(row.inboxAttempts, 'attempt')} (${row.inboxError ?? 'no error'})`
      : '';
    return `Its price and address are being fetched${tries}.${next}`;
  }
  if (row.pendingUntil)
    return `On hold: units were cancelled before shipment. On ${utc(row.pendingUntil)} it becomes ${row.afterPending}.`;
  if (row.status === 'Incomplete')
    return `${sentence(openErrors.join('; ') || row.inboxError || 'Some of its data is missing')}${row.inboxState === 'incomplete' ? next : ' It is retried when Temu changes it.'}`;
  if (row.inboxState === 'incomplete')
    return `The price is still missing: ${sentence(row.inboxError ?? 'not ready')}${next}`;
  if (row.inboxState === 'pending') return `Saved; a newer version from Temu is being processed.${next}`;
  return `Temu status: ${row.marketplaceStatus === null ? 'none' : temuStatus(row.marketplaceStatus)}.`;
}
