import { and, gte, lte, type SQL, sql } from 'drizzle-orm';
import type { Db, Tx } from '../db/client.ts';
import { list, name, outer, type RowOf, rows } from '../db/query.ts';
import { orders, shipments, temuOrders, temuPushes, temuStores } from '../db/schema/index.ts';
import { notify } from '../notices/index.ts';
import { isToBeShipped } from './status.ts';

/** A8: an order is at risk when its deadline is this near and Temu has no number for it. */
const AT_RISK_MS = 2 * 3_600_000;
/** A deadline that passed longer ago than this is no longer reported. */
const PASSED_MS = 24 * 3_600_000;

const shipBy = orders.shipByDate;
const from = (nowMs: number) => gte(shipBy, new Date(nowMs));
const until = (nowMs: number) => lte(shipBy, new Date(nowMs));

/** Orders still to be shipped and not sent, with one of these deadlines. */
const unsent = (deadline: SQL | undefined, further = sql``): SQL => sql`
  from ${orders} join ${temuOrders} on ${temuOrders.orderId} = ${orders.id} and not ${temuOrders.trackingSentToTemu} ${further}
  where ${orders.source} = 'temu' and ${isToBeShipped}
    and ${deadline}`;

const ITS_STORE = sql`left join ${temuStores} on ${temuStores.id} = ${orders.storeId}`;
const ITS_LAST_PUSH = sql`
  left join lateral (
    select ${list([shipments.awbNumber, temuPushes.state, temuPushes.error])}
    from ${temuPushes} join ${shipments} on ${shipments.id} = ${temuPushes.shipmentId}
    where ${temuPushes.orderId} = ${orders.id} order by ${temuPushes.createdAt} desc limit 1) last on true`;

const AT_RISK = {
  order: orders.marketplaceOrderId,
  shipBy: sql`${shipBy}`.mapWith(shipBy),
  ...outer({
    store: temuStores.name,
    awbNumber: sql<string>`last.${name(shipments.awbNumber)}`,
    /** State of its push; null: no AWB has been created for it. */
    push: sql<string>`last.${name(temuPushes.state)}`,
    error: sql<string>`coalesce(last.${name(temuPushes.error)}, ${temuOrders.trackingSendError})`,
  }),
};
export type OrderAtRisk = RowOf<typeof AT_RISK>;

/** A8: orders within two hours of their ship-by date, or up to a day past it, still to be shipped and not sent. */
export const ordersAtRisk = (db: Db, nowMs: number, limit = 500, offset = 0): Promise<OrderAtRisk[]> =>
  rows(
    db,
    AT_RISK,
    (read) => sql`
      select ${read}
      ${unsent(and(from(nowMs - PASSED_MS), until(nowMs + AT_RISK_MS)), sql`${ITS_STORE} ${ITS_LAST_PUSH}`)}
      order by ${shipBy}, ${orders.id} limit ${limit} offset ${offset}`,
  );

/** Upper bounds of the buckets of time left, in minutes; below the first: the deadline has passed. */
export const TIME_LEFT_STEPS = [0, 30, 60, 120, 360, 1440] as const;

/**
 * A8: orders still to be shipped and not sent, by the time left until their ship-by date.
 * @returns one count per bucket: past its date (by a day at most), then up to each of TIME_LEFT_STEPS, then more
 */
export async function unsentByTimeLeft(db: Db, nowMs: number): Promise<number[]> {
  const left = sql`extract(epoch from ${shipBy} - ${sql.param(new Date(nowMs), shipBy)}::timestamptz)::float8 / 60`;
  const counts = await rows(
    db,
    {
      step: sql<number>`width_bucket(${left}, array[${sql.raw(TIME_LEFT_STEPS.join())}]::float8[])`,
      orders: sql<number>`count(*)::int`,
    },
    (read) => sql`select ${read} ${unsent(from(nowMs - PASSED_MS))} group by 1`,
  );
  return [...TIME_LEFT_STEPS, 0].map((_, nth) => counts.find(({ step }) => step === nth)?.orders ?? 0);
}

export interface AwbRisk {
  /** Orders at risk, as ordersAtRisk lists them. */
  atRisk: number;
  /** The nearest ship-by date of an order that Temu has no number for, up to a day past; null: none. */
  nearest: Date | null;
}

/** The two numbers of A8: reads the index entries of one day and two hours, and those up to the nearest one. */
export async function awbRisk(db: Db | Tx, nowMs: number): Promise<AwbRisk> {
  const recent = from(nowMs - PASSED_MS);
  const [row] = await rows(
    db,
    {
      atRisk: sql<number>`(select count(*)::int ${unsent(and(recent, until(nowMs + AT_RISK_MS)))})`,
      ...outer({
        nearest: sql`(select ${shipBy} ${unsent(recent)} order by ${shipBy} limit 1)`.mapWith(shipBy),
      }),
    },
    (read) => sql`select ${read}`,
  );
  return row ?? { atRisk: 0, nearest: null };
}

/** Notifies operators of each order at risk, once. @returns how many were new */
export async function alertAtRisk({ db, clock }: { db: Db; clock: () => number }): Promise<number> {
  const found = await rows(
    db,
    {
      ...{ orderId: orders.id, marketplaceOrderId: orders.marketplaceOrderId },
      shipBy: sql`${shipBy}`.mapWith(shipBy),
      ...outer({ store: temuStores.name, why: temuOrders.trackingSendError }),
    },
    (read) => sql`select ${read} ${unsent(and(from(clock()), until(clock() + AT_RISK_MS)), ITS_STORE)}`,
  );
  return await notify(db, 'awb-at-risk', ...found);
}
