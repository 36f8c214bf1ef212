import type { Sql, TransactionSql } from 'postgres';
import type { Tracker } from './catalogue.ts';
import type { Scan } from './courier.ts';
import type { Parcel, Rulings } from './judge.ts';
import { STATUSES, type Status } from './status.ts';

/** What people have settled that a courier's words mean (C6). */
export async function rulingsOf(sql: Sql | TransactionSql, tracker: string): Promise<Rulings> {
  const rows = await sql<{ word: string; means: Status | 'unchanged' }[]>`
    select word, mapped_to as means from unmapped_statuses where tracker = ${tracker} and mapped_to is not null`;
  return new Map(rows.filter(({ means }) => isMeaning(means)).map(({ word, means }) => [word, means]));
}

export const isMeaning = (text: string): text is Status | 'unchanged' =>
  text === 'unchanged' || STATUSES.includes(text as Status);

/**
 * C6: keeps words that no table has, and tells people of each once.
 * @returns the words with the number of parcels that show them
 */
export async function noteUnmapped(
  sql: TransactionSql,
  { name, courier }: Tracker,
  seen: readonly { parcel: Parcel; word: string; scan: Scan }[],
  now: number,
): Promise<Record<string, number>> {
  const words = new Map<string, { all: number; fresh: number; sample: Record<string, string | null> }>();
  for (const { parcel, word, scan } of seen) {
    const entry = words.get(word) ?? {
      all: 0,
      fresh: 0,
      sample: {
        number: parcel.number,
        courierStatus: scan.courierStatus,
        at: scan.at?.toISOString() ?? null,
      },
    };
    entry.all++;
    if (parcel.unmappedWord !== word) entry.fresh++; // the parcels that showed it, not how often they did
    words.set(word, entry);
  }
  for (const [word, { fresh, sample }] of [...words].sort(([a], [b]) => (a < b ? -1 : 1))) {
    await sql`
      insert into unmapped_statuses (tracker, word, count, sample, first_seen_at, last_seen_at)
      values (${name}, ${word}, ${fresh}, ${sql.json(sample)}, ${new Date(now)}, ${new Date(now)})
      on conflict (tracker, word) do update set count = unmapped_statuses.count + excluded.count, last_seen_at = excluded.last_seen_at`;
    await sql`
      insert into notices (kind, key, subject, payload) values (
        'unmapped-status', ${`unmapped-status ${name} ${word}`}, ${name}, ${sql.json({
          tracker: name,
          word,
          text: `${courier.title} says "${word}", which no table has: parcels that say so keep their status until you settle what it means: orderfleet words map ${name} "${word}" STATUS`,
        })}) on conflict (key) do nothing`;
  }
  return Object.fromEntries([...words].map(([word, { all }]) => [word, all]));
}
