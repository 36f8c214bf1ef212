/**
 * What Postgres takes as text and as jsonb: no NUL, and no half of a surrogate pair, as hostile text has them and as
 * cutting a text in the middle of an emoji makes them.
 */

/** A text without NUL, its lone surrogates as U+FFFD. */
export const storable = (text: string): string => text.replace(LONE_SURROGATE, '\ufffd').replaceAll('\0', '');
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** The same for compact JSON (of JSON.stringify and its like), in which both are written as escapes, and only these are. */
export const storableJson = (json: string): string =>
  json.replace(ESCAPE, (found, code?: string) =>
    code === undefined ? found : code === '0000' ? '' : '\ufffd',
  );
/** Every escape, so that a backslash that is itself escaped starts none. */
const ESCAPE = /\\(?:u(0000|d[89a-f][0-9a-f]{2})|.)/gi;

/** The same for a value that is kept as JSON: itself where nothing is to be changed. */
export function storableValue<T>(value: T): T {
  const json = JSON.stringify(value);
  if (json === undefined) return value;
  const kept = storableJson(json);
  return kept === json ? value : JSON.parse(kept);
}

/** The beginning of a text, at most so many UTF-16 units, and never half a character. */
export const cut = (text: string, length: number): string =>
  text.slice(0, length).replace(/[\ud800-\udbff]$/, '');
