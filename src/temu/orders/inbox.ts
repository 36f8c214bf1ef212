import { createHash } from 'node:crypto';
import type { ZodError } from 'zod';
import type { Sql } from '../../db/client.ts';
import { offer, turnId } from '../../queue/turn.ts';
import { storableJson } from '../../storable.ts';
import { parseExact, stringifyExact } from '../json.ts';
import { LONGEST_ID, listItem, time } from './answers.ts';
import type { OrdersBase } from './deps.ts';
import { temuOrders } from './queues.ts';
import { OFFER_AGAIN_MS } from './window.ts';

export interface InboxRow {
  parentOrderSn: string;
  updateTime: Date;
  /** The list call's item, digit for digit, without fields that nobody knows. */
  payload: string;
  /** Why it cannot be used, when it cannot. */
  error: string | null;
}

/** Fields by their names: what is below each, or null where it has no fields of its own. */
type Fields = { [name: string]: Fields | null };
const fields = (...names: string[]): Fields =>
  Object.fromEntries(names.flatMap((line) => line.split(' ')).map((name) => [name, null]));

/** What Temu's list call is known to say of an order. */
const LABEL = fields('name value');
const FIELDS: Fields = {
  parentOrderMap: {
    ...fields(
      'parentOrderSn parentOrderStatus parentOrderTime parentShippingTime updateTime expectShipLatestTime',
      'latestDeliveryTime parentOrderPendingFinishTime regionId siteId shippingMethod hasShippingFee',
      'batchOrderNumberList orderPaymentType fulfillmentWarning',
    ),
    parentOrderLabel: LABEL,
  },
  orderList: {
    ...fields(
      'orderSn orderStatus orderPaymentType goodsId goodsName originalGoodsName spec originalSpecName thumbUrl skuId',
      'quantity originalOrderQuantity canceledQuantityBeforeShipment isCancelledDuringPending fulfillmentType',
      'fulfillmentWarning inventoryDeductionWarehouseId inventoryDeductionWarehouseName',
    ),
    orderLabel: LABEL,
    productList: fields('productId productSkuId soldFactor extCode'),
  },
};

/** T18: a field that Temu adds one day may tell of the buyer, and the inbox is no place for that. */
function knownFields(value: unknown, known: Fields | null): unknown {
  if (Array.isArray(value)) return value.map((one) => knownFields(one, known));
  const isObject = typeof value === 'object' && value !== null;
  if (known === null) return isObject ? null : value;
  if (!isObject) return null;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) =>
      Object.hasOwn(known, name) ? [[name, knownFields(inner, known[name] ?? null)] as const] : [],
    ),
  );
}

/**
 * One item of a page as an inbox row. An item that cannot be read is kept as well, as failed and with the reason, so
 * that one bad order neither disappears nor stops its page (R3).
 */
export function toInboxRow(given: unknown): InboxRow {
  const raw = stringifyExact(given);
  const storable = storableJson(raw);
  const item = storable === raw ? given : parseExact(storable);
  const payload = stringifyExact(knownFields(item, FIELDS));
  const parsed = listItem.safeParse(item);
  if (parsed.success) {
    const { parentOrderSn, updateTime } = parsed.data.parentOrderMap;
    return { parentOrderSn, updateTime: updateTime as Date, payload, error: null };
  }
  const parent = (item as { parentOrderMap?: Record<string, unknown> | null } | null)?.parentOrderMap;
  const sn = parent?.parentOrderSn;
  return {
    parentOrderSn:
      typeof sn === 'string' && sn && sn.length <= LONGEST_ID
        ? sn
        : `unreadable-${createHash('sha256').update(storable).digest('hex').slice(0, 16)}`,
    // without a time of its own it is older than any copy that can be read: that one must win, whichever came first
    updateTime: time.safeParse(parent?.updateTime).data ?? new Date(0),
    payload,
    error: unreadable(parsed.error),
  };
}

/**
 * T4: stores a page's orders before any job is made of them. An older copy never replaces a newer one; a copy of the
 * same second replaces only one that says something else. What is new is due at once.
 */
export async function storeInInbox(
  { db, clock }: OrdersBase,
  storeId: string,
  rows: readonly InboxRow[],
): Promise<void> {
  // one row per order, the newest, in the order of the key: a conflict clause may meet a row only once, and locks
  // taken in one order do not deadlock
  const newest = new Map<string, InboxRow>();
  for (const row of rows) {
    const other = newest.get(row.parentOrderSn);
    if (!other || other.updateTime <= row.updateTime) newest.set(row.parentOrderSn, row);
  }
  const sorted = [...newest.values()].sort((a, b) => (a.parentOrderSn < b.parentOrderSn ? -1 : 1));
  if (sorted.length === 0) return;
  const now = new Date(clock());
  await db.$client`
    insert into temu_order_inbox as i
      (store_id, parent_order_sn, update_time, payload, error, state, due_at, received_at)
    select ${storeId}, sn, at, payload::jsonb, error, case when error is null then 'pending' else 'failed' end, ${now}, ${now}
    from unnest(
      ${sorted.map((row) => row.parentOrderSn)}::text[],
      ${sorted.map((row) => row.updateTime.toISOString())}::timestamptz[],
      ${sorted.map((row) => row.payload)}::text[],
      ${sorted.map((row) => row.error)}::text[]) as page (sn, at, payload, error)
    on conflict (store_id, parent_order_sn) do update set
      update_time = excluded.update_time, payload = excluded.payload, error = excluded.error, state = excluded.state,
      version = i.version + 1, attempts = 0, incomplete_since = null, due_at = excluded.due_at,
      offered_at = null, received_at = excluded.received_at
    where excluded.update_time > i.update_time
       or (excluded.update_time = i.update_time and excluded.payload is distinct from i.payload)`;
}

/** Why a list item cannot be used: which field, and what is wrong with it. */
export function unreadable({ issues: [issue] }: ZodError): string {
  return `Temu's list item cannot be read: ${issue?.path.join('.')}: ${issue?.message}`;
}

/**
 * R3: orders that were set aside are due again with all their tries, when what stood in their way has been mended; Temu
 * may not change them for weeks.
 * @returns how many
 */
export async function replaySetAside(
  { db, clock }: OrdersBase,
  storeIds: readonly string[],
): Promise<number> {
  const { count } = await db.$client`
    update temu_order_inbox set state = 'pending', attempts = 0, error = null, incomplete_since = null,
      due_at = ${new Date(clock())}, offered_at = null
    where state = 'failed' and store_id = any(${storeIds as string[]}::uuid[])`;
  return count;
}

/** Rows are turned into jobs this many at a time, … */
const OFFER_CHUNK = 1_000;
/** … and so many in one go: the sweep comes again in 15 seconds. */
const OFFERED_MOST = 50_000;
/** A row's place in its store's backlog, in tens, is its job's priority: see offerOrders. BullMQ takes up to 2^21. */
const PER_PRIORITY = 10;
const LAST_PRIORITY = 2_000_000;

interface OfferedRow {
  storeId: string;
  sn: string;
  dueMs: string;
  /** With all its digits, which a Date has not: from here the walk goes on. */
  due: string;
}

/**
 * Makes jobs of due inbox rows without one. The further back a row stands in its own store's backlog, the later its
 * job's turn: a store with ten new orders does not wait behind another's ten thousand, nor does an order that waits for
 * a missing part (T17, T13).
 * @param fresh of this store alone, and only what has never been offered: what a page has just brought
 * @returns how many
 */
export async function offerOrders(
  { db, queues, clock }: OrdersBase,
  fresh?: { storeId: string },
): Promise<number> {
  const sql = db.$client;
  // taken once: what this walk has offered must not be stale again before its end
  const nowMs = clock();
  const now = new Date(nowMs);
  const unoffered = fresh
    ? sql`i.store_id = ${fresh.storeId} and i.offered_at is null`
    : sql`(i.offered_at is null or i.offered_at < i.due_at or i.offered_at < ${new Date(nowMs - OFFER_AGAIN_MS)})`;
  const ahead = new Map<string, number>();
  let from = { due: '-infinity', sn: '', storeId: '00000000-0000-0000-0000-000000000000' };
  let offered = 0;
  for (;;) {
    const due = await sql<OfferedRow[]>`
      with due as (
        select i.store_id, i.parent_order_sn
        from temu_order_inbox i join temu_stores s on s.id = i.store_id and s.active
        where i.state in ('pending', 'incomplete') and i.due_at <= ${now} and ${unoffered}
          and i.due_at >= ${from.due}::timestamptz
          and (i.due_at, i.parent_order_sn, i.store_id) > (${from.due}::timestamptz, ${from.sn}, ${from.storeId}::uuid)
        order by i.due_at, i.parent_order_sn, i.store_id
        limit ${OFFER_CHUNK}
        for update of i skip locked),
      offered as (
        update temu_order_inbox i set offered_at = ${now} from due
        where i.store_id = due.store_id and i.parent_order_sn = due.parent_order_sn
        returning i.store_id, i.parent_order_sn, i.due_at)
      select store_id as "storeId", parent_order_sn as sn, due_at::text as due,
        floor(extract(epoch from due_at) * 1000)::text as "dueMs"
      from offered order by due_at, parent_order_sn, store_id`;
    await countAhead(sql, ahead, due, now);
    const jobs = due.map(({ storeId, sn, dueMs }) => {
      const place = (ahead.get(storeId) ?? 0) + 1;
      ahead.set(storeId, place);
      return {
        id: orderJobId(storeId, sn, dueMs, nowMs),
        priority: Math.min(LAST_PRIORITY, 1 + Math.floor(place / PER_PRIORITY)),
        payload: { v: 1 as const, storeId, parentOrderSn: sn },
      };
    });
    await offer(
      () => queues.add(temuOrders, jobs),
      () => sql`
        update temu_order_inbox set offered_at = null
        where state in ('pending', 'incomplete') and offered_at = ${now}`,
    );
    offered += due.length;
    const last = due.at(-1);
    if (!last || due.length < OFFER_CHUNK || offered >= OFFERED_MOST) return offered;
    from = last;
  }
}

/** How many orders of each store have been offered before and wait still: once for each store that comes up. */
async function countAhead(
  sql: Sql,
  ahead: Map<string, number>,
  due: readonly OfferedRow[],
  now: Date,
): Promise<void> {
  const stores = [...new Set(due.map(({ storeId }) => storeId))].filter((id) => !ahead.has(id));
  if (stores.length === 0) return;
  const rows = await sql<{ id: string; waiting: number }[]>`
    select store_id as id, count(*)::int as waiting from temu_order_inbox
    where state = 'pending' and offered_at <> ${now} and store_id = any(${stores}) group by store_id`;
  for (const id of stores) ahead.set(id, rows.find((row) => row.id === id)?.waiting ?? 0);
}

/** Temu's numbers may hold a ":", which a job's id may not. */
export const orderJobId = (storeId: string, sn: string, dueMs: string | number, nowMs: number) =>
  turnId(`${storeId}-${sn.replaceAll(':', '_')}`, dueMs, nowMs);
