import { and, count, desc, eq, max, sql } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { json } from '../db/query.ts';
import { trackedParcels, trackers, trackingBatches, trackingRuns } from '../db/schema/index.ts';
import { secondsSince } from '../lib/format-time.ts';
import type { Tracker } from '../tracking/index.ts';

/** A tracker's progress, for /metrics and the samples. */
export interface TrackerMetrics {
  tracker: string;
  /** C10: seconds left of the cooldown. */
  wait: number;
  /** C11: its credentials are rejected. */
  stopped: boolean;
  /** Parcels that it tracks. */
  parcels: number;
  /** Seconds from the start of one run to the start of the next; 0: unknown to this process. */
  interval: number;
  /** Quantiles of the seconds since a parcel's last check, or since its booking if never checked; as QUANTILES. */
  staleness: number[];
  /** E7: seconds for which its feed cannot be read; 0: it can, or there is none. */
  feedFailing: number;
  /** Seconds since the courier's last response; null: none yet. */
  heard: number | null;
}

export const QUANTILES = [0.5, 0.95, 0.99] as const;

/**
 * Quantiles of the last checks as times: sorting times is faster than sorting ages. All of them by one sort, of the narrow
 * table: a million parcels in flight took longer than the statement may (P10).
 */
const FOLLOWED = {
  tracker: trackedParcels.tracker,
  parcels: count(),
  asked: json<
    string[]
  >(sql`to_json(percentile_disc(array[${sql.raw(QUANTILES.join())}]::float8[]) within group (
    order by coalesce(${trackedParcels.lastTrackedAt}, ${trackedParcels.bookedAt}) desc))`),
};

/** Enabled trackers. */
export async function readTrackers(
  tx: Tx,
  couriers: readonly Tracker[],
  nowMs: number,
): Promise<TrackerMetrics[]> {
  const [standing, followed] = await Promise.all([
    readStanding(tx),
    tx.select(FOLLOWED).from(trackedParcels).groupBy(trackedParcels.tracker),
  ]);
  return standing.map(({ tracker, stoppedAt, waitingUntil, feedFailingSince, heard }) => {
    const { parcels = 0, asked } = followed.find((one) => one.tracker === tracker) ?? {};
    return {
      ...{ tracker, parcels, stopped: stoppedAt !== null },
      interval: (couriers.find(({ name }) => name === tracker)?.everyMs ?? 0) / 1000,
      wait: Math.max(0, Number(waitingUntil) - nowMs) / 1000,
      feedFailing: secondsSince(feedFailingSince, nowMs),
      staleness: asked?.map((at) => secondsSince(new Date(at), nowMs)) ?? [],
      heard: heard && secondsSince(heard, nowMs),
    };
  });
}

function readStanding(tx: Tx) {
  const { updated, unchanged, notFound, mismatched, unmapped } = trackingRuns;
  const lastAnswered = tx
    .select({ id: trackingRuns.id })
    .from(trackingRuns)
    .where(
      and(
        eq(trackingRuns.tracker, trackers.name),
        sql`${updated} + ${unchanged} + ${notFound} + ${mismatched} + ${unmapped} > 0`,
      ),
    )
    .orderBy(desc(trackingRuns.startedAt))
    .limit(1);
  // a batch keeps the time of its response as last check (tracking/engine/claim.ts)
  const heard = tx
    .select({ at: max(trackingBatches.dueAt).as('at') })
    .from(trackingBatches)
    .where(and(sql`${trackingBatches.state} = 'done'`, eq(trackingBatches.runId, lastAnswered)))
    .as('heard');
  const { name: tracker, stoppedAt, waitingUntil, feedFailingSince } = trackers;
  return tx
    .select({ tracker, stoppedAt, waitingUntil, feedFailingSince, heard: heard.at })
    .from(trackers)
    .leftJoinLateral(heard, sql`true`)
    .where(eq(trackers.enabled, true))
    .orderBy(trackers.name);
}
