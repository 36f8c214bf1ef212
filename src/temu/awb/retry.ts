import { and, eq, gt, type SQL, sql } from 'drizzle-orm';
import { z } from 'zod';
import { awbCreatedEvent } from '../../client/index.ts';
import type { Db } from '../../db/client.ts';
import { assignments, isAnyOf, name, rows } from '../../db/query.ts';
import { orders, shipments, temuPushes } from '../../db/schema/index.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { UserError } from '../../lib/errors.ts';
import type { OrdersBase } from '../deps.ts';
import { pushes, WAITING } from './enqueue.ts';
import { recordEvent, retryParkedEvents } from './ingest-event.ts';

/** A7: how many orders one `awb retry --failed` takes. */
export const RETRY_AT_ONCE = 50;

/** What was tried this recently comes last. */
const RECENTLY_MS = 3_600_000;

/** States in which a push has ended unsent; a replaced one is history. */
const AT_REST = sql`${temuPushes.state} in ('parked', 'rejected')`;

/**
 * Makes pushes due again: those of an order, or up to 50 with an error, earliest deadline first (A7). Events parked
 * without an order look for it again first (A3).
 * @returns ids of the pushes
 */
export async function retryPushes(
  deps: OrdersBase,
  of: { order: string } | { failed: true },
): Promise<string[]> {
  const { db } = deps;
  const now = new Date(deps.clock());
  const events = await retryParkedEvents(deps, 'order' in of ? of.order : undefined, RETRY_AT_ONCE);
  const { id, state, error, dueAt } = temuPushes;
  const which =
    'order' in of
      ? sql`${orders.marketplaceOrderId} = ${of.order} and (${AT_REST} or ${state} in ('pending', 'unknown'))`
      : sql`${AT_REST} and ${error} is not null and ${orders.status} <> 'Cancelled'`;
  const due = await rows(
    db,
    { id },
    (read) => sql`
      with chosen as (
        select ${id} from ${temuPushes} join ${orders} on ${orders.id} = ${temuPushes.orderId} where ${which}
        -- a lease that ended lately is a late try: those come last, so that call after call gets through all of them
        order by ${gt(dueAt, new Date(now.getTime() - RECENTLY_MS))}, ${orders.shipByDate} nulls last
        limit ${RETRY_AT_ONCE} for update of ${temuPushes})
      update ${temuPushes} set ${assignments(temuPushes, {
        dueAt: now,
        offeredAt: null,
        parkedOrderTime: null,
        state: WAITING,
      })}
      from chosen where ${id} = chosen.${name(id)} returning ${read}`,
  );
  if ('order' in of && due.length === 0 && events.pushes.length === 0) {
    const [known] = await rows(
      db,
      {
        sent: sql<boolean>`exists (select from ${temuPushes} where ${temuPushes.orderId} = ${orders.id} and ${state} = 'sent')`,
      },
      (read) => sql`select ${read} from ${orders} where ${orders.marketplaceOrderId} = ${of.order}`,
    );
    if (!known && events.waiting > 0)
      throw new UserError(`Order ${of.order} is not in Orderfleet yet; its AWB waits another day for it`);
    if (!known) throw new UserError(`Order ${of.order} not found`);
    throw new UserError(
      known.sent
        ? `The AWB of order ${of.order} is already on Temu`
        : `Order ${of.order} has no AWB to push: orderfleet awb push`,
    );
  }
  await enqueueDue(deps, pushes);
  return [...new Set([...events.pushes, ...due.map(({ id }) => id)])];
}

/** Pushes with their order and their parcel. */
const pushesWhere = (db: Db, which: SQL | undefined) =>
  db
    .select({
      id: temuPushes.id,
      order: orders.marketplaceOrderId,
      awbNumber: sql<string>`${shipments.awbNumber}`,
      state: temuPushes.state,
      error: temuPushes.error,
      dueAt: temuPushes.dueAt,
    })
    .from(temuPushes)
    .innerJoin(orders, eq(orders.id, temuPushes.orderId))
    .innerJoin(shipments, eq(shipments.id, temuPushes.shipmentId))
    .where(which)
    .orderBy(sql`${orders.shipByDate} nulls last`, orders.marketplaceOrderId);

export type PushState = Awaited<ReturnType<typeof pushStates>>[number];

export async function pushStates({ db, clock }: OrdersBase, ids: readonly string[]) {
  const now = new Date(clock());
  const found = await pushesWhere(db, isAnyOf(temuPushes.id, ids));
  return found.map(({ id, dueAt, ...push }) => ({
    ...push,
    /** Its next attempt is later: it was tried just now. */
    later: push.state === 'pending' && dueAt > now,
  }));
}

/** Records an AWB by hand, as the shipping app would. @returns ids of the order's pushes with this number */
export async function pushByHand(
  deps: OrdersBase,
  order: string,
  awbNumber: string,
  carrier: string,
): Promise<string[]> {
  const [known] = await deps.db
    .select({ source: orders.source })
    .from(orders)
    .where(eq(orders.marketplaceOrderId, order))
    .limit(1);
  if (!known)
    throw new UserError(`Order ${order} not found: is its store added and synced (orderfleet status)?`);
  const event = awbCreatedEvent.safeParse({
    source: known.source,
    marketplaceOrderId: order,
    awbNumber,
    carrier,
  });
  if (!event.success) throw new UserError(`Invalid AWB: ${z.prettifyError(event.error)}`);
  const recorded = await recordEvent(deps, event.data, { anew: true });
  if (recorded.is === 'parked') throw new UserError(recorded.why);
  const ofThis = and(eq(orders.marketplaceOrderId, order), eq(shipments.awbNumber, event.data.awbNumber));
  return (await pushesWhere(deps.db, ofThis)).map(({ id }) => id);
}
