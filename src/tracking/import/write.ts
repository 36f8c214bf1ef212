import { and, count, eq, notExists, sql } from 'drizzle-orm';
import type { Db, Tx } from '../../db/client.ts';
import { insertion, isAnyOf, names, rows as read } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { orderStatuses, orders, shipments } from '../../db/schema/index.ts';
import type { Row } from './row.ts';

export interface Written {
  imported: number;
  /** Parcels that existed already. */
  known: number;
  orders: number;
  refused: { line: number; reason: string }[];
  /** New parcels by their tracker; `none` for those that are not tracked. */
  followed: Record<string, number>;
}

/**
 * Writes up to a thousand rows in one transaction: missing orders of other sources than temu, then missing parcels.
 * Existing rows are not changed, so that importing a file again changes nothing.
 */
export async function writeRows(db: Db, rows: readonly Row[]): Promise<Written> {
  if (rows.length === 0) return { imported: 0, known: 0, orders: 0, refused: [], followed: {} };
  return await db.transaction(async (tx) => {
    // parcels without an AWB have no unique key: concurrent imports must not both insert them
    await tx.execute(sql`select pg_advisory_xact_lock(hashtext('orderfleet shipments import'))`);
    const given = rows.map((row) => ({ ...row, id: crypto.randomUUID() }));
    const made = await makeOrders(tx, given);
    const lines = await makeShipments(tx, given);
    const fresh = lines.filter(({ made }) => made);
    if (fresh.some(({ code }) => code !== null)) await setOrderCodes(tx, fresh);
    const refused = lines.flatMap(({ row, orders }) =>
      orders === 1 ? [] : [{ line: row.line, reason: whyNoOrder(row, orders) }],
    );
    return {
      imported: fresh.length,
      known: lines.length - fresh.length - refused.length,
      orders: made,
      refused,
      followed: await countFollowed(tx, fresh),
    };
  });
}

function whyNoOrder({ number, source }: Row, orders: number): string {
  const order = `order ${number} of ${source}`;
  return orders > 1
    ? `${order} exists ${orders} times, in several stores`
    : `${order} does not exist: Temu’s orders are imported only by orderfleet sync`;
}

/** A line, with an id for its parcel if that is new. */
type Given = Row & { id: string };

/** Of duplicates, the first line counts. */
const firstOf = <T>(given: readonly T[], keyOf: (one: T) => unknown[]): T[] => [
  ...new Map(given.toReversed().map((one) => [JSON.stringify(keyOf(one)), one])).values(),
];

/** The code of an order whose parcel has no scans yet. */
const BOOKED = 4;

const line = recordset('line', {
  id: shipments.id,
  source: orders.source,
  number: orders.marketplaceOrderId,
  awb: shipments.awbNumber,
  lr: shipments.lrNumber,
  status: shipments.status,
  orderStatus: orders.orderStatus,
});
const isItsOrder = sql`${orders.marketplaceOrderId} = ${line.fields.number} and ${orders.source} = ${line.fields.source}`;
/** A line's order_status, else the code for the parcel's status; null: neither. */
const code = sql<number | null>`coalesce(${line.fields.orderStatus}, (
  select ${orderStatuses.code} from ${orderStatuses} where ${orderStatuses.name} = ${line.fields.status}))`;

/** @returns how many were missing */
async function makeOrders(tx: Tx, rows: readonly Given[]): Promise<number> {
  const { source, number } = line.fields;
  const insert = insertion(orders, {
    source,
    marketplaceOrderId: number,
    orderStatus: sql`coalesce(${code}, ${BOOKED})`,
  });
  const first = firstOf(rows, ({ source, number }) => [source, number]);
  const { count } = await tx.execute(sql`
    ${insert} from ${line.from(line.textOf(first))}
    where ${source} <> 'temu' and not exists (select from ${orders} where ${isItsOrder})
    order by ${source}, ${number}
    on conflict do nothing`);
  return count;
}

/** A parcel is identified by its AWB, without one by its LR number. */
async function makeShipments(tx: Tx, rows: readonly Given[]): Promise<Line[]> {
  const lines = await lookUp(tx, rows);
  const fresh = firstOf(
    lines.filter(({ orders, known }) => orders === 1 && !known),
    ({ orderId, row: { awb, lr } }) => [orderId, awb, awb === null ? lr : null],
  );
  const { id, orderId, awb, lr, courier, bookedAt, carrier, status } = parcel.fields;
  const insert = insertion(shipments, {
    ...{ id, orderId, awbNumber: awb, lrNumber: lr, bookingCourier: courier, bookedAt, carrier },
    status: sql`coalesce(${status}, 'pending')`,
  });
  const given = parcel.textOf(fresh.map(({ row, orderId }) => ({ ...row, orderId })));
  const made = await read(
    tx,
    { id: shipments.id },
    (list) => sql`
      ${insert} from ${parcel.from(given)} order by ${orderId}, ${awb}
      on conflict (${names([shipments.orderId, shipments.awbNumber])}) do nothing returning ${list}`,
  );
  const ids = new Set(made.map(({ id }) => id));
  return lines.map((one) => ({ ...one, made: ids.has(one.row.id) }));
}

const parcel = recordset('parcel', {
  id: shipments.id,
  orderId: shipments.orderId,
  awb: shipments.awbNumber,
  lr: shipments.lrNumber,
  courier: shipments.bookingCourier,
  bookedAt: shipments.bookedAt,
  carrier: shipments.carrier,
  status: shipments.status,
});

interface Line {
  row: Given;
  /** How many orders have this source and number. */
  orders: number;
  orderId: string | null;
  code: number | null;
  made: boolean;
}

/** Finds the lines' existing orders and parcels. */
async function lookUp(tx: Tx, rows: readonly Given[]): Promise<(Omit<Line, 'made'> & { known: boolean })[]> {
  const { id, awb, lr } = line.fields;
  const { awbNumber, lrNumber } = shipments;
  const found = await read(
    tx,
    {
      id,
      orders: sql<number>`its.n`,
      orderId: sql<string | null>`its.one`,
      code,
      known: sql<boolean>`exists (
        select from ${shipments} where ${shipments.orderId} = its.one and (
          ${awbNumber} = ${awb} or ${lrNumber} = ${lr} and (${awbNumber} is null or ${awb} is null)))`,
    },
    (list) => sql`
      select ${list} from ${line.from(line.textOf(rows))} cross join lateral (
        select count(*)::int as n, (array_agg(${orders.id}))[1] as one from ${orders} where ${isItsOrder}) its`,
  );
  const byId = new Map(found.map((one) => [one.id, one]));
  return rows.flatMap((row) => {
    const one = byId.get(row.id);
    return one ? [{ ...one, row }] : [];
  });
}

/** C2: triggers set tracked_by, the last ones when the orders have their codes. */
async function countFollowed(tx: Tx, made: readonly Line[]): Promise<Record<string, number>> {
  const ids = made.map(({ row }) => row.id);
  const followed = await tx
    .select({ tracker: shipments.trackedBy, parcels: count() })
    .from(shipments)
    .where(isAnyOf(shipments.id, ids))
    .groupBy(shipments.trackedBy);
  return Object.fromEntries(followed.map(({ tracker, parcels }) => [tracker ?? 'none', parcels]));
}

/**
 * An existing order without another parcel takes its first parcel's status, unless it has one. With other parcels, one
 * booked after their end sets the order to booked again (drizzle/0011), and the next scan sets its code
 * (status-effects.ts).
 */
async function setOrderCodes(tx: Tx, made: readonly Line[]): Promise<void> {
  const first = recordset('first', { id: shipments.id, orderId: orders.id, code: orders.orderStatus });
  const { id, orderId, code } = first.fields;
  const another = tx
    .select({ id: shipments.id })
    .from(shipments)
    .where(and(eq(shipments.orderId, orders.id), sql`${shipments.id} <> ${id}`));
  const given = first.textOf(made.map(({ row: { id }, orderId, code }) => ({ id, orderId, code })));
  await tx
    .update(orders)
    .set({ orderStatus: code })
    .from(first.from(given))
    .where(
      and(
        eq(orders.id, orderId),
        eq(orders.orderStatus, BOOKED),
        sql`${code} <> ${BOOKED}`,
        notExists(another),
      ),
    );
}
