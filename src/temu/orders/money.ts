/** ISO 4217 currencies without minor units: Temu gives them in whole units (T8). */
const NO_MINOR_UNITS = new Set('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'.split(' '));

/**
 * Minor units to the text of a numeric(14,2), by digits and never by floats: 30 EUR → "0.30", 30 JPY → "30.00".
 * A null amount stays null.
 */
export function decimalOf(amount: bigint | null, currency: string | null): string | null {
  if (amount === null) return null;
  if (currency && NO_MINOR_UNITS.has(currency.toUpperCase())) return `${amount}.00`;
  const digits = (amount < 0n ? -amount : amount).toString().padStart(3, '0');
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
