import { and, eq, lte, type Placeholder, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../../db/client.ts';
import { assignments, insertion, name, rows, statement } from '../../db/query.ts';
import { notices, trackedParcels, trackers, trackingBatches, trackingRuns } from '../../db/schema/index.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { utc } from '../../lib/format-time.ts';
import type { TrackingBase } from '../deps.ts';
import { type Tracker, whyOff } from '../registry.ts';
import { batchesOf } from './claim.ts';
import { isFeedLate } from './feed-state.ts';
import { batchIsOpen, runGoesOn } from './states.ts';

const DAY_MS = 86_400_000;

/** Why no run begins: its tracker is off, not set up by the scheduler yet, cooling down (C10), or still running. */
export type SkipKind = 'off' | 'notSetUp' | 'waiting' | 'running';
/** `reason` is for operators; `runId`: the run in progress. */
export type Skipped = { kind: SkipKind; reason: string; runId?: string };

export type Started = { is: 'started'; runId: string; planned: number } | ({ is: 'skipped' } & Skipped);

/**
 * C1–C3: begins a run of a tracker: selects the parcels that are due, oldest first, and writes them as batches.
 * Skipped, with the reason kept for `status`, while the tracker is off, running or cooling down (C10).
 */
export async function startRun(base: TrackingBase, tracker: Tracker): Promise<Started> {
  const { db, clock } = base;
  const now = new Date(clock());
  const isTracker = eq(trackers.name, tracker.name);
  const started = await db.transaction(async (tx): Promise<Started> => {
    const skip = async (kind: SkipKind, reason: string, runId?: string): Promise<Started> => {
      await tx
        .update(trackers)
        .set({ skippedAt: now, skippedReason: reason, nextRunAt: nextRunTime(tracker, now) })
        .where(and(isTracker, lte(trackers.nextRunAt, now))); // only a run that is due can be skipped
      return { is: 'skipped', kind, reason, ...(runId ? { runId } : {}) };
    };
    const { waitingUntil, waitingReason, stoppedAt, feedReadTo } = trackers;
    const [row] = await tx
      .select({ waitingUntil, waitingReason, stoppedAt, feedReadTo })
      .from(trackers)
      .where(isTracker)
      .for('update');
    // read after the lock: its former holder may have started a run
    const [running] = await tx
      .select({ id: trackingRuns.id })
      .from(trackingRuns)
      .where(and(eq(trackingRuns.tracker, tracker.name), runGoesOn));
    if (!tracker.connection) return await skip('off', whyOff(tracker) ?? 'switched off');
    if (!row) return await skip('notSetUp', 'not set up yet');
    if (row.waitingUntil && row.waitingUntil > now)
      return await skip(
        'waiting',
        `rate-limit cooldown until ${utc(row.waitingUntil)} (${row.waitingReason})`,
        running?.id,
      );
    if (running) return await skip('running', 'the last run is still in progress', running.id);
    // after a stop (C11), even if another machine's clock is ahead
    const startedAt = new Date(Math.max(now.getTime(), (row.stoppedAt?.getTime() ?? 0) + 1));
    const { runId, planned } = await plan(tx, tracker, base, now, startedAt, row.feedReadTo);
    await tx
      .update(trackers)
      .set({ nextRunAt: nextRunTime(tracker, now), skippedAt: null, skippedReason: null })
      .where(isTracker);
    return { is: 'started', runId, planned };
  });
  if (started.is === 'started') await enqueueDue(base, batchesOf(tracker));
  return started;
}

/** C2: parcels booked earlier are no longer polled. */
export const bookedSince = ({ bufferDays }: Pick<TrackingBase, 'bufferDays'>, now: Date) =>
  new Date(now.getTime() - bufferDays * DAY_MS);

const nextRunTime = ({ everyMs }: Tracker, now: Date) => new Date(now.getTime() + everyMs);

/** E7: while the feed is read in time, only new parcels, and those that it has not named for `silentMs`, are polled by number. */
const polledBefore = (tracker: Tracker, readTo: Date | null, now: Date): Date | undefined => {
  const feed = tracker.connection?.feed;
  if (!feed || !readTo || isFeedLate(tracker, readTo, now.getTime())) return undefined;
  return new Date(now.getTime() - feed.silentMs);
};

/** Due parcels with their `place` in line (P3). */
export const dueParcels = (
  tracker: string,
  bookedSince: Date,
  most: number | null,
  polledBefore?: Date,
): SQL => {
  const { shipmentId, lastTrackedAt, bookedAt } = trackedParcels;
  const silent = polledBefore
    ? sql`and (${lastTrackedAt} is null or ${lastTrackedAt} < ${sql.param(polledBefore, lastTrackedAt)})`
    : sql``;
  const order = sql`order by ${lastTrackedAt} nulls first, ${shipmentId}`;
  return sql`
    select ${shipmentId}, row_number() over (${order}) - 1 as place from ${trackedParcels}
    where ${trackedParcels.tracker} = ${tracker} and ${bookedAt} > ${sql.param(bookedSince, bookedAt)} ${silent}
    ${order} limit ${most}`;
};

/**
 * The run and its batches, in one statement; a run with nothing to do is finished at once. E7: the first batch of a tracker
 * with a feed has no parcels: it reads the feed.
 */
async function plan(
  tx: Tx,
  tracker: Tracker,
  base: TrackingBase,
  now: Date,
  startedAt: Date,
  feedReadTo: Date | null,
): Promise<{ runId: string; planned: number }> {
  const since = bookedSince(base, now);
  const runId = crypto.randomUUID();
  const { name: trackerName, courier, limit, connection } = tracker;
  const hasFeed = connection?.feed !== undefined;
  const nothing = hasFeed ? sql`false` : sql`count(*) = 0`;
  const run = insertion(trackingRuns, {
    id: runId,
    tracker: trackerName,
    planned: sql`count(*)`,
    requestLimit: limit ? `${limit.max}/${limit.seconds}` : null,
    startedAt,
    state: sql`case when ${nothing} then 'finished' else 'running' end`,
    finishedAt: sql`case when ${nothing} then ${sql.param(now, trackingRuns.finishedAt)}::timestamptz end`,
  });
  const batches = insertion(trackingBatches, {
    runId,
    no: sql`(place / ${courier.batch})::int + ${sql.raw(hasFeed ? '1' : '0')}`,
    shipmentIds: sql`array_agg(due.${name(trackedParcels.shipmentId)} order by place)`,
    dueAt: now,
  });
  const [made] = await rows(
    tx,
    { planned: sql<number>`run.${name(trackingRuns.planned)}` },
    (read) => sql`
      with due as materialized (${dueParcels(trackerName, since, courier.mostPerRun ?? null, polledBefore(tracker, feedReadTo, now))}),
      run as (${run} from due returning ${trackingRuns.planned}),
      batches as (${batches} from due group by 2)
      select ${read} from run`,
  );
  if (hasFeed) await tx.insert(trackingBatches).values({ runId, no: 0, shipmentIds: [], dueAt: now });
  return { runId, planned: made?.planned ?? 0 };
}

/** The columns with a run's counts. */
const COUNTED = [
  'updated',
  'unchanged',
  'notFound',
  'mismatched',
  'unmapped',
  'failed',
  'requests',
] as const satisfies (keyof typeof trackingRuns.$inferSelect)[];
export type Counts = Record<(typeof COUNTED)[number], number>;
export const NO_COUNTS = Object.fromEntries(COUNTED.map((counted) => [counted, 0])) as Counts;

const ph = sql.placeholder;

/** The sum of two objects of counts. */
const added = (tally: PgColumn, more: Placeholder) => sql`
  case when ${more}::jsonb = '{}' then ${tally} else (
    select jsonb_object_agg(said, n) from (
      select said, sum(n::int) as n from (
        select * from jsonb_each_text(${tally}) union all select * from jsonb_each_text(${more}::jsonb)) both_(said, n)
      group by said) summed) end`;

const COUNT = statement({}, () => {
  const counts = COUNTED.map((counted) => [counted, sql`${trackingRuns[counted]} + ${ph(counted)}`]);
  const set = assignments(trackingRuns, {
    ...Object.fromEntries(counts),
    words: added(trackingRuns.words, ph('words')),
    errors: added(trackingRuns.errors, ph('errors')),
  });
  return sql`update ${trackingRuns} set ${set} where ${trackingRuns.id} = ${ph('runId')}`;
});

/**
 * Adds to a run's counts and ends it when no batch is open any more (C3). The run's row is locked first, so that the
 * second of the last two batches sees that the first has ended.
 * @param tallies counts by unmapped status (`words`) and by failure reason
 */
export async function countInRun(
  tx: Tx,
  runId: string,
  counts: Counts,
  tallies: { words?: Record<string, number>; errors?: Record<string, number> },
  now: Date,
): Promise<void> {
  const [words, errors] = [tallies.words, tallies.errors].map((tally = {}) => JSON.stringify(tally));
  await Promise.all([COUNT.run(tx, { ...counts, words, errors, runId }), endRun(tx, runId, now)]);
}

/** Counts requests that did not end their batch. */
export const countRequests = (db: Db | Tx, runId: string, requests: number) =>
  db
    .update(trackingRuns)
    .set({ requests: sql`${trackingRuns.requests} + ${requests}` })
    .where(eq(trackingRuns.id, runId));

const END = statement(
  { tracker: trackingRuns.tracker, planned: trackingRuns.planned },
  (read) => sql`
    update ${trackingRuns} set ${assignments(trackingRuns, { state: 'finished', finishedAt: ph('now') })}
    where ${trackingRuns.id} = ${ph('runId')} and ${runGoesOn} and not exists (
      select from ${trackingBatches} where ${trackingBatches.runId} = ${trackingRuns.id} and ${batchIsOpen})
    returning ${read}`,
);

/** Ends a run, once, when all its batches have ended, and writes the notice for its report (C13). */
async function endRun(tx: Tx, runId: string, now: Date): Promise<void> {
  const [ended] = await END.run(tx, { runId, now });
  // a feed that named nothing is no news
  if (!ended || ended.planned === 0) return;
  const { tracker } = ended;
  await tx
    .insert(notices)
    .values({
      kind: 'tracking-report',
      key: `tracking-report ${runId}`,
      subject: tracker,
      payload: { runId, tracker },
    })
    .onConflictDoNothing({ target: notices.key });
}

/** Ends a run early, when its tracker was stopped or switched off. */
export async function giveUpRun(tx: Tx, runId: string, reason: string, now: Date): Promise<void> {
  // batches, then the run: everywhere locked in this order
  const { no } = trackingBatches;
  const [left] = await rows(
    tx,
    { parcels: sql<number>`coalesce(sum(parcels), 0)::int` },
    (read) => sql`
      with open as (
        select ${no} from ${trackingBatches} where ${trackingBatches.runId} = ${runId} and ${batchIsOpen}
        order by ${no} for update),
      given_up as (
        update ${trackingBatches} set ${assignments(trackingBatches, { state: 'failed', error: reason, claim: null })}
        from open where ${trackingBatches.runId} = ${runId} and ${no} = open.${name(no)}
        returning cardinality(${trackingBatches.shipmentIds}) as parcels)
      select ${read} from given_up`,
  );
  const failed = left?.parcels ?? 0;
  await countInRun(
    tx,
    runId,
    { ...NO_COUNTS, failed },
    { errors: failed > 0 ? { [reason]: failed } : {} },
    now,
  );
}
