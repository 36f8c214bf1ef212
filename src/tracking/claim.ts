import type { TransactionSql } from 'postgres';
import { type Outcome, Wait } from '../queue/handle.ts';
import { waitIfEarly } from '../queue/turn.ts';
import type { Tracker } from './catalogue.ts';
import type { TrackingDeps } from './deps.ts';
import type { BatchJob } from './queues.ts';

/** A batch in one worker's hands. Every write through it is refused once another has claimed it. */
export interface Claim {
  runId: string;
  no: number;
  token: string;
  attempts: number;
  shipmentIds: string[];
}

/** Another worker has the batch now: its outcome counts, not ours. */
export class ClaimLost extends Error {
  override name = 'ClaimLost';
}

/** Takes a due batch of a run that goes on; not while its tracker waits (C10) or has been stopped since (C11). */
export async function claimBatch(
  { db, clock }: TrackingDeps,
  { name }: Tracker,
  { runId, no }: BatchJob,
  redelivered: boolean,
  leaseMs: number,
): Promise<Claim | undefined> {
  const now = new Date(clock());
  const token = crypto.randomUUID();
  const [row] = await db.$client<{ attempts: number; shipmentIds: string[] }[]>`
    update tracking_batches b set state = 'working', claim = ${token}, attempts = b.attempts + 1,
      due_at = ${new Date(clock() + leaseMs)}
    from tracking_runs r join trackers t on t.name = r.tracker
    where r.id = b.run_id and r.id = ${runId} and r.tracker = ${name} and r.state = 'running' and b.no = ${no}
      and (b.due_at <= ${now} or ${redelivered}) and b.state in ('pending', 'working')
      and (t.waiting_until is null or t.waiting_until <= ${now})
      and (t.stopped_at is null or t.stopped_at <= r.started_at)
    returning b.attempts, b.shipment_ids as "shipmentIds"`;
  return row && { runId, no, token, ...row };
}

/** A batch that waits for the quota, or for others to log in, stays its worker's. */
export const renew = ({ db, clock }: TrackingDeps, { runId, no, token }: Claim, leaseMs: number) =>
  db.$client`
    update tracking_batches set due_at = ${new Date(clock() + leaseMs)}
    where run_id = ${runId} and no = ${no} and claim = ${token} and state = 'working'`;

/**
 * For a job whose batch was not there to be claimed. In a worker's hands its lease lies beyond the time of its offer; one
 * that was offered after the lease had run out waits for the very turn that the job was made for.
 * @throws Wait when that turn is yet to come
 */
export async function whyNot(
  { db, clock }: TrackingDeps,
  { name }: Tracker,
  job: BatchJob,
): Promise<Outcome> {
  const now = clock();
  const [row] = await db.$client<{ waitingUntil: Date | null; dueAt: Date; held: boolean }[]>`
    select t.waiting_until as "waitingUntil", b.due_at as "dueAt",
      b.state = 'working' and (b.offered_at is null or b.offered_at < b.due_at) as held
    from tracking_batches b join tracking_runs r on r.id = b.run_id join trackers t on t.name = r.tracker
    where t.name = ${name} and b.run_id = ${job.runId} and b.no = ${job.no} and r.state = 'running'
      and b.state in ('pending', 'working') and (t.stopped_at is null or t.stopped_at <= r.started_at)`;
  if (row) {
    const waitMs = (row.waitingUntil?.getTime() ?? 0) - now;
    if (waitMs > 0) throw new Wait(waitMs, 'the courier told us to wait');
  }
  return waitIfEarly(row, now);
}

/** Due again: at once, or after `ms`; `spent` false gives the attempt back. */
export async function giveBack(
  { db, clock }: TrackingDeps,
  { runId, no, token }: Claim,
  { spent, ms = 0, error = null }: { spent: boolean; ms?: number; error?: string | null },
): Promise<void> {
  await db.$client`
    update tracking_batches set state = 'pending', claim = null, error = ${error}, due_at = ${new Date(clock() + ms)},
      attempts = greatest(0, attempts - ${spent ? 0 : 1})
    where run_id = ${runId} and no = ${no} and claim = ${token} and state = 'working'`;
}

/** From now on its due_at is the time of its end. @throws ClaimLost */
export async function endBatch(
  sql: TransactionSql,
  { runId, no, token }: Claim,
  state: 'done' | 'failed' | 'split',
  error: string | null,
  now: number,
): Promise<void> {
  const ended = await sql`
    update tracking_batches set state = ${state}, error = ${error}, claim = null, due_at = ${new Date(now)}
    where run_id = ${runId} and no = ${no} and claim = ${token} and state = 'working' returning 1`;
  if (ended.length === 0) throw new ClaimLost();
}
