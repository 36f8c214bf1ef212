import type { Canonical, EventName } from './model.ts';

/** The status of events by C4 and C5; null: the event does not change the status. */
export type Meanings = Partial<Record<EventName, Canonical | null>>;

/** With most APIs. */
const CANONICAL: Record<EventName, Canonical | null> = {
  manifested: null,
  pickupScheduled: null,
  pickedUp: 'in_transit',
  atOrigin: 'in_transit',
  bagged: 'in_transit',
  onTrip: 'in_transit',
  tripArrived: 'in_transit',
  received: 'in_transit',
  atDestination: 'in_transit',
  outForDelivery: 'out_for_delivery',
  readyForPickup: 'ready_for_pickup',
  failedAttempt: 'ndr',
  delivered: 'delivered',
  notHandedOver: null,
  sellerCancelled: 'booking_cancelled',
  rtoStarted: 'rto_in_transit',
  rtoInTransit: 'rto_in_transit',
  rtoPending: 'rto_in_transit',
  rtoOutForDelivery: 'rto_in_transit',
  rtoDelivered: 'rto',
  lost: 'lost',
  destroyed: 'destroyed',
  strange: null,
};

/** @param own the API's differences from most */
export const canonicalOf = (own: Meanings | undefined, event: EventName): Canonical | null =>
  ({ ...CANONICAL, ...own })[event];
