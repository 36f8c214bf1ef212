import { LRUCache } from 'lru-cache';
import { cut } from '../../lib/storable.ts';
import { STATUSES, type Status } from '../engine/status.ts';

/** C6: what a raw status is mapped to; `unchanged`: it is known and changes nothing. */
export type Meaning = Status | 'unchanged';
export type StatusTable = ReadonlyMap<string, Meaning>;

/** Longer ones are shortened; the longest status of any courier has 31 characters. */
const LONGEST = 60;

/**
 * A courier's status as it is looked up, and stored when unmapped: upper case, spaces and hyphens as underscores, other
 * punctuation dropped: "In Transit" and "in-transit" are IN_TRANSIT. Letters of any alphabet count.
 */
export function normalizeStatus(raw: string): string {
  const start = raw.slice(0, 4 * LONGEST);
  const known = normalized.get(start);
  if (known !== undefined) return known;
  const upper = start.normalize('NFC').toUpperCase();
  const words = upper.replace(/[\s\p{Pd}_]+/gu, '_').replace(/[^\p{L}\p{N}_]/gu, '');
  const status = cut(words.replace(/^_+|_+$/g, ''), LONGEST);
  normalized.set(start, status);
  return status;
}
/** A courier has some dozen statuses, and says each a thousand times a round. */
const normalized = new LRUCache<string, string>({ max: 1_000 });

/**
 * A courier's statuses by meaning, separated by spaces: `{ in_transit: 'IN_TRANSIT PICKED_UP', unchanged: '…' }`.
 * @throws Error for a meaning that does not exist, and for a status with two meanings
 */
export function statusTable(byMeaning: Partial<Record<Meaning, string>>): StatusTable {
  const table = new Map<string, Meaning>();
  for (const [meaning, list] of Object.entries(byMeaning) as [Meaning, string][]) {
    if (meaning !== 'unchanged' && !STATUSES.includes(meaning)) throw new Error(`no such status: ${meaning}`);
    for (const rawStatus of list.split(/\s+/).filter(Boolean)) {
      if (table.has(rawStatus))
        throw new Error(`${rawStatus} is mapped to both ${table.get(rawStatus)} and ${meaning}`);
      table.set(rawStatus, meaning);
    }
  }
  return table;
}
