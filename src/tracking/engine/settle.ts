import { isInfrastructureFault } from '../../lib/infrastructure.ts';
import { isParcelNumber } from '../../lib/numbers.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { TrackingDeps } from '../deps.ts';
import type { Tracker } from '../registry.ts';
import type { Item } from '../toolkit/courier.ts';
import { applyAnswer, countsOf, touch } from './apply.ts';
import { type Batch, endBatch } from './claim.ts';
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

interface Waiting extends Answered {
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/**
 * Responses of a tracker that come while others are being written are written together, in one transaction: each
 * statement's round trip, and the lock on the run's counts, is shared by up to twenty batches (P5). One that cannot be
 * written is alone with its fault (R3).
 */
export function createSettler(deps: TrackingDeps, tracker: Tracker): Settle {
  const waiting: Waiting[] = [];
  let writing = false;

  async function write(group: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await settle(deps, tracker, group);
      for (const [index, one] of group.entries()) one.resolve(outcomes[index] as Outcome);
    } catch (error) {
      if (group.length === 1 || isInfrastructureFault(error)) for (const one of group) one.reject(error);
      else for (const one of group) await write([one]);
    }
  }
  async function writeAll(): Promise<void> {
    if (writing) return;
    writing = true;
    try {
      while (waiting.length > 0) await write(next(waiting));
    } finally {
      writing = false;
    }
  }
  return (answered) =>
    new Promise((resolve, reject) => {
      waiting.push({ ...answered, resolve, reject });
      void writeAll();
    });
}

/** Takes the longest waiting ones of one run off the line. */
function next(waiting: Waiting[]): Waiting[] {
  let [count, parcels] = [0, 0];
  for (const { batch } of waiting) {
    parcels += batch.shipmentIds.length;
    if (count > 0 && (parcels > MOST_PARCELS || batch.runId !== waiting[0]?.batch.runId)) break;
    count++;
  }
  return waiting.splice(0, count);
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
    const valid = all.filter(({ number }) => isParcelNumber(number));
    const items = new Map(group.flatMap(({ items }) => [...items]));
    const { results, words, reopened } = await applyAnswer(tx, tracker, valid, items, now);
    for (const change of reopened)
      log.warn({ tracker: tracker.name, ...change }, 'a parcel was updated after its final status'); // C7
    const invalid = all.filter(({ id }) => !results.has(id)).map(({ id }) => id);
    await touch(tx, invalid, now);
    if (items.size > 0) await markWorking(tx, tracker);
    await Promise.all(group.map(({ batch }) => endBatch(tx, batch, 'done', null, now)));
    const outcomes = group.map(({ batch: { shipmentIds }, requests }) => {
      const known = shipmentIds.flatMap((id) => results.get(id) ?? []);
      const failed = shipmentIds.length - known.length; // without a valid number, or deleted meanwhile
      return { parcels: shipmentIds.length, ...countsOf(known), failed, requests };
    });
    const counts = sum(outcomes);
    const errors = counts.failed > 0 ? { 'invalid tracking number': counts.failed } : {};
    await countInRun(tx, runId, counts, { words, errors }, new Date(now));
    return outcomes.map((counts) => ({ outcome: 'tracked', ...counts }));
  });
}

function sum(all: readonly Counts[]): Counts {
  const total = { ...NO_COUNTS };
  for (const counts of all)
    for (const counted of Object.keys(total) as (keyof Counts)[]) total[counted] += counts[counted];
  return total;
}
