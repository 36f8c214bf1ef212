import { and, eq, isNotNull, sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { trackers } from '../../db/schema/index.ts';
import { storable } from '../../lib/storable.ts';
import type { Tracker } from '../registry.ts';

/** E7: a run has given its feed up. It is read on from its mark by the next one. */
export const markFeedFailing = (tx: Tx, { name }: Tracker, why: string, now: number) =>
  tx
    .update(trackers)
    .set({
      feedFailingSince: sql`coalesce(${trackers.feedFailingSince}, ${sql.param(new Date(now), trackers.feedFailingSince)})`,
      feedError: storable(why),
    })
    .where(eq(trackers.name, name));

export const markFeedRead = (tx: Tx, { name }: Tracker) =>
  tx
    .update(trackers)
    .set({ feedFailingSince: null, feedError: null })
    .where(and(eq(trackers.name, name), isNotNull(trackers.feedFailingSince)));

/** While it is read this seldom, all parcels are polled by number. */
export const isFeedLate = ({ everyMs }: Tracker, readTo: Date, now: number): boolean =>
  now - readTo.getTime() > 3 * everyMs;
