import { Semaphore } from 'async-mutex';
import { despiteOutage } from '../../db/despite-outage.ts';
import { ClaimLost } from '../../leases/claim.ts';
import { type Failure, messageOf, ok } from '../../lib/errors.ts';
import { isInfrastructureFault } from '../../lib/infrastructure.ts';
import { isParcelNumber } from '../../lib/numbers.ts';
import { backoffMs, minutes, seconds } from '../../queue/define.ts';
import { type JobContext, type Outcome, Wait } from '../../queue/handle.ts';
import { LEASE_MS, type TrackingDeps } from '../deps.ts';
import type { BatchJob } from '../queues.ts';
import { type Tracker, whyOff } from '../registry.ts';
import {
  type Batch,
  createClaimer,
  endBatch,
  explainUnclaimedBatch,
  releaseBatch,
  renewBatch,
  retryBatch,
} from './claim.ts';
import { beginCooldown, CooldownAbort, type Cooldowns } from './cooldown.ts';
import { type FeedRead, readFeed } from './feed.ts';
import { markFeedRead } from './feed-state.ts';
import { type Attempt, requestBatch } from './request.ts';
import { countInRun, countRequests, giveUpRun } from './runs.ts';
import { createSettler, type Settle } from './settle.ts';
import { failBatch, splitBatch } from './split-batch.ts';
import { markWorking, suspendTracker } from './suspend.ts';

/** Attempts at a batch with transient failures; the next run requests its parcels anyway. */
const ATTEMPTS = 5;
const BACKOFF = { baseMs: seconds(2), maxMs: minutes(1) };
/** A batch that kills its worker this often is given up. */
const POISON_ATTEMPTS = 20;
/** The slot of a batch that was halved is kept this long: until the halves' jobs have come, which go before larger ones. */
const HALVES_COME_MS = 100;
/** How long a worker without a tracker's credentials leaves its batches to others. */
const NOT_OURS_MS = seconds(30);

export interface BatchTimes {
  leaseMs: number;
}

/** Handler of a tracker's queue (C3): requests a batch of parcels and applies the response. */
export const createBatchHandler = (
  deps: TrackingDeps,
  tracker: Tracker,
  waits: Cooldowns,
  { leaseMs }: BatchTimes = { leaseMs: LEASE_MS },
) => {
  const claimBatch = createClaimer(deps, tracker, leaseMs);
  const settle = createSettler(deps, tracker);
  /** From a batch's claim to its response: what is being written leaves its place to the next one's request. */
  const slots = new Semaphore(tracker.atOnce);
  return async (job: BatchJob, context: JobContext): Promise<Outcome> => {
    // the scheduler has credentials, this worker does not (yet): another worker may have them
    if (!tracker.connection) throw new Wait(NOT_OURS_MS, `${whyOff(tracker)}: left to other workers`);
    const wait = await waits.subscribe(tracker.name);
    const signal = AbortSignal.any([context.signal, wait.signal]);
    let renewing: NodeJS.Timeout | undefined;
    // smaller ones first; an abort ends those in front
    const [, leaveSlot] = await slots.acquire(1, -(job.size ?? 0));
    let leaveAfterMs = 0;
    try {
      context.signal.throwIfAborted();
      const batch = await claimBatch(job, context.redelivered);
      if (!batch) return await explainUnclaimedBatch(deps, tracker, job);
      renewing = setInterval(() => renewBatch(deps, batch, leaseMs).catch(() => {}), leaseMs / 3);
      const write: Settle = (answered) => {
        leaveSlot();
        return settle(answered);
      };
      const outcome = await track(deps, tracker, batch, write, signal).catch((error) =>
        onThrown(deps, tracker, batch, error, signal, context.signal),
      );
      if ('halves' in outcome) leaveAfterMs = HALVES_COME_MS;
      return outcome;
    } finally {
      clearInterval(renewing);
      if (leaveAfterMs > 0) setTimeout(leaveSlot, leaveAfterMs);
      else leaveSlot();
      wait.leave();
    }
  };
};

/** Aborts, waits and infrastructure faults consume no attempt (R2); anything else is a bug of ours. */
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
    if (signal.reason instanceof CooldownAbort && !jobSignal.aborted)
      return await explainUnclaimedBatch(deps, tracker, { v: 1, ...batch });
    throw error;
  }
  // R3: a parcel that cannot be written must not block its batch forever
  const message = `internal error: ${messageOf(error)}`;
  deps.log.error({ tracker: tracker.name, run: batch.runId, no: batch.no, err: message }, 'batch');
  return await onFailure(deps, tracker, batch, { requests: 0 }, { kind: 'bug', message });
}

async function track(
  deps: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  settle: Settle,
  signal: AbortSignal,
): Promise<Outcome> {
  const feed = tracker.connection?.feed;
  if (batch.shipmentIds.length === 0 && feed)
    return await settleFeed(deps, tracker, batch, await readFeed(deps, tracker, feed, batch, signal));
  const valid = [...new Set(batch.numbers.filter(isParcelNumber))];
  if (batch.attempts > POISON_ATTEMPTS)
    return await failBatch(
      deps,
      tracker,
      batch,
      `given up after ${POISON_ATTEMPTS} attempts without a result`,
      0,
    );
  const attempt: Attempt =
    valid.length > 0
      ? await requestBatch(deps, tracker, batch.runId, valid, signal)
      : { result: ok(new Map()), requests: 0 };
  return attempt.result.ok
    ? await settle({ batch, items: attempt.result.value, requests: attempt.requests })
    : await onFailure(deps, tracker, batch, attempt, attempt.result.failure);
}

/** E7: a run's feed has been read; what it brought is written already. */
async function settleFeed(
  deps: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  read: FeedRead,
): Promise<Outcome> {
  const { result, requests } = read;
  if (!result.ok) {
    deps.log.warn({ tracker: tracker.name, run: batch.runId, err: result.failure.message }, 'feed');
    return await onFailure(deps, tracker, batch, read, result.failure);
  }
  const now = deps.clock();
  await deps.db.transaction(async (tx) => {
    await markWorking(tx, tracker);
    await markFeedRead(tx, tracker);
    await endBatch(tx, batch, 'done', null, now);
    await countInRun(tx, batch.runId, { ...result.value, requests }, {}, new Date(now));
  });
  return { outcome: 'feed read', ...result.value, requests };
}

/** One action for each kind of failure. */
async function onFailure(
  deps: TrackingDeps,
  tracker: Tracker,
  batch: Batch,
  { requests, wait }: Pick<Attempt, 'requests' | 'wait'>,
  failure: Failure,
): Promise<Outcome> {
  const { message, retryAfterMs } = failure;
  switch (failure.kind) {
    case 'notReady':
    case 'throttled': {
      const ms = retryAfterMs ?? minutes(5);
      if (wait) await beginCooldown(deps, tracker, batch.runId, wait); // first: other batches still send requests
      await releaseBatch(deps, batch, ms);
      await countRequests(deps.db, batch.runId, requests);
      throw new Wait(ms, message);
    }
    case 'credentials': {
      const now = deps.clock();
      await countRequests(deps.db, batch.runId, requests);
      await deps.db.transaction((tx) => suspendTracker(tx, tracker, batch.runId, message, now));
      await deps.db.transaction((tx) => giveUpRun(tx, batch.runId, message, new Date(now)));
      return { outcome: 'tracker stopped', why: message };
    }
    case 'rejected':
      return await splitBatch(deps, tracker, batch, message, requests, 0);
    default: {
      if (batch.attempts < ATTEMPTS) {
        const ms = retryAfterMs ?? backoffMs(BACKOFF, batch.attempts);
        await retryBatch(deps, batch, ms, message);
        await countRequests(deps.db, batch.runId, requests);
        throw new Wait(ms, message);
      }
      // if it keeps failing while others succeed, one parcel may be at fault; each half gets one attempt
      return await splitBatch(deps, tracker, batch, message, requests, ATTEMPTS - 1);
    }
  }
}
