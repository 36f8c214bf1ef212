import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { ZodError } from 'zod';
import { arrayOf, assignments, excluded, isAnyOf, list, name, names, statement } from '../../db/query.ts';
import { temuOrderInbox } from '../../db/schema/index.ts';
import { storableJson } from '../../lib/storable.ts';
import type { OrdersBase } from '../deps.ts';
import { parseExact, stringifyExact } from '../json.ts';
import { LONGEST_ID, listItem, time } from './responses.ts';

const ph = sql.placeholder;

export interface InboxRow {
  parentOrderSn: string;
  updateTime: Date;
  /** The list call's item, digit for digit, without unknown fields. */
  payload: string;
  /** Why it cannot be used; null if it can. */
  error: string | null;
}

/** Known fields: those below each, or null for a plain value. */
type Fields = { [name: string]: Fields | null };
const fields = (...names: string[]): Fields =>
  Object.fromEntries(names.flatMap((line) => line.split(' ')).map((name) => [name, null]));

/** The fields of an order that Temu's list call is known to have. */
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

/** T18: a field that Temu adds one day may identify the buyer, so it must not be kept. */
function knownFields(value: unknown, known: Fields | null): unknown {
  if (Array.isArray(value)) return value.map((one) => knownFields(one, known));
  const isObject = typeof value === 'object' && value !== null;
  if (known === null) return isObject ? null : value;
  if (!isObject) return null;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => Object.hasOwn(known, name))
      .map(([name, inner]) => [name, knownFields(inner, known[name] ?? null)]),
  );
}

/**
 * One item of a page as an inbox row. An unreadable item is kept as failed, with the reason, so that one bad order
 * neither disappears nor stops its page (R3).
 */
export function toInboxRow(given: unknown): InboxRow {
  const known = stringifyExact(knownFields(given, FIELDS));
  const payload = storableJson(known);
  const item = payload === known ? given : parseExact(storableJson(stringifyExact(given)));
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
        : `unreadable-${createHash('sha256').update(stringifyExact(given)).digest('hex').slice(0, 16)}`,
    // without a readable time it is older than any readable copy, which must win whichever came first
    updateTime: time.safeParse(parent?.updateTime).data ?? new Date(0),
    payload,
    error: unreadable(parsed.error),
  };
}

const { storeId, parentOrderSn, updateTime, payload, error, state, version, dueAt, receivedAt } =
  temuOrderInbox;
const READ = [parentOrderSn, updateTime, error];

/**
 * T4: an older copy never replaces a newer one; a copy of the same second replaces only a different one. What is new
 * is due at once.
 */
const STORE = statement({}, () => {
  const now = ph('now');
  const read = { state, dueAt, receivedAt, updateTime, payload, error };
  const fresh = { attempts: 0, incompleteSince: null, offeredAt: null, claim: null };
  return sql`
    insert into ${temuOrderInbox} (${names([storeId, ...READ, payload, state, dueAt, receivedAt])})
    select ${ph('storeId')}, ${names(READ)}, json::jsonb,
      case when ${name(error)} is null then 'pending' else 'failed' end, ${now}, ${now}
    from unnest(${list(READ.map((column) => arrayOf(column, ph(column.name))))}, ${ph('json')}::text[])
      as page (${names(READ)}, json)
    on conflict (${names([storeId, parentOrderSn])}) do update set ${assignments(temuOrderInbox, {
      ...Object.fromEntries(Object.entries(read).map(([key, column]) => [key, excluded(column)])),
      ...fresh,
      version: sql`${version} + 1`,
    })}
    where ${excluded(updateTime)} > ${updateTime}
      or (${excluded(updateTime)} = ${updateTime} and ${excluded(payload)} is distinct from ${payload})`;
});

/** T4: stores a page's orders before any job is made of them. */
export async function storeInInbox(
  { db, clock }: OrdersBase,
  storeId: string,
  rows: readonly InboxRow[],
): Promise<void> {
  // one row per order, the newest, sorted by key: a conflict clause may affect a row only once, and locks taken in
  // one order do not deadlock
  const newest = new Map<string, InboxRow>();
  for (const row of rows) {
    const other = newest.get(row.parentOrderSn);
    if (!other || other.updateTime <= row.updateTime) newest.set(row.parentOrderSn, row);
  }
  const sorted = [...newest.values()].sort((a, b) => (a.parentOrderSn < b.parentOrderSn ? -1 : 1));
  if (sorted.length === 0) return;
  await STORE.run(db, {
    storeId,
    now: new Date(clock()),
    [parentOrderSn.name]: sorted.map((row) => row.parentOrderSn),
    [updateTime.name]: sorted.map((row) => row.updateTime),
    [error.name]: sorted.map((row) => row.error),
    json: sorted.map((row) => row.payload),
  });
}

/** Why a list item cannot be used: which field, and what is wrong with it. */
export function unreadable({ issues: [issue] }: ZodError): string {
  return `Temu's list item is unreadable: ${issue?.path.join('.')}: ${issue?.message}`;
}

/**
 * R3: once the cause is fixed, quarantined orders are due again with all their attempts; Temu may not change them for
 * weeks.
 * @returns how many
 */
export async function replayQuarantined(
  { db, clock }: OrdersBase,
  storeIds: readonly string[],
): Promise<number> {
  const { count } = await db
    .update(temuOrderInbox)
    .set({
      state: 'pending',
      attempts: 0,
      error: null,
      incompleteSince: null,
      dueAt: new Date(clock()),
      offeredAt: null,
    })
    .where(sql`${state} = 'failed' and ${isAnyOf(storeId, storeIds)}`);
  return count;
}
