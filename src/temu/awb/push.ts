import { despiteOutage } from '../../db/despite-outage.ts';
import { actionOf, type Failure, messageOf } from '../../errors.ts';
import { isInfrastructureFault } from '../../infrastructure.ts';
import { ClaimLost, explainUnclaimed } from '../../leases/claim.ts';
import { minutes } from '../../queue/define.ts';
import type { JobContext, Outcome } from '../../queue/handle.ts';
import { activeStore } from '../stores.ts';
import { carrierOf, change, confirm } from './confirm.ts';
import {
  type AwbDeps,
  type Claim,
  type ClaimedPush,
  claimPushes,
  ORDERS_PUSHES,
  postponePushes,
  releasePushes,
  whyReplaced,
} from './ledger.ts';
import { type Direct, onFailure, parked, postpone, settle, type Work } from './outcome.ts';
import { compare, type KnownPackage, planPush } from './plan.ts';
import { readBack, readOrder } from './read.ts';

/** An order that may not ship yet is looked at again after this long. */
const WAIT_MS = minutes(1);
/** A push that ends its worker this often is parked: more than the tries of a week, one every ten minutes (A7). */
const POISON_ATTEMPTS = 1_500;

/** Handler of awb-push (A3, A6): claims what is due for an order, finds out what to do, does it, writes the outcome. */
export const createPush =
  (deps: AwbDeps) =>
  async (job: { orderId: string }, context: JobContext): Promise<Outcome> => {
    const claim = await claimPushes(deps, job.orderId, context.redelivered);
    if (claim) return await pushClaimed(deps, claim, context.signal);
    return await explainUnclaimed(deps, ORDERS_PUSHES, { orderId: job.orderId });
  };

/**
 * What comes of a claim, whatever happens.
 * @param direct undefined: from the queue
 */
export async function pushClaimed(
  deps: AwbDeps,
  claim: Claim,
  signal: AbortSignal,
  direct?: Direct,
): Promise<Outcome> {
  try {
    return await pushOrder(deps, claim, signal, direct);
  } catch (error) {
    if (error instanceof ClaimLost) return { outcome: 'taken over by another worker' };
    const interrupted = signal.aborted || isInfrastructureFault(error);
    await despiteOutage(
      () =>
        interrupted
          ? releasePushes(deps, claim)
          : postponePushes(deps, claim, `our own mistake: ${messageOf(error)}`),
      signal,
    ).catch(() => {}); // then the lease runs out
    throw error;
  }
}

async function pushOrder(
  deps: AwbDeps,
  claim: Claim,
  signal: AbortSignal,
  direct: Direct | undefined,
): Promise<Outcome> {
  const order = await readOrder(deps.db, claim.orderId);
  const store = order?.storeId ? await activeStore(deps.db, deps.secrets, order.storeId) : undefined;
  if (!order || !store) {
    // due as it is: the store's resumption offers it again
    await releasePushes(deps, claim);
    return { outcome: 'store paused' };
  }
  const work: Work = { deps, claim, store, order, signal, direct };
  if (claim.pushes.some(({ attempts }) => attempts > POISON_ATTEMPTS))
    return await settle(work, claim.pushes, {
      ...parked(`given up: ${POISON_ATTEMPTS} tries ended without an outcome`),
      maybeTold: true,
    });

  const told = claim.pushes.filter(({ toldAt }) => toldAt !== null);
  const open = told.length > 0 ? await resolveTold(work, told) : claim.pushes;
  if (!Array.isArray(open)) return open;
  if (open.length === 0) return { outcome: 'sent', order: order.sn };
  return await carryOut(work, open);
}

/** What is planned for pushes that have surely not been told. */
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
      await settle(work, older, { state: 'replaced', error: whyReplaced(plan.by) });
      return left.length > 0
        ? await carryOut(work, left)
        : { outcome: 'replaced', order: work.order.sn, by: plan.by };
    }
    case 'wait':
      return await postpone(work, open, { ms: WAIT_MS, error: plan.reason, spent: false });
    case 'park':
      return await settle(work, open, parked(plan.reason, plan.untilOrderChanges));
    case 'compare':
      return await compareAndChange(work, open);
    case 'confirm':
      return await confirm(work, open, plan.sendType, plan.packages);
  }
}

/**
 * A6: an earlier request's answer was lost. Temu is asked what it has.
 * @returns the pushes that are still to be told, surely; or the outcome when it must wait or has failed
 */
async function resolveTold(work: Work, told: readonly ClaimedPush[]): Promise<ClaimedPush[] | Outcome> {
  const all = work.claim.pushes;
  const known = await readBack(work.deps, work.store, work.order, work.signal);
  if (!known.ok) return await onUnanswerable(work, all, known.failure);
  const found = new Map(told.map((push) => [push, compare(push.awbNumber, known.value, work.order.sent)]));
  const sent = told.filter((push) => found.get(push)?.is === 'sent');
  if (sent.length > 0) {
    await settle(work, sent, { state: 'sent' });
    work.order.sent.push(...sent.map(({ awbNumber }) => awbNumber));
    for (const push of sent)
      if (push.items === null && !(work.order.newestSent && work.order.newestSent.createdAt > push.createdAt))
        work.order.newestSent = push;
  }
  const open = all.filter((push) => !sent.includes(push));
  const since = Math.max(...told.map(({ toldAt }) => toldAt?.getTime() ?? 0));
  const believedAt = since + work.deps.timings.believeMissingMs;
  if (sent.length < told.length && work.deps.clock() < believedAt)
    return await postpone(work, open, {
      ms: believedAt - work.deps.clock(),
      error:
        'the answer was lost and Temu does not have the number yet: it is asked again before anything is sent',
      spent: false,
    });
  // another number in our place is for a person to decide: Temu is told nothing more
  let last: Outcome | undefined;
  const left: ClaimedPush[] = [];
  for (const push of open) {
    const is = found.get(push);
    if (is?.is === 'conflict') last = await settle(work, [push], parked(is.reason));
    else left.push({ ...push, toldAt: null });
  }
  return left.length === 0 && last ? last : left;
}

/** Temu was asked what it has and did not say: tried again where that helps, else left to a person, never sent again. */
async function onUnanswerable(
  work: Work,
  pushes: readonly ClaimedPush[],
  failure: Failure,
): Promise<Outcome> {
  const action = actionOf(failure);
  if (action !== 'park' && action !== 'verify' && action !== 'pauseApi')
    return await onFailure(work, pushes, failure);
  const error = `Temu may have been told, and does not say what it has (${failure.message}): look at the order in the seller centre`;
  return await settle(work, pushes, { ...parked(error), maybeTold: true });
}

/** The order has shipped: what Temu has is compared with ours, and changed where it holds an earlier number of ours. */
async function compareAndChange(work: Work, pushes: readonly ClaimedPush[]): Promise<Outcome> {
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
            'it holds a part of an order that Temu knows as shipped whole: change it in Temu’s seller centre',
          ),
        );
      return await change(work, push, found.packageSn);
    case 'conflict':
      return await settle(work, [push], parked(found.reason));
    case 'missing':
      return await settle(
        work,
        [push],
        parked(
          'Temu calls the order shipped, but names no parcel of it: look at it in Temu’s seller centre',
          true,
        ),
      );
  }
}
