import { type Placeholder, type SQL, sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { insertion, type RowOf, rows } from '../../db/query.ts';
import { trackers, trackingBatches, trackingRuns } from '../../db/schema/index.ts';
import {
  type Claim,
  claim,
  defineClaims,
  explainUnclaimed,
  finish,
  release,
  renew,
  retry,
} from '../../leases/claim.ts';
import { defineWork, type Work } from '../../leases/define.ts';
import { dueJobId } from '../../leases/job-id.ts';
import { seconds } from '../../queue/define.ts';
import { type Outcome, Wait } from '../../queue/handle.ts';
import type { TrackingDeps } from '../deps.ts';
import { type BatchJob, queueOf } from '../queues.ts';
import type { Tracker } from '../registry.ts';
import { batchIsOpen, runGoesOn } from './states.ts';

const { runId, no } = trackingBatches;

/** A job that has not shown up after this long is made again (R1: within two minutes). */
const ENQUEUE_AGAIN_MS = 60_000;
/** Batches enqueued at once at most: a run of a hundred thousand single parcels is enqueued bit by bit. */
const ENQUEUED_MOST = 2_000;

/** The batches of a tracker's running run; none during its cooldown (C10). */
export const batchesOf = (
  tracker: Pick<Tracker, 'name' | 'atOnce' | 'limit'>,
): Work<typeof trackingBatches> =>
  defineWork({
    table: trackingBatches,
    key: [runId, no],
    open: ['pending', 'working'],
    ready: (now) => goesOn(tracker.name, notWaiting(now)),
    // not due during a cooldown
    since: sql`greatest(${trackingBatches.dueAt}, (select ${trackers.waitingUntil} from ${trackers} where ${trackers.name} = ${tracker.name}))`,
    enqueue: {
      queue: queueOf(tracker),
      fields: { runId, no },
      jobs:
        ({ now }) =>
        (due) =>
          due.map(({ runId, no, dueMs }) => ({
            id: dueJobId(`${runId}-${no}`, dueMs, now.getTime()),
            payload: { v: 1 as const, runId, no },
          })),
      sweepMs: seconds(15),
      againMs: ENQUEUE_AGAIN_MS,
      chunk: ENQUEUED_MOST,
      most: ENQUEUED_MOST,
    },
  });

const notWaiting = (now: Date | Placeholder) =>
  sql`(${trackers.waitingUntil} is null or ${trackers.waitingUntil} <= ${now})`;
/** A run that began before its tracker was stopped is over (C11). */
const notStopped = sql`(${trackers.stoppedAt} is null or ${trackers.stoppedAt} <= ${trackingRuns.startedAt})`;

const goesOn = (name: string, further: SQL) => sql`exists (
  select from ${trackingRuns} join ${trackers} on ${trackers.name} = ${trackingRuns.tracker}
  where ${trackingRuns.id} = ${runId} and ${trackingRuns.tracker} = ${name} and ${runGoesOn} and ${further})`;

const BATCH = {
  runId,
  no,
  attempts: trackingBatches.attempts,
  shipmentIds: trackingBatches.shipmentIds,
};
/** A batch that this worker has claimed. */
export type Batch = RowOf<typeof BATCH> & { claim: Claim };

const ph = sql.placeholder;
const ONE = sql`${runId} = ${ph('runId')} and ${no} = ${ph('no')}`;

/** A tracker's statements are built once. */
const built = new WeakMap<Tracker, ReturnType<typeof defineBatchClaims>>();
function claimsOf(tracker: Tracker) {
  const claims = built.get(tracker) ?? defineBatchClaims(tracker);
  built.set(tracker, claims);
  return claims;
}

const defineBatchClaims = (tracker: Tracker) =>
  defineClaims(batchesOf(tracker), {
    where: ONE,
    ready: goesOn(tracker.name, sql`${notWaiting(ph('now'))} and ${notStopped}`),
    fields: BATCH,
    set: { state: 'working' },
  });

/** Claims a due batch of a running run; not during its tracker's cooldown (C10) or after a later stop (C11). */
export async function claimBatch(
  deps: TrackingDeps,
  tracker: Tracker,
  job: BatchJob,
  redelivered: boolean,
  leaseMs: number,
): Promise<Batch | undefined> {
  const { runId, no } = job;
  const claimed = await claim(deps, claimsOf(tracker), { runId, no }, { leaseMs, redelivered });
  const [row] = claimed?.rows ?? [];
  return claimed && row && { ...row, claim: claimed };
}

/** Keeps a batch that waits for the quota, or for another worker's login. */
export const renewBatch = (deps: TrackingDeps, { claim }: Batch, leaseMs: number) =>
  renew(deps, claim, leaseMs);

/** Due again after `ms`, for the job that is delayed as long; the attempt is not counted. */
export function releaseBatch(deps: TrackingDeps, { claim }: Batch, ms = 0): Promise<number> {
  const { dueAt, set } = later(deps, ms);
  return release(deps, claim, { dueAt, set: { ...set, error: null } });
}

/** The same, and the attempt counts. */
export const retryBatch = (deps: TrackingDeps, { claim }: Batch, ms: number, error: string) =>
  retry(deps, claim, { ...later(deps, ms), error });

function later({ clock }: TrackingDeps, ms: number) {
  const dueAt = new Date(clock() + ms);
  return { dueAt, set: { state: 'pending' as const, offeredAt: ms > 0 ? dueAt : null } };
}

/** From then on `dueAt` is the time of its end. @throws ClaimLost */
export const endBatch = (
  tx: Tx,
  { claim }: Batch,
  state: 'done' | 'failed' | 'split',
  error: string | null,
  now: number,
) => finish({ db: tx }, claim, state, { set: { error, dueAt: new Date(now) } });

/**
 * For a job whose batch could not be claimed.
 * @throws Wait during its tracker's cooldown, or when the batch is not due yet
 */
export async function explainUnclaimedBatch(
  deps: TrackingDeps,
  tracker: Tracker,
  job: BatchJob,
): Promise<Outcome> {
  const [row] = await rows(
    deps.db,
    { until: trackers.waitingUntil },
    (read) => sql`
      select ${read} from ${trackingBatches}
        join ${trackingRuns} on ${trackingRuns.id} = ${runId} join ${trackers} on ${trackers.name} = ${trackingRuns.tracker}
      where ${runId} = ${job.runId} and ${no} = ${job.no} and ${batchIsOpen}
        and ${trackers.name} = ${tracker.name} and ${runGoesOn} and ${notStopped}`,
  );
  if (!row) return { outcome: 'nothing to do' };
  const waitMs = (row.until?.getTime() ?? 0) - deps.clock();
  if (waitMs > 0) throw new Wait(waitMs, 'rate-limit cooldown of the courier');
  return await explainUnclaimed(deps, claimsOf(tracker), { runId: job.runId, no: job.no });
}

/** Another batch of a run, under the next number: the run is locked by then. */
export async function addBatch(
  tx: Tx,
  ofRun: string,
  shipmentIds: readonly string[],
  dueAt: Date,
  attempts = 0,
): Promise<void> {
  const next = insertion(trackingBatches, {
    ...{ runId: ofRun, no: sql`max(${no}) + 1`, shipmentIds: [...shipmentIds], attempts, dueAt },
  });
  await tx.execute(sql`${next} from ${trackingBatches} where ${runId} = ${ofRun}`);
}
