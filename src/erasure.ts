import type { Db } from './db/client.ts';
import { minutes } from './queue/define.ts';
import type { Task } from './queue/maintenance.ts';

const DAY_MS = 86_400_000;
/** Orders looked at in one statement: some ten milliseconds, so that nobody waits for their locks. */
const BATCH = 2_000;
/**
 * Nobody tells the end of some orders: shipped, and never heard of again. After so many days without a change an order
 * counts as ended with its last change: Temu's buyers may return a parcel within 90 days, so that until then the address
 * may still be needed, and no longer.
 */
const QUIET_DAYS = 90;
/** order_statuses whose parcels have come to their end: delivered, booking_cancelled, rto, lost, destroyed. */
const FINAL_CODES = [10, 12, 13, 15, 17];
const FINAL_STATUSES = ['delivered', 'booking_cancelled', 'rto', 'lost', 'destroyed'];
/** Temu's orders of which something is still to be shipped: that their parcels so far have arrived is not their end. */
const TO_BE_SHIPPED = ['Pending', 'Ready for Shipping', 'Partially Shipped', 'Incomplete'];

export interface ErasureDeps {
  db: Db;
  /** Epoch milliseconds. */
  clock: () => number;
  config: { PERSONAL_DATA_DAYS: number };
}

/** What the scheduler does about personal data (T18). */
export const erasureTasks = (deps: ErasureDeps): Task[] => [
  {
    id: 'erase-personal-data',
    everyMs: minutes(24 * 60),
    run: async (signal) => ({ erased: await erasePersonalData(deps, signal) }),
  },
];

interface Batch {
  looked: number;
  erased: number;
  lastPlacedAt: string | null;
  lastId: string | null;
}

/**
 * T18: forgets the buyers of orders that ended more than PERSONAL_DATA_DAYS ago, of whatever source: mail, name, phone,
 * address; the country stays for statistics. Ended are orders that were cancelled or received (by the marketplace's word),
 * whose parcels have all come to their end or whose code says so, and those that nothing was heard of for 90 days.
 * Walks the orders that hold personal data and were placed long enough ago, by the index of just these (P3).
 * @returns how many buyers were forgotten
 */
export async function erasePersonalData(
  { db, clock, config }: ErasureDeps,
  signal?: AbortSignal,
): Promise<number> {
  const endedBefore = new Date(clock() - config.PERSONAL_DATA_DAYS * DAY_MS);
  const quietSince = new Date(clock() - Math.max(QUIET_DAYS, config.PERSONAL_DATA_DAYS) * DAY_MS);
  const now = new Date(clock());
  let from = { placedAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' };
  let erased = 0;
  for (;;) {
    signal?.throwIfAborted();
    const [batch] = await db.$client<Batch[]>`
      with candidates as materialized (
        select id, coalesce(order_created_at, '-infinity') as placed_at, status, marketplace_status, order_status,
          coalesce(order_modified_at, updated_at) as changed_at, ended_at,
          source = 'temu' and status = any(${TO_BE_SHIPPED}) as to_be_shipped
        from orders
        where num_nonnulls(buyer_mail, shipping_buyer_name, shipping_phone, shipping_street1, shipping_city,
            shipping_state_province, shipping_postal_code) > 0
          and coalesce(order_created_at, '-infinity') <= ${endedBefore}
          and (coalesce(order_created_at, '-infinity'), id) > (${from.placedAt}::timestamptz, ${from.id}::uuid)
        order by coalesce(order_created_at, '-infinity'), id
        limit ${BATCH}
        for update skip locked),
      ended as (
        select c.id from candidates c cross join lateral (
          select bool_and(s.status = any(${FINAL_STATUSES})) as all_final,
            max(coalesce(s.status_at, s.delivered_at)) filter (where s.status = any(${FINAL_STATUSES})) as ended_at,
            max(greatest(s.booked_at, s.status_at)) as changed_at
          from shipments s where s.order_id = c.id) p
        where least(
            case when c.status = 'Cancelled' or c.marketplace_status = 'RECEIPTED'
              then coalesce(c.ended_at, c.changed_at) end,
            case when not c.to_be_shipped and (p.all_final or c.order_status = any(${FINAL_CODES}))
              then coalesce(p.ended_at, c.changed_at) end
          ) <= ${endedBefore}
          or greatest(c.changed_at, p.changed_at) <= ${quietSince}),
      forgotten as (
        update orders o set buyer_mail = null, shipping_buyer_name = null, shipping_phone = null,
          shipping_street1 = null, shipping_city = null, shipping_state_province = null, shipping_postal_code = null,
          personal_data_erased_at = ${now}
        from ended where o.id = ended.id returning 1)
      select (select count(*)::int from candidates) as looked, (select count(*)::int from forgotten) as erased,
        (select max(placed_at)::text from candidates) as "lastPlacedAt",
        (select id from candidates order by placed_at desc, id desc limit 1) as "lastId"`;
    erased += batch?.erased ?? 0;
    if (!batch?.lastPlacedAt || !batch.lastId || batch.looked < BATCH) return erased;
    from = { placedAt: batch.lastPlacedAt, id: batch.lastId };
  }
}
