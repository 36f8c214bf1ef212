import { sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/pg-core';
import type { Tx } from '../../db/client.ts';
import { arrayOf, assignments, insertion, isAnyOf, name, statement } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import {
  notices,
  orders,
  shipmentEvents,
  shipments,
  trackers,
  webhookEndpoints,
} from '../../db/schema/index.ts';
import { bookedAfter } from '../booking.ts';
import type { Tracker } from '../registry.ts';
import { startOfIndiasDay } from '../toolkit/times.ts';
import type { Parcel, StatusUpdate } from './evaluate.ts';
import { isFinal, STATUSES, type Status } from './status.ts';

/** The code of orders.order_status that a parcel's status sets; the names are in order_statuses. */
export const CODES: Record<Status, number> = {
  pending: 5,
  in_transit: 8,
  out_for_delivery: 9,
  ready_for_pickup: 9,
  ndr: 11,
  delivered: 10,
  rto_in_transit: 14,
  rto: 13,
  booking_cancelled: 12,
  lost: 15,
  destroyed: 17,
};

export interface Change {
  parcel: Parcel;
  update: StatusUpdate;
}

const ph = sql.placeholder;

const {
  from,
  textOf,
  fields: change,
} = recordset('change', {
  id: shipments.id,
  orderId: shipments.orderId,
  number: shipments.awbNumber,
  orderNumber: orders.marketplaceOrderId,
  source: orders.source,
  status: shipments.status,
  before: shipments.status,
  courierStatus: shipments.courierStatus,
  at: shipmentEvents.occurredAt,
  /** The kind of its Slack notice; null: none. */
  slack: notices.kind,
  tracker: trackers.name,
  title: trackers.title,
});
const changes = from(ph('changes'));
const once = sql`on conflict (${name(notices.key)}) do nothing`;

const NOTIFY_SLACK = statement({}, () => {
  const messages = insertion(notices, {
    kind: change.slack,
    key: sql`concat_ws(' ', ${change.slack}, ${change.id}, ${change.at})`,
    subject: change.id,
    payload: sql`jsonb_build_object('order', ${change.orderNumber}, 'source', ${change.source},
      'tracker', ${change.tracker}, 'title', ${change.title}, 'awb', ${change.number}, 'courierStatus', ${change.courierStatus}, 'at', ${change.at})`,
  });
  return sql`${messages} from ${changes} where ${change.slack} is not null ${once}`;
});

/** One event per endpoint that subscribes to it: `order.rto` for an order's first return, `shipment.updated` for all. */
const NOTIFY_ENDPOINTS = statement({}, () => {
  const which = sql`case said.event when 'order.rto' then ${change.orderId}::text
    else concat_ws(' ', ${change.id}, ${change.status}, ${change.at}) end`;
  const event = sql`jsonb_build_object('event', said.event, 'orderId', ${change.orderId},
    'marketplaceOrderId', ${change.orderNumber}, 'source', ${change.source}, 'shipmentId', ${change.id},
    'number', ${change.number}, 'tracker', ${change.tracker}, 'status', ${change.status}, 'before', ${change.before},
    'courierStatus', ${change.courierStatus}, 'occurredAt', ${change.at})`;
  const messages = insertion(notices, {
    kind: sql`said.event`,
    key: sql`concat_ws(' ', said.event, ${which}, ${webhookEndpoints.id})`,
    payload: sql`jsonb_build_object('endpointId', ${webhookEndpoints.id}, 'event', ${event})`,
  });
  return sql`${messages}
    from ${changes} cross join (values ('order.rto'), ('shipment.updated')) as said(event)
      join ${webhookEndpoints} on ${webhookEndpoints.active} and said.event = any(${webhookEndpoints.events})
    where said.event = 'shipment.updated' or ${change.status} in ('rto', 'rto_in_transit')
    ${once}`;
});

const ENDPOINTS = statement(
  { id: webhookEndpoints.id },
  (read) => sql`select ${read} from ${webhookEndpoints} where ${webhookEndpoints.active} limit 1`,
);

/** C12: notices of changes of status. */
export async function notifyOfChanges(
  tx: Tx,
  tracker: Tracker,
  changed: readonly Change[],
  now: number,
): Promise<void> {
  if (changed.length === 0) return;
  const kinds = changed.map(({ parcel, update }) => noticeKind(tracker, parcel, update, now));
  const endpoints = await ENDPOINTS.run(tx);
  const forSlack = kinds.some((kind) => kind !== null);
  if (endpoints.length === 0 && !forSlack) return;
  const changes = textOf(
    changed.map(({ parcel, update }, no) => ({
      id: parcel.id,
      orderId: parcel.orderId,
      number: parcel.number,
      orderNumber: parcel.orderNumber,
      source: parcel.source,
      status: update.status,
      before: parcel.status,
      courierStatus: update.courierStatus,
      at: new Date(update.at ?? now).toISOString(),
      slack: kinds[no] ?? null,
      ...{ tracker: tracker.name, title: tracker.courier.title },
    })),
  );
  await Promise.all([
    forSlack && NOTIFY_SLACK.run(tx, { changes }),
    endpoints.length > 0 && NOTIFY_ENDPOINTS.run(tx, { changes }),
  ]);
}

/** C12: the kind of Slack notice; null for none. */
function noticeKind({ courier }: Tracker, parcel: Parcel, update: StatusUpdate, now: number): string | null {
  switch (update.status) {
    case 'booking_cancelled':
    case 'lost':
    case 'destroyed':
      return update.status;
    case 'delivered':
      return courier.selection.number === 'lr' &&
        startOfIndiasDay(parcel.bookedAt) === startOfIndiasDay(update.deliveredAt ?? update.at ?? now)
        ? 'b2b-delivered'
        : null;
    default:
      return null;
  }
}

const LOCK = statement(
  {},
  () => sql`select from ${orders} where ${isAnyOf(orders.id, ph('orders'))} order by ${orders.id} for update`,
);

const SET_CODES = statement({}, () => {
  const later = alias(shipments, 'later');
  const counting = alias(shipments, 'counting');
  const shown = alias(shipments, 'shown');
  const codes = recordset('means', { status: shipments.status, code: orders.orderStatus });
  const means = codes.fields;
  const rows = STATUSES.map((status) => ({ status, code: CODES[status] }));
  const hasEnded = sql`(${counting.status} = any(${arrayOf(shipments.status, STATUSES.filter(isFinal))}))`;
  return sql`
    with ${counting} as (
      select ${shipments}.* from ${shipments}
      where ${isAnyOf(shipments.orderId, ph('orders'))} and ${shipments.linkedTo} is null and (${shipments.items} is not null or not exists (
        select from ${shipments} ${later} where ${later.orderId} = ${shipments.orderId} and ${later.items} is null and ${later.linkedTo} is null
          and ${bookedAfter(later, shipments)}))),
    ${shown} as (
      select distinct on (${counting.orderId}) ${counting.orderId}, ${counting.status} from ${counting}
      where ${counting.orderId} in (
        select ${counting.orderId} from ${counting} where ${counting.id} = any(${ph('changed')}::uuid[]))
      order by ${counting.orderId}, ${hasEnded}, ${counting.bookedAt} desc, ${counting.createdAt} desc, ${counting.id} desc)
    update ${orders} set ${assignments(orders, { orderStatus: means.code })}
    from ${shown} join ${codes.from(codes.textOf(rows))} on ${means.status} = ${shown.status}
    where ${orders.id} = ${shown.orderId} and ${orders.orderStatus} is distinct from ${means.code}`;
});

/**
 * When two parcels of an order end at once, the second sees the first one's end. A booking locks the order too: either we
 * see the new parcel, or its trigger sees this end (drizzle/0011).
 */
export const lockOrders = async (tx: Tx, orders: readonly string[]): Promise<unknown> =>
  orders.length > 0 && (await LOCK.run(tx, { orders }));

/**
 * An order shows the last booked of its parcels that are still on their way, else its last one. Scans of a parcel that
 * was booked again do not change the order. A parcel booked after the end sets the order to booked again: by a trigger
 * (drizzle/0011), since other programs write parcels too.
 * @param orders locked
 */
export async function setCodesOfSeveral(
  tx: Tx,
  orders: readonly (string | null)[],
  changed: readonly Change[],
): Promise<void> {
  if (orders.length > 0) await SET_CODES.run(tx, { orders, changed: changed.map(({ parcel }) => parcel.id) });
}
