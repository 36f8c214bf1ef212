import { cut } from '../storable.ts';
import { STATUSES, type Status } from './status.ts';

/** C6: what a known word does: it is a status, or changes nothing. */
export type Meaning = Status | 'unchanged';
export type Words = ReadonlyMap<string, Meaning>;

/** The longest word of any courier has 31 characters; what is longer is no word, and is kept shortened. */
const LONGEST = 60;

/**
 * A courier's word as it is looked up, and kept when unknown: upper case, blanks and hyphens as underscores, other signs
 * dropped: "In Transit" and "in-transit" are IN_TRANSIT. Letters of any alphabet count.
 */
export const normalise = (raw: string): string =>
  cut(
    raw
      .slice(0, 4 * LONGEST)
      .normalize('NFC')
      .toUpperCase()
      .replace(/[\s\p{Pd}_]+/gu, '_')
      .replace(/[^\p{L}\p{N}_]/gu, '')
      .replace(/^_+|_+$/g, ''),
    LONGEST,
  );

/**
 * A courier's words by what they mean, separated by blanks: `{ in_transit: 'IN_TRANSIT PICKED_UP', unchanged: '…' }`.
 * @throws Error for a meaning that does not exist, and for a word that is given two.
 */
export function wordTable(words: Partial<Record<Meaning, string>>): Words {
  const table = new Map<string, Meaning>();
  for (const [meaning, list] of Object.entries(words) as [Meaning, string][]) {
    if (meaning !== 'unchanged' && !STATUSES.includes(meaning)) throw new Error(`no such status: ${meaning}`);
    for (const word of list.split(/\s+/).filter(Boolean)) {
      if (table.has(word)) throw new Error(`${word} means ${table.get(word)} and ${meaning}`);
      table.set(word, meaning);
    }
  }
  return table;
}
