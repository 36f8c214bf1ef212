import type { Db } from '../../db/client.ts';

export interface StoryEvent {
  at: Date;
  what: string;
}

/** An order's whole story with its reasons (O6 `explain`). Address and buyer are told as present or not (T18). */
export interface OrderStory {
  marketplaceOrderId: string;
  store: string | null;
  status: string;
  /** Why it has that status, and what happens next. */
  because: string;
  facts: Record<string, string | number | null>;
  products: {
    sku: string | null;
    temuSkuId: string | null;
    title: string | null;
    quantity: number;
    price: string | null;
  }[];
  openErrors: string[];
  events: StoryEvent[];
}

interface StoryRow {
  id: string | null;
  sn: string;
  store: string | null;
  active: boolean | null;
  pausedReason: string | null;
  status: string | null;
  marketplaceStatus: string | null;
  createdAt: Date | null;
  modifiedAt: Date | null;
  shipBy: Date | null;
  total: string | null;
  currency: string | null;
  hasAddress: boolean | null;
  erasedAt: Date | null;
  country: string | null;
  pendingUntil: Date | null;
  afterPending: string | null;
  savedAt: Date | null;
  inboxState: string | null;
  inboxError: string | null;
  inboxAttempts: number | null;
  dueAt: Date | null;
  receivedAt: Date | null;
  updateTime: Date | null;
  incompleteSince: Date | null;
}

/** Stories of all orders with this marketplace number: one, unless two stores share it. */
export async function orderStories(db: Db, number: string): Promise<OrderStory[]> {
  const rows = await db.$client<StoryRow[]>`
    with found as (
      select o.id, o.store_id, o.marketplace_order_id as sn from orders o where o.marketplace_order_id = ${number}
      union
      -- by way of the stores: the inbox's key begins with them
      select o.id, i.store_id, i.parent_order_sn from temu_stores st
        join temu_order_inbox i on i.store_id = st.id and i.parent_order_sn = ${number}
        left join orders o on o.store_id = i.store_id and o.source = 'temu' and o.marketplace_order_id = i.parent_order_sn)
    select f.id, f.sn, s.name as store, s.active, s.paused_reason as "pausedReason", o.status,
      o.marketplace_status as "marketplaceStatus", o.order_created_at as "createdAt", o.order_modified_at as "modifiedAt",
      o.ship_by_date as "shipBy", o.order_total_amount::text as total, o.order_currency as currency,
      o.shipping_street1 is not null or o.shipping_buyer_name is not null as "hasAddress",
      o.personal_data_erased_at as "erasedAt", coalesce(o.shipping_country_code, o.shipping_country_name) as country,
      o.pending_until as "pendingUntil", o.status_after_pending as "afterPending", o.updated_at as "savedAt",
      i.state as "inboxState", i.error as "inboxError", i.attempts as "inboxAttempts", i.due_at as "dueAt",
      i.received_at as "receivedAt", i.update_time as "updateTime", i.incomplete_since as "incompleteSince"
    from found f left join orders o on o.id = f.id left join temu_stores s on s.id = f.store_id
      left join temu_order_inbox i on i.store_id = f.store_id and i.parent_order_sn = f.sn`;
  return await Promise.all(rows.map((row) => tell(db, row)));
}

async function tell(db: Db, row: StoryRow): Promise<OrderStory> {
  const sql = db.$client;
  const errors = await sql<{ type: string; message: string; at: Date; resolved: Date | null }[]>`
    select type, message, created_at as at, resolved_at as resolved from order_errors where order_id = ${row.id} order by 3`;
  const products = await sql<OrderStory['products']>`
    select sku, item_transaction_id as "temuSkuId", item_title as title, quantity, item_price::text as price
    from products_in_order where order_id = ${row.id} order by item_order_line_id`;
  const happened = (at: Date | null, what: string): StoryEvent[] => (at ? [{ at, what }] : []);
  return {
    marketplaceOrderId: row.sn,
    store: row.store,
    status: row.status ?? 'not stored yet',
    because: because(
      row,
      errors.filter((error) => !error.resolved).map((error) => error.message),
    ),
    facts: {
      'Temu says': row.marketplaceStatus,
      'ship by': row.shipBy?.toISOString() ?? null,
      total: row.total === null ? null : `${row.total} ${row.currency ?? ''}`.trim(),
      address: row.hasAddress
        ? `known (${row.country ?? 'country unknown'})`
        : row.erasedAt
          ? `erased ${row.erasedAt.toISOString()} (PERSONAL_DATA_DAYS after the order’s end)`
          : 'not known',
    },
    products: [...products],
    openErrors: errors.filter((error) => !error.resolved).map((error) => `${error.type}: ${error.message}`),
    events: [
      ...happened(row.createdAt, 'placed on Temu'),
      ...happened(row.modifiedAt ?? row.updateTime, 'last changed on Temu'),
      ...happened(row.receivedAt, 'read from Temu’s list'),
      ...happened(row.savedAt, `stored as ${row.status}`),
      ...errors.flatMap((error) => [
        { at: error.at, what: `${error.type}: ${error.message}` },
        ...happened(error.resolved, `resolved: ${error.message}`),
      ]),
    ].sort((a, b) => a.at.getTime() - b.at.getTime()),
  };
}

/** What Temu says ends with a stop or without one. */
const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** The reason in a sentence, and what comes next. */
function because(row: StoryRow, openErrors: readonly string[]): string {
  const next = row.dueAt ? ` It is tried again at ${row.dueAt.toISOString()}.` : '';
  if (row.active === false) return `The store is paused: ${row.pausedReason ?? 'no reason given'}.`;
  if (row.inboxState === 'failed')
    return `It was set aside: ${row.inboxError}. It comes back when Temu changes it, or by orderfleet sync --failed once the reason is mended.`;
  if (!row.id) {
    const tries = row.inboxAttempts
      ? `, tried ${row.inboxAttempts} times (${row.inboxError ?? 'no error'})`
      : '';
    return `It is in the inbox and its price and address are being fetched${tries}.${next}`;
  }
  if (row.pendingUntil)
    return `Units of it were cancelled before shipment: it waits until ${row.pendingUntil.toISOString()} and then becomes ${row.afterPending}.`;
  if (row.status === 'Incomplete')
    return `${sentence(openErrors.join('; ') || row.inboxError || 'A part of it is missing')}${row.inboxState === 'incomplete' ? next : ' It is not tried again until Temu changes it.'}`;
  if (row.inboxState === 'incomplete')
    return `Its price is still missing: ${sentence(row.inboxError ?? 'not ready')}${next}`;
  if (row.inboxState === 'pending') return `Stored; a newer copy from Temu is being worked on.${next}`;
  return `Temu gives it the state ${row.marketplaceStatus ?? '(none)'}.`;
}
