import { gt, lt, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../db/client.ts';
import { type Fields, name, outer, rows } from '../db/query.ts';
import {
  awbEvents,
  orderErrors,
  orders,
  shipments,
  temuOrderInbox,
  temuPushes,
  temuStores,
} from '../db/schema/index.ts';
import { awbRisk, ordersAtRisk } from './at-risk.ts';
import { isToBeShipped } from './status.ts';

/** Why an order or an AWB needs attention. */
export const ATTENTION_LISTS = ['risk', 'parked', 'failed', 'incomplete', 'errors', 'unmatched'] as const;
/**
 * risk: must ship within two hours and Temu has no AWB (A8); parked: Temu rejected its AWB; failed: quarantined at
 * import; incomplete: stored, a part is missing (T13); errors: has an open error, whatever its status (T9, T10);
 * unmatched: an AWB whose order is unknown (A3).
 */
export type AttentionList = (typeof ATTENTION_LISTS)[number];

export interface AttentionEntry {
  /** The order's number, or what else leads to its page. */
  number: string;
  store: string | null;
  awbNumber: string | null;
  why: string | null;
  /** The ship-by date of those at risk or parked, else since when. */
  at: Date | null;
}

/** What nobody has handled for this long is no longer shown. */
const SHOWN_MS = 30 * 86_400_000;
/** T13: by then an incomplete order has been retried hourly for a day, and somebody should look at it. */
const LONG_INCOMPLETE_MS = 86_400_000;

export interface AttentionCounts extends Record<AttentionList, number> {
  /** Incomplete for more than a day. */
  longIncomplete: number;
}

const shownSince = (nowMs: number) => new Date(nowMs - SHOWN_MS);
const ITS_STORE = sql`${temuStores} on ${temuStores.id} = ${orders.storeId}`;

// states appear twice: once as the index has them
const parkedPushes = (nowMs: number) => sql`
  from ${temuPushes}
    join ${orders} on ${orders.id} = ${temuPushes.orderId} and ${orders.status} <> 'Cancelled'
    left join ${shipments} on ${shipments.id} = ${temuPushes.shipmentId}
    left join ${ITS_STORE}
  where ${temuPushes.state} in ('parked', 'rejected') and ${gt(temuPushes.createdAt, shownSince(nowMs))}`;
const failedInbox = (nowMs: number) => sql`
  from ${temuOrderInbox} join ${temuStores} on ${temuStores.id} = ${temuOrderInbox.storeId}
  where ${temuOrderInbox.state} <> 'stored' and ${temuOrderInbox.state} = 'failed'
    and ${gt(temuOrderInbox.receivedAt, shownSince(nowMs))}`;
const unmatchedEvents = (nowMs: number) => sql`
  from ${awbEvents} where ${awbEvents.state} <> 'recorded' and ${awbEvents.state} = 'parked'
    and ${gt(awbEvents.receivedAt, shownSince(nowMs))}`;
const incompleteOrders = () => sql`
  from ${orders} left join ${ITS_STORE}
    left join ${temuOrderInbox} on ${temuOrderInbox.storeId} = ${orders.storeId}
      and ${temuOrderInbox.parentOrderSn} = ${orders.marketplaceOrderId}
  where ${isToBeShipped} and ${orders.status} = 'Incomplete'`;
const incompleteSince = sql`coalesce(${temuOrderInbox.incompleteSince}, ${orders.updatedAt})`.mapWith(
  orders.updatedAt,
);

/** Uses the index of open errors. @param prefix of their messages */
const openErrors = (prefix = '') => sql`
  from ${orderErrors} where ${orderErrors.resolvedAt} is null and starts_with(${orderErrors.message}, ${prefix})`;
const theirMessages = sql<string>`string_agg(${orderErrors.message}, '; ' order by ${orderErrors.createdAt})`;

const ordersWithErrors = sql<number>`count(distinct ${orderErrors.orderId})::int`;

/** How many orders have an open error with this prefix. */
export async function countWithError(db: Db, prefix: string): Promise<number> {
  const [row] = await rows(
    db,
    { orders: ordersWithErrors },
    (read) => sql`select ${read} ${openErrors(prefix)}`,
  );
  return row?.orders ?? 0;
}

/** The size of each list; read through indexes of what is open (P3). */
export async function attentionCounts(db: Db, nowMs: number): Promise<AttentionCounts> {
  const countOf = (which: SQL) => sql<number>`(select count(*)::int ${which})`;
  const [{ atRisk: risk }, [row]] = await Promise.all([
    awbRisk(db, nowMs),
    rows(
      db,
      {
        parked: countOf(parkedPushes(nowMs)),
        failed: countOf(failedInbox(nowMs)),
        unmatched: countOf(unmatchedEvents(nowMs)),
        incomplete: countOf(incompleteOrders()),
        errors: sql<number>`(select ${ordersWithErrors} ${openErrors()})`,
        longIncomplete: countOf(
          sql`${incompleteOrders()} and ${lt(incompleteSince, new Date(nowMs - LONG_INCOMPLETE_MS))}`,
        ),
      },
      (read) => sql`select ${read}`,
    ),
  ]);
  const none = { parked: 0, failed: 0, unmatched: 0, incomplete: 0, errors: 0, longIncomplete: 0 };
  return { ...none, ...row, risk };
}

/** One page of those that need attention, the most urgent first. @param says prefix of the message, for `errors` only */
export async function listAttention(
  db: Db,
  trouble: AttentionList,
  nowMs: number,
  { limit, offset, says: prefix }: { limit: number; offset: number; says?: string | undefined },
): Promise<AttentionEntry[]> {
  const page = <F extends Fields>(fields: F, from: SQL, order: SQL) =>
    rows(db, fields, (read) => sql`select ${read} ${from} order by ${order} limit ${limit} offset ${offset}`);
  const none = sql<null>`null`;
  const ofOrder = { number: orders.marketplaceOrderId, ...outer({ store: temuStores.name }) };
  const byDeadline = sql`${orders.shipByDate} nulls last`;
  switch (trouble) {
    case 'risk':
      return (await ordersAtRisk(db, nowMs, limit, offset)).map(({ order, shipBy, push, error, ...one }) => ({
        ...{ number: order, store: one.store, awbNumber: one.awbNumber, at: shipBy },
        why: error ?? (push === null ? 'no AWB created yet' : `its AWB is ${push}`),
      }));
    case 'parked': {
      const { id, error } = temuPushes;
      const fields = { ...ofOrder, awbNumber: shipments.awbNumber, why: error, at: orders.shipByDate };
      return await page(fields, parkedPushes(nowMs), sql`${byDeadline}, ${id}`);
    }
    case 'failed': {
      const { storeId, parentOrderSn: number, error, receivedAt } = temuOrderInbox;
      const fields = { number, store: temuStores.name, awbNumber: none, why: error, at: receivedAt };
      return await page(fields, failedInbox(nowMs), sql`${receivedAt} desc, ${storeId}, ${number}`);
    }
    case 'incomplete': {
      const itsErrors = sql`(select ${theirMessages} ${openErrors()} and ${orderErrors.orderId} = ${orders.id})`;
      const why = sql<string | null>`coalesce(${itsErrors}, ${temuOrderInbox.error})`;
      const fields = { ...ofOrder, awbNumber: none, why, at: incompleteSince };
      return await page(fields, incompleteOrders(), sql`${byDeadline}, ${orders.id}`);
    }
    case 'errors': {
      const { orderId, createdAt } = orderErrors;
      const at = sql`open.since`.mapWith(createdAt);
      const fields = { ...ofOrder, awbNumber: none, why: sql<string>`open.why`, at };
      const open = sql`
        from (select ${orderId}, ${theirMessages} as why, min(${createdAt}) as since ${openErrors(prefix)} group by ${orderId}) open
          join ${orders} on ${orders.id} = open.${name(orderId)} left join ${ITS_STORE}`;
      return await page(fields, open, sql`${byDeadline}, ${orders.id}`);
    }
    case 'unmatched': {
      const { payload, error, receivedAt: at, key } = awbEvents;
      const number = sql<string>`${payload}->>'awbNumber'`;
      const why = sql<string>`coalesce(${error}, 'no matching order')
        || coalesce(' (order ' || (${payload}->>'marketplaceOrderId') || ')', '')`;
      const fields = { number, store: none, awbNumber: number, why, at };
      return await page(fields, unmatchedEvents(nowMs), sql`${at} desc, ${key}`);
    }
  }
}
