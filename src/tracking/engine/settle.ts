import { isParcelNumber } from '../../lib/numbers.ts';
import { countAlike, together } from '../../lib/together.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { TrackingDeps } from '../deps.ts';
import type { Tracker } from '../registry.ts';
import type { Item } from '../toolkit/courier.ts';
import { applyAnswer, countsOf, touch } from './apply.ts';
import { type Batch, endBatches } from './claim.ts';
import { lockParcels } from './lock-parcels.ts';
import { type Counts, countInRun, NO_COUNTS } from './runs.ts';
import { markWorking } from './suspend.ts';

/** A batch with its response. */
export interface Answered {
  batch: Batch;
  /** By number. */
  items: ReadonlyMap<string, Item>;
  /** Requests sent. */
  requests: number;
}

/** Applies a response and ends its batch. @throws ClaimLost */
export type Settle = (answered: Answered) => Promise<Outcome>;

/** Parcels of one transaction: their locks are held no longer than a tenth of a second. */
const MOST_PARCELS = 1_000;

/**
 * Responses of a tracker that come while others are being written are written together, in one transaction: each
 * statement's round trip, and the lock on the run's counts, is shared by up to twenty batches (P5).
 */
export const createSettler = (deps: TrackingDeps, tracker: Tracker): Settle =>
  together((group) => settle(deps, tracker, group), { count: fitting });

/** How many of the first ones are of one run, and few enough parcels. */
function fitting(waiting: readonly Answered[]): number {
  let parcels = 0;
  const ofOneRun = waiting.slice(
    0,
    countAlike(waiting, ({ batch }) => batch.runId),
  );
  const tooMany = ofOneRun.findIndex(({ batch }) => {
    parcels += batch.shipmentIds.length;
    return parcels > MOST_PARCELS;
  });
  return tooMany < 0 ? ofOneRun.length : tooMany;
}

async function settle(
  { db, clock, log }: TrackingDeps,
  tracker: Tracker,
  group: readonly Answered[],
): Promise<Outcome[]> {
  const now = clock();
  const runId = group[0]?.batch.runId as string;
  return await db.transaction(async (tx) => {
    const all = await lockParcels(
      tx,
      tracker,
      group.flatMap(({ batch }) => batch.shipmentIds),
    );
    const items = new Map(group.flatMap(({ items }) => [...items]));
    const valid = all.filter(({ number }) => items.has(number) || isParcelNumber(number));
    const { results, words, reopened } = await applyAnswer(tx, tracker, valid, items, now);
    for (const change of reopened)
      log.warn({ tracker: tracker.name, ...change }, 'a parcel was updated after its final status'); // C7
    const invalid = all.filter(({ id }) => !results.has(id)).map(({ id }) => id);
    const outcomes = group.map(({ batch: { shipmentIds }, requests }) => {
      const known = shipmentIds.flatMap((id) => results.get(id) ?? []);
      const failed = shipmentIds.length - known.length; // without a valid number, or deleted meanwhile
      return { parcels: shipmentIds.length, ...countsOf(known), failed, requests };
    });
    const counts = sum(outcomes);
    const errors = counts.failed > 0 ? { 'invalid tracking number': counts.failed } : {};
    await Promise.all([
      touch(tx, invalid, now),
      items.size > 0 && markWorking(tx, tracker),
      endBatches(
        tx,
        group.map(({ batch }) => batch),
        now,
      ),
      countInRun(tx, runId, counts, { words, errors }, new Date(now)),
    ]);
    return outcomes.map((counts) => ({ outcome: 'tracked', ...counts }));
  });
}

function sum(all: readonly Counts[]): Counts {
  const total = { ...NO_COUNTS };
  for (const counts of all)
    for (const counted of Object.keys(total) as (keyof Counts)[]) total[counted] += counts[counted];
  return total;
}
