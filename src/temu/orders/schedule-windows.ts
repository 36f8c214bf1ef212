import { createHash } from 'node:crypto';
import { and, eq, isNotNull, lt, lte, ne, notExists, sql } from 'drizzle-orm';
import type { Db } from '../../db/client.ts';
import { assignments, insertion, isAnyOf, name, statement } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { temuStores, temuSyncWindows } from '../../db/schema/index.ts';
import { defineWork } from '../../leases/define.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { dueJobId } from '../../leases/job-id.ts';
import { seconds } from '../../queue/define.ts';
import type { OrdersBase } from '../deps.ts';
import { hasActiveStore } from '../stores.ts';
import { temuPages } from './queues.ts';

const DAY_MS = 86_400_000;
/** T2: how far the first sync of a store looks back. */
export const FIRST_SYNC_MS = 90 * DAY_MS;
/** T2: how far a later one overlaps what is already stored. */
export const OVERLAP_MS = 3_600_000;
/** T2: a store is synced this often. */
export const SYNC_EVERY_MS = 5 * 60_000;
/**
 * The window ends this long ago: an order that changes in a second that is not over yet could still enter the list at
 * its head and push others behind a page that was already read (T3). Our clock may be a little ahead of Temu's.
 */
const SETTLE_MS = 5_000;
/** A job that has not appeared after this long is made again (R1: within two minutes). */
export const ENQUEUE_AGAIN_MS = 60_000;

export interface Window {
  start: Date;
  end: Date;
}

/** T2: the window of a sync that starts now; in whole seconds, like Temu's times. */
export function nextWindow(lastSyncedAt: Date | null, nowMs: number): Window {
  const end = Math.floor((nowMs - SETTLE_MS) / 1000) * 1000;
  const start = lastSyncedAt ? Math.min(lastSyncedAt.getTime() - OVERLAP_MS, end) : end - FIRST_SYNC_MS;
  return { start: new Date(Math.floor(start / 1000) * 1000), end: new Date(end) };
}

/** T2: the next sync of a store after now; stores are spread by a hash of their id. */
export function nextSync(storeId: string, nowMs: number): Date {
  const offset = createHash('sha256').update(storeId).digest().readUInt32BE() % SYNC_EVERY_MS;
  const turn = Math.floor((nowMs - offset) / SYNC_EVERY_MS) + 1;
  return new Date(turn * SYNC_EVERY_MS + offset);
}

/**
 * Opens a window for each active store whose sync is due, or for the named ones at once; a store whose sync is still
 * running gets none (T2).
 * @returns ids of the windows that are open now for the named stores; without names, of those opened now
 */
export async function openWindows(deps: OrdersBase, storeIds?: readonly string[]): Promise<string[]> {
  const { db } = deps;
  const nowMs = deps.clock();
  const now = new Date(nowMs);
  const { storeId } = temuSyncWindows;
  const itsOpen = db
    .select({ id: temuSyncWindows.id })
    .from(temuSyncWindows)
    .where(and(eq(storeId, temuStores.id), isOpen));
  const stores = await db
    .select({ id: temuStores.id, lastSyncedAt: temuStores.lastSyncedAt })
    .from(temuStores)
    .where(
      and(
        sql`${temuStores.active}`,
        storeIds ? isAnyOf(temuStores.id, storeIds) : lte(temuStores.nextSyncAt, now),
        notExists(itsOpen),
      ),
    );
  for (let from = 0; from < stores.length; from += OPENED_AT_ONCE) {
    const due = stores.slice(from, from + OPENED_AT_ONCE).map(({ id, lastSyncedAt }) => {
      const { start, end } = nextWindow(lastSyncedAt, nowMs);
      return { id, windowStart: start, windowEnd: end, nextSyncAt: nextSync(id, nowMs) };
    });
    await OPEN.run(db, { due: DUE.textOf(due), now });
  }
  // a sync by name does not wait for the next try of one that failed. Nobody has it now: a claim clears the error
  if (storeIds)
    await db
      .update(temuSyncWindows)
      .set({ dueAt: now, offeredAt: null, error: null })
      .where(and(isOpen, isNotNull(temuSyncWindows.error), isAnyOf(storeId, storeIds)));
  // looked up before their jobs are made: a quick worker may have read one by the time they are
  const open = await db
    .select({ id: temuSyncWindows.id })
    .from(temuSyncWindows)
    .where(and(isOpen, storeIds ? isAnyOf(storeId, storeIds) : eq(temuSyncWindows.createdAt, now)));
  await enqueueDue(deps, windows);
  return open.map((row) => row.id);
}

const isOpen = sql`${temuSyncWindows.state} = 'open'`;

/** Stores of one statement: thousands are due at once after an outage (P10). */
const OPENED_AT_ONCE = 1_000;

const DUE = recordset('due', {
  ...{ id: temuStores.id, nextSyncAt: temuStores.nextSyncAt },
  ...{ windowStart: temuSyncWindows.windowStart, windowEnd: temuSyncWindows.windowEnd },
});

/**
 * A window for each store, and when its next sync is due. Stores are locked in one order, so that two callers do not wait
 * for each other; one that has got a window meanwhile keeps it.
 */
const OPEN = statement({}, () => {
  const { id, windowStart, windowEnd, nextSyncAt } = DUE.fields;
  const [now, itsId] = [sql.placeholder('now'), sql`held.${name(temuStores.id)}`];
  const itsDue = sql`held join due on ${id} = ${itsId}`;
  const opened = insertion(temuSyncWindows, {
    ...{ storeId: itsId, windowStart: sql`${windowStart}`, windowEnd: sql`${windowEnd}` },
    ...{ dueAt: now, createdAt: now },
  });
  return sql`
    with due as materialized (select * from ${DUE.from(sql.placeholder('due'))}),
    held as materialized (
      select ${temuStores.id} from ${temuStores} where ${temuStores.id} in (select ${id} from due)
      order by ${temuStores.id} for no key update),
    opened as (
      ${opened} from ${itsDue}
      on conflict (${name(temuSyncWindows.storeId)}) where ${name(temuSyncWindows.state)} = 'open' do nothing)
    update ${temuStores} set ${assignments(temuStores, { nextSyncAt: sql`${nextSyncAt}` })}
    from ${itsDue} where ${temuStores.id} = ${itsId}`;
});

/** A window is open until every page of it is stored, and is read by one worker at a time. */
export const windows = defineWork({
  table: temuSyncWindows,
  key: [temuSyncWindows.id],
  open: ['open'],
  ready: () => hasActiveStore(temuSyncWindows.storeId),
  enqueue: {
    queue: temuPages,
    fields: { id: temuSyncWindows.id },
    jobs:
      ({ now }) =>
      (due) =>
        due.map(({ id, dueMs }) => ({
          id: dueJobId(id, dueMs, now.getTime()),
          payload: { v: 1 as const, windowId: id },
        })),
    sweepMs: seconds(15),
    againMs: ENQUEUE_AGAIN_MS,
    chunk: 1_000,
    most: 50_000,
  },
});

/** So many windows of a store are deleted at once; an hour has twelve. */
const PRUNED_AT_ONCE = 1_000;

/**
 * Windows are kept for reference; their number must not grow for ever. Old ones are found store by store, through the
 * index: thousands of stores have tens of millions of windows (P10). @returns how many were deleted
 */
export async function pruneWindows(db: Db, nowMs: number): Promise<number> {
  const { id, storeId, state, createdAt } = temuSyncWindows;
  const its = db
    .select({ id })
    .from(temuSyncWindows)
    .where(and(eq(storeId, temuStores.id), lt(createdAt, new Date(nowMs - 30 * DAY_MS)), ne(state, 'open')))
    .orderBy(createdAt)
    .limit(PRUNED_AT_ONCE)
    .as('its');
  const old = db.select({ id: its.id }).from(temuStores).crossJoinLateral(its);
  const { count } = await db.delete(temuSyncWindows).where(sql`${id} = any(array(${old}))`);
  return count;
}
