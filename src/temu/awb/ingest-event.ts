import { and, eq, lt, lte, sql } from 'drizzle-orm';
import { type AwbCreatedEvent, eventContent, eventKey } from '../../client/index.ts';
import type { Tx } from '../../db/client.ts';
import { assignments, isAnyOf, name, names, rows } from '../../db/query.ts';
import { awbEvents, orders, shipments, temuPushes, temuStores } from '../../db/schema/index.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { messageOf, withoutParameters } from '../../lib/errors.ts';
import { isInfrastructureFault } from '../../lib/infrastructure.ts';
import { notify } from '../../notices/index.ts';
import type { OrdersBase } from '../deps.ts';
import { ofOrder } from './claim.ts';
import { pushes } from './enqueue.ts';
import { type EventRow, type Found, KEEP, LOCK, MAKE, ordersOf, REPLACE, WAKE } from './event-store.ts';
import { warnOfNumbers } from './notices.ts';
import { replacedReason } from './push-store.ts';
import { recordPlain } from './record-plain.ts';
import type { Recorded } from './recorded.ts';

/** A3: how long an event waits for its order, and how often it checks. */
const GIVE_UP_MS = 24 * 3_600_000;
const LOOK_AGAIN_MS = 30_000;

export interface RecordOptions {
  /** Named again by hand: it counts as received now, also when it was replaced (A7). */
  anew?: boolean;
}

/**
 * A2: writes the event, its shipment and its push to Postgres before anything else happens. The same event twice is
 * one (A1), unless it was given up: then it starts over. A changed event for the same AWB corrects it until it is
 * sent to Temu. An event whose order is unknown waits for it and triggers the order sync (A3). Plain events that come
 * together are written together (P6).
 */
export async function ingestEvent(
  deps: OrdersBase,
  event: AwbCreatedEvent,
  { anew = false }: RecordOptions = {},
): Promise<Recorded> {
  const plain = anew ? undefined : await recordPlain(deps, event);
  if (plain) return plain;
  const now = new Date(deps.clock());
  const key = eventKey(event);
  const recorded = await deps.db
    .transaction(async (tx) => {
      const [[row], [found = []]] = await Promise.all([
        KEEP.run(tx, { key, payload: event, now }),
        ordersOf(tx, [event]),
      ]);
      if (row?.state !== 'recorded') return await settleEvent(deps, tx, row, found, now);
      if (!anew && eventContent(row.payload) === eventContent(event)) return KNOWN;
      return await correct(deps, tx, { ...row, payload: event, ...(anew ? { receivedAt: now } : {}) }, now);
    })
    .catch(async (error): Promise<Recorded> => {
      if (isInfrastructureFault(error)) throw error; // the job is delivered again (R10)
      // an event that cannot become a shipment now is kept and retried (R3)
      await KEEP.run(deps.db, { key, payload: event, now });
      return notRecorded(deps, key, error);
    });
  if (recorded.is === 'waiting') await wait(deps, key, recorded.why);
  return recorded;
}

/** R3: an event that cannot be written fails alone; with Postgres away all of them would. */
function notRecorded({ log }: OrdersBase, key: string, thrown: unknown): Recorded {
  const why = `it could not be recorded: ${messageOf(withoutParameters(thrown))}`;
  log.error({ event: key, err: why }, 'an AWB event could not be recorded');
  return { is: 'waiting', why };
}

const KNOWN: Recorded = { is: 'known' };

/** A recorded event arrives again, changed or by hand. */
async function correct(deps: OrdersBase, tx: Tx, row: EventRow, now: Date): Promise<Recorded> {
  const { key, payload, receivedAt } = row;
  const [found = []] = await ordersOf(tx, [payload]);
  const told = await tx
    .select({ id: temuPushes.id })
    .from(temuPushes)
    .innerJoin(shipments, eq(shipments.id, temuPushes.shipmentId))
    .where(
      and(
        isAnyOf(
          shipments.orderId,
          found.map(({ id }) => id),
        ),
        sql`upper(${shipments.awbNumber}) = upper(${payload.awbNumber})`,
        sql`(${temuPushes.state} in ('sent', 'sending') or ${temuPushes.toldAt} is not null)`,
      ),
    )
    .for('update', { of: temuPushes });
  if (told.length > 0) return KNOWN;
  await tx.update(awbEvents).set({ payload, receivedAt }).where(eq(awbEvents.key, key));
  return await settleEvent(deps, tx, { ...row, state: 'waiting' }, found, now);
}

/** Records an event and makes a job of what is due for its order. */
export async function recordEvent(
  deps: OrdersBase,
  event: AwbCreatedEvent,
  options: RecordOptions = {},
): Promise<Recorded> {
  const recorded = await ingestEvent(deps, event, options);
  if (recorded.is === 'due') await enqueueDue(deps, pushes, { where: ofOrder(recorded.orderId) });
  return recorded;
}

/** Makes the shipment of a waiting event, whose row is locked, if its order exists: `found` are those it may refer to. */
async function settleEvent(
  deps: OrdersBase,
  tx: Tx,
  row: EventRow | undefined,
  [order, second]: readonly Found[],
  now: Date,
): Promise<Recorded> {
  if (row?.state !== 'waiting') return KNOWN;
  const { key, payload: event, receivedAt } = row;
  if (second) {
    const error = `two stores have an order ${event.marketplaceOrderId}: use its orderId`;
    await tx.update(awbEvents).set({ state: 'parked', error }).where(eq(awbEvents.key, key));
    return { is: 'parked', why: error };
  }
  if (!order) return { is: 'waiting' };
  const pushed = order.source === 'temu';
  const { awbNumber, carrier } = event;
  await Promise.all([
    MAKE.run(tx, {
      key,
      orderId: order.id,
      awbNumber,
      lrNumber: event.lrNumber ?? null,
      bookingCourier: event.bookingCourier ?? carrier,
      bookedAt: event.bookedAt ? new Date(event.bookedAt) : now,
      carrier,
      items: event.items ?? null,
      receivedAt,
      pushed,
      now,
    }),
    pushed && settleOthers(tx, order.id, event, receivedAt, now),
    warnOfNumbers(tx, deps, [{ orderId: order.id, carrier, awbNumber }]),
  ]);
  return pushed ? { is: 'due', orderId: order.id } : { is: 'recorded', source: order.source };
}

/**
 * A newer parcel for the whole order replaces older unsent ones (those that a worker has are settled there, see
 * plan.ts); parcels of a split wait for each other, and the last one wakes the others.
 */
async function settleOthers(
  tx: Tx,
  orderId: string,
  { awbNumber, items }: AwbCreatedEvent,
  receivedAt: Date,
  now: Date,
): Promise<void> {
  await Promise.all([
    items === undefined &&
      REPLACE.run(tx, { orderId, awbNumber, receivedAt, error: replacedReason(awbNumber) }),
    WAKE.run(tx, { orderId, now }),
  ]);
}

const UNKNOWN_ORDER =
  'its order is not in Orderfleet: check the order number, and that its store is added and synced';

async function wait({ db, clock }: OrdersBase, key: string, error = UNKNOWN_ORDER): Promise<void> {
  const nowMs = clock();
  const { receivedAt } = awbEvents;
  const state = sql`case when ${lt(receivedAt, new Date(nowMs - GIVE_UP_MS))} then 'parked' else 'waiting' end`;
  await db.transaction(async (tx) => {
    const [row] = await tx
      .update(awbEvents)
      .set({ dueAt: new Date(nowMs + LOOK_AGAIN_MS), state, error })
      .where(and(eq(awbEvents.key, key), eq(awbEvents.state, 'waiting')))
      .returning({ state: awbEvents.state });
    if (row?.state === 'parked') await notify(tx, 'awb-without-order', { event: key, why: error });
    // the order may be minutes old: its store is synced at the scheduler's next tick
    else
      await tx
        .update(temuStores)
        .set({ nextSyncAt: new Date(nowMs) })
        .where(
          and(
            sql`${temuStores.active}`,
            lt(temuStores.lastSyncedAt, new Date(nowMs - 20_000)),
            sql`exists (select from ${awbEvents}
              where ${awbEvents.key} = ${key} and coalesce(${awbEvents.payload}->>'source', 'temu') = 'temu')`,
          ),
        );
  });
}

const AWB_NUMBER = sql<string>`${awbEvents.payload}->>'awbNumber'`;

/**
 * Retries parked events, for another day of waiting: all, or those of one order.
 * @returns the pushes they led to, and how many wait for their order
 */
export async function retryParkedEvents(
  deps: OrdersBase,
  order: string | undefined,
  limit: number,
): Promise<{ pushes: string[]; waiting: number }> {
  const { db } = deps;
  const now = new Date(deps.clock());
  const { key, payload, state, receivedAt } = awbEvents;
  const isParked = sql`${state} = 'parked'`;
  const ofThis =
    order !== undefined &&
    sql`and (${payload}->>'marketplaceOrderId' = ${order} or ${payload}->>'orderId' in (
      select ${orders.id}::text from ${orders} where ${orders.marketplaceOrderId} = ${order}))`;
  // they keep their order: of several for one order the newest counts
  const again = await rows(
    db,
    { key, awbNumber: AWB_NUMBER },
    (read) => sql`
      with again as (
        select ${key}, row_number() over (order by ${receivedAt}, ${key}) as place from ${awbEvents}
        where ${isParked} ${ofThis || sql``} order by ${receivedAt}, ${key} limit ${limit}),
      taken as (
        update ${awbEvents} set ${assignments(awbEvents, {
          state: 'waiting',
          receivedAt: sql`${sql.param(now, receivedAt)}::timestamptz + place * interval '1 ms'`,
          dueAt: now,
          error: null,
        })}
        from again where ${key} = again.${name(key)} and ${isParked} returning ${read}, ${receivedAt})
      select ${names([key])}, "awbNumber" from taken order by ${name(receivedAt)}`,
  );
  const due: string[] = [];
  let waiting = 0;
  for (const { key } of again) {
    const looked = await lookAgain(deps, key, now);
    if (looked.is === 'waiting') waiting++;
    if (looked.is === 'due') due.push(looked.orderId);
  }
  const numbers = again.map(({ awbNumber }) => awbNumber);
  const made = await db
    .select({ id: temuPushes.id })
    .from(temuPushes)
    .innerJoin(shipments, eq(shipments.id, temuPushes.shipmentId))
    .where(and(isAnyOf(temuPushes.orderId, due), isAnyOf(shipments.awbNumber, numbers)));
  return { pushes: made.map(({ id }) => id), waiting };
}

/** Retries waiting events whose order may have arrived. @returns how many events were tried */
export async function retryWaitingEvents(deps: OrdersBase): Promise<number> {
  const now = new Date(deps.clock());
  const { key, state, receivedAt, dueAt } = awbEvents;
  const due = deps.db
    .select({ key, receivedAt })
    .from(awbEvents)
    .where(and(sql`${state} = 'waiting'`, lte(dueAt, now)))
    .orderBy(dueAt)
    .limit(500)
    .as('due');
  const events = await deps.db.select({ key: due.key }).from(due).orderBy(due.receivedAt, due.key);
  for (const { key } of events) await lookAgain(deps, key, now);
  return events.length;
}

async function lookAgain(deps: OrdersBase, key: string, now: Date): Promise<Recorded> {
  const recorded = await deps.db
    .transaction(async (tx) => {
      const [row] = await LOCK.run(tx, { key });
      if (!row) return KNOWN;
      const [found = []] = await ordersOf(tx, [row.payload]);
      return await settleEvent(deps, tx, row, found, now);
    })
    .catch((error): Recorded => {
      if (isInfrastructureFault(error)) throw error;
      return notRecorded(deps, key, error);
    });
  if (recorded.is === 'due') await enqueueDue(deps, pushes, { where: ofOrder(recorded.orderId) });
  if (recorded.is === 'waiting') await wait(deps, key, recorded.why);
  return recorded;
}
