/**
 * What can be the number of a parcel (AWB, LR) or of an order: one rule for every input (the client, HTTP events, jobs of
 * `awb-created`, couriers' webhooks, imports, the command line) and for requests to couriers (A1, R3). A wrong number is a
 * wrong parcel, and a push to Temu cannot be undone.
 *
 * This file imports nothing: src/client/index.ts ships it to programs that only have bullmq and zod.
 */

/** Of any shop system: PrestaShop's have nine letters and no digit, Shopify's begin with #. */
export type NumberKind = 'parcel' | 'order';

export interface NumberFault {
  /** `none`: a way to write "no number". `rounded`: digits are lost, or may be. `wrong`: not a number at all. */
  is: 'none' | 'rounded' | 'wrong';
  /** The rest of a sentence that begins with the field and its value. */
  why: string;
}

/** Couriers' numbers, in a form that requests can contain: a comma would make two of one. None is negative (-2147483648). */
const PARCEL = /^(?!-\d+$)[\w./-]{1,60}$/;

/** What most numbers are: neither a placeholder, nor anything that a spreadsheet makes of a number. */
const PLAIN = /^(?!0+$)\d{6,40}$/;

/** How programs write "none", in lower case without punctuation: `#N/A`, `<NA>` and `n.a.` are na. */
const NONE = new Set(
  `none null nil nan nat na undefined false void empty blank missing unknown pending no nothing tbd tba tbc nana
  noawb nolr nonumber novalue notset notavailable notapplicable notassigned notyet unassigned xxx`.split(
    /\s+/,
  ),
);
/** Non-text values converted to text: `[object Object]`, `PO-undefined`; MySQL's and Postgres's \N. */
const NO_TEXT = /\[object |(?<![\p{L}\p{N}])undefined(?![\p{L}\p{N}])|^\\N$/iu;
const SPREADSHEET_ERROR = /^#(ref|value|name|div\/0|num|null|spill|calc|error)[!?]$/i;

/** A float as programs write it: 1.23457E+12, 1,23457E+12, 12.3457E11, 123457E7. */
const SCIENTIFIC = /^[+-]?(\d+([.,]\d*)?|[.,]\d+)E[+-]?\d{1,3}$/i;
/** 1234567890123.0, 17,00, .5: ids are whole. */
const DECIMAL = /^[+-]?(\d*[.,]0*|[.,]\d+)$/;
/** 1.234.567.890.123, 1,23,45,678, 1’234.50, blanks of either width. */
const GROUPED = /^\d{1,3}(?:[.,'’\u00a0\u202f]\d{2,3})*[.,'’\u00a0\u202f]\d{3}(?:[.,]\d+)?$/;
/** No courier's number is digits and points alone. */
const DIGITS_AND_POINTS = /^(?=.*[.,])[\d.,]+$/;

const AS_TEXT = 'format the column as text and export again';

/** Strips surrounding blanks and a spreadsheet's marks for "this is text": '123, ="0123". */
export const cleanNumber = (text: string): string =>
  text
    .trim()
    .replace(/^="(.*)"$/, '$1')
    .replace(/^'(.*?)'?$/, '$1')
    .trim();

/** True when it means "no number": empty, only punctuation or zeros, a word for none. */
export function isNone(text: string): boolean {
  const bare = cleanNumber(text)
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, '');
  return /^0*$/.test(bare) || NONE.has(bare) || NO_TEXT.test(cleanNumber(text));
}

/**
 * Why it is not a number; undefined: it is one, like `NA123456`, `NULL0001`, `1Z999AA10123456784` and `SF1234E5678`.
 *
 * Digits, an E and digits (`123457E7`) are rejected where a spreadsheet may have made them from a longer number, which is
 * up to the largest float (1.8E308); `1234E5678` is above it and passes.
 */
export function numberFault(text: string, kind: NumberKind): NumberFault | undefined {
  if (PLAIN.test(text)) return undefined;
  const number = cleanNumber(text);
  if (isNone(number)) return { is: 'none', why: 'is a placeholder, not a number: give the real one' };
  if (SCIENTIFIC.test(number) && Number.isFinite(Number(number.replace(',', '.'))))
    return { is: 'rounded', why: `was rounded by a spreadsheet: ${AS_TEXT}` };
  if (DECIMAL.test(number) || GROUPED.test(number) || (kind === 'parcel' && DIGITS_AND_POINTS.test(number)))
    return { is: 'rounded', why: `was turned into a decimal number: ${AS_TEXT} (pandas: dtype=str)` };
  if (SPREADSHEET_ERROR.test(number))
    return { is: 'wrong', why: 'is an error of the spreadsheet: fix its formula and export again' };
  if (kind === 'order') return undefined;
  if (number.length > 60) return { is: 'wrong', why: 'is longer than 60 characters' };
  if (!PARCEL.test(number))
    return { is: 'wrong', why: 'has invalid characters: only letters, digits and . / _ - are allowed' };
  if (!/\d/.test(number)) return { is: 'wrong', why: 'has no digit, so it is not a parcel number' };
  return undefined;
}

export const isParcelNumber = (text: string): boolean => numberFault(text, 'parcel') === undefined;
