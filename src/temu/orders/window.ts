import { createHash } from 'node:crypto';
import type { Db } from '../../db/client.ts';
import { temuSyncWindows } from '../../db/schema/index.ts';
import { defineWork } from '../../leases/define.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { dueJobId } from '../../leases/job-id.ts';
import { seconds } from '../../queue/define.ts';
import { hasActiveStore } from '../stores.ts';
import type { OrdersBase } from './deps.ts';
import { temuPages } from './queues.ts';

const DAY_MS = 86_400_000;
/** T2: how far the first sync of a store looks back. */
export const FIRST_SYNC_MS = 90 * DAY_MS;
/** T2: how far a later one reaches into what is stored already. */
export const OVERLAP_MS = 3_600_000;
/** T2: a store is synced this often. */
export const SYNC_EVERY_MS = 5 * 60_000;
/**
 * The window ends this long ago: an order that changes in a second that is not over yet could still enter the list
 * at its head and push others behind a page that is read already (T3). Our clock may be a little ahead of Temu's.
 */
const SETTLE_MS = 5_000;
/** A job that has not shown up after this long is made again (R1: within two minutes). */
export const ENQUEUE_AGAIN_MS = 60_000;

export interface Window {
  start: Date;
  end: Date;
}

/** T2: the window of the sync that starts now; whole seconds, as Temu counts. */
export function nextWindow(lastSyncedAt: Date | null, nowMs: number): Window {
  const end = Math.floor((nowMs - SETTLE_MS) / 1000) * 1000;
  const start = lastSyncedAt ? Math.min(lastSyncedAt.getTime() - OVERLAP_MS, end) : end - FIRST_SYNC_MS;
  return { start: new Date(Math.floor(start / 1000) * 1000), end: new Date(end) };
}

/** T2: the next turn of a store after now; turns of different stores are spread by a hash of the store. */
export function nextTurn(storeId: string, nowMs: number): Date {
  const offset = createHash('sha256').update(storeId).digest().readUInt32BE() % SYNC_EVERY_MS;
  const turn = Math.floor((nowMs - offset) / SYNC_EVERY_MS) + 1;
  return new Date(turn * SYNC_EVERY_MS + offset);
}

/**
 * Opens a window for each active store whose turn has come, or for the named ones at once; a store whose sync is
 * still running gets none (T2).
 * @returns ids of the windows that are open now for the stores asked for; without names, of those opened now
 */
export async function openWindows(deps: OrdersBase, storeIds?: readonly string[]): Promise<string[]> {
  const nowMs = deps.clock();
  const now = new Date(nowMs);
  const sql = deps.db.$client;
  const stores = await sql<{ id: string; last_synced_at: Date | null }[]>`
    select id, last_synced_at from temu_stores s
    where active and ${storeIds ? sql`id = any(${storeIds as string[]}::uuid[])` : sql`next_sync_at <= ${now}`}
      and not exists (select from temu_sync_windows w where w.store_id = s.id and w.state = 'open')`;
  for (const store of stores) {
    const { start, end } = nextWindow(store.last_synced_at, nowMs);
    await sql`
      with opened as (
        insert into temu_sync_windows (store_id, window_start, window_end, due_at, created_at)
        values (${store.id}, ${start}, ${end}, ${now}, ${now})
        on conflict (store_id) where state = 'open' do nothing)
      update temu_stores set next_sync_at = ${nextTurn(store.id, nowMs)} where id = ${store.id}`;
  }
  // who asks for a store by name does not want to wait for the next try of one that failed. Nobody reads it now: a claim
  // takes the error away
  if (storeIds)
    await sql`
      update temu_sync_windows set due_at = ${now}, offered_at = null, error = null
      where state = 'open' and error is not null and store_id = any(${storeIds as string[]}::uuid[])`;
  // looked up before they are offered: a quick worker may have read one by the time the offer is made
  const open = await sql<{ id: string }[]>`
    select id from temu_sync_windows
    where state = 'open' and ${storeIds ? sql`store_id = any(${storeIds as string[]}::uuid[])` : sql`created_at = ${now}`}`;
  await enqueueDue(deps, windows);
  return open.map((row) => row.id);
}

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

/** Windows are kept for looking at; their number must not grow for ever. */
export async function forgetOldWindows(db: Db, nowMs: number): Promise<number> {
  const { count } = await db.$client`
    delete from temu_sync_windows where state <> 'open' and created_at < ${new Date(nowMs - 30 * DAY_MS)}`;
  return count;
}
