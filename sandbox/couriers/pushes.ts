import { indianBlank, indianTime, indianWebhook } from './india.ts';
import { scansOf } from './lives.ts';
import type { Parcel } from './model.ts';
import { placeOf } from './places.ts';
import { delhiveryWord, shiprocketWord } from './words.ts';

/**
 * What the courier would push of a parcel's newest scan: Delhivery's scan push, or Shiprocket's webhook. Undefined while
 * the courier knows nothing of it. Throws for couriers that push nothing.
 */
export function pushOf(parcel: Parcel, now: number): unknown {
  const scans = scansOf(parcel, now);
  const last = scans.at(-1);
  const { hub } = placeOf(parcel, last?.place ?? 'origin');
  // B2B and the parcels that the consumer site shows are pushed in the same form; the AWB of B2B is its LR number
  if (parcel.api.startsWith('delhivery-')) {
    if (!last) return undefined;
    const pickedUp = scans.find(({ event }) => event === 'pickedUp')?.at;
    const { type, status, code, remark } = delhiveryWord(last);
    return {
      Shipment: {
        Status: {
          Status: status,
          StatusDateTime: indianTime(last.at, 3),
          StatusType: type,
          StatusLocation: hub,
          Instructions: remark,
        },
        // As recorded, with a blank where the pull API has a T; there it is the booking's until the pickup.
        PickUpDate: indianTime(pickedUp ?? parcel.bookedAt, 3).replace('T', ' '),
        NSLCode: code,
        Sortcode: 'IXC/MDP',
        ReferenceNo: last.word?.reference ?? parcel.reference,
        AWB: parcel.number,
      },
    };
  }
  if (parcel.api !== 'shiprocket') throw new Error(`${parcel.api} pushes nothing`);
  if (!last) return undefined;
  const { id, status } = shiprocketWord(last);
  const label = status.toUpperCase();
  return {
    awb: parcel.number,
    courier_name: 'Delhivery Surface',
    current_status: label,
    // Numbers of orders, not of shipments: another table (20 is In Transit here, Pickup Exception there).
    current_status_id: 20,
    shipment_status: label,
    shipment_status_id: id,
    current_timestamp: indianWebhook(last.at),
    order_id: last.word?.reference ?? parcel.reference,
    sr_order_id: parcel.seed,
    awb_assigned_date: indianBlank(parcel.bookedAt),
    pickup_scheduled_date: indianBlank(parcel.bookedAt),
    etd: indianBlank(parcel.bookedAt + 5 * 86_400_000),
    scans: scans.map((scan) => ({
      date: indianBlank(scan.at),
      status: delhiveryWord(scan).code,
      activity: delhiveryWord(scan).remark,
      location: placeOf(parcel, scan.place).hub,
      'sr-status': shiprocketWord(scan).sr,
      'sr-status-label': shiprocketWord(scan).status.toUpperCase(),
    })),
    is_return: 0,
    channel_id: 3_422_553,
    pod_status: 'OTP Based Delivery',
    pod: 'Not Available',
  };
}
