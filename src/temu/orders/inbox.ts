import { createHash } from 'node:crypto';
import { parseExact, storableJson, stringifyExact } from '../json.ts';
import { LONGEST_ID, listItem, time } from './answers.ts';
import type { OrdersBase } from './deps.ts';
import { temuOrders } from './queues.ts';
import { OFFER_AGAIN_MS } from './window.ts';

export interface InboxRow {
  parentOrderSn: string;
  updateTime: Date;
  /** The list call's item, digit for digit. */
  payload: string;
  /** Why it cannot be used, when it cannot. */
  error: string | null;
}

/**
 * One item of a page as an inbox row. An item that cannot be read is kept as well, as failed and with the reason, so
 * that one bad order neither disappears nor stops its page (R3).
 */
export function toInboxRow(given: unknown): InboxRow {
  const raw = stringifyExact(given);
  const payload = storableJson(raw);
  const item = payload === raw ? given : parseExact(payload);
  const parsed = listItem.safeParse(item);
  if (parsed.success) {
    const { parentOrderSn, updateTime } = parsed.data.parentOrderMap;
    return { parentOrderSn, updateTime: updateTime as Date, payload, error: null };
  }
  const issue = parsed.error.issues[0];
  const parent = (item as { parentOrderMap?: Record<string, unknown> | null } | null)?.parentOrderMap;
  const sn = parent?.parentOrderSn;
  return {
    parentOrderSn:
      typeof sn === 'string' && sn && sn.length <= LONGEST_ID
        ? sn
        : `unreadable-${createHash('sha256').update(payload).digest('hex').slice(0, 16)}`,
    // without a time of its own it is older than any copy that can be read: that one must win, whichever came first
    updateTime: time.safeParse(parent?.updateTime).data ?? new Date(0),
    payload,
    error: `Temu's list item cannot be read: ${issue?.path.join('.')}: ${issue?.message}`,
  };
}

/**
 * T4: stores a page's orders before any job is made of them. An older copy never replaces a newer one; a copy of the
 * same second replaces only one that says something else. What is new is due at once.
 */
export async function storeInInbox(
  { db, clock }: OrdersBase,
  storeId: string,
  rows: readonly InboxRow[],
): Promise<void> {
  // one row per order, the newest, in the order of the key: a conflict clause may meet a row only once, and locks
  // taken in one order do not deadlock
  const newest = new Map<string, InboxRow>();
  for (const row of rows) {
    const other = newest.get(row.parentOrderSn);
    if (!other || other.updateTime <= row.updateTime) newest.set(row.parentOrderSn, row);
  }
  const sorted = [...newest.values()].sort((a, b) => (a.parentOrderSn < b.parentOrderSn ? -1 : 1));
  if (sorted.length === 0) return;
  const now = new Date(clock());
  await db.$client`
    insert into temu_order_inbox as i
      (store_id, parent_order_sn, update_time, payload, error, state, due_at, received_at)
    select ${storeId}, sn, at, payload::jsonb, error, case when error is null then 'pending' else 'failed' end, ${now}, ${now}
    from unnest(
      ${sorted.map((row) => row.parentOrderSn)}::text[],
      ${sorted.map((row) => row.updateTime.toISOString())}::timestamptz[],
      ${sorted.map((row) => row.payload)}::text[],
      ${sorted.map((row) => row.error)}::text[]) as page (sn, at, payload, error)
    on conflict (store_id, parent_order_sn) do update set
      update_time = excluded.update_time, payload = excluded.payload, error = excluded.error, state = excluded.state,
      version = i.version + 1, attempts = 0, incomplete_since = null, due_at = excluded.due_at,
      offered_at = null, received_at = excluded.received_at
    where excluded.update_time > i.update_time
       or (excluded.update_time = i.update_time and excluded.payload is distinct from i.payload)`;
}

/** Rows are turned into jobs this many at a time. */
const OFFER_CHUNK = 1_000;
/** A row's place in its store's backlog, in tens, is its job's priority: see offerOrders. BullMQ takes up to 2^21. */
const PER_PRIORITY = 10;
/** Orders that wait for a missing part come after those that nobody has seen yet. */
const HEALING_PRIORITY = 2_000_000;

/**
 * Makes jobs of due inbox rows without one. The further back a row stands in its own store's backlog, the later its
 * job's turn: a store with ten new orders does not wait behind another's ten thousand (T17).
 * @returns how many
 */
export async function offerOrders({ db, queues, clock }: OrdersBase, storeId?: string): Promise<number> {
  const sql = db.$client;
  let offered = 0;
  for (;;) {
    const now = new Date(clock());
    const stale = new Date(clock() - OFFER_AGAIN_MS);
    const due = await sql<{ store_id: string; sn: string; due: string; state: string; ahead: number }[]>`
      with due as (
        select i.store_id, i.parent_order_sn
        from temu_order_inbox i join temu_stores s on s.id = i.store_id and s.active
        where i.state in ('pending', 'incomplete') and i.due_at <= ${now}
          and (i.offered_at is null or i.offered_at < i.due_at or i.offered_at < ${stale})
          ${storeId ? sql`and i.store_id = ${storeId}` : sql``}
        order by i.due_at
        limit ${OFFER_CHUNK}
        for update of i skip locked),
      backlog as (
        select store_id, count(*)::int as rows from temu_order_inbox
        where state = 'pending' and offered_at is not null and store_id in (select store_id from due)
        group by store_id)
      update temu_order_inbox i set offered_at = ${now}
      from due left join backlog using (store_id)
      where i.store_id = due.store_id and i.parent_order_sn = due.parent_order_sn
      returning i.store_id, i.parent_order_sn as sn, i.state, coalesce(backlog.rows, 0) as ahead,
        floor(extract(epoch from i.due_at) * 1000)::text as due`;
    const placed = new Map<string, number>();
    await queues.add(
      temuOrders,
      due.map((row) => {
        const place = (placed.get(row.store_id) ?? 0) + 1;
        placed.set(row.store_id, place);
        return {
          id: orderJobId(row.store_id, row.sn, row.due),
          priority:
            row.state === 'incomplete'
              ? HEALING_PRIORITY
              : Math.min(HEALING_PRIORITY - 1, 1 + Math.floor((row.ahead + place) / PER_PRIORITY)),
          payload: { v: 1 as const, storeId: row.store_id, parentOrderSn: row.sn },
        };
      }),
    );
    offered += due.length;
    if (due.length < OFFER_CHUNK) return offered;
  }
}

/** The time at which it is due is part of the id, so that a kept, ended job never swallows the next turn. */
export const orderJobId = (storeId: string, sn: string, dueMs: string | number) =>
  `${storeId}-${sn.replaceAll(':', '_')}-${dueMs}`;
