import { type Placeholder, type SQL, sql } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { type RowOf, rows } from '../db/query.ts';
import { trackers, trackingBatches, trackingRuns } from '../db/schema/index.ts';
import {
  type Claim,
  claim,
  defineClaims,
  explainUnclaimed,
  finish,
  release,
  renew,
  retry,
} from '../leases/claim.ts';
import { defineWork, type Work } from '../leases/define.ts';
import { dueJobId } from '../leases/job-id.ts';
import { seconds } from '../queue/define.ts';
import { type Outcome, Wait } from '../queue/handle.ts';
import type { Tracker } from './catalogue.ts';
import type { TrackingDeps } from './deps.ts';
import { type BatchJob, queueOf } from './queues.ts';

const { runId, no } = trackingBatches;

/** A job that has not shown up after this long is made again (R1: within two minutes). */
const ENQUEUE_AGAIN_MS = 60_000;
/** Batches that are made jobs by one look at most: a run of a hundred thousand single parcels is offered bit by bit. */
const ENQUEUED_MOST = 2_000;

/** The batches of a tracker's run that goes on; none while it waits (C10). */
export const batchesOf = (tracker: Pick<Tracker, 'name' | 'atOnce'>): Work<typeof trackingBatches> =>
  defineWork({
    table: trackingBatches,
    key: [runId, no],
    open: ['pending', 'working'],
    ready: (now) => runGoesOn(tracker.name, notWaiting(now)),
    // what waits for its courier is not due
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

const runGoesOn = (name: string, further: SQL) => sql`exists (
  select from ${trackingRuns} join ${trackers} on ${trackers.name} = ${trackingRuns.tracker}
  where ${trackingRuns.id} = ${runId} and ${trackingRuns.tracker} = ${name} and ${trackingRuns.state} = 'running' and ${further})`;

const BATCH = {
  runId,
  no,
  attempts: trackingBatches.attempts,
  shipmentIds: trackingBatches.shipmentIds,
};
/** A batch in one worker's hands. */
export type Batch = RowOf<typeof BATCH> & { claim: Claim };

const ONE = sql`${runId} = ${sql.placeholder('runId')} and ${no} = ${sql.placeholder('no')}`;

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
    ready: runGoesOn(tracker.name, sql`${notWaiting(sql.placeholder('now'))} and ${notStopped}`),
    fields: BATCH,
    set: { state: 'working' },
  });

/** Takes a due batch of a run that goes on; not while its tracker waits (C10) or has been stopped since (C11). */
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

/** One that waits for the quota, or for others to log in, stays its worker's. */
export const renewBatch = (deps: TrackingDeps, { claim }: Batch, leaseMs: number) =>
  renew(deps, claim, leaseMs);

/** Due again after `ms`, for the job that waits so long itself; the attempt is given back. */
export function releaseBatch(deps: TrackingDeps, { claim }: Batch, ms = 0): Promise<number> {
  const { dueAt, set } = later(deps, ms);
  return release(deps, claim, { dueAt, set: { ...set, error: null } });
}

/** The same, and the attempt is spent. */
export const retryBatch = (deps: TrackingDeps, { claim }: Batch, ms: number, error: string) =>
  retry(deps, claim, { ...later(deps, ms), error });

function later({ clock }: TrackingDeps, ms: number) {
  const dueAt = new Date(clock() + ms);
  return { dueAt, set: { state: 'pending' as const, offeredAt: ms > 0 ? dueAt : null } };
}

/** From now on its dueAt is the time of its end. @throws ClaimLost */
export const endBatch = (
  tx: Tx,
  { claim }: Batch,
  state: 'done' | 'failed' | 'split',
  error: string | null,
  now: number,
) => finish({ db: tx }, claim, state, { set: { error, dueAt: new Date(now) } });

/**
 * For a job whose batch was not there to be claimed.
 * @throws Wait while its tracker waits, or when its turn is yet to come
 */
export async function whyUnclaimed(deps: TrackingDeps, tracker: Tracker, job: BatchJob): Promise<Outcome> {
  const [row] = await rows(
    deps.db,
    { until: trackers.waitingUntil },
    (read) => sql`
      select ${read} from ${trackingBatches}
        join ${trackingRuns} on ${trackingRuns.id} = ${runId} join ${trackers} on ${trackers.name} = ${trackingRuns.tracker}
      where ${runId} = ${job.runId} and ${no} = ${job.no} and ${trackingBatches.state} in ('pending', 'working')
        and ${trackers.name} = ${tracker.name} and ${trackingRuns.state} = 'running' and ${notStopped}`,
  );
  if (!row) return { outcome: 'nothing to do' };
  const waitMs = (row.until?.getTime() ?? 0) - deps.clock();
  if (waitMs > 0) throw new Wait(waitMs, 'the courier told us to wait');
  return await explainUnclaimed(deps, claimsOf(tracker), { runId: job.runId, no: job.no });
}
