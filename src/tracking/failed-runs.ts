import { and, desc, eq, sql } from 'drizzle-orm';
import type { Db } from '../db/client.ts';
import { trackers, trackingRuns } from '../db/schema/index.ts';

/** A tracker's last finished run, with too many failed parcels. */
export interface FailedRun {
  tracker: string;
  planned: number;
  failed: number;
  /** The most frequent reason. */
  why: string | null;
}

/** Only finished runs: failures come last, after all attempts. More than a fifth of the parcels is too many. */
export async function failedRuns(db: Db): Promise<FailedRun[]> {
  const { planned, failed, errors, tracker, state, startedAt } = trackingRuns;
  const last = db
    .select({ planned, failed, errors })
    .from(trackingRuns)
    .where(and(eq(tracker, trackers.name), eq(state, 'finished')))
    .orderBy(desc(startedAt))
    .limit(1)
    .as('last');
  const runs = await db
    .select({ tracker: trackers.name, planned: last.planned, failed: last.failed, errors: last.errors })
    .from(trackers)
    .crossJoinLateral(last)
    .where(and(eq(trackers.enabled, true), sql`${last.failed} * 5 > ${last.planned}`))
    .orderBy(trackers.name);
  return runs.map(({ errors, ...run }) => ({ ...run, why: mostFrequent(errors) }));
}

function mostFrequent(errors: Record<string, number>): string | null {
  const most = Math.max(...Object.values(errors));
  const [first] = Object.keys(errors)
    .filter((why) => errors[why] === most)
    .sort();
  return first ?? null;
}
