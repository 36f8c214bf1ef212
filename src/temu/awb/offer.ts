import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { orders, temuPushes, temuStores } from '../../db/schema/index.ts';
import { defineWork } from '../../leases/define.ts';
import { dueJobId } from '../../leases/job-id.ts';
import { seconds } from '../../queue/define.ts';
import type { OrdersBase } from '../orders/deps.ts';
import { awbPush } from './queues.ts';

/** A job that has not shown up after this long is made again (R1). */
const ENQUEUE_AGAIN_MS = 60_000;
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

const { id, orderId } = temuPushes;
const orderOf = sql`${orders.id} = ${orderId}`;

/** What Temu is to be told, or asked about: one job for all that is due of an order, the earliest deadline first (A8). */
export const pushes = defineWork({
  table: temuPushes,
  key: [id],
  open: ['pending', 'sending', 'unknown'],
  ready: () => sql`exists (
    select from ${orders} join ${temuStores} on ${temuStores.id} = ${orders.storeId} and ${temuStores.active} where ${orderOf})`,
  enqueue: {
    queue: awbPush,
    fields: {
      id,
      orderId,
      shipBy: sql<Date | null>`(select ${orders.shipByDate} from ${orders} where ${orderOf})`.mapWith(
        orders.shipByDate,
      ),
    },
    jobs:
      ({ now }) =>
      (due) =>
        [...new Set(due.map((push) => push.orderId))].map((orderId) => {
          const its = due.filter((push) => push.orderId === orderId);
          // the id names which pushes are due since when: events of one order in one millisecond are not each other's doubles
          const which = digest(
            its
              .map((push) => push.id)
              .sort()
              .join(' '),
          );
          return {
            id: dueJobId(`${orderId}-${which}`, its.at(-1)?.dueMs ?? 0, now.getTime()),
            priority: deadlinePriority(its[0]?.shipBy ?? null),
            payload: { v: 1 as const, orderId },
          };
        }),
    sweepMs: seconds(15),
    againMs: ENQUEUE_AGAIN_MS,
    chunk: CHUNK,
    most: Number.POSITIVE_INFINITY,
  },
});

const digest = (text: string) => createHash('md5').update(text).digest('hex').slice(0, 8);

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
