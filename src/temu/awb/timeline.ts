import { eq, sql } from 'drizzle-orm';
import type { Db } from '../../db/client.ts';
import { awbEvents, orders, shipments, temuPushes } from '../../db/schema/index.ts';
import { utc } from '../../lib/format-time.ts';

/** A parcel's history with Temu, for `explain` of an AWB or of its order. */
export interface PushTimeline {
  awbNumber: string | null;
  order: string | null;
  carrier: string | null;
  /** E4: its courier named it, as another parcel's return or redirection; null: booked by the seller. */
  link: 'return' | 'redirection' | null;
  /** State of its push; null: not a Temu order, or the order is unknown yet. */
  push: string | null;
  /** Why, and what happens next. */
  because: string;
  bookedAt: Date | null;
  sentAt: Date | null;
}

type Parcel = Awaited<ReturnType<typeof parcelsOf>>[number];

const parcelsOf = (db: Db, number: string) =>
  db
    .select({
      awbNumber: shipments.awbNumber,
      order: orders.marketplaceOrderId,
      source: orders.source,
      carrier: sql<string>`coalesce(${shipments.carrier}, ${shipments.bookingCourier})`,
      link: shipments.link,
      state: temuPushes.state,
      error: temuPushes.error,
      attempts: temuPushes.attempts,
      dueAt: temuPushes.dueAt,
      bookedAt: shipments.bookedAt,
      sentAt: temuPushes.sentAt,
      untilOrderChanges: sql<boolean>`${temuPushes.parkedOrderTime} is not null`,
    })
    .from(shipments)
    .innerJoin(orders, eq(orders.id, shipments.orderId))
    .leftJoin(temuPushes, eq(temuPushes.shipmentId, shipments.id))
    .where(
      sql`${shipments.id} in (
        select ${shipments.id} from ${shipments} where ${shipments.awbNumber} = ${number}
        union select ${shipments.id} from ${orders} join ${shipments} on ${shipments.orderId} = ${orders.id}
          where ${orders.marketplaceOrderId} = ${number})`,
    )
    .orderBy(shipments.createdAt);

const waitingOf = (db: Db, number: string) =>
  db
    .select({
      awbNumber: sql<string>`${awbEvents.payload}->>'awbNumber'`,
      state: awbEvents.state,
      error: awbEvents.error,
      at: awbEvents.receivedAt,
    })
    .from(awbEvents)
    .where(
      sql`${awbEvents.state} <> 'recorded'
        and ${number} in (${awbEvents.payload}->>'awbNumber', ${awbEvents.payload}->>'marketplaceOrderId')`,
    );

/** Parcels of an order number or with an AWB, and events that still wait for their order. */
export async function pushTimelines(db: Db, number: string): Promise<PushTimeline[]> {
  const parcels = await parcelsOf(db, number);
  const waiting = await waitingOf(db, number);
  return [
    ...parcels.map((row) => ({
      awbNumber: row.awbNumber,
      order: row.order,
      carrier: row.carrier,
      link: row.link,
      push: row.state,
      because: because(row),
      bookedAt: row.bookedAt,
      sentAt: row.sentAt,
    })),
    ...waiting.map((event) => ({
      awbNumber: event.awbNumber,
      order: null,
      carrier: null,
      link: null,
      push: null,
      because: `The AWB event of ${utc(event.at)} is ${event.state}: ${event.error ?? 'looking for its order'}.`,
      bookedAt: null,
      sentAt: null,
    })),
  ];
}

function because(row: Parcel): string {
  const next = row.dueAt ? ` Next attempt: ${utc(row.dueAt)}.` : '';
  const error = row.error ? `: ${row.error}` : '';
  const retry = row.source === 'temu' ? ` To retry: orderfleet awb retry ${row.order}` : '';
  switch (row.state) {
    case null:
      return row.source === 'temu'
        ? 'Not queued for Temu yet; the sweep queues it within a minute.'
        : `Not sent to Temu: its order is from ${row.source}.`;
    case 'sent':
      return `Confirmed with Temu${row.sentAt ? ` on ${utc(row.sentAt)}` : ''}.`;
    case 'unknown':
      return `Sent to Temu, outcome unknown${error}.${next}`;
    case 'sending':
      return `Being sent to Temu (attempt ${row.attempts}).`;
    case 'pending':
      return `Queued for Temu${error}.${next}`;
    case 'parked':
      return `Parked${row.untilOrderChanges ? ' until the order changes on Temu or you retry' : ', needs attention'}${error}.${retry}`;
    case 'replaced':
      return `Not sent: ${row.error}.`;
    default:
      return `Temu rejected it${error}.${retry}`;
  }
}
