import { indianTime } from './india.ts';
import type { EventName, Scan } from './model.ts';
import { placeOf } from './places.ts';
import type { Webhook } from './stand-in.ts';

/** How an event appears in the APIs of B2C and fallback: type, status, code, remark. */
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

/** Statuses and codes as recorded and as documented by Delhivery; RT-101 and LT-100 are made up. */
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
  // without lockers
  readyForPickup: d('UD', 'Dispatched', 'X-DDD3FD', 'Out for delivery'),
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

/**
 * Delhivery's webhook ("scan push"), the same for all its parcels; the AWB of B2B is its LR number. A failed one is retried
 * once, immediately, then lost.
 */
export const delhiveryWebhook: Webhook = {
  who: 'Delhivery',
  path: 'delhivery',
  secret: 'demo-secret-of-delhivery',
  tries: 2,
  body(parcel, scans) {
    const last = scans.at(-1) as Scan;
    const pickedUp = scans.find(({ event }) => event === 'pickedUp')?.at;
    const { type, status, code, remark } = delhiveryWord(last);
    return {
      Shipment: {
        Status: {
          Status: status,
          StatusDateTime: indianTime(last.at, 3),
          StatusType: type,
          StatusLocation: placeOf(parcel, last.place).hub,
          Instructions: remark,
        },
        // As recorded, with a space where the tracking API has a T; until the pickup it is the time of booking.
        PickUpDate: indianTime(pickedUp ?? parcel.bookedAt, 3).replace('T', ' '),
        NSLCode: code,
        Sortcode: 'IXC/MDP',
        ReferenceNo: last.word?.reference ?? parcel.reference,
        AWB: parcel.number,
      },
    };
  },
};
