import type { Canonical, CourierName, EventName, Scan, Word } from './model.ts';

/** An API's words for one event. B2C and fallback: type, status, code, remark. */
export interface Delhivery {
  type: string;
  status: string;
  code: string;
  remark: string;
}

const d = (type: string, status: string, code: string, remark: string): Delhivery => ({
  type,
  status,
  code,
  remark,
});

/** Words and codes as recorded and as on Delhivery's pages; RT-101 and LT-100 are made up. */
const DELHIVERY: Record<EventName, Delhivery> = {
  manifested: d('UD', 'Manifested', 'X-UCI', 'Manifest uploaded'),
  pickupScheduled: d('UD', 'Manifested', 'FMPUR-101', 'Pickup scheduled'),
  pickedUp: d('UD', 'In Transit', 'X-PPOM', 'Shipment picked up'),
  atOrigin: d('UD', 'In Transit', 'X-PIOM', 'Shipment Recieved at Origin Center'),
  bagged: d('UD', 'In Transit', 'X-DBL1F', 'Added to Bag'),
  onTrip: d('UD', 'In Transit', 'X-DLL2F', 'Bag Added To Trip'),
  tripArrived: d('UD', 'In Transit', 'X-ILL2F', 'Trip Arrived'),
  received: d('UD', 'In Transit', 'X-ILL1F', 'Bag Received at Facility'),
  atDestination: d('UD', 'Pending', 'X-IBD3F', 'Shipment Received at Facility'),
  outForDelivery: d('UD', 'Dispatched', 'X-DDD3FD', 'Out for delivery'),
  failedAttempt: d('UD', 'Pending', 'EOD-11', 'Consignee unavailable'),
  delivered: d('DL', 'Delivered', 'EOD-38', 'Delivered to consignee'),
  notHandedOver: d('UD', 'Not Picked', 'X-PNP', 'Shipment not received from client'),
  sellerCancelled: d('UD', 'Not Picked', 'DTUP-210', 'Seller cancelled the order'),
  rtoStarted: d('RT', 'In Transit', 'RT-101', 'Return accepted'),
  rtoInTransit: d('RT', 'In Transit', 'X-ILL1F', 'Bag Received at Facility'),
  rtoPending: d('RT', 'Pending', 'X-IBD3F', 'Shipment Received at Facility'),
  rtoOutForDelivery: d('RT', 'Dispatched', 'X-DDD3FD', 'Out for return'),
  rtoDelivered: d('DL', 'RTO', 'EOD-38', 'Returned to origin'),
  lost: d('LT', 'Lost', 'LT-100', 'Shipment lost'),
  destroyed: d('LT', 'Lost', 'LT-100', 'Shipment destroyed'),
  strange: d('UD', 'Held At Customs', 'CUS-1', 'Held at customs'),
};

export function delhiveryWord({ event, code, word }: Scan): Delhivery {
  if (word?.status === undefined) {
    const given = code ?? word?.code;
    return given === undefined ? DELHIVERY[event] : { ...DELHIVERY[event], code: String(given) };
  }
  return d(word.type ?? 'UD', word.status, String(word.code ?? ''), word.status);
}

/** Official LR words of Delhivery B2B, and the title-case words that its example shows. */
const B2B: Record<EventName, readonly [official: string, title: string]> = {
  manifested: ['MANIFESTED', 'Manifested'],
  pickupScheduled: ['MANIFESTED', 'Manifested'],
  pickedUp: ['PICKED_UP', 'Picked Up'],
  atOrigin: ['PICKED_UP', 'In Transit'],
  bagged: ['PICKED_UP', 'In Transit'],
  onTrip: ['LEFT_ORIGIN', 'In Transit'],
  tripArrived: ['LEFT_ORIGIN', 'In Transit'],
  received: ['LEFT_ORIGIN', 'In Transit'],
  atDestination: ['REACH_DESTINATION', 'In Transit'],
  outForDelivery: ['OFD', 'Out For Delivery'],
  failedAttempt: ['UNDEL_REATTEMPT', 'Undelivered'],
  delivered: ['DELIVERED', 'Delivered'],
  notHandedOver: ['NOT_PICKED', 'Not Picked'],
  sellerCancelled: ['NOT_PICKED', 'Not Picked'],
  rtoStarted: ['RETURNED_INTRANSIT', 'RTO In Transit'],
  rtoInTransit: ['RETURNED_INTRANSIT', 'RTO In Transit'],
  rtoPending: ['RECEIVED_AT_RETURN_CENTER', 'RTO In Transit'],
  rtoOutForDelivery: ['RETURN_OFD', 'RTO OFD'],
  rtoDelivered: ['RETURN_DELIVERED', 'RTO Delivered'],
  lost: ['LOST', 'Lost'],
  destroyed: ['DAMAGED', 'Damaged'],
  strange: ['HELD_AT_CUSTOMS', 'Held At Customs'],
};

export function b2bWord({ event, word }: Scan, title: boolean): string {
  return word?.status ?? B2B[event][title ? 1 : 0];
}

export interface ShiprocketWord {
  id: number;
  status: string;
  /** sr-status of an activity: a numeric text, or NA. */
  sr: string;
}

const SHIPROCKET: Record<EventName, readonly [id: number, status: string]> = {
  manifested: [5, 'Manifest Generated'],
  pickupScheduled: [3, 'Pickup Scheduled'],
  pickedUp: [42, 'Picked Up'],
  atOrigin: [18, 'In Transit'],
  bagged: [18, 'In Transit'],
  onTrip: [18, 'In Transit'],
  tripArrived: [18, 'In Transit'],
  received: [18, 'In Transit'],
  atDestination: [38, 'Reached At Destination Hub'],
  outForDelivery: [17, 'Out For Delivery'],
  failedAttempt: [21, 'Undelivered'],
  delivered: [7, 'Delivered'],
  notHandedOver: [20, 'Pickup Exception'],
  sellerCancelled: [8, 'Canceled'],
  rtoStarted: [9, 'RTO Initiated'],
  rtoInTransit: [46, 'RTO In Transit'],
  rtoPending: [46, 'RTO In Transit'],
  rtoOutForDelivery: [41, 'RTO_OFD'],
  rtoDelivered: [10, 'RTO Delivered'],
  lost: [12, 'Lost'],
  destroyed: [25, 'Damaged'],
  strange: [990, 'Held At Customs'],
};

export function shiprocketWord({ event, word }: Scan): ShiprocketWord {
  const [id, status] = SHIPROCKET[event];
  const own = word?.status === undefined && word?.code === undefined;
  const code = own ? id : Number(word?.code ?? Number.NaN);
  return { id: code, status: word?.status ?? status, sr: Number.isNaN(code) ? 'NA' : String(code) };
}

const VELOCITY: Record<EventName, string> = {
  manifested: 'pending',
  pickupScheduled: 'pickup_scheduled',
  pickedUp: 'picked_up',
  atOrigin: 'in_transit',
  bagged: 'in_transit',
  onTrip: 'in_transit',
  tripArrived: 'in_transit',
  received: 'in_transit',
  atDestination: 'in_transit',
  outForDelivery: 'out_for_delivery',
  failedAttempt: 'ndr_raised',
  delivered: 'delivered',
  notHandedOver: 'not_picked',
  sellerCancelled: 'cancelled',
  rtoStarted: 'rto_initiated',
  rtoInTransit: 'rto_in_transit',
  rtoPending: 'rto_in_transit',
  rtoOutForDelivery: 'rto_in_transit',
  rtoDelivered: 'rto_delivered',
  lost: 'lost',
  destroyed: 'damaged',
  strange: 'held_at_customs',
};

export function velocityWord({ event, word }: Scan): string {
  return word?.status ?? VELOCITY[event];
}

/** status.status of the fallback; DELIVERED under currentFlow Returned means back at the seller. */
const FALLBACK: Record<EventName, string> = {
  manifested: 'WAITING_PICKUP',
  pickupScheduled: 'WAITING_PICKUP',
  pickedUp: 'PICKUP',
  atOrigin: 'IN_TRANSIT',
  bagged: 'IN_TRANSIT',
  onTrip: 'IN_TRANSIT',
  tripArrived: 'IN_TRANSIT',
  received: 'IN_TRANSIT',
  atDestination: 'REACHED_DEST_CITY',
  outForDelivery: 'OUT_DELIVERY',
  failedAttempt: 'REACHED_DEST_CITY',
  delivered: 'DELIVERED',
  notHandedOver: 'NOT_PICKED',
  sellerCancelled: 'NOT_PICKED',
  rtoStarted: 'RETURNED',
  rtoInTransit: 'RETURNED',
  rtoPending: 'REACHED_SEL_CITY',
  rtoOutForDelivery: 'OUT_DELIVERY_SELLER',
  rtoDelivered: 'DELIVERED_SELLER',
  lost: 'LOST',
  destroyed: 'LOST',
  strange: 'HELD_AT_CUSTOMS',
};

export function fallbackWord({ event, word }: Scan): string {
  return word?.label ?? (word?.status === undefined ? FALLBACK[event] : wordOf(word));
}

function wordOf(word: Word): string {
  return (word.status ?? '').toUpperCase().replaceAll(' ', '_');
}

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

/** What an event means by C4 and C5 in the words of this API; null: it leaves the status as it is. */
export function canonicalOf(api: CourierName, event: EventName): Canonical | null {
  const codeless = api === 'delhivery-b2b' || api === 'velocity' || api === 'delhivery-fallback';
  // Only a code or an id tells "not handed over yet" from "cancelled"; these APIs send none.
  if (event === 'notHandedOver' && codeless) return 'booking_cancelled';
  // The fallback shows a failed attempt as Pending, without its code: picked up, not delivered.
  if (event === 'failedAttempt' && api === 'delhivery-fallback') return 'in_transit';
  if (event === 'destroyed' && (api === 'delhivery-b2c' || api === 'delhivery-fallback')) return 'lost';
  return CANONICAL[event];
}
