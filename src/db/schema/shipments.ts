import { sql } from 'drizzle-orm';
import {
  type AnyPgColumn,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uuid,
} from 'drizzle-orm/pg-core';
import { orders } from './orders.ts';
import { temuStores } from './stores.ts';

const time = (name: string) => timestamp(name, { withTimezone: true });

/** One unit of an order's line in a parcel, as the shipping app names it (A1). */
export interface ShippedItem {
  orderItemId: string;
  quantity: number;
}

/** A parcel. Others may insert order_id, booking_courier, booked_at and a number only. */
export const shipments = pgTable(
  'shipments',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    orderId: uuid('order_id')
      .notNull()
      .references(() => orders.id),
    awbNumber: text('awb_number'),
    lrNumber: text('lr_number'),
    bookingCourier: text('booking_courier').notNull(),
    bookedAt: time('booked_at').notNull(),
    /** The carrier's name for Temu (A4); null: the booking courier's name. */
    carrier: text('carrier'),
    /** Its content when it is one of several parcels of its order; null: everything. */
    items: jsonb('items').$type<ShippedItem[]>(),
    /** false: no longer polled, `tracking_ended` is the reason. */
    beingTracked: boolean('being_tracked'),
    trackingEnded: text('tracking_ended'),
    /** E4: the parcel that goes on, or goes back, under this number, as its courier said; null: booked by the seller. */
    linkedTo: uuid('linked_to').references((): AnyPgColumn => shipments.id, { onDelete: 'cascade' }),
    link: text('link', { enum: ['return', 'redirection'] }),
    /** C2: the tracker that polls it; null: none. Maintained by triggers (drizzle/), whoever writes. */
    trackedBy: text('tracked_by'),
    status: text('status').notNull().default('pending'),
    /** Since when, by the courier's clock; null before its first scan. */
    statusAt: time('status_at'),
    /** C7: the newest time at which each status was received, epoch milliseconds. */
    statusSeen: jsonb('status_seen').$type<Record<string, number>>().notNull().default({}),
    courierStatus: text('courier_status'),
    /** C6: its last raw status, while that is unmapped. */
    unmappedWord: text('unmapped_word'),
    unmappedAt: time('unmapped_at'),
    /** The tracker that reported it. */
    unmappedBy: text('unmapped_by'),
    lastTrackedAt: time('last_tracked_at'),
    pickedUpAt: time('picked_up_at'),
    deliveredAt: time('delivered_at'),
    rtoStartedAt: time('rto_started_at'),
    statusTimes: jsonb('status_times').$type<Record<string, string>>().notNull().default({}),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (table) => [
    check(
      'shipments_link',
      sql`(${table.linkedTo} is null) = (${table.link} is null) and ${table.link} in ('return', 'redirection')`,
    ),
    check('shipments_number', sql`${table.awbNumber} is not null or ${table.lrNumber} is not null`),
    unique('shipments_once').on(table.orderId, table.awbNumber),
    index('shipments_awb').on(table.awbNumber),
    index('shipments_created').on(table.createdAt),
    // P5: no column that tracking writes at each poll is in an index, so that Postgres need not write all of them (HOT)
    index('shipments_tracked').on(table.trackedBy).where(sql`tracked_by is not null`),
    index('shipments_linked').on(table.linkedTo).where(sql`linked_to is not null`),
    index('shipments_lr').on(table.lrNumber).where(sql`lr_number is not null`),
    // E10: on their way, and polled by nobody
    index('shipments_unpolled')
      .on(table.bookedAt, table.bookingCourier)
      .where(
        sql`tracked_by is null and tracking_ended is null and being_tracked is distinct from false and delivered_at is null`,
      ),
    index('shipments_unmapped').on(table.unmappedWord).where(sql`unmapped_word is not null`),
  ],
);

/**
 * C2: the parcels that trackers poll, in a table that is as long as what can be due, however many are stored (P3), and
 * of narrow rows without an index on what a poll writes (P5). Maintained by triggers of `shipments` (drizzle/), whoever
 * writes; only `last_tracked_at` is written by tracking, with the column of the same name there.
 */
export const trackedParcels = pgTable(
  'tracked_parcels',
  {
    shipmentId: uuid('shipment_id')
      .primaryKey()
      .references(() => shipments.id, { onDelete: 'cascade' }),
    /** shipments.tracked_by */
    tracker: text('tracker').notNull(),
    bookedAt: time('booked_at').notNull(),
    lastTrackedAt: time('last_tracked_at'),
  },
  (table) => [index('tracked_parcels_tracker').on(table.tracker)],
);

/**
 * A1–A3: every AWB-created event as received, before it is processed.
 * state: waiting (its order is unknown yet), recorded (there is a shipment), parked (given up, `error` is the
 * reason).
 */
export const awbEvents = pgTable(
  'awb_events',
  {
    /** Identifies an event: the order as named, and the number. */
    key: text('key').primaryKey(),
    payload: jsonb('payload').notNull(),
    state: text('state', { enum: ['waiting', 'recorded', 'parked'] }).notNull(),
    error: text('error'),
    receivedAt: time('received_at').notNull().defaultNow(),
    dueAt: time('due_at').notNull().defaultNow(),
  },
  (table) => [
    check('awb_events_state', sql`${table.state} in ('waiting', 'recorded', 'parked')`),
    index('awb_events_waiting').on(table.dueAt).where(sql`state = 'waiting'`),
    index('awb_events_open').on(table.receivedAt).where(sql`state <> 'recorded'`),
  ],
);

/**
 * A6: the ledger of pushes. state: pending (to be sent), sending (a worker has it: `claim`), sent, rejected (Temu's
 * final no), parked (waits for the operator or for the order to change), unknown (sent, response lost: Temu is
 * queried before anything is resent), replaced (a later booking took its place before it was sent: history, neither
 * an error nor an attention item).
 */
export const temuPushes = pgTable(
  'temu_pushes',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    shipmentId: uuid('shipment_id')
      .notNull()
      .unique()
      .references(() => shipments.id, { onDelete: 'cascade' }),
    orderId: uuid('order_id')
      .notNull()
      .references(() => orders.id, { onDelete: 'cascade' }),
    state: text('state', {
      enum: ['pending', 'sending', 'sent', 'rejected', 'parked', 'unknown', 'replaced'],
    })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    error: text('error'),
    sentAt: time('sent_at'),
    /** The fencing token of the worker that has it: an outcome is written only by its holder. */
    claim: uuid('claim'),
    /** Set just before a request leaves, cleared by a clear response: while set, it may have reached Temu. */
    toldAt: time('told_at'),
    /** Parked until the order is newer than this; null: until somebody retries it. */
    parkedOrderTime: time('parked_order_time'),
    /** A4: parked since none or several of Temu's carriers have this name (normalised), until one is pinned. */
    unmatchedCarrier: text('unmatched_carrier'),
    dueAt: time('due_at').notNull().defaultNow(),
    offeredAt: time('offered_at'),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (table) => [
    check(
      'temu_pushes_state',
      sql`${table.state} in ('pending', 'sending', 'sent', 'rejected', 'parked', 'unknown', 'replaced')`,
    ),
    index('temu_pushes_order').on(table.orderId),
    index('temu_pushes_parked')
      .on(table.orderId)
      .where(sql`state = 'parked' and parked_order_time is not null`),
    index('temu_pushes_due').on(table.dueAt).where(sql`state in ('pending', 'sending', 'unknown')`),
    index('temu_pushes_resting').on(table.createdAt).where(sql`state in ('parked', 'rejected')`),
  ],
);

/** A4: the carriers and warehouses of a store from Temu, kept for a day. */
export const temuLogistics = pgTable(
  'temu_logistics',
  {
    storeId: uuid('store_id')
      .notNull()
      .references(() => temuStores.id, { onDelete: 'cascade' }),
    /** `companies` or `warehouses`. */
    what: text('what', { enum: ['companies', 'warehouses'] }).notNull(),
    list: jsonb('list').notNull(),
    fetchedAt: time('fetched_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.storeId, table.what] })],
);

/** A4: a carrier's provider id at Temu as pinned by an operator. */
export const carrierPins = pgTable(
  'carrier_pins',
  {
    storeId: uuid('store_id')
      .notNull()
      .references(() => temuStores.id, { onDelete: 'cascade' }),
    /** Normalised: FANCOURIER. */
    carrier: text('carrier').notNull(),
    providerId: text('provider_id').notNull(),
    pinnedAt: time('pinned_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.storeId, table.carrier] })],
);
