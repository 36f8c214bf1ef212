import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/package-root.ts';
import { standIns } from './catalogue.ts';
import type { CourierName, Parcel } from './model.ts';
import type { Json, RecordedItem } from './stand-in.ts';

/** The recorded responses in a checkout. */
const RECORDED_FOLDER = join(packageRoot(), 'tests/fixtures/couriers');

/** The recorded items of all APIs as parcels, served verbatim with their own numbers, references and times. */
export function recordedParcels(folder = RECORDED_FOLDER): Parcel[] {
  const read = (file: string): Json => JSON.parse(readFileSync(join(folder, `${file}.json`), 'utf8')) as Json;
  return standIns.flatMap(({ name, recorded }) =>
    (recorded?.(read) ?? []).map((item) => parcelOf(name, item)),
  );
}

function parcelOf(api: CourierName, { number, reference, at, raw }: RecordedItem): Parcel {
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
