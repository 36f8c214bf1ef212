import type { Courier } from './courier.ts';

/** C2: the sources that count as primary, letter by letter. */
const PRIMARY: readonly string[] = ['shopify', 'woocommerce', 'Outbound', 'other', 'Retailer'];

/** What decides whose parcel it is. */
export interface Booked {
  bookingCourier: string;
  awb: string | null;
  lr: string | null;
  /** Of its order. */
  source: string;
}

/**
 * C2: the courier to which a parcel belongs, whether or not it is asked for any more and whether or not that tracker is
 * on; undefined: none. Of what is asked for, `tracker_of` in the database decides by the same rule; a test holds the two
 * together.
 */
export function courierOf<C extends Pick<Courier, 'name' | 'selection'>>(
  { bookingCourier, awb, lr, source }: Booked,
  couriers: readonly C[],
): C | undefined {
  const [hasAwb, hasLr] = [awb, lr].map((number) => (number ?? '').replace(/^ +| +$/g, '') !== '');
  const byNumber = { lr: hasLr, awb: hasAwb && !hasLr, 'any-awb': hasAwb };
  const sources = ['all', PRIMARY.includes(source) ? 'primary' : 'other'];
  return couriers
    .filter(
      ({ selection }) =>
        bookingCourier.toLowerCase().includes(selection.courier.toLowerCase()) &&
        sources.includes(selection.sources) &&
        byNumber[selection.number],
    )
    .sort((a, b) => a.selection.precedence - b.selection.precedence || (a.name < b.name ? -1 : 1))[0];
}
