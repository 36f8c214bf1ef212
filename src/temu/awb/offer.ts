import { offer, turnId } from '../../queue/turn.ts';
import type { OrdersBase } from '../orders/deps.ts';
import { awbPush } from './queues.ts';

/** A job that has not shown up after this long is offered again under the same id (R1). */
const OFFER_AGAIN_MS = 60_000;
const CHUNK = 1_000;
/**
 * Priorities are steps since then: the earlier the deadline, the earlier the turn (A8). BullMQ takes up to 2^21, so that
 * steps of five minutes last until 2045; within one, the order in which they came counts.
 */
const FIRST = Date.UTC(2026, 0, 1);
const STEP_MS = 5 * 60_000;
const LAST_PRIORITY = 2 ** 21 - 1;

export function deadlinePriority(shipBy: Date | null): number {
  if (!shipBy) return LAST_PRIORITY;
  return Math.min(LAST_PRIORITY, Math.max(1, Math.floor((shipBy.getTime() - FIRST) / STEP_MS)));
}

/** Makes jobs of due pushes without one, one job per order, the earliest deadline first. @returns how many */
export async function offerPushes(
  { db, queues, clock }: OrdersBase,
  orderId?: string,
  offerAgainMs = OFFER_AGAIN_MS,
): Promise<number> {
  const sql = db.$client;
  // taken once: what this walk has offered must not be stale again before its end
  const now = new Date(clock());
  const stale = new Date(now.getTime() - offerAgainMs);
  let offered = 0;
  for (;;) {
    // the id names which pushes are due since when: events of one order in one millisecond are not each other's doubles
    const due = await sql<{ orderId: string; shipBy: Date | null; due: string; which: string }[]>`
      with due as (
        select p.id from temu_pushes p join orders o on o.id = p.order_id join temu_stores s on s.id = o.store_id and s.active
        where p.state in ('pending', 'sending', 'unknown') and p.due_at <= ${now}
          and (p.offered_at is null or p.offered_at < p.due_at or p.offered_at < ${stale})
          ${orderId ? sql`and p.order_id = ${orderId}` : sql``}
        order by p.due_at limit ${CHUNK} for update of p skip locked),
      offered as (update temu_pushes p set offered_at = ${now} from due where p.id = due.id returning p.id, p.order_id, p.due_at)
      select f.order_id as "orderId", o.ship_by_date as "shipBy", floor(extract(epoch from max(f.due_at)) * 1000)::text as due,
        left(md5(string_agg(f.id::text, ' ' order by f.id)), 8) as which
      from offered f join orders o on o.id = f.order_id group by f.order_id, o.ship_by_date`;
    const jobs = due.map((row) => ({
      id: turnId(`${row.orderId}-${row.which}`, row.due, now.getTime()),
      priority: deadlinePriority(row.shipBy),
      payload: { v: 1 as const, orderId: row.orderId },
    }));
    await offer(
      () => queues.add(awbPush, jobs),
      () => sql`
        update temu_pushes set offered_at = null
        where state in ('pending', 'sending', 'unknown') and offered_at = ${now}`,
    );
    offered += due.length;
    if (due.length < CHUNK) return offered;
  }
}

/**
 * A7: shipments of Temu orders that have a number and no push, e.g. rows that another program inserted; looked for
 * among those of the last week whose order is still to be shipped. @returns how many were found
 */
export async function findUnpushed({ db, clock }: OrdersBase): Promise<number> {
  const now = new Date(clock());
  const found = await db.$client`
    insert into temu_pushes (shipment_id, order_id, due_at, created_at)
    select s.id, s.order_id, ${now}, s.created_at
    from shipments s join orders o on o.id = s.order_id and o.source = 'temu' and o.store_id is not null
      join temu_orders t on t.order_id = o.id and not t.tracking_sent_to_temu
    where s.created_at > ${new Date(clock() - 7 * 86_400_000)} and s.awb_number is not null
      and o.status in ('Pending', 'Ready for Shipping', 'Partially Shipped', 'Incomplete')
      and not exists (select from temu_pushes p where p.shipment_id = s.id)
    on conflict (shipment_id) do nothing returning 1`;
  return found.length;
}

/** T16 "seller must act": what was parked until the order changes is due again once it has. @returns how many */
export async function reviveParked({ db, clock }: OrdersBase): Promise<number> {
  const revived = await db.$client`
    update temu_pushes p set due_at = ${new Date(clock())}, offered_at = null, parked_order_time = null,
      state = case when p.told_at is null then 'pending' else 'unknown' end
    from orders o
    where o.id = p.order_id and p.state = 'parked' and o.order_modified_at > p.parked_order_time returning 1`;
  return revived.length;
}
