import { z } from 'zod';
import { token } from '../../config/settings.ts';
import type { Item, NumberedScan, Webhook } from './courier.ts';
import { b2cMeaning, b2cRawStatus } from './delhivery.ts';
import { hasMoved, isObject, type Json, part, rowsOf, text } from './response.ts';
import { indiaTimes } from './times.ts';

/** Delhivery's format of a parcel: in responses of its B2C API, and in its webhook for all parcels. */

/** The fields that are read; personal data of consignees and riders goes no further. */
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

/** @returns the parcel's number and item */
export function shipmentOf(raw: Json, now: number): readonly [string | null, Item] {
  const parcel = shipment.parse(raw);
  const { Status, StatusType, StatusCode, StatusDateTime } = parcel.Status ?? {};
  // PickedupDate is null until the pickup. PickUpDate is already set at booking: by it every parcel would be "in transit"
  // the day after. It counts only in an older format that has no PickedupDate at all.
  const actual = 'PickedupDate' in raw;
  const pickedUpAt = indiaTimes.past(actual ? parcel.PickedupDate : parcel.PickUpDate, now);
  // the webhook calls it NSLCode
  const code = StatusCode ?? parcel.NSLCode;
  const said = { type: StatusType ?? null, status: Status ?? null, code, pickedUpAt };
  const rawStatus = b2cRawStatus(said);
  if (rawStatus === null) return [parcel.AWB, { is: 'notFound', why: 'the response has no status for it' }];
  const means = b2cMeaning(said, now);
  const returning = means === 'rto_in_transit' || means === 'rto';
  const at = indiaTimes.past(StatusDateTime, now);
  const scan: Item = {
    is: 'scan',
    rawStatus,
    courierStatus: rawStatus.toLowerCase(),
    means,
    at,
    reference: parcel.ReferenceNo,
    pickedUpAt: actual || hasMoved(means) ? pickedUpAt : null,
    deliveredAt: means === 'delivered' ? (indiaTimes.past(parcel.DeliveryDate, now) ?? at) : null,
    rtoStartedAt: returning ? indiaTimes.past(parcel.RTOStartedDate, now) : null,
  };
  return [parcel.AWB, scan];
}

/** C14: one secret for the one address of Delhivery's webhook. */
export const delhiveryWebhookToken = () =>
  token
    .optional()
    .describe(
      'secret that Delhivery sends with its scan push (header x-api-key); without it /webhooks/delhivery is disabled',
    );

/**
 * C14: Delhivery's webhook ("scan push"), for parcels of any source and for B2B consignments. The client chooses its
 * header, so several are accepted. One scan per call is documented; a list, and the API's response format, are read too.
 */
export const delhiveryWebhook: Webhook = {
  paths: ['delhivery'],
  headers: ['authorization', 'x-api-key', 'x-webhook-token'],
  secret: 'DELHIVERY_WEBHOOK_TOKEN',
  read(body, now) {
    const inside = isObject(body) && Array.isArray(body.ShipmentData) ? body.ShipmentData : body;
    return (Array.isArray(inside) ? rowsOf(inside) : [inside]).flatMap((entry): NumberedScan[] => {
      if (!isObject(entry) || !isObject(entry.Shipment)) return [];
      const [number, item] = shipmentOf(entry.Shipment, now);
      if (number === null || item.is !== 'scan') return [];
      // PickUpDate is documented as the planned date here; a pickup has a scan of its own
      return [[number, 'PickedupDate' in entry.Shipment ? item : { ...item, pickedUpAt: null }]];
    });
  },
};
