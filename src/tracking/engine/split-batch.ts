import { and, count, eq, gt, sql } from 'drizzle-orm';
import { trackingBatches } from '../../db/schema/index.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { TrackingDeps } from '../deps.ts';
import type { Tracker } from '../registry.ts';
import { touch } from './apply.ts';
import { addBatch, type Batch, batchesOf, endBatch } from './claim.ts';
import { markFeedFailing } from './feed-state.ts';
import { countInRun, countRequests, NO_COUNTS } from './runs.ts';

/** Single parcels of a run that fail in a row without a success in between: then the API is at fault, not the parcels. */
const MAX_FAILED_SINGLES = 20;
/** The same for halved batches: the slots of ten processes halve some hundreds before the first success. */
const MAX_HALVED = 1_000;

/**
 * C9: halves a batch that fails as a whole, until the parcel at fault is alone. When nothing succeeds any more, the API
 * is at fault, and requesting each parcel by itself would take the run hours.
 * @param attempts already counted for the halves
 */
export async function splitBatch(
  deps: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  message: string,
  requests: number,
  attempts: number,
): Promise<Outcome> {
  const { runId, shipmentIds } = batch;
  if (shipmentIds.length <= 1 || (await isApiFailing(deps, runId)))
    return await failBatch(deps, tracker, batch, message, requests);
  const now = deps.clock();
  const middle = Math.ceil(shipmentIds.length / 2);
  await deps.db.transaction(async (tx) => {
    await endBatch(tx, batch, 'split', message, now);
    // locks the run, so that two batches halved at once get different numbers
    await countRequests(tx, runId, requests);
    for (const half of [shipmentIds.slice(0, middle), shipmentIds.slice(middle)])
      await addBatch(tx, runId, half, new Date(now), attempts);
  });
  await enqueueDue(deps, batchesOf(tracker), { first: true }); // depth first: the parcel at fault is found soon
  return { outcome: 'halved', halves: 2, parcels: shipmentIds.length, why: message };
}

/** True when so many have failed since the last success. An ended batch's due_at is its end. */
async function isApiFailing({ db }: TrackingDeps, runId: string): Promise<boolean> {
  const { state, dueAt, shipmentIds } = trackingBatches;
  const ofRun = eq(trackingBatches.runId, runId);
  const lastSuccess = db
    .select({ at: sql`coalesce(max(${dueAt}), '-infinity')` })
    .from(trackingBatches)
    .where(and(ofRun, eq(state, 'done')));
  const isHalved = eq(state, 'split');
  const isSingle = sql`${state} = 'failed' and cardinality(${shipmentIds}) = 1`;
  const [row] = await db
    .select({
      halved: sql<number>`${count()} filter (where ${isHalved})`.mapWith(Number),
      single: sql<number>`${count()} filter (where ${isSingle})`.mapWith(Number),
    })
    .from(trackingBatches)
    .where(and(ofRun, gt(dueAt, lastSuccess)));
  return row !== undefined && (row.halved >= MAX_HALVED || row.single >= MAX_FAILED_SINGLES);
}

/**
 * Given up. A single parcel counts as requested, else it would stay first in line forever. A batch without parcels is the
 * run's feed (E7).
 */
export async function failBatch(
  { db, clock }: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  message: string,
  requests: number,
): Promise<Outcome> {
  const now = clock();
  const failed = batch.shipmentIds.length;
  await db.transaction(async (tx) => {
    if (failed === 0) await markFeedFailing(tx, tracker, message, now);
    if (failed === 1) await touch(tx, batch.shipmentIds, now);
    await endBatch(tx, batch, 'failed', message, now);
    await countInRun(
      tx,
      batch.runId,
      { ...NO_COUNTS, failed, requests },
      { errors: failed > 0 ? { [message]: failed } : {} },
      new Date(now),
    );
  });
  return { outcome: 'failed', parcels: failed, why: message };
}
