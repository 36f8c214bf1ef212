import type { Courier } from '../../src/tracking/toolkit/courier.ts';

/** C2 written a second time, for tests to hold the database's `courier_of` and `tracker_of` against. */
/** C2: the sources that count as primary, letter by letter. */
const PRIMARY: readonly string[] = ['shopify', 'woocommerce', 'Outbound', 'other', 'Retailer'];

/** What decides whose parcel it is. */
interface Booked {
  bookingCourier: string;
  awb: string | null;
  lr: string | null;
  /** Of its order. */
  source: string;
}

/** The courier to which a parcel belongs; undefined: none. */
export const courierOf = <C extends Pick<Courier, 'name' | 'selection'>>(
  parcel: Booked,
  couriers: readonly C[],
): C | undefined =>
  couriers
    .filter(({ selection }) => Object.values(match(parcel, selection)).every(Boolean))
    .sort((a, b) => a.selection.precedence - b.selection.precedence || (a.name < b.name ? -1 : 1))[0];

/** C2: which conditions of a selection a parcel meets. */
function match(
  { bookingCourier, awb, lr, source }: Booked,
  { courier, sources, number }: Omit<Courier['selection'], 'precedence'>,
): Record<'courier' | 'source' | 'number', boolean> {
  const [hasAwb, hasLr] = [awb, lr].map((one) => trimmed(one) !== '') as [boolean, boolean];
  return {
    courier: bookingCourier.toLowerCase().includes(courier.toLowerCase()),
    source: sources === 'all' || (sources === 'primary') === PRIMARY.includes(source),
    number: { lr: hasLr, awb: hasAwb && !hasLr, 'any-awb': hasAwb }[number],
  };
}

/** As Postgres' btrim does. */
const trimmed = (number: string | null) => (number ?? '').replace(/^ +| +$/g, '');
