import { and, eq, isNotNull, sql } from 'drizzle-orm';
import type { Db, Tx } from '../../db/client.ts';
import { unmappedStatuses } from '../../db/schema/index.ts';
import { notify } from '../../notices/index.ts';
import type { Parcel, StatusMappings } from '../engine/evaluate.ts';
import { STATUSES, type Status } from '../engine/status.ts';
import type { Tracker } from '../registry.ts';
import type { Scan } from '../toolkit/courier.ts';

/** The mappings that operators have set for a courier (C6). */
export async function statusMappingsOf(db: Db | Tx, tracker: string): Promise<StatusMappings> {
  const { word, mappedTo } = unmappedStatuses;
  const rows = await db
    .select({ word, means: mappedTo })
    .from(unmappedStatuses)
    .where(and(eq(unmappedStatuses.tracker, tracker), isNotNull(mappedTo)));
  return new Map(
    rows.flatMap(({ word, means }) => (means !== null && isMeaning(means) ? [[word, means] as const] : [])),
  );
}

export const isMeaning = (text: string): text is Status | 'unchanged' =>
  text === 'unchanged' || STATUSES.includes(text as Status);

/**
 * C6: stores unmapped statuses, and notifies operators of each once.
 * @returns the number of parcels by raw status
 */
export async function recordUnmapped(
  tx: Tx,
  { name, courier }: Tracker,
  seen: readonly { parcel: Parcel; rawStatus: string; scan: Scan }[],
  now: number,
): Promise<Record<string, number>> {
  const words = new Map<string, { all: number; fresh: number; sample: Record<string, string | null> }>();
  for (const { parcel, rawStatus: word, scan } of seen) {
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
    if (parcel.unmappedWord !== word) entry.fresh++; // counts parcels, not scans
    words.set(word, entry);
  }
  for (const [word, { fresh, sample }] of [...words].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const seenAt = new Date(now);
    await tx
      .insert(unmappedStatuses)
      .values({ tracker: name, word, count: fresh, sample, firstSeenAt: seenAt, lastSeenAt: seenAt })
      .onConflictDoUpdate({
        target: [unmappedStatuses.tracker, unmappedStatuses.word],
        set: { count: sql`${unmappedStatuses.count} + ${fresh}`, lastSeenAt: seenAt },
      });
    await notify(tx, 'unmapped-status', { tracker: name, title: courier.title, word });
  }
  return Object.fromEntries([...words].map(([word, { all }]) => [word, all]));
}
