import { normalCarrier } from './carriers.ts';

/** Temu: only labels that were bought there. */
const NO_OWN_PARCELS = 'RESTRICT_SELF_SHIPPING';
/** Temu: not with this carrier (RESTRICT_FEDEX_SELF_SHIPPING), with none of these (BLOCK_LOGISTICS_PROVIDERS_{UPS,DHL}). */
const NOT_WITH = [/^RESTRICT_(.+)_SELF_SHIPPING$/, /^BLOCK_LOGISTICS_PROVIDERS_(.+)$/];

/**
 * T20: why Temu's `fulfillmentWarning` forbids a parcel of our own with this carrier, and what to do; undefined when
 * none does. Other warnings (a signature, an age check, an unnamed carrier of Temu's) are left to Temu's response.
 */
export function whyForbidden(warnings: readonly string[], carrier: string): string | undefined {
  const name = normalCarrier(carrier);
  for (const warning of warnings.map((one) => one.trim().toUpperCase())) {
    if (warning === NO_OWN_PARCELS)
      return `Temu does not allow the seller's own shipping for this order (${warning}): buy its label in Temu's seller centre`;
    const listed = NOT_WITH.map((form) => form.exec(warning)?.[1]).find((one) => one !== undefined) ?? '';
    // "FEDEX_GROUND" is FedEx as well
    const brands = listed.split(/[^\p{L}\p{N}]+/u).map(normalCarrier);
    if (name !== '' && brands.some((brand) => brand !== '' && name.startsWith(brand)))
      return `Temu does not allow ${carrier} for this order (${warning}): book it with another carrier, or buy its label in Temu's seller centre`;
  }
  return undefined;
}
