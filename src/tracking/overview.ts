import { count, desc, eq, getTableColumns, gt, gte, isNull, max, min, sql } from 'drizzle-orm';
import type { Db } from '../db/client.ts';
import { isAnyOf, type RowOf, rows } from '../db/query.ts';
import {
  shipmentEvents,
  shipments,
  trackers as table,
  trackingBatches,
  trackingRuns,
  unmappedStatuses,
} from '../db/schema/index.ts';
import type { TrackingBase } from './deps.ts';
import { isFeedLate } from './engine/feed-state.ts';
import { bookedSince } from './engine/runs.ts';
import { batchIsOpen, runGoesOn } from './engine/states.ts';
import { STATUSES } from './engine/status.ts';
import { type Tracker, whyOff } from './registry.ts';
import { type UntrackedParcels, untrackedParcels } from './untracked.ts';

const DAY_MS = 86_400_000;

const RUN = {
  ...getTableColumns(trackingRuns),
  open: sql<number>`case when ${runGoesOn} then (select count(*)::int from ${trackingBatches}
    where ${trackingBatches.runId} = ${trackingRuns.id} and ${batchIsOpen}) else 0 end`,
};
/**
 * A run with its counts, of parcels: they add up to `planned` when it has ended. `open` counts batches that have not ended.
 */
export type RunOverview = RowOf<typeof RUN>;

/** A tracker's state, for `status`, `track` and the overview page. */
export interface TrackerOverview {
  name: string;
  title: string;
  /** As set up by the scheduler; before that, as this process would. */
  on: boolean;
  /** Why it is off. */
  off: string | null;
  /** Parcels that it tracks now. */
  parcels: number;
  neverAsked: number;
  /** When the parcel polled longest ago was polled; null: none was yet. */
  oldestAskedAt: Date | null;
  /** The same parcels by status. */
  statuses: Record<string, number>;
  /** Polled parcels by how long ago: up to each of FRESHNESS_MINUTES, then longer ago. */
  freshness: number[];
  lastRun: RunOverview | null;
  nextRunAt: Date | null;
  /** C10; null: not cooling down. */
  waitingUntil: Date | null;
  waitingReason: string | null;
  /** C11. */
  stoppedAt: Date | null;
  stoppedReason: string | null;
  /** E7: its feed cannot be read; null: it can, or it has none. */
  feed: FeedFailure | null;
  /** Why its last run was skipped. */
  skippedAt: Date | null;
  skippedReason: string | null;
}

export interface FeedFailure {
  failingSince: Date;
  why: string;
  /** Its mark is so old that all parcels are polled by number meanwhile. */
  byNumber: boolean;
}

/** E7: what to do about a feed that fails. */
export const FEED_REMEDY =
  'every run tries it again and reads on from where it stopped; if the courier is up, ask it whether your account may read its list of changes';

export interface ParcelsOverview {
  /** Parcels tracked now, by status. */
  followed: Record<string, number>;
  /** Changes of the last day, by the status they led to. */
  changes: Record<string, number>;
  /** The most recent time at which any parcel changed; null: none in the last day. */
  lastChangeAt: Date | null;
}

export interface TrackingOverview {
  trackers: TrackerOverview[];
  parcels: ParcelsOverview;
  /** Unmapped statuses (C6). */
  openWords: number;
  /** E10: parcels on their way that no tracker polls. */
  untracked: UntrackedParcels[];
}

/** Age groups, in minutes: about one run, several, too old. */
export const FRESHNESS_MINUTES = [10, 30, 120] as const;

/** What is read of its parcels and runs. */
type Read = 'parcels' | 'neverAsked' | 'oldestAskedAt' | 'statuses' | 'freshness' | 'lastRun';
const STANDING = {
  name: table.name,
  on: table.enabled,
  nextRunAt: table.nextRunAt,
  stoppedAt: table.stoppedAt,
  stoppedReason: table.stoppedReason,
  waitingUntil: table.waitingUntil,
  waitingReason: table.waitingReason,
  skippedAt: table.skippedAt,
  skippedReason: table.skippedReason,
};
const FEED = {
  readTo: table.feedReadTo,
  failingSince: table.feedFailingSince,
  why: table.feedError,
};
type TrackerRow = RowOf<typeof STANDING> & { feed: RowOf<typeof FEED> };

/**
 * The state of all trackers. The cost grows with tracked parcels and a day's changes, not with all that is stored (P3):
 * nothing here reads parcels that have ended.
 */
export async function trackingOverview(
  { db, trackers, bufferDays }: Pick<TrackingBase, 'db' | 'trackers' | 'bufferDays'>,
  now: number,
): Promise<TrackingOverview> {
  const [standings, runs, parcels, changes, openWords, untracked] = await Promise.all([
    db.select({ ...STANDING, feed: FEED }).from(table),
    lastRuns(db),
    followedParcels(db, now),
    db
      .select({ status: shipmentEvents.status, changes: count(), last: max(shipmentEvents.recordedAt) })
      .from(shipmentEvents)
      .where(gt(shipmentEvents.recordedAt, new Date(now - DAY_MS)))
      .groupBy(shipmentEvents.status),
    db.$count(unmappedStatuses, isNull(unmappedStatuses.mappedTo)),
    untrackedParcels(db, bookedSince({ bufferDays }, new Date(now))),
  ]);
  return {
    trackers: trackers.map((tracker) => {
      const own = parcels.filter((one) => one.tracker === tracker.name);
      return {
        ...standing(
          tracker,
          standings.find(({ name }) => name === tracker.name),
          now,
        ),
        parcels: sum(own),
        neverAsked: sum(own.filter(({ age }) => age === null)),
        oldestAskedAt: oneOf(
          Math.min,
          own.map(({ oldest }) => oldest),
        ),
        statuses: byStatus(own),
        freshness: [...FRESHNESS_MINUTES, 0].map((_, step) => sum(own.filter(({ age }) => age === step))),
        lastRun: runs.find((run) => run.tracker === tracker.name) ?? null,
      };
    }),
    parcels: {
      followed: byStatus(parcels),
      changes: inOrder(Object.fromEntries(changes.map(({ status, changes }) => [status, changes]))),
      lastChangeAt: oneOf(
        Math.max,
        changes.map(({ last }) => last),
      ),
    },
    openWords,
    untracked,
  };
}

/** Tracked parcels by tracker, status and age. */
function followedParcels(db: Db, now: number) {
  const { trackedBy, status, lastTrackedAt } = shipments;
  const steps = FRESHNESS_MINUTES.map(
    (minutes, step) =>
      sql`when ${gte(lastTrackedAt, new Date(now - minutes * 60_000))} then ${sql.raw(String(step))}`,
  );
  return rows(
    db,
    {
      tracker: trackedBy,
      status,
      /** A step of TrackerOverview.freshness; null: never polled. */
      age: sql<number | null>`case ${sql.join(steps, sql` `)} when ${lastTrackedAt} is not null
        then ${sql.raw(String(steps.length))} end`,
      parcels: sql<number>`count(*)::int`,
      oldest: min(lastTrackedAt),
    },
    (read) => sql`select ${read} from ${shipments} where ${trackedBy} is not null group by 1, 2, 3`,
  );
}
type Followed = Awaited<ReturnType<typeof followedParcels>>[number];

const sum = (some: readonly Followed[]): number => some.reduce((all, { parcels }) => all + parcels, 0);

const byStatus = (some: readonly Followed[]): Record<string, number> =>
  inOrder(
    some.reduce<Record<string, number>>(
      (all, { status, parcels }) => Object.assign(all, { [status]: (all[status] ?? 0) + parcels }),
      {},
    ),
  );

/** The earliest (`Math.min`) or the latest of times. */
function oneOf(pick: typeof Math.min, times: readonly (Date | null)[]): Date | null {
  const known = times.flatMap((time) => (time ? [time.getTime()] : []));
  return known.length > 0 ? new Date(pick(...known)) : null;
}

const NOT_SET_UP = 'not set up yet: the scheduler sets it up when it starts';

function standing(tracker: Tracker, row: TrackerRow | undefined, now: number): Omit<TrackerOverview, Read> {
  const { name, courier, connection } = tracker;
  const off = whyOff(tracker);
  const nothing = { stoppedAt: null, stoppedReason: null, skippedAt: null, skippedReason: null, feed: null };
  if (!row)
    return {
      ...{ name, title: courier.title, on: false, off: connection ? NOT_SET_UP : (off ?? NOT_SET_UP) },
      ...{ nextRunAt: null, waitingUntil: null, waitingReason: null },
      ...nothing,
    };
  const why = connection ? 'the scheduler was started without its credentials: restart it' : (off ?? '');
  // the past of one that is off is not shown
  return {
    ...row,
    ...waitOf(row, now),
    title: courier.title,
    feed: feedFailure(tracker, row.feed, now),
    ...(row.on ? { off: null } : { ...nothing, off: why, nextRunAt: null }),
  };
}

function feedFailure(
  tracker: Tracker,
  { readTo, failingSince, why }: TrackerRow['feed'],
  now: number,
): FeedFailure | null {
  const { connection } = tracker;
  if (!failingSince || (connection && !connection.feed)) return null;
  return { failingSince, why: why ?? '', byNumber: readTo === null || isFeedLate(tracker, readTo, now) };
}

/** In the order of a parcel's life. */
const inOrder = (counts: Record<string, number>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counts).sort(
      ([a], [b]) => (STATUSES as readonly string[]).indexOf(a) - (STATUSES as readonly string[]).indexOf(b),
    ),
  );

/** C10: the cooldown; nulls when it is over. */
const waitOf = ({ waitingUntil, waitingReason }: Wait, now: number): Wait =>
  waitingUntil && waitingUntil.getTime() > now
    ? { waitingUntil, waitingReason }
    : { waitingUntil: null, waitingReason: null };
type Wait = Pick<TrackerOverview, 'waitingUntil' | 'waitingReason'>;

/** The last run of each tracker. */
function lastRuns(db: Db): Promise<RunOverview[]> {
  const last = db
    .select({ id: trackingRuns.id })
    .from(trackingRuns)
    .where(eq(trackingRuns.tracker, table.name))
    .orderBy(desc(trackingRuns.startedAt))
    .limit(1)
    .as('last');
  return db
    .select(RUN)
    .from(table)
    .crossJoinLateral(last)
    .innerJoin(trackingRuns, eq(trackingRuns.id, last.id));
}

/** Runs by id, with their trackers' state. */
export async function runOverviews(db: Db, ids: readonly string[], now: number) {
  const { waitingUntil, waitingReason, stoppedAt, stoppedReason } = table;
  const stopped = sql<
    string | null
  >`case when ${stoppedAt} > ${trackingRuns.startedAt} then ${stoppedReason} end`;
  const runs = await db
    .select({ ...RUN, waitingUntil, waitingReason, stoppedReason: stopped })
    .from(trackingRuns)
    .innerJoin(table, eq(table.name, trackingRuns.tracker))
    .where(isAnyOf(trackingRuns.id, ids))
    .orderBy(trackingRuns.tracker);
  return runs.map((run) => ({ ...run, ...waitOf(run, now) }));
}
