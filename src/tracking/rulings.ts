import type { Db } from '../db/client.ts';
import { UserError } from '../errors.ts';
import type { Tracker } from './catalogue.ts';
import type { TrackingBase } from './deps.ts';
import { replayWords } from './replay.ts';
import { STATUSES } from './status.ts';
import { isMeaning } from './unmapped.ts';
import { normalise } from './words.ts';

/** A word that no table had when a courier said it, with what people have settled that it means (C6). */
export interface StrangeWord {
  tracker: string;
  word: string;
  /** Parcels that have shown it. */
  count: number;
  /** Parcels that show it now. */
  showing: number;
  firstSeenAt: Date;
  lastSeenAt: Date;
  sample: Record<string, string | null>;
  /** A status or `unchanged`; null: open. */
  means: string | null;
}

/** All of them, open ones first, the most frequent first. */
export const strangeWords = async ({ $client: sql }: Db): Promise<StrangeWord[]> =>
  await sql<StrangeWord[]>`
  with showing as (
    select unmapped_by, unmapped_word, count(*)::int as n from shipments where unmapped_word is not null group by 1, 2)
  select u.tracker, u.word, u.count, coalesce(s.n, 0) as showing, u.first_seen_at as "firstSeenAt",
    u.last_seen_at as "lastSeenAt", u.sample, u.mapped_to as means
  from unmapped_statuses u left join showing s on s.unmapped_by = u.tracker and s.unmapped_word = u.word
  order by u.mapped_to is not null, u.count desc, u.tracker, u.word`;

/**
 * Settles what a word means, and replays it over the parcels that show it (C6).
 * @param tracker its name
 * @param means a status of C5, or `unchanged`
 * @returns how many parcels showed it
 * @throws UserError when there is no such tracker, word or status
 */
export async function mapWord(
  base: TrackingBase,
  tracker: string,
  given: string,
  means: string,
): Promise<{ tracker: string; word: string; means: string; before: string | null; parcels: number }> {
  const known = trackerNamed(base.trackers, tracker);
  const meaning = means.trim().toLowerCase().replaceAll('-', '_');
  if (!isMeaning(meaning))
    throw new UserError(`"${means}" is no status. There are ${STATUSES.join(', ')}, and unchanged.`);
  const { word, means: before, showing } = await wordOf(base.db, known, given);
  await base.db.$client.begin(async (sql) => {
    await sql`update unmapped_statuses set mapped_to = ${meaning} where tracker = ${known.name} and word = ${word}`;
    await sql`update notices set state = 'withdrawn', error = null where key = ${noticeKey(known.name, word)}`;
  });
  await replayWords({ ...base, trackers: [known] });
  return { tracker: known.name, word, means: meaning, before, parcels: showing };
}

/**
 * Takes back what was settled: the word is open again. What parcels got by it they keep.
 * @throws UserError when there is no such word, or it is open
 */
export async function unmapWord(
  { db, trackers }: Pick<TrackingBase, 'db' | 'trackers'>,
  tracker: string,
  given: string,
): Promise<{ tracker: string; word: string; before: string }> {
  const known = trackerNamed(trackers, tracker);
  const { word, means } = await wordOf(db, known, given);
  if (means === null) throw new UserError(`"${word}" of ${known.name} is open: nothing is settled about it.`);
  await db.$client.begin(async (sql) => {
    await sql`update unmapped_statuses set mapped_to = null where tracker = ${known.name} and word = ${word}`;
    // people know it already, if they have been told
    await sql`
      update notices set state = case when sent_at is null then 'pending' else 'sent' end
      where key = ${noticeKey(known.name, word)} and state = 'withdrawn'`;
  });
  return { tracker: known.name, word, before: means };
}

const noticeKey = (tracker: string, word: string) => `unmapped-status ${tracker} ${word}`;

/** @throws UserError that names those there are */
export function trackerNamed(trackers: readonly Tracker[], name: string): Tracker {
  const wanted = name.trim().toLowerCase();
  const found = trackers.find((tracker) => tracker.name === wanted);
  if (found) return found;
  throw new UserError(
    `There is no tracker "${name}". There are: ${trackers.map((tracker) => tracker.name).join(', ')}.`,
  );
}

/** A word as it is kept, or as the courier writes it: "Out for drone" is OUT_FOR_DRONE. */
async function wordOf(db: Db, { name }: Tracker, given: string): Promise<StrangeWord> {
  const words = (await strangeWords(db)).filter(({ tracker }) => tracker === name);
  const found =
    words.find(({ word }) => word === given) ??
    words.find(({ word }) => normalise(word) === normalise(given));
  if (found) return found;
  const open = words.filter(({ means }) => means === null).map(({ word }) => `"${word}"`);
  throw new UserError(
    `${name} has not shown the word "${given}". ${open.length > 0 ? `Open are ${open.slice(0, 20).join(', ')}.` : 'No word of it is open.'}`,
  );
}
