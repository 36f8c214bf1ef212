import { sql } from 'drizzle-orm';
import { type AwbCreatedEvent, eventKey } from '../../client/index.ts';
import { assignments, excluded, insertion, name, names, statement } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { awbEvents, orders, shipments, temuPushes } from '../../db/schema/index.ts';
import { isInfrastructureFault } from '../../lib/infrastructure.ts';
import { countDifferent, togetherOf } from '../../lib/together.ts';
import type { OrdersBase } from '../deps.ts';
import { type Found, NAMED_AGAIN, ordersOf, UNSENT } from './event-store.ts';
import { replacedReason } from './push-store.ts';
import type { Recorded } from './recorded.ts';

const ph = sql.placeholder;

const { from, textOf, fields } = recordset('event', {
  key: awbEvents.key,
  payload: awbEvents.payload,
  orderId: shipments.orderId,
  source: orders.source,
  awbNumber: shipments.awbNumber,
  lrNumber: shipments.lrNumber,
  bookingCourier: shipments.bookingCourier,
  bookedAt: shipments.bookedAt,
  carrier: shipments.carrier,
  items: shipments.items,
  /** Why older parcels for the whole order are not sent. */
  replaced: temuPushes.error,
});

/**
 * What KEEP, MAKE, REPLACE and WAKE do for one event (event-store.ts), for events that are new, each of another order.
 * Other pushes of an order are locked before its own, and orders in one order, as by those who claim them.
 * @returns keys of the events that were recorded; the others were known
 */
const RECORD = statement({ key: awbEvents.key }, (read) => {
  const { key, payload, orderId, source, awbNumber, items, replaced, ...parcel } = fields;
  const isKept = sql`${key} in (select ${name(awbEvents.key)} from kept)`;
  const isReplaced = sql`others.replaces is not null`;
  const given = { orderId, awbNumber, items, ...parcel };
  const column = temuPushes;
  return sql`
    with event as materialized (select * from ${from(ph('events'))}),
    kept as (
      ${insertion(awbEvents, { key, payload, state: 'recorded', receivedAt: ph('now'), dueAt: ph('now') })} from event
      on conflict (${name(awbEvents.key)}) do nothing returning ${name(awbEvents.key)}),
    others as materialized (
      select ${column.id},
        case when ${items} is null and ${UNSENT} and ${column.createdAt} <= ${ph('now')}
          and ${shipments.awbNumber} <> ${awbNumber} then ${replaced} end as replaces
      from (select * from event where ${isKept} and ${source} = 'temu' order by ${orderId} offset 0) as event
        cross join lateral (
          select * from ${temuPushes} where ${column.orderId} = ${orderId} order by ${column.id} offset 0 for update) as ${temuPushes}
        join ${shipments} on ${shipments.id} = ${column.shipmentId}
      where ${shipments.awbNumber} is distinct from ${awbNumber}),
    moved as (
      update ${temuPushes} set ${assignments(temuPushes, {
        state: sql`case when ${isReplaced} then 'replaced' else ${column.state} end`,
        error: sql`coalesce(others.replaces, ${column.error})`,
        dueAt: sql`case when ${isReplaced} then ${column.dueAt} else ${ph('now')}::timestamptz end`,
        offeredAt: null,
        parkedOrderTime: null,
      })}
      from others where ${column.id} = others.${name(column.id)} and (${isReplaced} or ${column.state} = 'pending')),
    made as (
      ${insertion(shipments, { ...given, createdAt: ph('now') })}
      from event where ${isKept} and (select count(*) from others) >= 0 order by ${orderId}
      on conflict (${names([shipments.orderId, shipments.awbNumber])}) do update
        set ${assignments(shipments, { carrier: excluded(shipments.carrier), items: excluded(shipments.items) })}
      returning ${names([shipments.id, shipments.orderId])}),
    pushed as (
      ${insertion(temuPushes, {
        shipmentId: sql`made.${name(shipments.id)}`,
        ...{ orderId, dueAt: ph('now'), createdAt: ph('now') },
      })}
      from made join event on ${orderId} = made.${name(shipments.orderId)} where ${source} = 'temu' order by ${orderId}
      ${NAMED_AGAIN})
    select ${read} from kept as ${awbEvents}`;
});

interface Plain {
  key: string;
  event: AwbCreatedEvent;
  order: Found;
}

const rowOf = ({ key, event, order }: Plain, now: Date) => ({
  key,
  payload: event,
  orderId: order.id,
  source: order.source,
  awbNumber: event.awbNumber,
  lrNumber: event.lrNumber,
  bookingCourier: event.bookingCourier ?? event.carrier,
  bookedAt: event.bookedAt ? new Date(event.bookedAt) : now,
  carrier: event.carrier,
  items: event.items,
  replaced: replacedReason(event.awbNumber),
});

/**
 * Those with one known order; if the group has it by two names, the first. An order of Temu's that no store has taken over
 * may be taken over at this moment, which locks orders in another order.
 */
async function plainOf({ db, numberWarning }: OrdersBase, group: readonly AwbCreatedEvent[]) {
  const found = await ordersOf(db, group);
  const taken = new Set<string>();
  return group.map((event, at): Plain | undefined => {
    const [order, second] = found[at] ?? [];
    if (!order || taken.has(order.id)) return undefined;
    taken.add(order.id);
    const isUnusual =
      second !== undefined ||
      (order.source === 'temu' && !order.owned) ||
      numberWarning(event.carrier, event.awbNumber) !== undefined;
    return isUnusual ? undefined : { key: eventKey(event), event, order };
  });
}

async function recordAll(
  deps: OrdersBase,
  group: readonly AwbCreatedEvent[],
): Promise<(Recorded | undefined)[]> {
  const plain = await plainOf(deps, group);
  const events = plain.filter((one) => one !== undefined);
  if (events.length === 0) return plain.map(() => undefined);
  const now = new Date(deps.clock());
  const rows = events.sort((a, b) => (a.order.id < b.order.id ? -1 : 1)).map((one) => rowOf(one, now));
  const recorded = await RECORD.run(deps.db, { events: textOf(rows), now });
  const keys = new Set(recorded.map(({ key }) => key));
  return plain.map((one): Recorded | undefined => {
    if (!one || !keys.has(one.key)) return undefined;
    const { source, id: orderId } = one.order;
    return source === 'temu' ? { is: 'due', orderId } : { is: 'recorded', source };
  });
}

const orderOf = ({ orderId, source, marketplaceOrderId }: AwbCreatedEvent) =>
  orderId ?? `${source}/${marketplaceOrderId}`;

/** Of the same order one is recorded after the other. */
const recordTogether = togetherOf(recordAll, { count: (waiting) => countDifferent(waiting, orderOf) });

/**
 * Records a new event whose order is known, in one statement with those that come at the same time (A2, P6).
 * @returns undefined when it is not as plain as that, or cannot be written: then nothing was written of it, and it is to
 * be dealt with alone (R3)
 * @throws the driver's error while Postgres is away (R10)
 */
export const recordPlain = (deps: OrdersBase, event: AwbCreatedEvent): Promise<Recorded | undefined> =>
  recordTogether(deps, event).catch((error) => {
    if (isInfrastructureFault(error)) throw error;
    return undefined;
  });
