import { type Placeholder, type SQL, sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { insertion, json, type RowOf, rows } from '../../db/query.ts';
import { shipments, trackers, trackingBatches, trackingRuns } from '../../db/schema/index.ts';
import { type Claim, explainUnclaimed, finish, release, renew, retry } from '../../leases/claim.ts';
import { defineWork, type Work } from '../../leases/define.ts';
import { defineClaims } from '../../leases/define-claims.ts';
import { claimEach, finishAll } from '../../leases/each.ts';
import { dueJobId } from '../../leases/job-id.ts';
import { countAlike, together } from '../../lib/together.ts';
import { seconds } from '../../queue/define.ts';
import { type Outcome, Wait } from '../../queue/handle.ts';
import type { TrackingDeps } from '../deps.ts';
import { type BatchJob, queueOf } from '../queues.ts';
import type { Tracker } from '../registry.ts';
import { numberOf } from '../selection.ts';
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
      fields: { runId, no, size: sql<number>`cardinality(${trackingBatches.shipmentIds})` },
      jobs:
        ({ now }) =>
        (due) =>
          due.map(({ runId, no, size, dueMs }) => ({
            id: dueJobId(`${runId}-${no}`, dueMs, now.getTime()),
            payload: { v: 1 as const, runId, no, size },
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

/** What is read of a batch; `numbers`: those by which its parcels are requested, '' for a parcel that has none any more. */
const batchOf = ({ courier }: Tracker) => ({
  runId,
  no,
  attempts: trackingBatches.attempts,
  shipmentIds: trackingBatches.shipmentIds,
  numbers: json<string[]>(sql`(select coalesce(jsonb_agg(${numberOf(courier)}), '[]') from ${shipments}
    where ${shipments.id} = any(${trackingBatches.shipmentIds}))`),
});
type BatchRow = RowOf<ReturnType<typeof batchOf>>;
/** A batch that this worker has claimed. */
export type Batch = BatchRow & { claim: Claim<BatchRow> };

const ph = sql.placeholder;

/** A tracker's statements are built once. */
const built = new WeakMap<Tracker, ReturnType<typeof defineBatchClaims>>();
function claimsOf(tracker: Tracker) {
  const claims = built.get(tracker) ?? defineBatchClaims(tracker);
  built.set(tracker, claims);
  return claims;
}

const defineBatchClaims = (tracker: Tracker) =>
  defineClaims(batchesOf(tracker), {
    where: sql`${runId} = ${ph('runId')} and ${no} = ${ph('no')}`,
    ready: goesOn(tracker.name, sql`${notWaiting(ph('now'))} and ${notStopped}`),
    fields: batchOf(tracker),
    each: [runId, no],
    set: { state: 'working' },
  });

/** Claims the batch of a job; `redelivered`: the job of a worker that died. @returns undefined when it is not to be had */
export type ClaimBatch = (job: BatchJob, redelivered: boolean) => Promise<Batch | undefined>;

/**
 * Claims due batches of a running run; not during its tracker's cooldown (C10) or after a later stop (C11). Jobs that come
 * together are claimed together (P5).
 */
export function createClaimer(deps: TrackingDeps, tracker: Tracker, leaseMs: number): ClaimBatch {
  const claimOne = together<{ job: BatchJob; redelivered: boolean }, Batch | undefined>(
    async (group) => {
      const { redelivered } = group[0] as (typeof group)[number];
      const keys = group.map(({ job }) => job).sort((a, b) => a.no - b.no || (a.runId < b.runId ? -1 : 1));
      const claims = await claimEach(deps, claimsOf(tracker), keys, { leaseMs, redelivered });
      const batches = claims.flatMap((claim) => claim.rows.map((row): Batch => ({ ...row, claim })));
      return group.map(({ job: { runId, no } }) => {
        const at = batches.findIndex((batch) => batch.runId === runId && batch.no === no);
        return batches.splice(at, at < 0 ? 0 : 1)[0]; // another job of the same batch gets none
      });
    },
    { count: (waiting) => countAlike(waiting, ({ redelivered }) => redelivered) },
  );
  return (job, redelivered) => claimOne({ job, redelivered });
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

/** Several that have got their response. @throws ClaimLost */
export const endBatches = (tx: Tx, batches: readonly Batch[], now: number) =>
  finishAll(
    tx,
    [...batches].sort((a, b) => a.no - b.no).map(({ claim }) => claim),
    'done',
    { error: null, dueAt: new Date(now) },
  );

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
