/** The five tracking APIs, by the names of their trackers (C1). */
export const COURIERS = [
  'delhivery-b2c',
  'delhivery-b2b',
  'shiprocket',
  'velocity',
  'delhivery-fallback',
] as const;

export type CourierName = (typeof COURIERS)[number];

export const LIVES = [
  /** Picked up, carried, delivered at the first attempt. */
  'delivered',
  /** One or two failed attempts, then delivered. */
  'ndr',
  /** Three failed attempts, then all the way back. */
  'rto',
  /** Cancelled by the seller before pickup. */
  'cancelled',
  /** Never handed over, asked for again and again. */
  'notPicked',
  'lost',
  /** Destroyed or damaged on the way; an API without a word for it says lost. */
  'destroyed',
  /** The API never hears of it. */
  'neverFound',
  /** Unknown in its first hours, then delivered. */
  'foundLate',
  /** Delivered on the day it was booked (India's day). */
  'sameDay',
  /** In transit, then a word that no table has, for ever. */
  'strangeWord',
  /** Manifested, and nothing more. */
  'manifested',
] as const;

export type LifeName = (typeof LIVES)[number];

/** What happens to a parcel; each API has its own words for it. */
export const EVENTS = [
  'manifested',
  'pickupScheduled',
  'pickedUp',
  'atOrigin',
  'bagged',
  'onTrip',
  'tripArrived',
  'received',
  'atDestination',
  'outForDelivery',
  'failedAttempt',
  'delivered',
  'notHandedOver',
  'sellerCancelled',
  'rtoStarted',
  'rtoInTransit',
  'rtoPending',
  'rtoOutForDelivery',
  'rtoDelivered',
  'lost',
  'destroyed',
  'strange',
] as const;

export type EventName = (typeof EVENTS)[number];

/** One scan as it truly was. */
export interface Scan {
  event: EventName;
  /** Epoch milliseconds. */
  at: number;
  /** Which of the parcel's places (places.ts). */
  place: 'origin' | 'hub' | 'destination';
  /** Delhivery's code of a failed attempt. */
  code?: string;
  /** A word that a test has set instead of the API's word for the event. */
  word?: Word;
}

/** What an API is to say of a parcel from now on, in its own words (setWord). */
export interface Word {
  /** Something that happens; the API's own words for it are used. */
  event?: EventName;
  /** The word itself: B2C Status, B2B status, Shiprocket current_status, Velocity shipment_status, fallback hqStatus. */
  status?: string;
  /** StatusType of Delhivery B2C and the fallback; default UD. */
  type?: string;
  /** StatusCode of Delhivery B2C; of Shiprocket the numeric shipment_status. */
  code?: string | number;
  /** sr-status-label of Shiprocket, status.status of the fallback. */
  label?: string;
  /** The event's time, epoch milliseconds; default: now. */
  at?: number;
  pickedUpAt?: number;
  deliveredAt?: number;
  rtoStartedAt?: number;
  /** ReferenceNo, where the API has one. */
  reference?: string;
  /** The item verbatim: Shipment, data, {tracking_data}, or data[0] of the fallback. */
  raw?: unknown;
  /** The API does not know the parcel. */
  unknown?: boolean;
  /** The fallback's "tracking details are not visible…". */
  ended?: boolean;
}

export interface Parcel {
  api: CourierName;
  /** AWB, or LR number of Delhivery B2B. */
  number: string;
  /** The order's number as the courier was told it. */
  reference: string;
  /** Epoch milliseconds. */
  bookedAt: number;
  /** Until this moment its life went as in reality, from here on it is `speed` times as fast. */
  addedAt: number;
  speed: number;
  life: LifeName;
  seed: number;
  /** Set words, oldest first; the life ended when the first one was set. */
  words: SetWord[];
}

export type SetWord = Word & { at: number; setAt: number };

/** The canonical words of C5. */
export type Canonical =
  | 'pending'
  | 'in_transit'
  | 'out_for_delivery'
  | 'ndr'
  | 'delivered'
  | 'rto_in_transit'
  | 'rto'
  | 'booking_cancelled'
  | 'lost'
  | 'destroyed';
