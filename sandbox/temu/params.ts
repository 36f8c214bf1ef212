import { isLosslessNumber } from 'lossless-json';

/** Undefined: not given. NaN: given, but no whole number. Digits in quotes are taken too. */
export function integerOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const text = isLosslessNumber(value) ? value.toString() : typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
}

/** The digits of a whole number, exact above 2^53; undefined when it is none. */
export function digitsOf(value: unknown): string | undefined {
  const text = isLosslessNumber(value) || typeof value === 'number' ? value.toString() : value;
  return typeof text === 'string' && /^\d+$/.test(text) ? text : undefined;
}

/** The text, undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The fields of a JSON object, none for anything else. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)
    ? (value as Record<string, unknown>)
    : {};
}

/** The elements of a JSON array, none for anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
