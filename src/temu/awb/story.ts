import type { Db } from '../../db/client.ts';

/** A parcel's story with Temu, for `explain` of an AWB or of its order. */
export interface ParcelStory {
  awbNumber: string | null;
  order: string | null;
  carrier: string | null;
  /** State of its push; null: not an order of Temu's, or the order is not known yet. */
  push: string | null;
  /** Why, and what happens next. */
  because: string;
  bookedAt: Date | null;
  sentAt: Date | null;
}

interface ParcelRow {
  awbNumber: string | null;
  order: string;
  source: string;
  carrier: string | null;
  state: string | null;
  error: string | null;
  attempts: number | null;
  dueAt: Date | null;
  bookedAt: Date;
  sentAt: Date | null;
  untilOrderChanges: boolean | null;
}

/** Parcels of an order number or with an AWB number, and events that still wait for their order. */
export async function parcelStories(db: Db, number: string): Promise<ParcelStory[]> {
  const rows = await db.$client<ParcelRow[]>`
    select s.awb_number as "awbNumber", o.marketplace_order_id as order, o.source,
      coalesce(s.carrier, s.booking_courier) as carrier, p.state, p.error, p.attempts, p.due_at as "dueAt",
      s.booked_at as "bookedAt", p.sent_at as "sentAt", p.parked_order_time is not null as "untilOrderChanges"
    from shipments s join orders o on o.id = s.order_id left join temu_pushes p on p.shipment_id = s.id
    where s.id in (
      select id from shipments where awb_number = ${number}
      union select p.id from orders m join shipments p on p.order_id = m.id where m.marketplace_order_id = ${number})
    order by s.created_at`;
  const waiting = await db.$client<
    { key: string; awbNumber: string; state: string; error: string | null; at: Date }[]
  >`
    select key, payload->>'awbNumber' as "awbNumber", state, error, received_at as at from awb_events
    where state <> 'recorded' and (payload->>'awbNumber' = ${number} or payload->>'marketplaceOrderId' = ${number})`;
  return [
    ...rows.map((row) => ({
      awbNumber: row.awbNumber,
      order: row.order,
      carrier: row.carrier,
      push: row.state,
      because: because(row),
      bookedAt: row.bookedAt,
      sentAt: row.sentAt,
    })),
    ...waiting.map((event) => ({
      awbNumber: event.awbNumber,
      order: null,
      carrier: null,
      push: null,
      because: `The event came at ${event.at.toISOString()} and is ${event.state}: ${event.error ?? 'its order is looked for'}.`,
      bookedAt: null,
      sentAt: null,
    })),
  ];
}

function because(row: ParcelRow): string {
  const next = row.dueAt ? ` Next look at ${row.dueAt.toISOString()}.` : '';
  const error = row.error ? `: ${row.error}` : '';
  const retry = row.source === 'temu' ? ` To try it again: orderfleet awb retry ${row.order}` : '';
  switch (row.state) {
    case null:
      return row.source === 'temu'
        ? 'Temu has not been told yet; the sweep finds it within a minute.'
        : `Its order is from ${row.source}: Temu is not told.`;
    case 'sent':
      return `Temu has it since ${row.sentAt?.toISOString() ?? 'an unknown time'}.`;
    case 'unknown':
      return `Temu may have been told${error}.${next}`;
    case 'sending':
      return `A worker is telling Temu (try ${row.attempts}).`;
    case 'pending':
      return `Temu is to be told${error}.${next}`;
    case 'parked':
      return `It waits for ${row.untilOrderChanges ? 'the order to change on Temu, or for ' : ''}a person${error}.${retry}`;
    case 'replaced':
      return `It was ${row.error}.`;
    default:
      return `Temu refused it${error}.${retry}`;
  }
}
