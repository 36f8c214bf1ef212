import { and, count, desc, eq, gte, isNull, type SQL, sql } from 'drizzle-orm';
import { alias, type PgColumn } from 'drizzle-orm/pg-core';
import type { Db } from '../db/client.ts';
import { json, outer } from '../db/query.ts';
import {
  orderErrors,
  orders,
  temuApiPauses,
  temuOrderInbox,
  temuStores,
  temuSyncWindows,
} from '../db/schema/index.ts';
import { DONE, isOpen } from '../orders/status.ts';

/** A store's state for `status`, `up` and the overview page: counts and times, no personal data. */
export type StoreOverview = Awaited<ReturnType<typeof storeOverviews>>[number];

/** So many shipped and cancelled orders of a store are counted at most: the cost does not grow with what is stored (P3). */
const MOST_COUNTED = 10_000;

/** @param open count open orders only */
export async function storeOverviews(db: Db, { open = false } = {}) {
  const { id, active, nextSyncAt } = temuStores;
  const ofStore = (column: PgColumn, which: SQL) => and(eq(column, id), which);
  const reading = alias(temuSyncWindows, 'reading');
  const last = db
    .select()
    .from(temuSyncWindows)
    .where(ofStore(temuSyncWindows.storeId, sql`${temuSyncWindows.state} = 'complete'`))
    .orderBy(desc(temuSyncWindows.createdAt))
    .limit(1)
    .as('last');
  const counted = (state: typeof temuOrderInbox.$inferSelect.state, name: string) =>
    sql<number>`count(*) filter (where ${temuOrderInbox.state} = ${state})::int`.as(name);
  const inbox = db
    .select({
      waiting: counted('pending', 'waiting'),
      incomplete: counted('incomplete', 'incomplete'),
      failed: counted('failed', 'failed'),
    })
    .from(temuOrderInbox)
    .where(ofStore(temuOrderInbox.storeId, sql`${temuOrderInbox.state} <> 'stored'`))
    .as('inbox');
  const doneByStatus = sql`
    union all select done.step, one.many
    from (values ${sql.raw(DONE.map((status) => `('${status}')`).join(', '))}) done(step), lateral (
      select count(*)::int as many from (
        select from ${orders} where ${ofStore(orders.storeId, sql`${orders.status} = done.step`)} limit ${MOST_COUNTED + 1}) some_of_them) one
    where one.many > 0`;
  const byStatus = sql`
    select ${orders.status} as step, count(*)::int as many from ${orders} where ${ofStore(orders.storeId, isOpen)} group by 1
    ${open ? sql`` : doneByStatus}`;
  const pauses = sql`
    select jsonb_object_agg(${temuApiPauses.api}, ${temuApiPauses.reason}) from ${temuApiPauses}
    where ${temuApiPauses.storeId} = ${id}`;
  const stores = await db
    .select({
      name: temuStores.name,
      region: temuStores.region,
      country: temuStores.country,
      active,
      pausedReason: temuStores.pausedReason,
      /** By Temu's refusal, or by an operator; null also where another program did it. */
      pausedBy: temuStores.pausedBy,
      lastSyncedAt: temuStores.lastSyncedAt,
      ...outer({ nextSyncAt: sql`case when ${active} then ${nextSyncAt} end`.mapWith(nextSyncAt) }),
      /** The window that is being read, if one is. */
      reading: { since: reading.createdAt, attempts: reading.attempts, error: reading.error },
      /** The last complete window: how many orders Temu reported in it, and how many are stored (T3). */
      lastWindow: {
        start: last.windowStart,
        end: last.windowEnd,
        expected: sql<number>`${last.expected}`,
        stored: last.stored,
      },
      /** Orders by status; of shipped and cancelled ones, if they are counted, MOST_COUNTED at most. */
      orders: json<Record<string, number>>(
        sql`coalesce((select jsonb_object_agg(step, many) from (${byStatus}) by_status), '{}')`,
      ),
      inbox: { waiting: inbox.waiting, incomplete: inbox.incomplete, failed: inbox.failed },
      /** APIs that Temu has not enabled for the store (T16). */
      pausedApis: json<Record<string, string>>(sql`coalesce((${pauses}), '{}')`),
    })
    .from(temuStores)
    .leftJoin(reading, and(eq(reading.storeId, id), sql`${reading.state} = 'open'`))
    .leftJoinLateral(last, sql`true`)
    .crossJoinLateral(inbox)
    .orderBy(temuStores.name);
  return stores.map((store) => {
    /** Statuses of which there are more orders than were counted. */
    const more = DONE.filter((status) => (store.orders[status] ?? 0) > MOST_COUNTED);
    const orders = { ...store.orders, ...Object.fromEntries(more.map((status) => [status, MOST_COUNTED])) };
    return { ...store, orders, more };
  });
}

/** Open errors of orders by type and message, most frequent first. */
export const openOrderErrors = (db: Db, limit = 10) =>
  db
    .select({ type: orderErrors.type, message: orderErrors.message, orders: count() })
    .from(orderErrors)
    .where(isNull(orderErrors.resolvedAt))
    .groupBy(orderErrors.type, orderErrors.message)
    .orderBy(desc(count()), orderErrors.type, orderErrors.message)
    .limit(limit);

/**
 * Orders of all sources by when they were imported.
 * @param step length of a bucket, in seconds
 * @returns counts by the start of their bucket, in epoch seconds; empty buckets are left out
 */
export async function ordersOverTime(db: Db, since: Date, step: number): Promise<Map<number, number>> {
  const seconds = sql.raw(`${Math.trunc(step)}`);
  const at = sql<number>`extract(epoch from date_bin('${seconds} seconds', ${orders.createdAt}, 'epoch'))::float8`;
  const counts = await db
    .select({ at, orders: count() })
    .from(orders)
    .where(gte(orders.createdAt, since))
    .groupBy(sql`1`);
  return new Map(counts.map((one) => [one.at, one.orders]));
}
