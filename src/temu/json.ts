import { isInteger, isSafeNumber, parse, stringify } from 'lossless-json';

/**
 * JSON as Temu means it: whole numbers above 2^53 (goods, SKU and channel ids) become bigint instead of being
 * rounded, and are written back digit for digit.
 * @throws SyntaxError on invalid JSON, and on JSON that is nested too deep or has an absurdly long number (R4).
 */
export function parseExact(text: string): unknown {
  if (isTooDeep(text)) throw new SyntaxError(`nested more than ${MAX_DEPTH} deep`);
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return parse(text, null, (digits) => {
    if (digits.length > MAX_DIGITS) throw new SyntaxError(`a number of ${digits.length} digits`);
    return isInteger(digits) && !isSafeNumber(digits) ? BigInt(digits) : Number(digits);
  });
}

/** Only a whole number of so many digits can be above 2^53; the parser that keeps it takes five times as long (P7). */
const LONG_NUMBER = /(?:^|[:[,])\s*-?\d{16}/;
/** Temu's responses are less than 10 deep. What is read must also be writable: here, and by Postgres as jsonb. */
const MAX_DEPTH = 100;
/** Temu's longest ids have 18 digits; a bigint of a million blocks the process for a second. */
const MAX_DIGITS = 100;

function isTooDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      // to the end of the text value: a quote after an odd number of backslashes does not end it
      do at = text.indexOf('"', at + 1);
      while (at > 0 && backslashesBefore(text, at) % 2 === 1);
      if (at < 0) return false; // invalid; the parser reports where
    } else if (char === OPEN_OBJECT || char === OPEN_ARRAY) {
      if (++depth > MAX_DEPTH) return true;
    } else if (char === CLOSE_OBJECT || char === CLOSE_ARRAY) depth--;
  }
  return false;
}

const [QUOTE, BACKSLASH, OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [34, 92, 123, 125, 91, 93];

function backslashesBefore(text: string, end: number): number {
  let start = end;
  while (text.charCodeAt(start - 1) === BACKSLASH) start--;
  return end - start;
}

/** Compact JSON; bigint as a number. */
export function stringifyExact(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch {
    return stringify(value) ?? 'null'; // it has a bigint
  }
}
