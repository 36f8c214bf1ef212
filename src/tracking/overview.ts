import type { Db } from '../db/client.ts';
import { type Tracker, whyOff } from './catalogue.ts';
import { STATUSES } from './status.ts';

const DAY_MS = 86_400_000;

/** A run with its numbers; counts are of parcels and add up to `planned` when it has ended. */
export interface RunOverview {
  id: string;
  tracker: string;
  state: 'running' | 'finished';
  planned: number;
  updated: number;
  unchanged: number;
  notFound: number;
  mismatched: number;
  unmapped: number;
  failed: number;
  requests: number;
  /** `max/seconds` as it held; null: none. */
  requestLimit: string | null;
  /** C10: how often and how long it was told to wait. */
  waits: number;
  waitedMs: number;
  /** Why parcels failed, with their counts. */
  errors: Record<string, number>;
  /** Words that no table has, with their counts. */
  words: Record<string, number>;
  startedAt: Date;
  finishedAt: Date | null;
  /** Batches that have not ended. */
  open: number;
}

/** How a tracker stands, for `status`, `track` and the overview page. */
export interface TrackerOverview {
  name: string;
  title: string;
  /** As the scheduler set it up; until it has, as this process would. */
  on: boolean;
  /** Why it is off. */
  off: string | null;
  /** Parcels that it asks for now. */
  parcels: number;
  neverAsked: number;
  /** When the one was asked for whose turn was longest ago; null: none was asked for yet. */
  oldestAskedAt: Date | null;
  /** The same parcels by status. */
  statuses: Record<string, number>;
  /** Those that were asked for, by how long ago: up to each of FRESHNESS_MINUTES, then longer ago. */
  freshness: number[];
  lastRun: RunOverview | null;
  nextRunAt: Date | null;
  /** C10; null when it does not wait now. */
  waitingUntil: Date | null;
  waitingReason: string | null;
  /** C11. */
  stoppedAt: Date | null;
  stoppedReason: string | null;
  /** Why its last turn was left out. */
  skippedAt: Date | null;
  skippedReason: string | null;
}

export interface ParcelsOverview {
  /** Parcels that are followed now, by status. */
  followed: Record<string, number>;
  /** Changes of the last day, by the status they led to. */
  changes: Record<string, number>;
  /** The most recent time at which any parcel changed; null: none in the last day. */
  lastChangeAt: Date | null;
}

export interface TrackingOverview {
  trackers: TrackerOverview[];
  parcels: ParcelsOverview;
  /** Words without a meaning (C6). */
  openWords: number;
}

/** Ages of words that are told apart: a round or so, several, too old. In minutes. */
export const FRESHNESS_MINUTES = [10, 30, 120] as const;

/** What is counted from the parcels. */
type Counted = 'parcels' | 'neverAsked' | 'oldestAskedAt' | 'statuses' | 'freshness';
type TrackerRow = Omit<TrackerOverview, 'title' | 'off' | Counted>;

/**
 * How all trackers stand. Costs grow with the parcels that are followed and with a day's changes, not with what is
 * stored (P3): nothing here reads parcels that have ended.
 */
export async function trackingOverview(
  db: Db,
  trackers: readonly Tracker[],
  now: number,
): Promise<TrackingOverview> {
  const sql = db.$client;
  const [rows, runs, parcels, [changes], [words]] = await Promise.all([
    sql<TrackerRow[]>`
      select name, enabled as on, next_run_at as "nextRunAt", stopped_at as "stoppedAt", stopped_reason as "stoppedReason",
        case when waiting_until > ${new Date(now)} then waiting_until end as "waitingUntil",
        case when waiting_until > ${new Date(now)} then waiting_reason end as "waitingReason",
        skipped_at as "skippedAt", skipped_reason as "skippedReason"
      from trackers`,
    lastRuns(db),
    followedParcels(db, now),
    sql<{ counts: Record<string, number> | null; last: Date | null }[]>`
      select jsonb_object_agg(status, n) as counts, max(last) as last from (
        select status, count(*)::int as n, max(recorded_at) as last from shipment_events
        where recorded_at > ${new Date(now - DAY_MS)} group by status) by_status`,
    sql<{ open: number }[]>`select count(*)::int as open from unmapped_statuses where mapped_to is null`,
  ]);
  return {
    trackers: trackers.map((tracker) => {
      const own = parcels.filter((one) => one.tracker === tracker.name);
      return {
        ...standing(
          tracker,
          rows.find(({ name }) => name === tracker.name),
        ),
        parcels: own.reduce((sum, one) => sum + one.parcels, 0),
        neverAsked: own.reduce((sum, one) => sum + one.neverAsked, 0),
        oldestAskedAt: own.reduce<Date | null>(
          (oldest, one) => (one.oldest && (!oldest || one.oldest < oldest) ? one.oldest : oldest),
          null,
        ),
        statuses: inOrder(Object.fromEntries(own.map((one) => [one.status, one.parcels]))),
        freshness: [...FRESHNESS_MINUTES, 0].map((_, step) =>
          own.reduce((sum, one) => sum + (one.ages[step] ?? 0), 0),
        ),
        lastRun: runs.find((run) => run.tracker === tracker.name) ?? null,
      };
    }),
    parcels: {
      followed: inOrder(
        parcels.reduce<Record<string, number>>(
          (sum, { status, parcels }) => Object.assign(sum, { [status]: (sum[status] ?? 0) + parcels }),
          {},
        ),
      ),
      changes: inOrder(changes?.counts ?? {}),
      lastChangeAt: changes?.last ?? null,
    },
    openWords: words?.open ?? 0,
  };
}

interface FollowedParcels {
  tracker: string;
  status: string;
  parcels: number;
  neverAsked: number;
  oldest: Date | null;
  /** As TrackerOverview.freshness. */
  ages: number[];
}

/** Parcels that are followed, by tracker and status. */
const followedParcels = ({ $client: sql }: Db, now: number) => {
  const [first, second, third] = FRESHNESS_MINUTES.map((minutes) => new Date(now - minutes * 60_000)) as [
    Date,
    Date,
    Date,
  ];
  return sql<FollowedParcels[]>`
    select tracked_by as tracker, status, count(*)::int as parcels, min(last_tracked_at) as oldest,
      count(*) filter (where last_tracked_at is null)::int as "neverAsked",
      array[count(*) filter (where last_tracked_at >= ${first}),
        count(*) filter (where last_tracked_at < ${first} and last_tracked_at >= ${second}),
        count(*) filter (where last_tracked_at < ${second} and last_tracked_at >= ${third}),
        count(*) filter (where last_tracked_at < ${third})]::int[] as ages
    from shipments where tracked_by is not null group by tracked_by, status`;
};

const NOT_SET_UP = 'not set up yet: the scheduler does it when it starts';

function standing(tracker: Tracker, row: TrackerRow | undefined): Omit<TrackerOverview, Counted> {
  const { name, courier, connection } = tracker;
  const off = whyOff(tracker);
  const nothing = { stoppedAt: null, stoppedReason: null, skippedAt: null, skippedReason: null };
  if (!row)
    return {
      ...{ name, title: courier.title, on: false, off: connection ? NOT_SET_UP : (off ?? NOT_SET_UP) },
      ...{ lastRun: null, nextRunAt: null, waitingUntil: null, waitingReason: null },
      ...nothing,
    };
  const why = connection ? 'the scheduler was started without its credentials: restart it' : (off ?? '');
  // what befell one that is off is no news
  return {
    ...row,
    title: courier.title,
    ...(row.on ? { off: null } : { ...nothing, off: why, nextRunAt: null }),
  };
}

/** By the life of a parcel. */
const inOrder = (counts: Record<string, number>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counts).sort(
      ([a], [b]) => (STATUSES as readonly string[]).indexOf(a) - (STATUSES as readonly string[]).indexOf(b),
    ),
  );

const columns = (sql: Db['$client']) => sql`
  r.id, r.tracker, r.state, r.planned, r.updated, r.unchanged, r.not_found as "notFound", r.mismatched, r.unmapped,
  r.failed, r.requests, r.request_limit as "requestLimit", r.waits, r.waited_ms::float8 as "waitedMs", r.errors, r.words,
  r.started_at as "startedAt", r.finished_at as "finishedAt",
  case when r.state = 'running' then (select count(*)::int from tracking_batches b
    where b.run_id = r.id and b.state in ('pending', 'working')) else 0 end as open`;

/** The last run of each tracker. */
const lastRuns = ({ $client: sql }: Db) => sql<RunOverview[]>`
  select ${columns(sql)} from trackers t cross join lateral (
    select * from tracking_runs r where r.tracker = t.name order by r.started_at desc limit 1) r`;

/** Runs by their ids, with how their trackers stand. */
export const runOverviews = async ({ $client: sql }: Db, ids: readonly string[], now: number) =>
  await sql<(RunOverview & Pick<TrackerOverview, 'waitingUntil' | 'waitingReason' | 'stoppedReason'>)[]>`
    select ${columns(sql)}, case when t.stopped_at > r.started_at then t.stopped_reason end as "stoppedReason",
      case when t.waiting_until > ${new Date(now)} then t.waiting_until end as "waitingUntil",
      case when t.waiting_until > ${new Date(now)} then t.waiting_reason end as "waitingReason"
    from tracking_runs r join trackers t on t.name = r.tracker
    where r.id = any(${ids as string[]}::uuid[]) order by r.tracker`;
