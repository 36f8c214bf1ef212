import type { Db } from '../db/client.ts';
import { ordersAtRisk, unsentByTimeLeft } from './awb/index.ts';

/** Why an order, or an AWB, is on a list of those that need a person. */
export const TROUBLES = ['risk', 'parked', 'failed', 'incomplete', 'errors', 'unmatched'] as const;
/**
 * risk: must ship within two hours and Temu has no AWB (A8); parked: Temu did not take its AWB; failed: set aside as it
 * came in; incomplete: stored, a part is missing (T13); errors: with an error that is open, whatever its status (T9, T10);
 * unmatched: an AWB whose order nobody knows (A3).
 */
export type Trouble = (typeof TROUBLES)[number];

export interface Troubled {
  /** The order's number, or what else leads to its story. */
  number: string;
  store: string | null;
  awbNumber: string | null;
  why: string | null;
  /** Ship-by date of those at risk and of parked ones, else since when. */
  at: Date | null;
}

/** What nobody has looked after for so long is no longer shown. */
const SHOWN_MS = 30 * 86_400_000;
/** T13: by then an incomplete order has been tried again every hour, and a person may know better. */
const LONG_INCOMPLETE_MS = 86_400_000;

export interface TroubleCounts extends Record<Trouble, number> {
  /** Incomplete for more than a day. */
  longIncomplete: number;
  /** Unsent orders by time left, as unsentByTimeLeft gives them. */
  timeLeft: number[];
}

const parkedPushes = ({ $client: sql }: Db, nowMs: number) => sql`
  from temu_pushes p join orders o on o.id = p.order_id and o.status <> 'Cancelled'
  where p.state in ('parked', 'rejected') and p.created_at > ${new Date(nowMs - SHOWN_MS)}`;
const failedInbox = ({ $client: sql }: Db, nowMs: number) => sql`
  from temu_order_inbox i join temu_stores s on s.id = i.store_id
  where i.state <> 'stored' and i.state = 'failed' and i.received_at > ${new Date(nowMs - SHOWN_MS)}`;
const unmatchedEvents = ({ $client: sql }: Db, nowMs: number) => sql`
  from awb_events where state <> 'recorded' and state = 'parked' and received_at > ${new Date(nowMs - SHOWN_MS)}`;
/** The list of statuses is that of the index that holds them. */
const incompleteOrders = ({ $client: sql }: Db) => sql`
  from orders o left join temu_stores s on s.id = o.store_id
    left join temu_order_inbox i on i.store_id = o.store_id and i.parent_order_sn = o.marketplace_order_id
  where o.status in ('Ready for Shipping', 'Partially Shipped', 'Incomplete') and o.status = 'Incomplete'`;

/** By the index of those that are open. @param says how they begin */
const openErrors = ({ $client: sql }: Db, says = '') => sql`
  from order_errors where resolved_at is null and starts_with(message, ${says})`;

/** How many orders have an open error that begins so. */
export async function countWithError(db: Db, says: string): Promise<number> {
  const [row] = await db.$client<{ orders: number }[]>`
    select count(distinct order_id)::int as orders ${openErrors(db, says)}`;
  return row?.orders ?? 0;
}

/** How many there are of each; read through indexes of what is open (P3). */
export async function troubleCounts(db: Db, nowMs: number): Promise<TroubleCounts> {
  const sql = db.$client;
  const [timeLeft, [row]] = await Promise.all([
    unsentByTimeLeft(db, nowMs),
    sql<Omit<TroubleCounts, 'risk' | 'timeLeft'>[]>`
      select (select count(*)::int ${parkedPushes(db, nowMs)}) as parked,
        (select count(*)::int ${failedInbox(db, nowMs)}) as failed,
        (select count(*)::int ${unmatchedEvents(db, nowMs)}) as unmatched,
        (select count(*)::int ${incompleteOrders(db)}) as incomplete,
        (select count(distinct order_id)::int ${openErrors(db)}) as errors,
        (select count(*)::int ${incompleteOrders(db)}
          and coalesce(i.incomplete_since, o.updated_at) < ${new Date(nowMs - LONG_INCOMPLETE_MS)}) as "longIncomplete"`,
  ]);
  // past its date, and the steps up to two hours
  const risk = timeLeft.slice(0, 4).reduce((sum, count) => sum + count, 0);
  const none = { parked: 0, failed: 0, unmatched: 0, incomplete: 0, errors: 0, longIncomplete: 0 };
  return { ...none, ...row, risk, timeLeft };
}

/** One page of those that need a person, the most urgent first. @param says of `errors` alone: how the error begins */
export async function troubled(
  db: Db,
  trouble: Trouble,
  nowMs: number,
  { limit, offset, says }: { limit: number; offset: number; says?: string | undefined },
): Promise<Troubled[]> {
  const sql = db.$client;
  const page = sql`limit ${limit} offset ${offset}`;
  switch (trouble) {
    case 'risk':
      return (await ordersAtRisk(db, nowMs, limit, offset)).map(({ order, shipBy, push, error, ...one }) => ({
        ...{ number: order, store: one.store, awbNumber: one.awbNumber, at: shipBy },
        why: error ?? (push === null ? 'no AWB has been created for it' : `its AWB is ${push}`),
      }));
    case 'parked':
      return await sql<Troubled[]>`
        select o.marketplace_order_id as number, (select name from temu_stores s where s.id = o.store_id) as store,
          (select awb_number from shipments h where h.id = p.shipment_id) as "awbNumber", p.error as why, o.ship_by_date as at
        ${parkedPushes(db, nowMs)} order by o.ship_by_date nulls last, p.id ${page}`;
    case 'failed':
      return await sql<Troubled[]>`
        select i.parent_order_sn as number, s.name as store, null as "awbNumber", i.error as why, i.received_at as at
        ${failedInbox(db, nowMs)} order by i.received_at desc, i.store_id, i.parent_order_sn ${page}`;
    case 'incomplete':
      return await sql<Troubled[]>`
        select o.marketplace_order_id as number, s.name as store, null as "awbNumber",
          coalesce((select string_agg(e.message, '; ' order by e.created_at) from order_errors e
            where e.order_id = o.id and e.resolved_at is null), i.error) as why,
          coalesce(i.incomplete_since, o.updated_at) as at
        ${incompleteOrders(db)} order by o.ship_by_date nulls last, o.id ${page}`;
    case 'errors':
      return await sql<Troubled[]>`
        select o.marketplace_order_id as number, (select name from temu_stores s where s.id = o.store_id) as store,
          null as "awbNumber", e.why, e.at
        from (select order_id, string_agg(message, '; ' order by created_at) as why, min(created_at) as at
          ${openErrors(db, says)} group by order_id) e join orders o on o.id = e.order_id
        order by o.ship_by_date nulls last, o.id ${page}`;
    default:
      return await sql<Troubled[]>`
        select payload->>'awbNumber' as number, null as store, payload->>'awbNumber' as "awbNumber",
          coalesce(error, 'its order is not known') || coalesce(' (order ' || (payload->>'marketplaceOrderId') || ')', '') as why,
          received_at as at
        ${unmatchedEvents(db, nowMs)} order by received_at desc, key ${page}`;
  }
}
