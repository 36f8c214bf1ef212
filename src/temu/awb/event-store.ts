import { getTableName, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { AwbCreatedEvent } from '../../client/index.ts';
import type { Db, Tx } from '../../db/client.ts';
import {
  assignments,
  excluded,
  isAnyOf,
  json,
  list,
  name,
  names,
  type RowOf,
  statement,
} from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { awbEvents, orders, shipments, temuPushes } from '../../db/schema/index.ts';
import { ofOrder } from './claim.ts';

/** The statements behind AWB-created events (A2). */

const ph = sql.placeholder;

const EVENT = {
  key: awbEvents.key,
  payload: json<AwbCreatedEvent>(awbEvents.payload),
  state: awbEvents.state,
  /** Of several bookings for a whole order the newest counts. */
  receivedAt: awbEvents.receivedAt,
};
export type EventRow = RowOf<typeof EVENT>;

/** Inserts an event, or updates what a later one of the same key changes, and locks its row. */
export const KEEP = statement(EVENT, (read) => {
  const { key, payload, state, receivedAt, dueAt, error } = awbEvents;
  const ifParked = (then: SQL, column: PgColumn) =>
    sql`case when ${state} = 'parked' then ${then} else ${column} end`;
  return sql`
    insert into ${awbEvents} (${names([key, payload, state, receivedAt, dueAt])})
    values (${ph('key')}, ${sql.param(ph('payload'), payload)}, 'waiting', ${ph('now')}, ${ph('now')})
    on conflict (${name(key)}) do update set ${assignments(awbEvents, {
      payload: sql`case when ${state} = 'recorded' then ${payload} else ${excluded(payload)} end`,
      receivedAt: ifParked(excluded(receivedAt), receivedAt),
      error: ifParked(sql`null`, error),
      state: ifParked(sql`'waiting'`, state),
    })}
    returning ${read}`;
});

export const LOCK = statement(
  EVENT,
  (read) => sql`select ${read} from ${awbEvents} where ${awbEvents.key} = ${ph('key')} for update`,
);

const FOUND = {
  id: orders.id,
  source: orders.source,
  number: orders.marketplaceOrderId,
  owned: sql<boolean>`${orders.storeId} is not null`,
};
export type Found = RowOf<typeof FOUND>;

const BY_ID = statement(
  FOUND,
  (read) => sql`select ${read} from ${orders} where ${isAnyOf(orders.id, ph('ids'))}`,
);
const wanted = recordset('wanted', { source: orders.source, number: orders.marketplaceOrderId });
const BY_NUMBER = statement(
  FOUND,
  (read) => sql`
    select ${read} from ${wanted.from(ph('wanted'))} cross join lateral (
      select * from ${orders}
      where ${orders.source} = ${wanted.fields.source} and ${orders.marketplaceOrderId} = ${wanted.fields.number}
      order by ${FOUND.owned} desc, ${orders.createdAt} desc limit 2) as ${sql.identifier(getTableName(orders))}
    order by ${FOUND.owned} desc, ${orders.createdAt} desc`,
);

/** The orders that each event may refer to: a second one belongs to another store. */
export async function ordersOf(db: Db | Tx, events: readonly AwbCreatedEvent[]): Promise<Found[][]> {
  const ids = events.flatMap(({ orderId }) => orderId ?? []);
  const named = events.filter(({ orderId }) => !orderId);
  const numbers = new Map(
    named.map(({ source = '', marketplaceOrderId: number = '' }) => [
      `${source}/${number}`,
      { source, number },
    ]),
  );
  const [byId, byNumber] = await Promise.all([
    ids.length > 0 ? BY_ID.run(db, { ids }) : [],
    numbers.size > 0 ? BY_NUMBER.run(db, { wanted: wanted.textOf([...numbers.values()]) }) : [],
  ]);
  return events.map(({ orderId, source, marketplaceOrderId }) => {
    const its = orderId
      ? byId.filter(({ id }) => id === orderId.toLowerCase())
      : byNumber.filter((one) => one.source === source && one.number === marketplaceOrderId);
    // an unowned row of the same order, written by another program, is not a second order
    return its.filter(({ owned }) => owned === its[0]?.owned);
  });
}

/** Not sent to Temu yet. */
export const UNSENT = sql`${temuPushes.state} in ('pending', 'parked', 'rejected', 'replaced') and ${temuPushes.toldAt} is null`;

/** An AWB that is named again, changed or by hand, counts as received now, unless it was sent to Temu. */
export const NAMED_AGAIN = sql`
  on conflict (${name(temuPushes.shipmentId)}) do update set ${assignments(temuPushes, {
    state: 'pending',
    error: null,
    dueAt: excluded(temuPushes.dueAt),
    offeredAt: null,
    parkedOrderTime: null,
    createdAt: sql`greatest(${temuPushes.createdAt}, ${excluded(temuPushes.createdAt)})`,
  })}
  where ${UNSENT}`;

/** Records an event: its shipment and, for a Temu order, its push. */
export const MAKE = statement({}, () => {
  const { id, orderId, awbNumber, lrNumber, bookingCourier, bookedAt, carrier, items, createdAt } = shipments;
  const columns = { orderId, awbNumber, lrNumber, bookingCourier, bookedAt, carrier, items };
  return sql`
    with recorded as (
      update ${awbEvents} set ${assignments(awbEvents, { state: 'recorded', error: null })} where ${awbEvents.key} = ${ph('key')}),
    made as (
      insert into ${shipments} (${names([...Object.values(columns), createdAt])})
      values (${list(Object.entries(columns).map(([key, column]) => sql`${sql.param(ph(key), column)}`))}, ${ph('receivedAt')})
      on conflict (${names([orderId, awbNumber])}) do update
        set ${assignments(shipments, { carrier: excluded(carrier), items: excluded(items) })}
      returning ${names([id, orderId])})
    insert into ${temuPushes} (${names([temuPushes.shipmentId, temuPushes.orderId, temuPushes.dueAt, temuPushes.createdAt])})
    select ${names([id, orderId])}, ${ph('now')}, ${ph('receivedAt')} from made where ${ph('pushed')}
    ${NAMED_AGAIN}`;
});

/** Older parcels for the whole order that were not sent to Temu. */
export const REPLACE = statement(
  {},
  () => sql`
    update ${temuPushes} set ${assignments(temuPushes, {
      state: 'replaced',
      error: ph('error'),
      offeredAt: null,
      parkedOrderTime: null,
    })}
    from ${shipments}
    where ${shipments.id} = ${temuPushes.shipmentId} and ${ofOrder(ph('orderId'))}
      and ${shipments.awbNumber} <> ${ph('awbNumber')} and ${UNSENT} and ${temuPushes.createdAt} <= ${ph('receivedAt')}`,
);

/** All waiting pushes of the order are due. */
export const WAKE = statement(
  {},
  () => sql`
    update ${temuPushes} set ${assignments(temuPushes, { dueAt: ph('now'), offeredAt: null })}
    where ${ofOrder(ph('orderId'))} and ${temuPushes.state} = 'pending'`,
);
