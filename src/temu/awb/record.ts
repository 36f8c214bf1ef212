import type { Sql, TransactionSql } from 'postgres';
import { type AwbCreatedEvent, eventContent, eventKey } from '../../client.ts';
import { messageOf, withoutParameters } from '../../errors.ts';
import { isInfrastructureFault } from '../../infrastructure.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { OrdersBase } from '../orders/deps.ts';
import { ofOrder, whyReplaced } from './ledger.ts';
import { pushes } from './offer.ts';

/** A3: how long an event waits for its order, and how often it looks. */
const GIVE_UP_MS = 24 * 3_600_000;
const LOOK_AGAIN_MS = 30_000;

/** What became of an event. */
export type Recorded =
  /** Nothing new: it was recorded before, or Temu has been told of its AWB. */
  | { is: 'known' }
  /** For its order, or since it could not be written: `why`. */
  | { is: 'waiting'; why?: string }
  | { is: 'parked'; why: string }
  /** Its order is of another marketplace, which nobody tells. */
  | { is: 'recorded'; source: string }
  /** The order's pushes are due now. */
  | { is: 'due'; orderId: string };

/** The same for the log. */
export function outcomeOf(recorded: Recorded): Outcome {
  switch (recorded.is) {
    case 'known':
      return { outcome: 'known already' };
    case 'waiting':
      return { outcome: 'waiting', ...(recorded.why === undefined ? {} : { why: recorded.why }) };
    case 'parked':
      return { outcome: 'parked', why: recorded.why };
    case 'recorded':
      return { outcome: 'recorded', source: recorded.source };
    case 'due':
      return { outcome: 'recorded' };
  }
}

export interface RecordOptions {
  /** A person names the AWB again: it counts as heard of now, also when it was replaced (A7). */
  anew?: boolean;
}

/**
 * A2: writes the event, its shipment and what is to be told about it to Postgres before anything else happens. The same
 * event twice is one (A1), unless it was given up: then it begins anew. One that says something else of the same AWB
 * corrects it, as long as Temu has not been told. An event whose order is not known waits for it, and nudges the order
 * sync (A3).
 */
export async function record(
  deps: OrdersBase,
  event: AwbCreatedEvent,
  { anew = false }: RecordOptions = {},
): Promise<Recorded> {
  const now = new Date(deps.clock());
  const key = eventKey(event);
  const keep = (sql: Sql | TransactionSql) => sql<EventRow[]>`
      insert into awb_events (key, payload, state, received_at, due_at)
      values (${key}, ${sql.json(event as never)}, 'waiting', ${now}, ${now})
      on conflict (key) do update set
        payload = case when awb_events.state = 'recorded' then awb_events.payload else excluded.payload end,
        received_at = case when awb_events.state = 'parked' then excluded.received_at else awb_events.received_at end,
        error = case when awb_events.state = 'parked' then null else awb_events.error end,
        state = case when awb_events.state = 'parked' then 'waiting' else awb_events.state end
      returning key, payload, state, received_at as "receivedAt"`;
  const recorded = await deps.db.$client
    .begin(async (sql) => {
      const [row] = await keep(sql);
      if (row?.state !== 'recorded') return await settleEvent(sql, row, now);
      if (!anew && eventContent(row.payload) === eventContent(event)) return KNOWN;
      return await correct(sql, { ...row, payload: event, ...(anew ? { receivedAt: now } : {}) }, now);
    })
    .catch(async (error): Promise<Recorded> => {
      if (isInfrastructureFault(error)) throw error; // the job brings it again (R10)
      // what cannot be made a shipment now is not lost: it waits, and is looked at again (R3)
      await keep(deps.db.$client);
      return notRecorded(deps, key, error);
    });
  if (recorded.is === 'waiting') await wait(deps, key, recorded.why);
  return recorded;
}

/** R3: an event that cannot be written fails alone; with Postgres away all of them would. */
function notRecorded({ log }: OrdersBase, key: string, thrown: unknown): Recorded {
  const why = `it cannot be recorded: ${messageOf(withoutParameters(thrown))}`;
  log.error({ event: key, err: why }, 'an AWB event waits');
  return { is: 'waiting', why };
}

const KNOWN: Recorded = { is: 'known' };

/** An event that was recorded comes again and says something else, or for a person's sake. */
async function correct(sql: TransactionSql, row: EventRow, now: Date): Promise<Recorded> {
  const found = await ordersOf(sql, row.payload);
  const told = await sql`
    select 1 from temu_pushes p join shipments s on s.id = p.shipment_id
    where s.order_id = any(${found.map(({ id }) => id)}::uuid[]) and upper(s.awb_number) = upper(${row.payload.awbNumber})
      and (p.state in ('sent', 'sending') or p.told_at is not null) for update of p`;
  if (told.length > 0) return KNOWN;
  await sql`
    update awb_events set payload = ${sql.json(row.payload as never)}, received_at = ${row.receivedAt} where key = ${row.key}`;
  return await settleEvent(sql, { ...row, state: 'waiting' }, now);
}

/** Records an event and makes a job of what is due for its order. */
export async function recordEvent(
  deps: OrdersBase,
  event: AwbCreatedEvent,
  options: RecordOptions = {},
): Promise<Recorded> {
  const recorded = await record(deps, event, options);
  if (recorded.is === 'due') await enqueueDue(deps, pushes, { where: ofOrder(recorded.orderId) });
  return recorded;
}

interface EventRow {
  key: string;
  payload: AwbCreatedEvent;
  state: string;
  /** Of several bookings for a whole order the last one heard of counts. */
  receivedAt: Date;
}

interface FoundOrder {
  id: string;
  owned: boolean;
  source: string;
}

/** Those that the event may mean: a second one is another store's. */
async function ordersOf(sql: TransactionSql, event: AwbCreatedEvent): Promise<FoundOrder[]> {
  const found = await sql<FoundOrder[]>`
    select id, source, store_id is not null as owned from orders where ${
      event.orderId
        ? sql`id = ${event.orderId}`
        : sql`source = ${event.source ?? ''} and marketplace_order_id = ${event.marketplaceOrderId ?? ''}`
    } order by owned desc, created_at desc limit 2`;
  // another program's row of the same order, which no store has taken over, is no second order
  return found.filter(({ owned }) => owned === found[0]?.owned);
}

/** Makes a shipment of a waiting event, whose row is locked, when its order is there. */
async function settleEvent(sql: TransactionSql, row: EventRow | undefined, now: Date): Promise<Recorded> {
  if (row?.state !== 'waiting') return KNOWN;
  const { key, payload: event, receivedAt } = row;
  const [order, second] = await ordersOf(sql, event);
  if (second) {
    const error = `two stores have an order ${event.marketplaceOrderId}: name it by orderId`;
    await sql`update awb_events set state = 'parked', error = ${error} where key = ${key}`;
    return { is: 'parked', why: error };
  }
  if (!order) return { is: 'waiting' };
  const pushed = order.source === 'temu';
  // an AWB that is named again, in other words or by a person, is as new as that; not one that Temu was told of
  await sql`
    with recorded as (update awb_events set state = 'recorded', error = null where key = ${key}),
    made as (
      insert into shipments (order_id, awb_number, lr_number, booking_courier, booked_at, carrier, items, created_at)
      values (${order.id}, ${event.awbNumber}, ${event.lrNumber ?? null}, ${event.bookingCourier ?? event.carrier},
        ${event.bookedAt ? new Date(event.bookedAt) : now}, ${event.carrier},
        ${event.items ? sql.json(event.items) : null}, ${receivedAt})
      on conflict (order_id, awb_number) do update set carrier = excluded.carrier, items = excluded.items
      returning id, order_id)
    insert into temu_pushes (shipment_id, order_id, due_at, created_at)
    select id, order_id, ${now}, ${receivedAt} from made where ${pushed}
    on conflict (shipment_id) do update set state = 'pending', error = null, due_at = excluded.due_at,
      offered_at = null, parked_order_time = null, created_at = greatest(temu_pushes.created_at, excluded.created_at)
    where temu_pushes.state in ('pending', 'parked', 'rejected', 'replaced') and temu_pushes.told_at is null`;
  if (!pushed) return { is: 'recorded', source: order.source };
  await settleOthers(sql, order.id, event, receivedAt, now);
  return { is: 'due', orderId: order.id };
}

/**
 * A newer parcel for the whole order takes the place of older ones that Temu has not been told of (those in a worker's hands
 * are settled there, see plan.ts); parcels of a split wait for each other, and the one that completes them wakes the others.
 */
async function settleOthers(
  sql: TransactionSql,
  orderId: string,
  { awbNumber, items }: AwbCreatedEvent,
  receivedAt: Date,
  now: Date,
): Promise<void> {
  if (items === undefined)
    await sql`
      update temu_pushes p set state = 'replaced', error = ${whyReplaced(awbNumber)},
        offered_at = null, parked_order_time = null
      from shipments s
      where s.id = p.shipment_id and p.order_id = ${orderId} and s.awb_number <> ${awbNumber}
        and p.state in ('pending', 'parked', 'rejected', 'replaced') and p.told_at is null and p.created_at <= ${receivedAt}`;
  await sql`
    update temu_pushes set due_at = ${now}, offered_at = null where order_id = ${orderId} and state = 'pending'`;
}

const UNKNOWN_ORDER =
  'its order is not known to Orderfleet: check the order number, and that its store is added and synced';

async function wait({ db, clock }: OrdersBase, key: string, error = UNKNOWN_ORDER): Promise<void> {
  const nowMs = clock();
  await db.$client.begin(async (sql) => {
    const [row] = await sql<{ state: string }[]>`
      update awb_events set
        due_at = ${new Date(nowMs + LOOK_AGAIN_MS)},
        state = case when received_at < ${new Date(nowMs - GIVE_UP_MS)} then 'parked' else 'waiting' end,
        error = ${error}
      where key = ${key} and state = 'waiting'
      returning state`;
    if (row?.state === 'parked')
      await sql`
        insert into notices (kind, key, payload) values ('awb-without-order', ${`awb-without-order ${key}`},
          ${sql.json({ text: `the AWB event "${key}" has waited for a day: ${error}` })})
        on conflict (key) do nothing`;
    // the order may be minutes old: its store is read at the scheduler's next look
    else
      await sql`
        update temu_stores set next_sync_at = ${new Date(nowMs)}
        where active and last_synced_at < ${new Date(nowMs - 20_000)} and exists (
          select from awb_events where key = ${key} and coalesce(payload->>'source', 'temu') = 'temu')`;
  });
}

/**
 * Takes up events again that were parked, for another day of waiting: all, or those of one order.
 * @returns the pushes that came of them, and how many wait for their order
 */
export async function retryParkedEvents(
  deps: OrdersBase,
  order: string | undefined,
  limit: number,
): Promise<{ pushes: string[]; waiting: number }> {
  const sql = deps.db.$client;
  const now = new Date(deps.clock());
  // they keep their order: of several for one order the last one counts
  const again = await sql<{ key: string; awbNumber: string }[]>`
    with again as (
      select key, row_number() over (order by received_at, key) as place from awb_events where state = 'parked' ${
        order === undefined
          ? sql``
          : sql`and (payload->>'marketplaceOrderId' = ${order} or payload->>'orderId' in (
              select id::text from orders where marketplace_order_id = ${order}))`
      } order by received_at, key limit ${limit}),
    taken as (
      update awb_events e set state = 'waiting', received_at = ${now}::timestamptz + place * interval '1 ms',
        due_at = ${now}, error = null
      from again where e.key = again.key and e.state = 'parked' returning e.key, e.payload, e.received_at)
    select key, payload->>'awbNumber' as "awbNumber" from taken order by received_at`;
  const orders: string[] = [];
  let waiting = 0;
  for (const { key } of again) {
    const looked = await lookAgain(deps, key, now);
    if (looked.is === 'waiting') waiting++;
    if (looked.is === 'due') orders.push(looked.orderId);
  }
  const pushes = await sql<{ id: string }[]>`
    select p.id from temu_pushes p join shipments s on s.id = p.shipment_id
    where p.order_id = any(${orders}::uuid[]) and s.awb_number = any(${again.map((one) => one.awbNumber)})`;
  return { pushes: pushes.map(({ id }) => id), waiting };
}

/** Looks again for the orders of waiting events. @returns how many events looked */
export async function retryWaitingEvents(deps: OrdersBase): Promise<number> {
  const now = new Date(deps.clock());
  const due = await deps.db.$client<{ key: string }[]>`
    select key from (
      select key, received_at from awb_events where state = 'waiting' and due_at <= ${now} order by due_at limit 500) due
    order by received_at, key`;
  for (const { key } of due) await lookAgain(deps, key, now);
  return due.length;
}

async function lookAgain(deps: OrdersBase, key: string, now: Date): Promise<Recorded> {
  const recorded = await deps.db.$client
    .begin(async (sql) => {
      const [row] = await sql<EventRow[]>`
        select key, payload, state, received_at as "receivedAt" from awb_events where key = ${key} for update`;
      return await settleEvent(sql, row, now);
    })
    .catch((error): Recorded => {
      if (isInfrastructureFault(error)) throw error;
      return notRecorded(deps, key, error);
    });
  if (recorded.is === 'due') await enqueueDue(deps, pushes, { where: ofOrder(recorded.orderId) });
  if (recorded.is === 'waiting') await wait(deps, key, recorded.why);
  return recorded;
}
