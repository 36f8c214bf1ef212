import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CourierName, Parcel } from './model.ts';

/** Where the recorded answers lie in a checkout. */
const RECORDED_FOLDER = fileURLToPath(new URL('../../tests/fixtures/couriers/', import.meta.url));

type Json = { readonly [key: string]: unknown };

/**
 * The recorded items as parcels, served verbatim with their own numbers, references and times: three of Delhivery B2C,
 * an LR, three of Shiprocket, two of the fallback. Of Velocity no item was recorded.
 */
export function recordedParcels(folder = RECORDED_FOLDER): Parcel[] {
  const read = (file: string): Json => JSON.parse(readFileSync(join(folder, `${file}.json`), 'utf8')) as Json;
  const shipment = (file: string): Json => {
    const [first] = read(file).ShipmentData as { Shipment: Json }[];
    return (first as { Shipment: Json }).Shipment;
  };
  const b2c = [
    'delhivery-b2c.in-transit',
    'delhivery-b2c.cancelled-before-pickup.verbose2',
    'delhivery-b2c.manifested.verbose0',
  ].map((file) => {
    const raw = shipment(file);
    return parcel('delhivery-b2c', raw.AWB, raw.ReferenceNo, indian(raw.PickUpDate), raw);
  });
  const fallback = ['delhivery-fallback.not-picked.item', 'delhivery-fallback.waiting-pickup.item'].map(
    (file) => {
      const raw = read(file);
      const { statusDateTime } = raw.status as Json;
      return parcel('delhivery-fallback', raw.awb, raw.referenceNo, indian(statusDateTime), raw);
    },
  );
  const lr = read('delhivery-b2b.lrn-track.shape').data as Json;
  const bulk = Object.entries(read('shiprocket.track-awbs.bulk'));
  const single = read('shiprocket.track-shipment.delhivery-picked-up');
  const shiprocket = [...bulk, ['1091188857722', single] as const].map(([awb, raw]) => {
    const [newest] = ((raw as Json).tracking_data as Json).shipment_track_activities as Json[];
    return parcel('shiprocket', awb, null, indian(newest?.date), raw);
  });
  return [
    ...b2c,
    parcel('delhivery-b2b', lr.lrnum, null, Date.parse('2026-02-20T04:30:00Z'), lr),
    ...shiprocket,
    ...fallback,
  ];
}

/** A recorded time, which is India's though it does not say so. */
function indian(text: unknown): number {
  return Date.parse(`${String(text).replace(' ', 'T')}+05:30`);
}

function parcel(api: CourierName, number: unknown, reference: unknown, at: number, raw: unknown): Parcel {
  return {
    api,
    number: String(number),
    reference: typeof reference === 'string' ? reference : `ORD-${number}`,
    bookedAt: at,
    addedAt: at,
    speed: 1,
    life: 'manifested',
    seed: 1,
    words: [{ raw, at, setAt: at }],
  };
}
