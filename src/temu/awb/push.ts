import { despiteOutage } from '../../db/despite-outage.ts';
import { ClaimLost, explainUnclaimed } from '../../leases/claim.ts';
import { actionOf, type Failure, messageOf } from '../../lib/errors.ts';
import { isInfrastructureFault } from '../../lib/infrastructure.ts';
import { minutes } from '../../queue/define.ts';
import type { JobContext, Outcome } from '../../queue/handle.ts';
import {
  type AwbDeps,
  type Claim,
  type ClaimedPush,
  claimPushes,
  ORDERS_PUSHES,
  releasePushes,
} from './claim.ts';
import { carrierOf, confirm, updateTrackingNumber } from './confirm.ts';
import { type FastPath, onFailure, parked, postpone, settle, type Work } from './outcome.ts';
import { compare, type KnownPackage, planPush } from './plan.ts';
import { postponePushes, replacedReason } from './push-store.ts';
import { readBack, readOrder } from './read-order.ts';

/** An order that may not ship yet is checked again after this long. */
const WAIT_MS = minutes(1);
/** A push that kills its worker this often is parked: more than a week of attempts, one every ten minutes (A7). */
const POISON_ATTEMPTS = 1_500;

/** Handler of awb-push (A3, A6): claims what is due for an order, plans, sends, and writes the outcome. */
export const createPush =
  (deps: AwbDeps) =>
  async (job: { orderId: string }, context: JobContext): Promise<Outcome> => {
    const claim = await claimPushes(deps, job.orderId, context.redelivered);
    if (claim) return await pushClaimed(deps, claim, context.signal);
    return await explainUnclaimed(deps, ORDERS_PUSHES, { orderId: job.orderId });
  };

/**
 * Processes a claim and always leaves it settled or released.
 * @param fastPath undefined: from the queue
 */
export async function pushClaimed(
  deps: AwbDeps,
  claim: Claim,
  signal: AbortSignal,
  fastPath?: FastPath,
): Promise<Outcome> {
  try {
    return await pushOrder(deps, claim, signal, fastPath);
  } catch (error) {
    if (error instanceof ClaimLost) return { outcome: 'taken over by another worker' };
    const interrupted = signal.aborted || isInfrastructureFault(error);
    await despiteOutage(
      () =>
        interrupted
          ? releasePushes(deps, claim)
          : postponePushes(deps, claim, `internal error: ${messageOf(error)}`),
      signal,
    ).catch(() => {}); // then the lease runs out
    throw error;
  }
}

async function pushOrder(
  deps: AwbDeps,
  claim: Claim,
  signal: AbortSignal,
  fastPath: FastPath | undefined,
): Promise<Outcome> {
  const order = await readOrder(deps, claim.orderId);
  const store = order?.store;
  if (!order || !store) {
    // due as it is: when the store resumes, it is enqueued again
    await releasePushes(deps, claim);
    return { outcome: 'store paused' };
  }
  const work: Work = { deps, claim, store, order, signal, fastPath };
  if (claim.pushes.some(({ attempts }) => attempts > POISON_ATTEMPTS))
    return await settle(work, claim.pushes, {
      ...parked(`given up after ${POISON_ATTEMPTS} attempts without a result`),
      maybeDelivered: true,
    });

  const unknown = claim.pushes.filter(({ toldAt }) => toldAt !== null);
  const open = unknown.length > 0 ? await reconcileUnknown(work, unknown) : claim.pushes;
  if (!Array.isArray(open)) return open;
  if (open.length === 0) return { outcome: 'sent', order: order.sn };
  return await carryOut(work, open);
}

/** Executes the plan for pushes that certainly did not reach Temu. */
async function carryOut(work: Work, open: readonly ClaimedPush[]): Promise<Outcome> {
  const plan = planPush({
    ...work.order,
    parcels: open.map((push) => ({
      pushId: push.id,
      awbNumber: push.awbNumber,
      carrier: carrierOf(push),
      items: push.items,
      createdAt: push.createdAt,
    })),
  });
  switch (plan.do) {
    case 'replace': {
      const older = open.filter(({ id }) => plan.parcels.some(({ pushId }) => pushId === id));
      const left = open.filter((push) => !older.includes(push));
      await settle(work, older, { state: 'replaced', error: replacedReason(plan.by) });
      return left.length > 0
        ? await carryOut(work, left)
        : { outcome: 'replaced', order: work.order.sn, by: plan.by };
    }
    case 'wait':
      return await postpone(work, open, { ms: WAIT_MS, error: plan.reason, spent: false });
    case 'park':
      return await settle(work, open, parked(plan.reason, plan.untilOrderChanges));
    case 'compare':
      return await reconcileShipped(work, open);
    case 'confirm':
      return await confirm(work, open, plan.sendType, plan.packages);
  }
}

/**
 * A6: an earlier request's response was lost. Asks Temu what it has.
 * @returns the pushes that certainly still need sending; or the outcome when it must wait or has failed
 */
async function reconcileUnknown(
  work: Work,
  unknown: readonly ClaimedPush[],
): Promise<ClaimedPush[] | Outcome> {
  const all = work.claim.pushes;
  const known = await readBack(work.deps, work.store, work.order, work.signal);
  if (!known.ok) return await onUnanswerable(work, all, known.failure);
  const found = new Map(unknown.map((push) => [push, compare(push.awbNumber, known.value, work.order.sent)]));
  const sent = unknown.filter((push) => found.get(push)?.is === 'sent');
  if (sent.length > 0) {
    await settle(work, sent, { state: 'sent' });
    work.order.sent.push(...sent.map(({ awbNumber }) => awbNumber));
    for (const push of sent)
      if (push.items === null && !(work.order.newestSent && work.order.newestSent.createdAt > push.createdAt))
        work.order.newestSent = push;
  }
  const open = all.filter((push) => !sent.includes(push));
  const since = Math.max(...unknown.map(({ toldAt }) => toldAt?.getTime() ?? 0));
  const believedAt = since + work.deps.timings.believeMissingMs;
  if (sent.length < unknown.length && work.deps.clock() < believedAt)
    return await postpone(work, open, {
      ms: believedAt - work.deps.clock(),
      error: 'the response was lost and Temu does not have the number yet: checking again before resending',
      spent: false,
    });
  // another number in place of ours is for the operator to resolve: nothing more is sent
  let last: Outcome | undefined;
  const left: ClaimedPush[] = [];
  for (const push of open) {
    const is = found.get(push);
    if (is?.is === 'conflict') last = await settle(work, [push], parked(is.reason));
    else left.push({ ...push, toldAt: null });
  }
  return left.length === 0 && last ? last : left;
}

/** Temu's read-back failed: retried where that helps, else parked, never resent. */
async function onUnanswerable(
  work: Work,
  pushes: readonly ClaimedPush[],
  failure: Failure,
): Promise<Outcome> {
  const action = actionOf(failure);
  if (action !== 'park' && action !== 'verify' && action !== 'pauseApi')
    return await onFailure(work, pushes, failure);
  const error = `the AWB may have reached Temu, which cannot be verified (${failure.message}): check the order in the seller centre`;
  return await settle(work, pushes, { ...parked(error), maybeDelivered: true });
}

/** The order has shipped: compares Temu's numbers with ours, and updates an earlier number of ours. */
async function reconcileShipped(work: Work, pushes: readonly ClaimedPush[]): Promise<Outcome> {
  const known = await readBack(work.deps, work.store, work.order, work.signal);
  if (!known.ok) return await onFailure(work, pushes, known.failure);
  let last: Outcome = { outcome: 'nothing to do' };
  for (const push of pushes) last = await settleByComparison(work, push, known.value);
  return last;
}

async function settleByComparison(
  work: Work,
  push: ClaimedPush,
  known: readonly KnownPackage[],
): Promise<Outcome> {
  const found = compare(push.awbNumber, known, work.order.sent);
  switch (found.is) {
    case 'sent':
      return await settle(work, [push], { state: 'sent' });
    case 'change':
      if (push.items !== null)
        return await settle(
          work,
          [push],
          parked(
            'it covers part of an order that Temu has as fully shipped: change it in Temu’s seller centre',
          ),
        );
      return await updateTrackingNumber(work, push, found.packageSn);
    case 'conflict':
      return await settle(work, [push], parked(found.reason));
    case 'missing':
      return await settle(
        work,
        [push],
        parked('Temu has the order as shipped, but without a parcel: check it in Temu’s seller centre', true),
      );
  }
}
