/**
 * The APIs with their settings, by the names of their trackers (C1). Each file of apis/ adds itself here by
 * `declare module`, so that `api.velocity.settings` has types and another API touches no other file.
 */
// biome-ignore lint/suspicious/noEmptyInterface: its members stand in the files of apis/
export interface SettingsOfApis {}

export type CourierName = keyof SettingsOfApis;

export const LIVES = [
  /** Picked up, transported, delivered at the first attempt. */
  'delivered',
  /** One or two failed attempts, then delivered. */
  'ndr',
  /** Three failed attempts, then all the way back. */
  'rto',
  /** Cancelled by the seller before pickup. */
  'cancelled',
  /** Never handed over; pickup attempted repeatedly. */
  'notPicked',
  'lost',
  /** Destroyed or damaged on the way; an API without a status for it returns lost. */
  'destroyed',
  /** The API never knows it. */
  'neverFound',
  /** Unknown in its first hours, then delivered. */
  'foundLate',
  /** Delivered on the day it was booked (India's day). */
  'sameDay',
  /** In transit, then an unmapped status forever. */
  'strangeWord',
  /** Manifested, and nothing more. */
  'manifested',
  /** Put into a locker or shop, collected from there. */
  'locker',
  /** Waits in a locker until it goes back. */
  'uncollected',
  /** Sent on to another address, and delivered there. */
  'redirected',
  /** The way back of another parcel, under a number of its own. */
  'returnLeg',
  /** The way on of another parcel, under a number of its own. */
  'redirectionLeg',
] as const;

export type LifeName = (typeof LIVES)[number];

/** What happens to a parcel; each API has its own statuses for it. */
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
  'readyForPickup',
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

/** One scan as it really happened. */
export interface Scan {
  event: EventName;
  /** Epoch milliseconds. */
  at: number;
  /** Which of the parcel's places (places.ts). */
  place: 'origin' | 'hub' | 'destination';
  /** Delhivery's code of a failed attempt. */
  code?: string;
  /** With it the parcel is sent on to another address. */
  onward?: true;
  /** Set by a test instead of the API's status for the event. */
  word?: Word;
}

/** What an API returns for a parcel from now on (setWord). */
export interface Word {
  /** An event, returned with the API's own status. */
  event?: EventName;
  /** A raw status: B2C Status, B2B status, Shiprocket current_status, Velocity shipment_status, fallback hqStatus. */
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
  /** The order's number as sent to the courier. */
  reference: string;
  /** Epoch milliseconds. */
  bookedAt: number;
  /** Until this time its life runs in real time, from here on `speed` times as fast. */
  addedAt: number;
  speed: number;
  life: LifeName;
  seed: number;
  /** E4: the number under which it goes back, once that has begun; absent: its own. */
  returnNumber?: string;
  /** E4: the same for its way to another address. */
  redirectNumber?: string;
  /** Words set by tests, oldest first; the first one ends the life. */
  words: SetWord[];
}

export type SetWord = Word & { at: number; setAt: number };

/** The statuses of C5. */
export type Canonical =
  | 'pending'
  | 'in_transit'
  | 'out_for_delivery'
  | 'ready_for_pickup'
  | 'ndr'
  | 'delivered'
  | 'rto_in_transit'
  | 'rto'
  | 'booking_cancelled'
  | 'lost'
  | 'destroyed';
