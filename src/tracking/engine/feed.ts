import { and, eq, isNull, lt, or, sql } from 'drizzle-orm';
import { trackers, trackingRuns } from '../../db/schema/index.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { fail, ok, type Result } from '../../lib/errors.ts';
import { isParcelNumber } from '../../lib/numbers.ts';
import type { TrackingDeps } from '../deps.ts';
import type { Tracker } from '../registry.ts';
import type { Feed, FeedPage, NumberedScan, Scan, Window } from '../toolkit/courier.ts';
import { applyAnswer, countsOf } from './apply.ts';
import { addBatch, type Batch, batchesOf } from './claim.ts';
import { lockParcels } from './lock-parcels.ts';
import { keyOf, lockNamed, newestByNumber } from './named-parcels.ts';
import { type Attempt, requestCourier } from './request.ts';
import { type Counts, NO_COUNTS } from './runs.ts';
import { isFinal } from './status.ts';

/** Of one run: after a long pause the next runs read on. */
const MOST_WINDOWS = 48;
/** A feed that never ends is none. */
const MOST_PAGES = 1_000;

/** E7: the windows from where the feed was read to, each as long as may be asked for, up to now. Pure. */
export function windowsFrom(readTo: number, now: number, { windowMs, overlapMs }: Feed): Window[] {
  const windows: Window[] = [];
  for (let from = readTo - overlapMs; from < now && windows.length < MOST_WINDOWS; from += windowMs)
    windows.push({ from: new Date(from), to: new Date(Math.min(now, from + windowMs)) });
  return windows;
}

/**
 * E7: reads windows page by page. The mark moves once a window has been read whole, so what was cut off is read again;
 * scans that were applied before change nothing. New events push older ones to later pages: then some come twice, and none
 * is left out.
 */
export async function walkFeed(
  windows: readonly Window[],
  read: (window: Window, page: number) => Promise<Result<FeedPage>>,
  apply: (scans: NumberedScan[]) => Promise<void>,
  mark: (readTo: Date) => Promise<void>,
): Promise<Result<null>> {
  for (const window of windows) {
    for (let page = 1, more = true; more; page++) {
      if (page > MOST_PAGES) return fail('malformed', `the feed has more than ${MOST_PAGES} pages`);
      const result = await read(window, page);
      if (!result.ok) return result;
      await apply(result.value.scans);
      more = result.value.more;
    }
    await mark(window.to);
  }
  return ok(null);
}

/** What a run's feed has brought. */
export type FeedRead = Attempt<Counts>;

/**
 * E7: reads a tracker's feed on from where it was read to, and applies its scans. The first time there is nothing to read
 * on from: that run polls all parcels by number.
 */
export async function readFeed(
  deps: TrackingDeps,
  tracker: Tracker,
  feed: Feed,
  { runId }: Batch,
  signal: AbortSignal,
): Promise<FeedRead> {
  const now = deps.clock();
  const counts = { ...NO_COUNTS };
  let last: Attempt<FeedPage> = { result: ok({ scans: [], more: false }), requests: 0 };
  let requests = 0;
  const [row] = await deps.db
    .select({ readTo: trackers.feedReadTo })
    .from(trackers)
    .where(eq(trackers.name, tracker.name));
  const mark = (readTo: Date) => readUpTo(deps, tracker, readTo);
  if (!row?.readTo) await mark(new Date(now));
  const result = await walkFeed(
    row?.readTo ? windowsFrom(row.readTo.getTime(), now, feed) : [],
    async (window, page) => {
      const call = { request: feed.request(window, page), read: feed.read };
      last = await requestCourier(deps, tracker, runId, () => call, signal);
      requests += last.requests;
      return last.result;
    },
    async (scans) => {
      const applied = await applyScans(deps, tracker, runId, scans, now);
      for (const counted of ['updated', 'unchanged', 'mismatched', 'unmapped'] as const)
        counts[counted] += applied[counted];
    },
    mark,
  );
  return { result: result.ok ? ok(counts) : result, requests, wait: last.wait };
}

const readUpTo = async ({ db }: TrackingDeps, { name }: Tracker, to: Date): Promise<void> => {
  await db
    .update(trackers)
    .set({ feedReadTo: to })
    .where(and(eq(trackers.name, name), or(isNull(trackers.feedReadTo), lt(trackers.feedReadTo, to))));
};

/** Ends a parcel, or has no meaning: its own answer tells more. */
const isToConfirm = ({ means }: Scan) => means === undefined || (means !== 'unchanged' && isFinal(means));

/** @returns counts of the parcels that were applied; those to be confirmed are planned as batches of the run */
async function applyScans(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  scans: readonly NumberedScan[],
  now: number,
): Promise<Counts> {
  const newest = newestByNumber(scans);
  const valid = scans.map(([number]) => number).filter(isParcelNumber);
  if (valid.length === 0) return NO_COUNTS;
  const { counts, confirm } = await deps.db.transaction(async (tx) => {
    const named = (await lockNamed(tx, valid)).filter(
      ({ tracker: its, awb }) => its === tracker.name && newest.has(keyOf(awb)),
    );
    const scanOf = (number: string | null) => newest.get(keyOf(number)) as Scan;
    const confirm = named.filter(
      ({ awb, status, trackedBy }) =>
        isToConfirm(scanOf(awb)) && trackedBy === tracker.name && scanOf(awb).means !== status,
    );
    const direct = named.filter(({ awb }) => !isToConfirm(scanOf(awb)));
    const parcels = await lockParcels(
      tx,
      tracker,
      direct.map(({ id }) => id),
    );
    const items = new Map(parcels.map(({ number }) => [number, scanOf(number)]));
    const { results } = await applyAnswer(tx, tracker, parcels, items, now);
    // C3: counts add up to what was planned; the run is locked from here on
    await tx
      .update(trackingRuns)
      .set({ planned: sql`${trackingRuns.planned} + ${parcels.length + confirm.length}` })
      .where(eq(trackingRuns.id, runId));
    const { batch } = tracker.courier;
    for (let from = 0; from < confirm.length; from += batch) {
      const ids = confirm.slice(from, from + batch).map(({ id }) => id);
      await addBatch(tx, runId, ids, new Date(now));
    }
    return { counts: countsOf(results.values()), confirm };
  });
  if (confirm.length > 0) await enqueueDue(deps, batchesOf(tracker));
  return counts;
}
