import type { TransactionSql } from 'postgres';
import type { Tracker } from './catalogue.ts';
import type { News, Parcel } from './judge.ts';
import { isFinal, STATUSES, type Status } from './status.ts';
import { startOfIndiasDay } from './times.ts';

/** The code of orders.order_status that a parcel's status sets; the names are in order_statuses. */
const CODES: Record<Status, number> = {
  pending: 5,
  in_transit: 8,
  out_for_delivery: 9,
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
  news: News;
}

/** What follows from changes of status: history (C7), the orders' codes, notices (C12). */
export async function tellOfChanges(
  sql: TransactionSql,
  tracker: Tracker,
  changes: readonly Change[],
  now: number,
): Promise<void> {
  if (changes.length === 0) return;
  const rows = changes.map(({ parcel, news }) => ({
    id: parcel.id,
    order_id: parcel.orderId,
    number: parcel.number,
    order_number: parcel.orderNumber,
    source: parcel.source,
    status: news.status,
    before: parcel.status,
    courier_status: news.courierStatus,
    at: new Date(news.at ?? now).toISOString(),
    slack: slackKind(tracker, parcel, news, now),
    tracker: tracker.name,
  }));
  const given = sql`
    jsonb_to_recordset(${sql.json(rows as never)}) as c(id uuid, order_id uuid, number text, order_number text, source text,
      status text, before text, courier_status text, at timestamptz, slack text, tracker text)`;
  await sql`
    insert into shipment_events (shipment_id, status, courier_status, occurred_at, recorded_at)
    select c.id, c.status, c.courier_status, c.at, ${new Date(now)} from ${given}`;
  await setOrderCodes(
    sql,
    changes.map(({ parcel }) => parcel.id),
  );
  await sql`
    insert into notices (kind, key, subject, payload)
    select c.slack, concat_ws(' ', c.slack, c.id, c.at), c.id, jsonb_build_object('order', c.order_number, 'source', c.source,
      'tracker', c.tracker, 'awb', c.number, 'courierStatus', c.courier_status, 'at', c.at)
    from ${given} where c.slack is not null on conflict (key) do nothing`;
  // the first return of an order is told once to each who wants to know, and every change to those who want all
  await sql`
    insert into notices (kind, key, payload)
    select e.event, concat_ws(' ', e.event, case e.event when 'order.rto' then c.order_id::text else concat_ws(' ', c.id, c.status, c.at) end, w.id),
      jsonb_build_object('endpointId', w.id, 'event', jsonb_build_object('event', e.event, 'orderId', c.order_id,
        'marketplaceOrderId', c.order_number, 'source', c.source, 'shipmentId', c.id, 'number', c.number,
        'tracker', c.tracker, 'status', c.status, 'before', c.before, 'courierStatus', c.courier_status, 'occurredAt', c.at))
    from ${given} cross join (values ('order.rto'), ('shipment.updated')) as e(event)
      join webhook_endpoints w on w.active and e.event = any(w.events)
    where e.event = 'shipment.updated' or c.status in ('rto', 'rto_in_transit')
    on conflict (key) do nothing`;
}

/** C12: which kind of message people get; null for none. */
function slackKind({ courier }: Tracker, parcel: Parcel, news: News, now: number): string | null {
  switch (news.status) {
    case 'booking_cancelled':
    case 'lost':
    case 'destroyed':
      return news.status;
    case 'delivered':
      return courier.selection.number === 'lr' &&
        startOfIndiasDay(parcel.bookedAt) === startOfIndiasDay(news.deliveredAt ?? news.at ?? now)
        ? 'b2b-delivered'
        : null;
    default:
      return null;
  }
}

/**
 * An order shows the parcel that is still on its way, the one booked last if there are several, else the last one. A
 * parcel that was booked again is history: what its old number still says changes nothing of the order. One that is booked
 * after the end makes the order booked again: a trigger does that, whoever writes it (drizzle/0011).
 */
async function setOrderCodes(sql: TransactionSql, changed: readonly string[]): Promise<void> {
  const codes = Object.entries(CODES).map(([status, code]) => ({ status, code }));
  const finals = STATUSES.filter(isFinal);
  // two parcels of one order that end at the same moment: the second one sees the first one's end. And whoever books the
  // next parcel holds the order's key: either we see that parcel, or it sees this end (drizzle/0011)
  await sql`
    select 1 from orders where id in (select order_id from shipments where id = any(${changed as string[]}::uuid[]))
    order by id for update`;
  await sql`
    with counting as (
      select s.* from shipments s
      where s.order_id in (select order_id from shipments where id = any(${changed as string[]}::uuid[]))
        and (s.items is not null or not exists (
          select from shipments n where n.order_id = s.order_id and n.items is null
            and (n.booked_at, n.created_at, n.id) > (s.booked_at, s.created_at, s.id)))),
    shown as (
      select distinct on (order_id) order_id, status from counting
      where order_id in (select order_id from counting where id = any(${changed as string[]}::uuid[]))
      order by order_id, (status = any(${finals as string[]}::text[])), booked_at desc, created_at desc, id desc)
    update orders o set order_status = k.code
    from shown join jsonb_to_recordset(${sql.json(codes)}) as k(status text, code int) on k.status = shown.status
    where o.id = shown.order_id and o.order_status is distinct from k.code`;
}
