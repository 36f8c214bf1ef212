/**
 * ISO 4217: currencies without minor units, which Temu returns in whole units (T8), and those with three places. Not
 * from Intl, which has what is customary: no places for HUF, COP or IQD.
 */
const NO_MINOR_UNITS = new Set('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'.split(' '));
const THREE_PLACES = new Set('BHD IQD JOD KWD LYD OMR TND'.split(' '));

/**
 * Minor units to the text of a numeric(14,2), by digits and never by floats: 30 EUR → "0.30", 30 JPY → "30.00". The
 * columns have no third place: 1505 KWD → "1.51", half up, and a negative amount like the same one above zero.
 * A null amount stays null.
 */
export function decimalOf(amount: bigint | null, currency: string | null): string | null {
  if (amount === null) return null;
  const hundredths = inHundredths(amount < 0n ? -amount : amount, currency?.toUpperCase() ?? '');
  const digits = hundredths.toString().padStart(3, '0');
  const sign = amount < 0n && hundredths > 0n ? '-' : '';
  return `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

function inHundredths(minorUnits: bigint, currency: string): bigint {
  if (NO_MINOR_UNITS.has(currency)) return minorUnits * 100n;
  return THREE_PLACES.has(currency) ? (minorUnits + 5n) / 10n : minorUnits;
}
