/**
 * Sentences are for people. Where code decides by one (its beginning, a word in it, a pattern, an outcome's label), the
 * next rewording changes what the fleet does; a kind beside it (a state, a column, a member of a union) does not.
 * This finds the usual ways to read one. It cannot know what is in a variable: a sentence under another name passes.
 */
const PROSE = String.raw`(?:\w*[eE]rror|\w*[rR]eason|message|why|skipped|off|label|outcome)`;
const COLUMN = String.raw`(?:\w+\.)?(?:\w*error|\w*reason|message|key)`;

const READINGS: readonly RegExp[] = [
  // reason.startsWith('Temu'), /403|login/.test(why)
  new RegExp(String.raw`\b${PROSE}\??\.(?:startsWith|endsWith|includes|indexOf|match|search)\(`),
  new RegExp(String.raw`\.(?:test|exec)\((?:\w+\??\.)*${PROSE}\b`),
  // starts_with(coalesce(p.error, ''), …), key like 'store-paused-' || id
  new RegExp(
    String.raw`\b(?:starts_with|strpos|split_part|substring|regexp_\w+)\((?:coalesce\()?(?:\$\{)?${COLUMN}\b`,
  ),
  new RegExp(String.raw`\b${COLUMN}\}? (?:not )?(?:i?like|~\*?|similar to) `),
  // off === 'no credentials', case 'no credentials'
  /(?:[!=]== |\bcase )(['"`])[a-z][\w-]* [a-z][^'"`]*\1/,
  // outcome.outcome === 'queued'
  /\.outcome [!=]==/,
];

/** The lines of a file's text that decide by a sentence, with their numbers. */
export const readingsOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line, index) => `${index + 1}: ${line.trim()}`)
    .filter((line) => !/^\d+: (?:\/\/|\*|\/\*)/.test(line) && READINGS.some((reading) => reading.test(line)));
