import { count, isNotNull, lt } from 'drizzle-orm';
import { samples, shipments } from '../db/schema/index.ts';
import type { Fleet } from '../fleet/index.ts';
import { minutes } from '../queue/define.ts';
import type { Task } from '../queue/maintenance.ts';
import { SAMPLED } from './charts.ts';
import { type FleetMetrics, readFleetMetrics } from './fleet-metrics.ts';
import { FOLD_EVERY, foldSamples } from './folded-samples.ts';

/** The overview shows a week (O3); one more day, so that the first day is complete. */
const KEPT_MS = 8 * 86_400_000;

/**
 * Accounts that are sampled, the fullest ones: a chart draws six, and thousands of stores may have an app key each, which
 * would be fourteen million rows a day (P10). /metrics has all of them.
 */
const MOST_ACCOUNTS = 50;

type Sample = Omit<typeof samples.$inferSelect, 'at'>;

/** O3: stores metrics once a minute for the overview's charts (table `samples`). */
export function samplerTasks(fleet: Fleet): Task[] {
  const { db, clock } = fleet;
  // a scheduler that has just started does not know what the others have folded
  let foldFrom = 0;
  return [
    {
      id: 'overview-sample',
      everyMs: minutes(1),
      run: async () => ({ samples: await writeSamples(fleet) }),
    },
    {
      id: 'overview-forget',
      everyMs: minutes(60),
      async run() {
        const { count } = await db.delete(samples).where(lt(samples.at, new Date(clock() - KEPT_MS)));
        return { forgotten: count };
      },
    },
    {
      id: 'overview-fold',
      everyMs: FOLD_EVERY * 1000,
      async run() {
        const { folded, next } = await foldSamples(db, SAMPLED, clock() / 1000, foldFrom);
        foldFrom = next;
        return { folded };
      },
    },
  ];
}

/** @returns how many were written; 0 when another scheduler has written this minute's */
async function writeSamples(fleet: Fleet): Promise<number> {
  const at = new Date(Math.floor(fleet.clock() / minutes(1)) * minutes(1));
  const read = await readSamples(fleet);
  const { count } = await fleet.db
    .insert(samples)
    .values(read.map((sample) => ({ ...sample, at })))
    .onConflictDoNothing();
  return count;
}

async function readSamples(fleet: Fleet): Promise<Sample[]> {
  const [figures, followed] = await Promise.all([
    readFleetMetrics(fleet),
    fleet.db
      .select({ label: shipments.status, value: count() })
      .from(shipments)
      .where(isNotNull(shipments.trackedBy))
      .groupBy(shipments.status),
  ]);
  const { awb, orders, queues, quotas, trackers } = figures;
  return [
    ...fullest(quotas).map(({ account, used }) => ({ series: 'quota_used', label: account, value: used })),
    ...trackers.map(({ tracker, wait }) => ({ series: 'waiting_seconds', label: tracker, value: wait })),
    ...trackers.flatMap(({ tracker, staleness: [median] }) =>
      median === undefined ? [] : [{ series: 'staleness_seconds', label: tracker, value: median }],
    ),
    ...trackers.flatMap(({ tracker, heard }) =>
      heard === null ? [] : [{ series: 'heard_seconds', label: tracker, value: heard }],
    ),
    ...followed.map((one) => ({ series: 'parcels', ...one })),
    ...queues.map(({ queue, depth }) => ({ series: 'queue_depth', label: queue, value: depth })),
    ...(awb.minutesToDeadline === null
      ? []
      : [{ series: 'awb_minutes', label: '', value: awb.minutesToDeadline }]),
    { series: 'orders_waiting', label: '', value: orders.pending ?? 0 },
  ];
}

export const fullest = (quotas: FleetMetrics['quotas']): FleetMetrics['quotas'] =>
  [...quotas].sort((a, b) => b.used - a.used).slice(0, MOST_ACCOUNTS);
