import { applyAnswer, lockParcels } from './apply.ts';
import type { Tracker } from './catalogue.ts';
import type { Item } from './courier.ts';
import type { TrackingBase } from './deps.ts';
import { rulingsOf } from './unmapped.ts';

const CHUNK = 500;

/** C6: words that have got a meaning are replayed over the parcels that show them. @returns how many parcels */
export async function replayWords(base: TrackingBase): Promise<number> {
  let replayed = 0;
  for (const tracker of base.trackers) {
    const open = await base.db.$client<{ word: string }[]>`
      select u.word from unmapped_statuses u where u.tracker = ${tracker.name} and exists (
        select from shipments s where s.unmapped_word = u.word and s.unmapped_by = ${tracker.name})`;
    if (open.length === 0) continue;
    const rulings = await rulingsOf(base.db.$client, tracker.name);
    for (const { word } of open) {
      const means = rulings.get(word) ?? tracker.courier.meaning(word);
      if (means !== undefined) replayed += await replay(base, tracker, word, means);
    }
  }
  return replayed;
}

async function replay(
  { db, clock }: TrackingBase,
  tracker: Tracker,
  word: string,
  means: NonNullable<Extract<Item, { is: 'scan' }>['means']>,
): Promise<number> {
  let replayed = 0;
  for (;;) {
    const count = await db.$client.begin(async (sql) => {
      const rows = await sql<{ id: string; at: Date | null; askedAt: Date | null }[]>`
        select id, unmapped_at as at, last_tracked_at as "askedAt" from shipments
        where unmapped_word = ${word} and unmapped_by = ${tracker.name} order by id limit ${CHUNK} for update skip locked`;
      const parcels = await lockParcels(
        sql,
        tracker,
        rows.map(({ id }) => id),
      );
      const times = new Map(rows.map(({ id, at }) => [id, at]));
      // one by one: two parcels of one number may have shown the word at different times
      for (const parcel of parcels) {
        const scan: Item = {
          is: 'scan',
          word,
          courierStatus: word.toLowerCase(),
          means,
          at: times.get(parcel.id) ?? null,
        };
        await applyAnswer(sql, tracker, [parcel], new Map([[parcel.number, scan]]), clock());
      }
      await sql`
        update shipments s set unmapped_word = null, unmapped_at = null, unmapped_by = null, last_tracked_at = n.at
        from jsonb_to_recordset(${sql.json(rows.map(({ id, askedAt }) => ({ id, at: askedAt })) as never)}) as n(id uuid, at timestamptz)
        where s.id = n.id`;
      return rows.length;
    });
    replayed += count;
    if (count < CHUNK) return replayed;
  }
}
