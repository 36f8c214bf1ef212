import { z } from 'zod';
import { token } from '../settings.ts';
import { hasMoved, isObject, type Json, part, rowsOf, text } from './answer.ts';
import type { Item, Push, Pushed } from './courier.ts';
import { b2cMeaning, b2cWord } from './delhivery.ts';
import { pastTime } from './times.ts';

/** The form in which Delhivery tells of a parcel: in answers of its B2C API, and in its scan push for all parcels. */

/** What is read of a parcel; the consignee, places and riders' data in it go no further. */
const shipment = z.object({
  AWB: text,
  ReferenceNo: text,
  PickedupDate: text,
  PickUpDate: text,
  DeliveryDate: text,
  RTOStartedDate: text,
  NSLCode: text,
  Status: part({ Status: text, StatusType: text, StatusCode: text, StatusDateTime: text }),
});

/** @returns the parcel's number, and what is said of it */
export function shipmentOf(raw: Json, now: number): readonly [string | null, Item] {
  const parcel = shipment.parse(raw);
  const { Status, StatusType, StatusCode, StatusDateTime } = parcel.Status ?? {};
  // When it was picked up: PickedupDate, null until then. PickUpDate is filled when the parcel is booked, before any
  // pickup: by it every parcel would be "in transit" the day after. It counts only in answers that have no PickedupDate
  // at all, an older form.
  const actual = 'PickedupDate' in raw;
  const pickedUpAt = pastTime(actual ? parcel.PickedupDate : parcel.PickUpDate, now);
  // a push calls the code NSLCode
  const code = StatusCode ?? parcel.NSLCode;
  const said = { type: StatusType ?? null, status: Status ?? null, code, pickedUpAt };
  const word = b2cWord(said);
  if (word === null) return [parcel.AWB, { is: 'notFound', why: 'the answer has no status of it' }];
  const means = b2cMeaning(said, now);
  const returning = means === 'rto_in_transit' || means === 'rto';
  const at = pastTime(StatusDateTime, now);
  const scan: Item = {
    is: 'scan',
    word,
    courierStatus: word.toLowerCase(),
    means,
    at,
    reference: parcel.ReferenceNo,
    pickedUpAt: actual || hasMoved(means) ? pickedUpAt : null,
    deliveredAt: means === 'delivered' ? (pastTime(parcel.DeliveryDate, now) ?? at) : null,
    rtoStartedAt: returning ? pastTime(parcel.RTOStartedDate, now) : null,
  };
  return [parcel.AWB, scan];
}

/** C14: one secret for the one address that Delhivery pushes to. */
export const delhiveryWebhookToken = () =>
  token
    .optional()
    .describe('secret that Delhivery sends with its scan push; without it /webhooks/delhivery is closed');

/**
 * C14: Delhivery's scan push, of parcels of any source and of B2B consignments. It sends the header that the client has
 * asked for, so several are taken. One scan a call is documented; a list, and the form of the API's answers, are read too.
 */
export const delhiveryPush: Push = {
  paths: ['delhivery'],
  headers: ['authorization', 'x-api-key', 'x-webhook-token'],
  secret: 'DELHIVERY_WEBHOOK_TOKEN',
  read(body, now) {
    const inside = isObject(body) && Array.isArray(body.ShipmentData) ? body.ShipmentData : body;
    return (Array.isArray(inside) ? rowsOf(inside) : [inside]).flatMap((entry): Pushed[] => {
      if (!isObject(entry) || !isObject(entry.Shipment)) return [];
      const [number, item] = shipmentOf(entry.Shipment, now);
      if (number === null || item.is !== 'scan') return [];
      // PickUpDate is called the planned date here: that a parcel was picked up its own scan tells
      return [[number, 'PickedupDate' in entry.Shipment ? item : { ...item, pickedUpAt: null }]];
    });
  },
};
