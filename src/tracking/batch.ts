import type { TransactionSql } from 'postgres';
import { rawOf } from '../db/client.ts';
import { despiteOutage } from '../db/despite-outage.ts';
import { type Failure, messageOf, ok } from '../errors.ts';
import { isInfrastructureFault } from '../infrastructure.ts';
import { ClaimLost } from '../leases/claim.ts';
import { enqueueDue } from '../leases/enqueue.ts';
import { isParcelNumber } from '../numbers.ts';
import { backoffMs, minutes, seconds } from '../queue/define.ts';
import { type JobContext, type Outcome, Wait } from '../queue/handle.ts';
import { applyAnswer, lockParcels } from './apply.ts';
import { type Asked, ask } from './ask.ts';
import { type Tracker, whyOff } from './catalogue.ts';
import {
  type Batch,
  batchesOf,
  claimBatch,
  endBatch,
  releaseBatch,
  renewBatch,
  retryBatch,
  whyUnclaimed,
} from './claim.ts';
import type { Item } from './courier.ts';
import { LEASE_MS, type TrackingDeps } from './deps.ts';
import type { BatchJob } from './queues.ts';
import { countInRun, giveUpRun, NO_COUNTS } from './runs.ts';
import { markStopped, markWorking } from './stop.ts';
import { startWait, TrackerWaits, type Waits } from './waits.ts';

/** Tries of a batch that fails for the moment; the next run asks for its parcels anyway. */
const ATTEMPTS = 5;
const BACKOFF = { baseMs: seconds(2), maxMs: minutes(1) };
/** A batch that ends its worker this often is given up. */
const POISON_ATTEMPTS = 20;
/** Parcels of a run that fail alone, one after the other without any answer between: then it is not the parcels. */
const ALONE_IN_VAIN = 20;
/** The same of batches that are halved; the places of ten processes halve some hundreds before the first answer. */
const HALVED_IN_VAIN = 1_000;
/** A worker that lacks a tracker's credentials leaves its batches to others for so long. */
const NOT_OURS_MS = seconds(30);

export interface BatchTimes {
  leaseMs: number;
}

/** Handler of a tracker's queue (C3): asks for a batch of parcels and writes what the courier says of them. */
export const createBatchHandler =
  (deps: TrackingDeps, tracker: Tracker, waits: Waits, { leaseMs }: BatchTimes = { leaseMs: LEASE_MS }) =>
  async (job: BatchJob, context: JobContext): Promise<Outcome> => {
    // the scheduler has credentials that this worker was not given yet, or not at all: others may have them
    if (!tracker.connection) throw new Wait(NOT_OURS_MS, `${whyOff(tracker)}: left to other workers`);
    const wait = await waits.join(tracker.name);
    const signal = AbortSignal.any([context.signal, wait.signal]);
    let renewing: NodeJS.Timeout | undefined;
    try {
      const batch = await claimBatch(deps, tracker, job, context.redelivered, leaseMs);
      if (!batch) return await whyUnclaimed(deps, tracker, job);
      renewing = setInterval(() => renewBatch(deps, batch, leaseMs).catch(() => {}), leaseMs / 3);
      try {
        return await track(deps, tracker, batch, signal);
      } catch (error) {
        return await onThrown(deps, tracker, batch, error, signal, context.signal);
      }
    } finally {
      clearInterval(renewing);
      wait.leave();
    }
  };

/** What was thrown is a cut, a wait, the infrastructure's fault, which spend no attempt (R2), or our own mistake. */
async function onThrown(
  deps: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  error: unknown,
  signal: AbortSignal,
  jobSignal: AbortSignal,
): Promise<Outcome> {
  if (error instanceof ClaimLost) return { outcome: 'taken over by another worker' };
  if (error instanceof Wait) throw error;
  if (signal.aborted || isInfrastructureFault(error)) {
    await despiteOutage(() => releaseBatch(deps, batch), jobSignal).catch(() => {});
    if (signal.reason instanceof TrackerWaits && !jobSignal.aborted)
      return await whyUnclaimed(deps, tracker, { v: 1, ...batch });
    throw error;
  }
  // R3: a parcel that cannot be written must not hold up its batch for ever
  const message = `our own mistake: ${messageOf(error)}`;
  deps.log.error({ tracker: tracker.name, run: batch.runId, no: batch.no, err: message }, 'batch');
  return await onFailure(deps, tracker, batch, { requests: 0 }, { kind: 'bug', message });
}

async function track(
  deps: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  signal: AbortSignal,
): Promise<Outcome> {
  const numbers = await numbersOf(deps, tracker, batch);
  const sound = [...new Set(numbers.filter(isParcelNumber))];
  if (batch.attempts > POISON_ATTEMPTS)
    return await fail(deps, batch, `given up: ${POISON_ATTEMPTS} tries ended without an outcome`, 0);
  const asked: Asked =
    sound.length > 0
      ? await ask(deps, tracker, batch.runId, sound, signal)
      : { result: ok(new Map()), requests: 0 };
  return asked.result.ok
    ? await settle(deps, tracker, batch, asked.result.value, asked.requests)
    : await onFailure(deps, tracker, batch, asked, asked.result.failure);
}

/** What the parcels of a batch are asked by; '' where there is none any more. */
async function numbersOf({ db }: TrackingDeps, { courier }: Tracker, batch: Batch): Promise<string[]> {
  const sql = db.$client;
  const column = courier.selection.number === 'lr' ? sql`lr_number` : sql`awb_number`;
  const rows = await sql<{ number: string }[]>`
    select btrim(coalesce(${column}, '')) as number from shipments where id = any(${batch.shipmentIds}::uuid[])`;
  return rows.map(({ number }) => number);
}

/** Writes what the answer says, and the batch's end, in one transaction. */
async function settle(
  { db, clock, log }: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  items: ReadonlyMap<string, Item>,
  requests: number,
): Promise<Outcome> {
  const now = clock();
  return await db.transaction(async (tx) => {
    const sql = rawOf(tx);
    const all = await lockParcels(sql, tracker, batch.shipmentIds);
    const sound = all.filter(({ number }) => isParcelNumber(number));
    const { counts, words, reopened } = await applyAnswer(sql, tracker, sound, items, now);
    for (const change of reopened)
      log.warn({ tracker: tracker.name, ...change }, 'a parcel goes on after its end'); // C7
    const unsound = all.filter((parcel) => !sound.includes(parcel)).map(({ id }) => id);
    await touch(sql, unsound, now);
    const gone = batch.shipmentIds.length - sound.length; // without a sound number, or deleted meanwhile
    if (items.size > 0) await markWorking(sql, tracker);
    await endBatch(tx, batch, 'done', null, now);
    const errors = gone > 0 ? { 'its number is none, or has signs that no number has': gone } : {};
    await countInRun(
      sql,
      batch.runId,
      { ...counts, failed: gone, requests },
      { words, errors },
      new Date(now),
    );
    return { outcome: 'asked', parcels: batch.shipmentIds.length, ...counts, failed: gone, requests };
  });
}

const touch = (sql: TransactionSql, ids: readonly string[], now: number) =>
  ids.length > 0 &&
  sql`update shipments set last_tracked_at = ${new Date(now)} where id = any(${ids as string[]}::uuid[])`;

/** One action for each kind of failure. */
async function onFailure(
  deps: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  { requests, wait }: Pick<Asked, 'requests' | 'wait'>,
  failure: Failure,
): Promise<Outcome> {
  const { message, retryAfterMs } = failure;
  switch (failure.kind) {
    case 'notReady':
    case 'throttled': {
      const ms = retryAfterMs ?? minutes(5);
      if (wait) await startWait(deps, tracker, batch.runId, wait); // first: others are asking still
      await releaseBatch(deps, batch, ms);
      await count(deps, batch, requests);
      throw new Wait(ms, message);
    }
    case 'credentials': {
      const now = deps.clock();
      await count(deps, batch, requests);
      await deps.db.$client.begin((sql) => markStopped(sql, tracker, batch.runId, message, now));
      await deps.db.$client.begin((sql) => giveUpRun(sql, batch.runId, message, new Date(now)));
      return { outcome: 'tracker stopped', why: message };
    }
    case 'rejected':
      return await halve(deps, tracker, batch, message, requests, 0);
    default: {
      if (batch.attempts < ATTEMPTS) {
        const ms = retryAfterMs ?? backoffMs(BACKOFF, batch.attempts);
        await retryBatch(deps, batch, ms, message);
        await count(deps, batch, requests);
        throw new Wait(ms, message);
      }
      // what fails again and again, while others are answered, may be one parcel's fault; its halves get one try each
      return await halve(deps, tracker, batch, message, requests, ATTEMPTS - 1);
    }
  }
}

const count = ({ db }: TrackingDeps, { runId }: Batch, requests: number) =>
  db.$client`update tracking_runs set requests = requests + ${requests} where id = ${runId}`;

/**
 * C9: halves a batch that fails whole, until the parcel at fault is alone. When nothing at all is answered any more, the
 * fault is the API's, and asking for each parcel by itself would take the run hours.
 * @param attempts tries that the halves have behind them
 */
async function halve(
  deps: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  message: string,
  requests: number,
  attempts: number,
): Promise<Outcome> {
  const { runId, shipmentIds } = batch;
  if (shipmentIds.length === 1 || (await inVain(deps, runId)))
    return await fail(deps, batch, message, requests);
  const now = deps.clock();
  const middle = Math.ceil(shipmentIds.length / 2);
  await deps.db.transaction(async (tx) => {
    const sql = rawOf(tx);
    await endBatch(tx, batch, 'split', message, now);
    // locks the run: of two batches that are halved at once each gets numbers of its own
    await sql`update tracking_runs set requests = requests + ${requests} where id = ${runId}`;
    for (const half of [shipmentIds.slice(0, middle), shipmentIds.slice(middle)])
      await sql`
        insert into tracking_batches (run_id, no, shipment_ids, attempts, due_at)
        select ${runId}, max(no) + 1, ${half}::uuid[], ${attempts}, ${new Date(now)} from tracking_batches where run_id = ${runId}`;
  });
  await enqueueDue(deps, batchesOf(tracker), { first: true }); // to the ground first: so it shows soon whose fault it is
  return { outcome: 'halved', parcels: shipmentIds.length, why: message };
}

/** True when nothing has been answered since so much was tried. An ended batch's due_at is its end. */
async function inVain({ db }: TrackingDeps, runId: string): Promise<boolean> {
  const [row] = await db.$client<{ halved: number; alone: number }[]>`
    select count(*) filter (where state = 'split')::int as halved,
      count(*) filter (where state = 'failed' and cardinality(shipment_ids) = 1)::int as alone
    from tracking_batches where run_id = ${runId} and state in ('split', 'failed') and due_at > coalesce(
      (select max(due_at) from tracking_batches where run_id = ${runId} and state = 'done'), '-infinity')`;
  return row !== undefined && (row.halved >= HALVED_IN_VAIN || row.alone >= ALONE_IN_VAIN);
}

/** Given up. A single parcel counts as asked for, lest it stands in front of all others for ever. */
async function fail(
  { db, clock }: TrackingDeps,
  batch: Batch,
  message: string,
  requests: number,
): Promise<Outcome> {
  const now = clock();
  const failed = batch.shipmentIds.length;
  await db.transaction(async (tx) => {
    const sql = rawOf(tx);
    if (failed === 1) await touch(sql, batch.shipmentIds, now);
    await endBatch(tx, batch, 'failed', message, now);
    await countInRun(
      sql,
      batch.runId,
      { ...NO_COUNTS, failed, requests },
      { errors: { [message]: failed } },
      new Date(now),
    );
  });
  return { outcome: 'failed', parcels: failed, why: message };
}
