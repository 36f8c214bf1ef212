import type { Db } from '../db/client.ts';

/** How a store stands, for `status`, `up` and the overview page: counts and times, no personal data. */
export interface StoreOverview {
  name: string;
  region: string;
  country: string;
  active: boolean;
  pausedReason: string | null;
  /** Whose doing it is: Temu's refusal, or a person's; null also where another program did it. */
  pausedBy: 'temu' | 'operator' | null;
  lastSyncedAt: Date | null;
  nextSyncAt: Date | null;
  /** The window that is being read, if one is. */
  reading: { since: Date; attempts: number; error: string | null } | null;
  /** The last complete window: what Temu said was in it, and what is stored (T3). */
  lastWindow: { start: Date; end: Date; expected: number; stored: number } | null;
  /** Orders by status: all of them, or the open ones alone. */
  orders: Record<string, number>;
  inbox: { waiting: number; incomplete: number; failed: number };
  /** APIs that Temu does not open to the store (T16). */
  pausedApis: Record<string, string>;
}

/** T7, T13: statuses of orders of which something is still expected. */
const OPEN_STATUSES = ['Pending', 'Ready for Shipping', 'Partially Shipped', 'Incomplete'];

/** @param open count open orders alone: costs do not grow with what is stored then (P3) */
export async function storeOverviews(db: Db, { open = false } = {}): Promise<StoreOverview[]> {
  return await db.$client<StoreOverview[]>`
    select s.name, s.region, s.country, s.active, s.paused_reason as "pausedReason", s.paused_by as "pausedBy",
      s.last_synced_at as "lastSyncedAt", case when s.active then s.next_sync_at end as "nextSyncAt",
      (select jsonb_build_object('since', w.created_at, 'attempts', w.attempts, 'error', w.error)
        from temu_sync_windows w where w.store_id = s.id and w.state = 'open') as reading,
      (select jsonb_build_object('start', w.window_start, 'end', w.window_end, 'expected', w.expected, 'stored', w.stored)
        from temu_sync_windows w where w.store_id = s.id and w.state = 'complete'
        order by w.created_at desc limit 1) as "lastWindow",
      coalesce((select jsonb_object_agg(status, n) from (
        select status, count(*)::int as n from orders o
        where o.store_id = s.id ${open ? db.$client`and o.status = any(${OPEN_STATUSES})` : db.$client``} group by status) by_status), '{}') as orders,
      (select jsonb_build_object('waiting', count(*) filter (where state = 'pending'),
          'incomplete', count(*) filter (where state = 'incomplete'), 'failed', count(*) filter (where state = 'failed'))
        from temu_order_inbox i where i.store_id = s.id and i.state <> 'stored') as inbox,
      coalesce((select jsonb_object_agg(api, reason) from temu_api_pauses p where p.store_id = s.id), '{}') as "pausedApis"
    from temu_stores s order by s.name`;
}

/** Open errors of orders by type and message, most frequent first: what to mend to mend most. */
export async function openOrderErrors(
  db: Db,
  limit = 10,
): Promise<{ type: string; message: string; orders: number }[]> {
  return await db.$client<{ type: string; message: string; orders: number }[]>`
    select type, message, count(*)::int as orders from order_errors where resolved_at is null
    group by type, message order by 3 desc, 1, 2 limit ${limit}`;
}

/**
 * Orders of all sources by when they came in here.
 * @param step seconds of one count
 * @returns counts by the start of their step, in epoch seconds; steps without orders are left out
 */
export async function ordersOverTime(db: Db, since: Date, step: number): Promise<Map<number, number>> {
  const rows = await db.$client<{ at: number; orders: number }[]>`
    select (floor(extract(epoch from created_at) / ${step}::int) * ${step}::int)::float8 as at, count(*)::int as orders
    from orders where created_at >= ${since} group by 1`;
  return new Map(rows.map(({ at, orders }) => [at, orders]));
}
