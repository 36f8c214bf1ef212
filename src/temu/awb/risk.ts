import type { Db } from '../../db/client.ts';
import type { OrdersBase } from '../orders/deps.ts';

/** A8: an order whose deadline is this near and of which Temu has no number is at risk. */
const AT_RISK_MS = 2 * 3_600_000;
/** A deadline that has passed longer ago than this is no longer news. */
const PASSED_MS = 24 * 3_600_000;

export interface OrderAtRisk {
  order: string;
  store: string | null;
  shipBy: Date;
  awbNumber: string | null;
  /** State of its push; null: no AWB has been created for it. */
  push: string | null;
  error: string | null;
}

/** A8: orders within two hours of their ship-by date, or up to a day past it, that are to be shipped and not sent. */
export const ordersAtRisk = (
  db: Db,
  nowMs: number,
  limit = 500,
  offset = 0,
): Promise<OrderAtRisk[]> => db.$client<OrderAtRisk[]>`
  select o.marketplace_order_id as order, st.name as store, o.ship_by_date as "shipBy",
    p.awb_number as "awbNumber", p.state as push, coalesce(p.error, t.tracking_send_error) as error
  from orders o join temu_orders t on t.order_id = o.id and not t.tracking_sent_to_temu
    left join temu_stores st on st.id = o.store_id
    left join lateral (select s.awb_number, p.state, p.error from temu_pushes p join shipments s on s.id = p.shipment_id
      where p.order_id = o.id order by p.created_at desc limit 1) p on true
  where o.source = 'temu' and o.status in ('Ready for Shipping', 'Partially Shipped', 'Incomplete')
    and o.ship_by_date between ${new Date(nowMs - PASSED_MS)} and ${new Date(nowMs + AT_RISK_MS)}
  order by o.ship_by_date, o.id limit ${limit} offset ${offset}`;

/** Ends of the steps in which time left is counted, in minutes; below the first: the deadline has passed. */
export const TIME_LEFT_STEPS = [0, 30, 60, 120, 360, 1440] as const;

/**
 * A8: orders that are to be shipped and not sent, by the time that is left until their ship-by date.
 * @returns one count per step: past its date (by a day at most), then up to each of TIME_LEFT_STEPS, then more
 */
export async function unsentByTimeLeft({ $client: sql }: Db, nowMs: number): Promise<number[]> {
  const rows = await sql<{ step: number; orders: number }[]>`
    select width_bucket(extract(epoch from o.ship_by_date - ${new Date(nowMs)})::float8 / 60,
      ${[...TIME_LEFT_STEPS]}::float8[]) as step, count(*)::int as orders
    from orders o join temu_orders t on t.order_id = o.id and not t.tracking_sent_to_temu
    where o.source = 'temu' and o.status in ('Ready for Shipping', 'Partially Shipped', 'Incomplete')
      and o.ship_by_date >= ${new Date(nowMs - PASSED_MS)} group by 1`;
  return [...TIME_LEFT_STEPS, 0].map((_, nth) => rows.find(({ step }) => step === nth)?.orders ?? 0);
}

export interface AwbRisk {
  /** Orders at risk, as ordersAtRisk lists them. */
  atRisk: number;
  /** The nearest ship-by date of an order that Temu has no number for, up to a day past; null: none. */
  nearest: Date | null;
}

/** A8 in two numbers: costs the index's entries of one day and two hours, and those up to the nearest one. */
export async function awbRisk({ $client: sql }: Pick<Db, '$client'>, nowMs: number): Promise<AwbRisk> {
  const unsent = sql`
    from orders o join temu_orders t on t.order_id = o.id and not t.tracking_sent_to_temu
    where o.source = 'temu' and o.status in ('Ready for Shipping', 'Partially Shipped', 'Incomplete')
      and o.ship_by_date >= ${new Date(nowMs - PASSED_MS)}`;
  const [row] = await sql<AwbRisk[]>`
    select (select count(*)::int ${unsent} and o.ship_by_date <= ${new Date(nowMs + AT_RISK_MS)}) as "atRisk",
      (select o.ship_by_date ${unsent} order by o.ship_by_date limit 1) as nearest`;
  return row ?? { atRisk: 0, nearest: null };
}

/** Tells people of each order at risk, once. @returns how many were new */
export async function alertAtRisk({ db, clock }: OrdersBase): Promise<number> {
  const told = await db.$client`
    insert into notices (kind, key, subject, payload)
    select 'awb-at-risk', 'awb-at-risk-' || o.id, o.id, jsonb_build_object('orderId', o.id, 'store', s.name, 'text',
      'order ' || o.marketplace_order_id || ' must ship by '
        || to_char(o.ship_by_date at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
        || ' and Temu has no AWB for it' || coalesce(': ' || t.tracking_send_error, ''))
    from orders o join temu_orders t on t.order_id = o.id and not t.tracking_sent_to_temu
      left join temu_stores s on s.id = o.store_id
    where o.source = 'temu' and o.status in ('Ready for Shipping', 'Partially Shipped', 'Incomplete')
      and o.ship_by_date between ${new Date(clock())} and ${new Date(clock() + AT_RISK_MS)}
    on conflict (key) do nothing returning 1`;
  return told.length;
}
