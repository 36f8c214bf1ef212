import type { TransactionSql } from 'postgres';
import type { AwbCreatedEvent } from '../../client.ts';
import { eventKey } from '../../client.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { OrdersBase } from '../orders/deps.ts';
import { offerPushes } from './offer.ts';

/** A3: how long an event waits for its order, and how often it looks. */
const GIVE_UP_MS = 24 * 3_600_000;
const LOOK_AGAIN_MS = 30_000;

/**
 * A2: writes the event, its shipment and what is to be told about it to Postgres before anything else happens. The same
 * event twice is one (A1), unless it was given up: then it begins anew. An event whose order is not known waits for it,
 * and nudges the order sync (A3).
 */
export async function recordEvent(deps: OrdersBase, event: AwbCreatedEvent): Promise<Outcome> {
  const now = new Date(deps.clock());
  const key = eventKey(event);
  const sql = deps.db.$client;
  await sql`
    insert into awb_events (key, payload, state, received_at, due_at)
    values (${key}, ${sql.json(event as never)}, 'waiting', ${now}, ${now})
    on conflict (key) do update set payload = excluded.payload, state = 'waiting', error = null,
      received_at = excluded.received_at, due_at = excluded.due_at
    where awb_events.state = 'parked'`;
  return await settleEvent(deps, key);
}

interface FoundOrder {
  id: string;
  source: string;
}

/** Makes a shipment of a waiting event when its order is there. */
async function settleEvent(deps: OrdersBase, key: string): Promise<Outcome> {
  const now = new Date(deps.clock());
  const settled = await deps.db.$client.begin(async (sql) => {
    const [row] = await sql<{ payload: AwbCreatedEvent; state: string; receivedAt: Date }[]>`
      select payload, state, received_at as "receivedAt" from awb_events where key = ${key} for update`;
    if (row?.state !== 'waiting') return { outcome: 'known already' };
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
      return { outcome: 'parked', why: error };
    }
    if (!order) return { outcome: 'waiting' };
    await sql`
      insert into shipments (order_id, awb_number, lr_number, booking_courier, booked_at, carrier, items, created_at)
      values (${order.id}, ${event.awbNumber}, ${event.lrNumber ?? null}, ${event.bookingCourier ?? event.carrier},
        ${event.bookedAt ? new Date(event.bookedAt) : now}, ${event.carrier},
        ${event.items ? sql.json(event.items) : null}, ${now})
      on conflict (order_id, awb_number) do update set carrier = excluded.carrier, items = excluded.items`;
    await sql`update awb_events set state = 'recorded', error = null where key = ${key}`;
    if (order.source !== 'temu') return { outcome: 'recorded', source: order.source };
    if (!event.items) await replaceUnsent(sql, order.id, event.awbNumber);
    await sql`
      insert into temu_pushes (shipment_id, order_id, due_at, created_at)
      select id, order_id, ${now}, ${now} from shipments where order_id = ${order.id} and awb_number = ${event.awbNumber}
      on conflict (shipment_id) do nothing`;
    // parcels of a split wait for each other: the one that completes them wakes the others
    await sql`
      update temu_pushes set due_at = ${now}, offered_at = null where order_id = ${order.id} and state = 'pending'`;
    return { outcome: 'recorded', orderId: order.id };
  });
  if ('orderId' in settled && settled.orderId) await offerPushes(deps, settled.orderId);
  if (settled.outcome === 'waiting') await wait(deps, key);
  return settled as Outcome;
}

/** A newer parcel for the whole order takes the place of an older one that Temu has not been told of. */
async function replaceUnsent(sql: TransactionSql, orderId: string, awbNumber: string): Promise<void> {
  await sql`
    update temu_pushes p set state = 'rejected', error = ${`replaced by ${awbNumber} before Temu was told`}
    from shipments s
    where s.id = p.shipment_id and p.order_id = ${orderId} and s.awb_number <> ${awbNumber}
      and p.state in ('pending', 'parked') and p.told_at is null`;
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
  const due = await deps.db.$client<{ key: string }[]>`
    select key from awb_events where state = 'waiting' and due_at <= ${new Date(deps.clock())} order by due_at limit 500`;
  for (const { key } of due) await settleEvent(deps, key);
  return due.length;
}
