import { and, eq, ne, sql } from 'drizzle-orm';
import { alias, union } from 'drizzle-orm/pg-core';
import type { Db } from '../db/client.ts';
import { isAnyOf } from '../db/query.ts';
import { orderStatuses, orders, shipmentEvents, shipments, trackers } from '../db/schema/index.ts';
import { utc } from '../lib/format-time.ts';
import { bookedAfter } from './booking.ts';
import { isFinal, STATUSES, type Status } from './engine/status.ts';
import { type Tracker, whyOff } from './registry.ts';
import { matches } from './selection.ts';

const DAY_MS = 86_400_000;
/** Parcels returned at most: a number belongs to one parcel, an order has a few. */
const MOST = 50;

/** A parcel's timeline, for `explain` of its AWB, LR number or order. */
export interface TrackingTimeline {
  awbNumber: string | null;
  lrNumber: string | null;
  order: string;
  source: string;
  bookingCourier: string;
  bookedAt: Date;
  status: string;
  /** Since when, by the courier's clock. */
  statusAt: Date | null;
  courierStatus: string | null;
  /** The tracker that polls it; null: none. */
  tracker: string | null;
  /** Why that one, or why none, and what comes next. */
  because: string;
  lastAskedAt: Date | null;
  /** When it may be polled next; null: never. */
  nextRunAt: Date | null;
  /** C6: its last raw status, while that is unmapped. */
  unmapped: { word: string; at: Date | null } | null;
  /** C7: its changes, oldest first. */
  events: { status: string; courierStatus: string | null; occurredAt: Date; recordedAt: Date }[];
  /** Other parcels of its order. */
  siblings: {
    number: string;
    status: string;
    bookedAt: Date;
    is: Sibling;
  }[];
}

/**
 * `split`: beside it; `before` and `after`: the order was booked again; E4: `return` and `redirection`: it goes back or on
 * under that number; `return-of` and `redirection-of`: it is that parcel's.
 */
type Sibling = 'split' | 'before' | 'after' | 'return' | 'redirection' | 'return-of' | 'redirection-of';

interface Rules {
  trackers: readonly Tracker[];
  /** C2. */
  bufferDays: number;
  /** Epoch milliseconds. */
  now: number;
}

/** Parcels with this AWB or LR number, and those of an order with this number, the first booked first. */
export const trackingTimelines = async (db: Db, number: string, rules: Rules): Promise<TrackingTimeline[]> =>
  (await readParcels(db, number)).map((row) => buildTimeline(row, rules));

async function readParcels(db: Db, number: string) {
  const { id, orderId, awbNumber, lrNumber } = shipments;
  const ids = () => db.select({ id }).from(shipments);
  const found = union(
    ids().where(eq(awbNumber, number)),
    ids().where(eq(lrNumber, number)),
    ids().innerJoin(orders, eq(orders.id, orderId)).where(eq(orders.marketplaceOrderId, number)),
  )
    .limit(MOST)
    .as('found');
  const parcels = await db
    .select({
      ...{ id, awbNumber, lrNumber, order: orders.marketplaceOrderId, source: orders.source },
      bookingCourier: shipments.bookingCourier,
      bookedAt: shipments.bookedAt,
      status: shipments.status,
      statusAt: shipments.statusAt,
      courierStatus: shipments.courierStatus,
      tracker: shipments.trackedBy,
      lastAskedAt: shipments.lastTrackedAt,
      beingTracked: shipments.beingTracked,
      ended: shipments.trackingEnded,
      orderStatus: orders.orderStatus,
      orderStatusName: orderStatuses.name,
      trackable: orderStatuses.trackable,
      unmappedWord: shipments.unmappedWord,
      unmappedAt: shipments.unmappedAt,
      nextRunAt: trackers.nextRunAt,
      waitingUntil: trackers.waitingUntil,
      waitingReason: trackers.waitingReason,
      stoppedReason: trackers.stoppedReason,
    })
    .from(found)
    .innerJoin(shipments, eq(id, found.id))
    .innerJoin(orders, eq(orders.id, orderId))
    .leftJoin(orderStatuses, eq(orderStatuses.code, orders.orderStatus))
    .leftJoin(trackers, eq(trackers.name, shipments.trackedBy))
    .orderBy(shipments.bookedAt, shipments.createdAt, id);
  const parcelIds = parcels.map((parcel) => parcel.id);
  const [events, siblings, candidates] = await Promise.all([
    readEvents(db, parcelIds),
    readSiblings(db, parcelIds),
    readCandidates(db, parcelIds),
  ]);
  return parcels.map((parcel) => ({
    ...parcel,
    events: events.filter(({ of }) => of === parcel.id).map(({ of: _, ...event }) => event),
    siblings: siblings.filter(({ of }) => of === parcel.id).map(({ of: _, ...sibling }) => sibling),
    candidates: candidates.filter(({ of }) => of === parcel.id),
  }));
}
type TimelineRow = Awaited<ReturnType<typeof readParcels>>[number];

function readEvents(db: Db, ids: readonly string[]) {
  const { shipmentId, status, courierStatus, occurredAt, recordedAt } = shipmentEvents;
  return db
    .select({ of: shipmentId, status, courierStatus, occurredAt, recordedAt })
    .from(shipmentEvents)
    .where(isAnyOf(shipmentId, ids))
    .orderBy(recordedAt, occurredAt);
}

function readSiblings(db: Db, ids: readonly string[]) {
  const other = alias(shipments, 'other');
  return db
    .select({
      of: shipments.id,
      number: sql<string>`coalesce(${other.awbNumber}, ${other.lrNumber})`,
      status: other.status,
      bookedAt: other.bookedAt,
      is: sql<Sibling>`case
        when ${other.linkedTo} = ${shipments.id} then ${other.link}
        when ${shipments.linkedTo} = ${other.id} then ${shipments.link} || '-of'
        when ${other.items} is not null and ${shipments.items} is not null then 'split'
        when ${bookedAfter(other, shipments)} then 'after' else 'before' end`,
    })
    .from(shipments)
    .innerJoin(other, and(eq(other.orderId, shipments.orderId), ne(other.id, shipments.id)))
    .where(isAnyOf(shipments.id, ids))
    .orderBy(other.bookedAt, other.createdAt, other.id);
}

/** All trackers by precedence, with the conditions of their selection that each parcel meets. */
function readCandidates(db: Db, ids: readonly string[]) {
  const { name, enabled, number, precedence } = trackers;
  return db
    .select({ of: shipments.id, name, enabled, wants: number, ...matches })
    .from(shipments)
    .innerJoin(orders, eq(orders.id, shipments.orderId))
    .crossJoin(trackers)
    .where(isAnyOf(shipments.id, ids))
    .orderBy(precedence, name);
}

function buildTimeline(row: TimelineRow, rules: Rules): TrackingTimeline {
  const isPolled = row.tracker !== null && !tooOld(row, rules);
  return {
    ...{ awbNumber: row.awbNumber, lrNumber: row.lrNumber, order: row.order, source: row.source },
    ...{ bookingCourier: row.bookingCourier, bookedAt: row.bookedAt },
    ...{ status: row.status, statusAt: row.statusAt, courierStatus: row.courierStatus },
    tracker: row.tracker,
    because: row.tracker ? whyTracked(row, row.tracker, rules) : whyNotTracked(row, rules),
    lastAskedAt: row.lastAskedAt,
    nextRunAt: isPolled ? row.nextRunAt : null,
    unmapped: row.unmappedWord === null ? null : { word: row.unmappedWord, at: row.unmappedAt },
    events: row.events,
    siblings: row.siblings,
  };
}

const tooOld = ({ bookedAt }: TimelineRow, { bufferDays, now }: Rules) =>
  now - bookedAt.getTime() >= bufferDays * DAY_MS;

const WANTS: Record<TimelineRow['candidates'][number]['wants'], string> = {
  awb: 'an AWB and no LR number',
  lr: 'an LR number',
  'any-awb': 'an AWB',
};

/** C2, C6, C10, C11: why this tracker, and what delays it. */
function whyTracked(row: TimelineRow, tracker: string, rules: Rules): string {
  const wants = row.candidates.find(({ name }) => name === tracker)?.wants ?? 'awb';
  const sentences = [
    `Tracked by ${tracker}: booked with ${row.bookingCourier}, order from ${row.source}, with ${WANTS[wants]}.`,
  ];
  if (tooOld(row, rules))
    return `${sentences[0]} Tracking has ended: it was booked more than ${rules.bufferDays} days ago.`;
  if (row.stoppedReason)
    sentences.push(
      `Tracking is stopped: the courier rejects our credentials: ${row.stoppedReason} (orderfleet status).`,
    );
  if (row.waitingUntil && row.waitingUntil.getTime() > rules.now)
    sentences.push(`Rate-limit cooldown until ${utc(row.waitingUntil)} (${row.waitingReason}).`);
  if (row.unmappedWord !== null)
    sentences.push(
      `Unmapped courier status "${row.unmappedWord}": it keeps its previous status until you map it: orderfleet words map ${tracker} "${row.unmappedWord}" STATUS`,
    );
  return sentences.join(' ');
}

/** The first rule of C2 that it fails. */
function whyNotTracked(row: TimelineRow, { trackers }: Rules): string {
  const not = 'Not tracked:';
  if (row.ended) return `Tracking ended: ${row.ended}.`;
  if (row.beingTracked === false) return `${not} switched off for this parcel (being_tracked is false).`;
  if (isFinal(row.status as Status) && STATUSES.includes(row.status as Status) && !row.trackable)
    return `Tracking finished: ${row.status.replaceAll('_', ' ')}.`;
  if (!row.trackable)
    return `${not} its order has the status ${row.orderStatus} (${row.orderStatusName ?? 'unknown'}).`;
  if (row.candidates.length === 0)
    return `${not} no tracker is set up yet; the scheduler sets them up when it starts.`;
  const ofCourier = row.candidates.filter(({ courier }) => courier);
  const couriers = [...new Set(trackers.map(({ courier }) => courier.title))].sort();
  if (ofCourier.length === 0)
    return `${not} no tracker is set up for ${row.bookingCourier}. Available: ${couriers.join(', ')}.`;
  const fits = ofCourier.find(({ source, number }) => source && number);
  if (fits?.enabled) return `Not tracked yet: ${fits.name} starts tracking it when the scheduler restarts.`;
  if (fits) {
    const tracker = trackers.find(({ name }) => name === fits.name);
    const off = tracker && whyOff(tracker);
    return `${not} ${fits.name} is off${off ? ` (${off})` : ''}.`;
  }
  const ofSource = ofCourier.filter(({ source }) => source);
  if (ofSource.length === 0)
    return `${not} ${ofCourier.map(({ name }) => name).join(' and ')} ${ofCourier.length === 1 ? 'does' : 'do'} not track orders from ${row.source}.`;
  return `${not} ${ofSource.map(({ name, wants }) => `${name} needs ${WANTS[wants]}`).join(', ')}.`;
}
