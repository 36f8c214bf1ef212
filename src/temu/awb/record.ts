import type { Sql, TransactionSql } from 'postgres';
import type { AwbCreatedEvent } from '../../client.ts';
import { eventKey } from '../../client.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { OrdersBase } from '../orders/deps.ts';
import { offerPushes } from './offer.ts';

/** A3: how long an event waits for its order, and how often it looks. */
const GIVE_UP_MS = 24 * 3_600_000;
const LOOK_AGAIN_MS = 30_000;

export interface Recorded {
  outcome: Outcome;
  /** The order whose pushes are due now. */
  orderId?: string;
}

/**
 * A2: writes the event, its shipment and what is to be told about it to Postgres before anything else happens. The same
 * event twice is one (A1), unless it was given up: then it begins anew. An event whose order is not known waits for it,
 * and nudges the order sync (A3).
 */
export async function record(deps: OrdersBase, event: AwbCreatedEvent): Promise<Recorded> {
  const now = new Date(deps.clock());
  const key = eventKey(event);
  const keep = (sql: Sql | TransactionSql) => sql<EventRow[]>`
      insert into awb_events (key, payload, state, received_at, due_at)
      values (${key}, ${sql.json(event as never)}, 'waiting', ${now}, ${now})
      on conflict (key) do update set
        payload = case when awb_events.state = 'parked' then excluded.payload else awb_events.payload end,
        received_at = case when awb_events.state = 'parked' then excluded.received_at else awb_events.received_at end,
        error = case when awb_events.state = 'parked' then null else awb_events.error end,
        state = case when awb_events.state = 'parked' then 'waiting' else awb_events.state end
      returning payload, state`;
  const recorded = await deps.db.$client
    .begin(async (sql) => await settleEvent(sql, key, (await keep(sql))[0], now))
    .catch(async (error) => {
      // what cannot be made a shipment now is not lost: it waits, and is looked at again
      await keep(deps.db.$client);
      throw error;
    });
  if (recorded.outcome.outcome === 'waiting') await wait(deps, key);
  return recorded;
}

/** Records an event and makes a job of what is due for its order. */
export async function recordEvent(deps: OrdersBase, event: AwbCreatedEvent): Promise<Outcome> {
  const { outcome, orderId } = await record(deps, event);
  if (orderId) await offerPushes(deps, orderId);
  return outcome;
}

interface EventRow {
  payload: AwbCreatedEvent;
  state: string;
}

interface FoundOrder {
  id: string;
  source: string;
}

/** Makes a shipment of a waiting event, whose row is locked, when its order is there. */
async function settleEvent(
  sql: TransactionSql,
  key: string,
  row: EventRow | undefined,
  now: Date,
): Promise<Recorded> {
  if (row?.state !== 'waiting') return { outcome: { outcome: 'known already' } };
  const event = row.payload;
  const found = await sql<FoundOrder[]>`
    select id, source from orders where ${
      event.orderId
        ? sql`id = ${event.orderId}`
        : sql`source = ${event.source ?? ''} and marketplace_order_id = ${event.marketplaceOrderId ?? ''}`
    } order by created_at desc limit 2`;
  const [order, second] = found;
  if (second) {
    const error = `two stores have an order ${event.marketplaceOrderId}: name it by orderId`;
    await sql`update awb_events set state = 'parked', error = ${error} where key = ${key}`;
    return { outcome: { outcome: 'parked', why: error } };
  }
  if (!order) return { outcome: { outcome: 'waiting' } };
  const pushed = order.source === 'temu';
  await sql`
    with recorded as (update awb_events set state = 'recorded', error = null where key = ${key}),
    made as (
      insert into shipments (order_id, awb_number, lr_number, booking_courier, booked_at, carrier, items, created_at)
      values (${order.id}, ${event.awbNumber}, ${event.lrNumber ?? null}, ${event.bookingCourier ?? event.carrier},
        ${event.bookedAt ? new Date(event.bookedAt) : now}, ${event.carrier},
        ${event.items ? sql.json(event.items) : null}, ${now})
      on conflict (order_id, awb_number) do update set carrier = excluded.carrier, items = excluded.items
      returning id, order_id)
    insert into temu_pushes (shipment_id, order_id, due_at, created_at)
    select id, order_id, ${now}, ${now} from made where ${pushed}
    on conflict (shipment_id) do nothing`;
  if (!pushed) return { outcome: { outcome: 'recorded', source: order.source } };
  await settleOthers(sql, order.id, event, now);
  return { outcome: { outcome: 'recorded' }, orderId: order.id };
}

/**
 * A newer parcel for the whole order takes the place of an older one that Temu has not been told of; parcels of a split
 * wait for each other, and the one that completes them wakes the others.
 */
async function settleOthers(
  sql: TransactionSql,
  orderId: string,
  { awbNumber, items }: AwbCreatedEvent,
  now: Date,
): Promise<void> {
  await sql`
    update temu_pushes p set
      state = case when ${items === undefined} and s.awb_number <> ${awbNumber} and p.told_at is null then 'rejected' else p.state end,
      error = case when ${items === undefined} and s.awb_number <> ${awbNumber} and p.told_at is null
        then ${`replaced by ${awbNumber} before Temu was told`} else p.error end,
      due_at = case when p.state = 'pending' then ${now} else p.due_at end,
      offered_at = case when p.state = 'pending' then null else p.offered_at end
    from shipments s
    where s.id = p.shipment_id and p.order_id = ${orderId}
      and (p.state = 'pending' or p.state = 'parked' and ${items === undefined} and s.awb_number <> ${awbNumber} and p.told_at is null)`;
}

async function wait({ db, clock }: OrdersBase, key: string): Promise<void> {
  const nowMs = clock();
  await db.$client.begin(async (sql) => {
    const [given] = await sql<{ text: string }[]>`
      update awb_events set
        due_at = ${new Date(nowMs + LOOK_AGAIN_MS)},
        state = case when received_at < ${new Date(nowMs - GIVE_UP_MS)} then 'parked' else 'waiting' end,
        error = 'its order is not known to Orderfleet: check the order number, and that its store is added and synced'
      where key = ${key} and state = 'waiting'
      returning case when state = 'parked' then key end as text`;
    if (given?.text)
      await sql`
        insert into notices (kind, key, payload) values ('awb-without-order', ${`awb-without-order ${key}`},
          ${sql.json({ text: `the AWB event "${key}" has waited a day for its order, which is not known` })})
        on conflict (key) do nothing`;
    // the order may be minutes old: its store is read at the scheduler's next look
    else
      await sql`
        update temu_stores set next_sync_at = ${new Date(nowMs)}
        where active and last_synced_at < ${new Date(nowMs - 20_000)} and exists (
          select from awb_events where key = ${key} and coalesce(payload->>'source', 'temu') = 'temu')`;
  });
}

/** Looks again for the orders of waiting events. @returns how many events looked */
export async function retryWaitingEvents(deps: OrdersBase): Promise<number> {
  const now = new Date(deps.clock());
  const due = await deps.db.$client<{ key: string }[]>`
    select key from awb_events where state = 'waiting' and due_at <= ${now} order by due_at limit 500`;
  for (const { key } of due) {
    const { outcome, orderId } = await deps.db.$client.begin(async (sql) => {
      const [row] = await sql<
        EventRow[]
      >`select payload, state from awb_events where key = ${key} for update`;
      return await settleEvent(sql, key, row, now);
    });
    if (orderId) await offerPushes(deps, orderId);
    if (outcome.outcome === 'waiting') await wait(deps, key);
  }
  return due.length;
}
