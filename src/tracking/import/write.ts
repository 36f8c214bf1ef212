import type { TransactionSql } from 'postgres';
import type { Db } from '../../db/client.ts';
import type { Row } from './row.ts';

export interface Written {
  imported: number;
  /** Parcels that were there already. */
  known: number;
  orders: number;
  refused: { line: number; reason: string }[];
  /** New parcels by the tracker that follows them; `none` for those that nobody follows. */
  followed: Record<string, number>;
}

/**
 * Writes up to a thousand rows in one transaction: orders of other sources than temu that are missing, then the parcels
 * that are not there yet. What is there is left as it is, so that the same file twice changes nothing.
 */
export async function writeRows(db: Db, rows: readonly Row[]): Promise<Written> {
  if (rows.length === 0) return { imported: 0, known: 0, orders: 0, refused: [], followed: {} };
  return await db.$client.begin(async (sql) => {
    // parcels without an AWB have no unique key: two imports at once must not both find them missing
    await sql`select pg_advisory_xact_lock(hashtext('orderfleet shipments import'))`;
    const orders = await makeOrders(sql, rows);
    const lines = await makeShipments(sql, rows);
    const made = lines.filter(({ made }) => made);
    if (made.some(({ code }) => code !== null)) await setOrderCodes(sql, made);
    const refused = lines.flatMap(({ line, orders }) =>
      orders === 1 ? [] : [{ line, reason: whyNoOrder(rows, line, orders) }],
    );
    const followed = await countFollowed(sql, made);
    return {
      imported: made.length,
      known: lines.length - made.length - refused.length,
      orders,
      refused,
      followed,
    };
  });
}

function whyNoOrder(rows: readonly Row[], line: number, orders: number): string {
  const row = rows.find((one) => one.line === line);
  const order = `order ${row?.number} of ${row?.source}`;
  return orders > 1
    ? `${order} is known ${orders} times, in several stores`
    : `${order} is not known: Temu’s orders come in by themselves (orderfleet sync), with all that belongs to them`;
}

const given = (sql: TransactionSql, rows: readonly (Row & { shipmentId?: string })[]) => sql`
  jsonb_to_recordset(${sql.json(rows as never)}) as g(line int, source text, number text, courier text,
    "bookedAt" timestamptz, awb text, lr text, carrier text, status text, "orderStatus" int, "shipmentId" uuid)`;

/** The code that a line gives its order: as it says, else what follows from the parcel's status; null: neither. */
const code = (sql: TransactionSql) =>
  sql`coalesce(g."orderStatus", (select c.code from order_statuses c where c.name = g.status))`;

/** @returns how many were missing */
async function makeOrders(sql: TransactionSql, rows: readonly Row[]): Promise<number> {
  const made = await sql`
    insert into orders (source, marketplace_order_id, order_status)
    select distinct on (g.source, g.number) g.source, g.number, coalesce(${code(sql)}, 4)
    from ${given(sql, rows)}
    where g.source <> 'temu' and not exists (
      select from orders o where o.marketplace_order_id = g.number and o.source = g.source)
    order by g.source, g.number, g.line
    on conflict do nothing`;
  return made.count;
}

interface Line {
  line: number;
  /** How many orders have this source and number. */
  orders: number;
  made: boolean;
  shipmentId: string;
  orderId: string | null;
  code: number | null;
}

/** A parcel is known by its AWB, one without an AWB by its LR number. */
async function makeShipments(sql: TransactionSql, rows: readonly Row[]): Promise<Line[]> {
  const named = rows.map((row) => ({ ...row, shipmentId: crypto.randomUUID() }));
  // what was made comes as rows of its own: Postgres cannot estimate a join of the two, and takes quadratic time
  const found = await sql<Line[]>`
    with line as materialized (
      select g.*, ${code(sql)} as code, o.n, o.id as order_id
      from ${given(sql, named)} cross join lateral (
        select count(*)::int as n, (array_agg(o.id))[1] as id from orders o
        where o.marketplace_order_id = g.number and o.source = g.source) o),
    fresh as materialized (
      select distinct on (order_id, awb, case when awb is null then lr end) *
      from line
      where n = 1 and not exists (
        select from shipments s where s.order_id = line.order_id and (
          s.awb_number = line.awb or s.lr_number = line.lr and (s.awb_number is null or line.awb is null)))
      order by order_id, awb, case when awb is null then lr end, line),
    made as (
      insert into shipments (id, order_id, awb_number, lr_number, booking_courier, booked_at, carrier, status)
      select "shipmentId", order_id, awb, lr, courier, "bookedAt", carrier, coalesce(status, 'pending') from fresh
      order by order_id, awb
      on conflict (order_id, awb_number) do nothing
      returning id)
    select false as made, line, n as orders, "shipmentId", order_id as "orderId", code from line
    union all
    select true, null, null, id, null, null from made`;
  const made = new Set(found.filter((row) => row.made).map(({ shipmentId }) => shipmentId));
  return found.filter((row) => !row.made).map((row) => ({ ...row, made: made.has(row.shipmentId) }));
}

/** C2: triggers set tracked_by, the last ones when the orders have their codes. */
async function countFollowed(sql: TransactionSql, made: readonly Line[]): Promise<Record<string, number>> {
  const rows = await sql<{ tracker: string; parcels: number }[]>`
    select coalesce(tracked_by, 'none') as tracker, count(*)::int as parcels from shipments
    where id = any(${made.map(({ shipmentId }) => shipmentId)}::uuid[]) group by 1`;
  return Object.fromEntries(rows.map(({ tracker, parcels }) => [tracker, parcels]));
}

/**
 * An order that was there before and has no other parcel takes its first parcel's status, unless it has one. Where there
 * are others, one that is booked after their end makes the order booked again (drizzle/0011), and what is heard of it next
 * gives the order its code (consequences.ts).
 */
async function setOrderCodes(sql: TransactionSql, made: readonly Line[]): Promise<void> {
  const codes = made.map(({ orderId, shipmentId, code }) => ({ orderId, shipmentId, code }));
  await sql`
    update orders o set order_status = g.code
    from jsonb_to_recordset(${sql.json(codes)}) as g("orderId" uuid, "shipmentId" uuid, code int)
    where o.id = g."orderId" and g.code is not null and o.order_status = 4 and g.code <> 4
      and not exists (select from shipments s where s.order_id = o.id and s.id <> g."shipmentId")`;
}
