import { and, count, desc, eq, isNotNull, sql } from 'drizzle-orm';
import type { Db } from '../../db/client.ts';
import { notices, shipments, unmappedStatuses } from '../../db/schema/index.ts';
import { UserError } from '../../lib/errors.ts';
import type { TrackingBase } from '../deps.ts';
import { STATUSES } from '../engine/status.ts';
import type { Tracker } from '../registry.ts';
import { normalizeStatus } from '../toolkit/status-table.ts';
import { remapStatuses } from './remap.ts';
import { isMeaning } from './unmapped.ts';

/** A raw status that no table mapped when a courier returned it, with the mapping that an operator has set (C6). */
export interface UnmappedStatus {
  tracker: string;
  word: string;
  /** Parcels that have had it. */
  count: number;
  /** Parcels that have it now. */
  showing: number;
  firstSeenAt: Date;
  lastSeenAt: Date;
  sample: Record<string, string | null>;
  /** A status or `unchanged`; null: unmapped. */
  means: string | null;
}

/** All of them, unmapped ones first, the most frequent first. */
export async function listUnmapped(db: Db): Promise<UnmappedStatus[]> {
  const { tracker, word, firstSeenAt, lastSeenAt, sample, mappedTo } = unmappedStatuses;
  const showing = db.$with('showing').as(
    db
      .select({ by: shipments.unmappedBy, word: shipments.unmappedWord, parcels: count().as('parcels') })
      .from(shipments)
      .where(isNotNull(shipments.unmappedWord))
      .groupBy(shipments.unmappedBy, shipments.unmappedWord),
  );
  const { parcels } = showing;
  return await db
    .with(showing)
    .select({
      ...{ tracker, word, count: unmappedStatuses.count },
      showing: sql<number>`coalesce(${parcels}, 0)`.mapWith(Number),
      ...{ firstSeenAt, lastSeenAt, sample, means: mappedTo },
    })
    .from(unmappedStatuses)
    .leftJoin(showing, and(eq(showing.by, tracker), eq(showing.word, word)))
    .orderBy(isNotNull(mappedTo), desc(unmappedStatuses.count), tracker, word);
}

/**
 * Maps a raw status, and applies it to the parcels that have it (C6).
 * @param tracker its name
 * @param means a status of C5, or `unchanged`
 * @returns how many parcels had it
 * @throws UserError when there is no such tracker, raw status or status
 */
export async function mapStatus(
  base: TrackingBase,
  tracker: string,
  given: string,
  means: string,
): Promise<{ tracker: string; word: string; means: string; before: string | null; parcels: number }> {
  const known = trackerNamed(base.trackers, tracker);
  const meaning = means.trim().toLowerCase().replaceAll('-', '_');
  if (!isMeaning(meaning))
    throw new UserError(`"${means}" is not a status. Expected one of: ${STATUSES.join(', ')}, unchanged.`);
  const { word, means: before, showing } = await wordOf(base.db, known, given);
  await base.db.transaction(async (tx) => {
    await tx.update(unmappedStatuses).set({ mappedTo: meaning }).where(isWord(known, word));
    await tx
      .update(notices)
      .set({ state: 'withdrawn', error: null })
      .where(eq(notices.key, noticeKey(known.name, word)));
  });
  await remapStatuses({ ...base, trackers: [known] });
  return { tracker: known.name, word, means: meaning, before, parcels: showing };
}

/**
 * Removes a mapping. Parcels keep their status.
 * @throws UserError when there is no such raw status, or it is not mapped
 */
export async function unmapStatus(
  { db, trackers }: Pick<TrackingBase, 'db' | 'trackers'>,
  tracker: string,
  given: string,
): Promise<{ tracker: string; word: string; before: string }> {
  const known = trackerNamed(trackers, tracker);
  const { word, means } = await wordOf(db, known, given);
  if (means === null) throw new UserError(`"${word}" of ${known.name} is not mapped.`);
  await db.transaction(async (tx) => {
    await tx.update(unmappedStatuses).set({ mappedTo: null }).where(isWord(known, word));
    // not sent a second time
    await tx
      .update(notices)
      .set({ state: sql`case when ${notices.sentAt} is null then 'pending' else 'sent' end` })
      .where(and(eq(notices.key, noticeKey(known.name, word)), eq(notices.state, 'withdrawn')));
  });
  return { tracker: known.name, word, before: means };
}

const isWord = ({ name }: Tracker, word: string) =>
  and(eq(unmappedStatuses.tracker, name), eq(unmappedStatuses.word, word));
const noticeKey = (tracker: string, word: string) => `unmapped-status ${tracker} ${word}`;

/** @throws UserError that lists the existing ones */
export function trackerNamed(trackers: readonly Tracker[], name: string): Tracker {
  const wanted = name.trim().toLowerCase();
  const found = trackers.find((tracker) => tracker.name === wanted);
  if (found) return found;
  throw new UserError(
    `There is no tracker "${name}". Available: ${trackers.map((tracker) => tracker.name).join(', ')}.`,
  );
}

/** Finds a raw status as stored or as the courier writes it: "Out for drone" is OUT_FOR_DRONE. */
async function wordOf(db: Db, { name }: Tracker, given: string): Promise<UnmappedStatus> {
  const words = (await listUnmapped(db)).filter(({ tracker }) => tracker === name);
  const found =
    words.find(({ word }) => word === given) ??
    words.find(({ word }) => normalizeStatus(word) === normalizeStatus(given));
  if (found) return found;
  const open = words.filter(({ means }) => means === null).map(({ word }) => `"${word}"`);
  throw new UserError(
    `${name} has not returned the status "${given}". ${open.length > 0 ? `Unmapped: ${open.slice(0, 20).join(', ')}.` : 'It has no unmapped statuses.'}`,
  );
}
