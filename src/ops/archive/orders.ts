import { and, getTableColumns, getTableName, gte, lt, type SQL, sql } from 'drizzle-orm';
import { type PgTable, pgTable, uuid } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../../db/client.ts';
import { copyOut } from '../../db/copy.ts';
import { isAnyOf, list, name } from '../../db/query.ts';
import {
  awbEvents,
  orderErrors,
  orderItemLines,
  orders,
  productsInOrder,
  shipments,
  temuOrderInbox,
  temuOrders,
  temuPushes,
} from '../../db/schema/index.ts';
import { hadEnded, isUnshipped } from '../ended.ts';
import { PERSONAL } from '../erasure.ts';
import type { Archive, ArchivedFile } from './files.ts';
import { monthAfter } from './months.ts';

/** Orders of a transaction and of a file: with all that belongs to them, seconds. */
const BATCH = 20_000;

/** The orders of a transaction, by a temporary table. */
const chosen = pgTable('archiving', { id: uuid('id').notNull() });
const isChosen = sql`in (select ${chosen.id} from ${chosen})`;

/** As the client makes them (`eventKey`), of each parcel: its order may be named by its id, or by source and number. */
const eventKeys = sql`
  select unnest(array[
    concat(${orders.id}, ' ', upper(${shipments.awbNumber})),
    concat(${orders.source}, '/', ${orders.marketplaceOrderId}, ' ', upper(${shipments.awbNumber}))])
  from ${orders} join ${shipments} on ${shipments.orderId} = ${orders.id} where ${orders.id} ${isChosen}`;

/** What belongs to an order, in the order of their deletion: what refers to others comes first. */
const BELONGINGS: readonly { table: PgTable; which: SQL }[] = [
  { table: awbEvents, which: sql`${awbEvents.state} = 'recorded' and ${awbEvents.key} in (${eventKeys})` },
  {
    table: temuOrderInbox,
    which: sql`${temuOrderInbox.state} = 'stored' and (${temuOrderInbox.storeId}, ${temuOrderInbox.parentOrderSn}) in (
      select ${orders.storeId}, ${orders.marketplaceOrderId} from ${orders} where ${orders.id} ${isChosen})`,
  },
  { table: temuPushes, which: sql`${temuPushes.orderId} ${isChosen}` },
  { table: orderItemLines, which: sql`${orderItemLines.orderId} ${isChosen}` },
  { table: productsInOrder, which: sql`${productsInOrder.orderId} ${isChosen}` },
  { table: orderErrors, which: sql`${orderErrors.orderId} ${isChosen}` },
  { table: temuOrders, which: sql`${temuOrders.orderId} ${isChosen}` },
  { table: shipments, which: sql`${shipments.orderId} ${isChosen}` },
  { table: orders, which: sql`${orders.id} ${isChosen}` },
];

/**
 * True for orders that ended before a time, have not changed since, and of which nothing is open, in flight or waiting
 * for somebody: no parcel that is tracked or has an unmapped status, no push but those that are settled, no copy of
 * Temu's that is to be processed, no AWB event without a parcel, no error.
 */
function isDone(before: Date): SQL {
  const { source, storeId, marketplaceOrderId, id } = orders;
  const since = sql.param(before, orders.createdAt);
  const openEvents = (field: 'orderId' | 'marketplaceOrderId') => sql`
    select coalesce(${awbEvents.payload}->>${sql.raw(`'${field}'`)}, '') from ${awbEvents} where ${awbEvents.state} <> 'recorded'`;
  return sql`${hadEnded(before, before)} and not ${isUnshipped}
    and coalesce(${orders.orderModifiedAt}, ${orders.updatedAt}) < ${since}
    and not exists (select from ${shipments} where ${shipments.orderId} = ${id}
      and (${shipments.trackedBy} is not null or ${shipments.unmappedWord} is not null
        or greatest(${shipments.createdAt}, ${shipments.bookedAt}, ${shipments.statusAt}) >= ${since}))
    and not exists (select from ${temuPushes} where ${temuPushes.orderId} = ${id} and ${temuPushes.state} not in ('sent', 'replaced'))
    and not exists (select from ${orderErrors} where ${orderErrors.orderId} = ${id} and ${orderErrors.resolvedAt} is null)
    and not exists (select from ${temuOrderInbox} where ${temuOrderInbox.storeId} = ${storeId}
      and ${temuOrderInbox.parentOrderSn} = ${marketplaceOrderId} and ${temuOrderInbox.state} <> 'stored' and ${source} = 'temu')
    and ${marketplaceOrderId} not in (${openEvents('marketplaceOrderId')}) and ${id}::text not in (${openEvents('orderId')})`;
}

const isOf = (month: Date, before: Date): SQL | undefined =>
  and(gte(orders.createdAt, month), lt(orders.createdAt, monthAfter(month)), lt(orders.createdAt, before));

/** The months in which orders were stored, until a time. */
export async function monthsOfOrders(db: Db, before: Date): Promise<Date[]> {
  const first = sql<Date | null>`date_trunc('month', min(${orders.createdAt}), 'UTC')`.mapWith(
    orders.createdAt,
  );
  const [found] = await db.select({ first }).from(orders);
  const months: Date[] = [];
  for (let month = found?.first ?? before; month < before; month = monthAfter(month)) months.push(month);
  return months;
}

/** How many orders of a month could be archived. */
export const countDone = (db: Db, month: Date, before: Date): Promise<number> =>
  db.$count(orders, and(isOf(month, before), isDone(before)));

/**
 * Writes orders of a month into files, one for each table, and deletes them, in one transaction: the files are listed
 * just before it ends. They are of a run that was cut off if their first order is still stored (`unlistUnfinished`).
 * T18: without the buyers.
 * @returns undefined when there is none
 */
export async function archiveOrders(
  db: Db,
  archive: Archive,
  month: Date,
  before: Date,
): Promise<{ files: ArchivedFile[]; orders: number } | undefined> {
  return await db.transaction(async (tx) => {
    const source = await choose(tx, month, before);
    if (source === undefined) return undefined;
    const files: ArchivedFile[] = [];
    for (const { table, which } of BELONGINGS) {
      const columns = Object.values(getTableColumns(table)).filter((column) => !PERSONAL.includes(column));
      const what = { table: getTableName(table), month: month.toISOString().slice(0, 7), source };
      const query = sql`select ${list(columns)} from ${table} where ${which}`;
      const file = await copyOut(tx, query, (csv) => archive.write(what, csv));
      if (file) files.push(file);
    }
    for (const { table, which } of BELONGINGS) {
      const { count } = await tx.delete(table).where(which);
      const written = files.find((file) => file.table === getTableName(table))?.rows ?? 0;
      if (count !== written)
        throw new Error(`${getTableName(table)}: ${written} rows were written, ${count} deleted`);
    }
    await archive.add(files);
    return { files, orders: files.find(({ table }) => table === getTableName(orders))?.rows ?? 0 };
  });
}

/**
 * Locks orders that are done with all that belongs to them. What came to one of them before it was locked is seen once
 * it is; after that nothing can come.
 * @returns the first one; undefined for none
 */
async function choose(tx: Tx, month: Date, before: Date): Promise<string | undefined> {
  await tx.execute(sql`create temporary table ${chosen} (${name(chosen.id)} uuid) on commit drop`);
  await tx.execute(sql`
    insert into ${chosen} select ${orders.id} from ${orders} where ${isOf(month, before)} and ${isDone(before)}
    order by ${orders.createdAt}, ${orders.id} limit ${BATCH} for update skip locked`);
  await tx.execute(sql`analyze ${chosen}`);
  for (const { table, which } of BELONGINGS.slice(0, -1))
    await tx.execute(sql`
      with locked as (select 1 from ${table} where ${which} for update) select count(*) from locked`);
  const stillDone = sql`select from ${orders} where ${orders.id} = ${chosen.id} and ${isDone(before)}`;
  await tx.delete(chosen).where(sql`not exists (${stillDone})`);
  const [first] = await tx.select().from(chosen).orderBy(chosen.id).limit(1);
  return first?.id;
}

/**
 * What a run wrote that was cut off before its orders were deleted is no archive: they are archived again. That run's
 * last words may still be on their way to Postgres: they are waited for.
 */
export async function unlistUnfinished(db: Db, archive: Archive): Promise<void> {
  const firsts = archive.files().filter(({ table }) => table === getTableName(orders));
  const sources = firsts.map(({ source }) => source);
  const stored = await db
    .select({ id: orders.id })
    .from(orders)
    .where(isAnyOf(orders.id, sources))
    .for('update');
  const unfinished = new Set(stored.map(({ id }) => id));
  await archive.unlist(archive.files().filter(({ source }) => unfinished.has(source)));
}
