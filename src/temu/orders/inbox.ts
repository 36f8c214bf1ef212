import { createHash } from 'node:crypto';
import type { ZodError } from 'zod';
import { storableJson } from '../../storable.ts';
import { parseExact, stringifyExact } from '../json.ts';
import { LONGEST_ID, listItem, time } from './answers.ts';
import type { OrdersBase } from './deps.ts';

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
      offered_at = null, claim = null, received_at = excluded.received_at
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
