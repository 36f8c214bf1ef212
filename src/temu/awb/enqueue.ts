import { createHash } from 'node:crypto';
import { and, eq, gt, sql } from 'drizzle-orm';
import { name, names, rows } from '../../db/query.ts';
import { orders, shipments, temuOrders, temuPushes, temuStores } from '../../db/schema/index.ts';
import { defineWork } from '../../leases/define.ts';
import { dueJobId } from '../../leases/job-id.ts';
import { isOpen } from '../../orders/status.ts';
import { seconds } from '../../queue/define.ts';
import type { OrdersBase } from '../deps.ts';
import { warnOfNumbers } from './notices.ts';
import { awbPush } from './queues.ts';

/** A job that has not appeared after this long is made again (R1). */
const ENQUEUE_AGAIN_MS = 60_000;
const CHUNK = 1_000;
/**
 * Priorities are steps since then: earlier deadlines first (A8). BullMQ allows up to 2^21, so steps of five minutes
 * last until 2045; within one step it is first in, first out.
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

/** Pushes to send or verify: one job for all that is due of an order, earliest deadline first (A8). */
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
          // the id names which pushes are due since when, so that events of one order in one millisecond get
          // different ids
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

/** The state of a push that no worker has: what may have reached Temu is verified first. */
export const WAITING = sql`case when ${temuPushes.toldAt} is null then 'pending' else 'unknown' end`;

/**
 * A7: shipments of Temu orders that have a number and no push, e.g. rows that another program inserted. Covers the
 * last week and orders still to be shipped. @returns how many were found
 */
export async function findUnpushed(base: OrdersBase): Promise<number> {
  const { db, clock } = base;
  const [now, since] = [new Date(clock()), new Date(clock() - 7 * 86_400_000)];
  const { shipmentId, dueAt, createdAt } = temuPushes;
  const insert = sql`
    insert into ${temuPushes} (${names([shipmentId, orderId, dueAt, createdAt])})
    select ${shipments.id}, ${shipments.orderId}, ${sql.param(now, dueAt)}, ${shipments.createdAt}
    from ${shipments}
      join ${orders} on ${orders.id} = ${shipments.orderId} and ${orders.source} = 'temu' and ${orders.storeId} is not null
      join ${temuOrders} on ${temuOrders.orderId} = ${orders.id} and not ${temuOrders.trackingSentToTemu}
    where ${gt(shipments.createdAt, since)} and ${shipments.awbNumber} is not null
      and ${shipments.linkedTo} is null
      and ${isOpen}
      and not exists (select from ${temuPushes} where ${shipmentId} = ${shipments.id})
    on conflict (${name(shipmentId)}) do nothing returning ${shipmentId}`;
  return await db.transaction(async (tx) => {
    const found = await rows(
      tx,
      {
        orderId: shipments.orderId,
        carrier: sql<string>`coalesce(${shipments.carrier}, ${shipments.bookingCourier})`,
        awbNumber: sql<string>`${shipments.awbNumber}`,
      },
      (read) => sql`
        with made as (${insert})
        select ${read} from made join ${shipments} on ${shipments.id} = made.${name(shipmentId)}`,
    );
    await warnOfNumbers(tx, base, found);
    return found.length;
  });
}

/** T16 "seller must act": parked until the order changes, due again once it has. @returns how many */
export async function reviveParked({ db, clock }: OrdersBase): Promise<number> {
  const { count } = await db
    .update(temuPushes)
    .set({ dueAt: new Date(clock()), offeredAt: null, parkedOrderTime: null, state: WAITING })
    .from(orders)
    .where(
      and(
        eq(orders.id, orderId),
        sql`${temuPushes.state} = 'parked'`,
        gt(orders.orderModifiedAt, temuPushes.parkedOrderTime),
      ),
    );
  return count;
}
