/**
 * Text and jsonb that Postgres accepts: without NUL and lone surrogates, which come from hostile input or from cutting a
 * text inside an emoji.
 */

/** Removes NUL, and replaces lone surrogates by U+FFFD. */
export const storable = (text: string): string => text.replace(LONE_SURROGATE, '\ufffd').replaceAll('\0', '');
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** The same for compact JSON (as from JSON.stringify), where both appear as escapes. */
export const storableJson = (json: string): string =>
  json.replace(ESCAPE, (found, code?: string) =>
    code === undefined ? found : code === '0000' ? '' : '\ufffd',
  );
/** Matches every escape, so that an escaped backslash starts none. */
const ESCAPE = /\\(?:u(0000|d[89a-f][0-9a-f]{2})|.)/gi;

/** The same for a value that is stored as JSON; returns it as is if nothing changes. */
export function storableValue<T>(value: T): T {
  const json = JSON.stringify(value);
  if (json === undefined) return value;
  const kept = storableJson(json);
  return kept === json ? value : JSON.parse(kept);
}

/** Truncates to at most `length` UTF-16 units, never inside a character. */
export const cut = (text: string, length: number): string =>
  text.slice(0, length).replace(/[\ud800-\udbff]$/, '');
