import { actionOf, type Failure } from '../../errors.ts';
import { backoffMs, minutes, seconds } from '../../queue/define.ts';
import { type JobContext, type Outcome, Wait } from '../../queue/handle.ts';
import type { Store } from '../client.ts';
import { activeStore, pauseRefusedStore } from '../stores.ts';
import {
  type AwbDeps,
  aboutToTell,
  type Claim,
  type ClaimedPush,
  ClaimLost,
  claimPushes,
  type Settlement,
  settlePushes,
  waitForClaim,
} from './ledger.ts';
import { providerOf, warehouseOf } from './logistics.ts';
import { compare, type KnownPackage, type Package, planPush } from './plan.ts';
import { awbPush } from './queues.ts';
import { type AwbOrder, readBack, readOrder } from './read.ts';

/** An order that may not ship yet is looked at again after this long. */
const WAIT_MS = minutes(1);
/** Without a ship-by date transient failures are retried this long. */
const WITHOUT_DEADLINE_MS = 7 * 24 * 3_600_000;
/** A push that ends its worker this often is parked: more than the tries of a week, one every ten minutes (A7). */
const POISON_ATTEMPTS = 1_500;

/** Handler of awb-push (A3, A6): claims what is due for an order, finds out what to do, does it, writes the outcome. */
export const createPush =
  (deps: AwbDeps) =>
  async (job: { orderId: string }, context: JobContext): Promise<Outcome> => {
    const claim = await claimPushes(deps, job.orderId, context.redelivered);
    if (!claim) {
      const ms = await waitForClaim(deps, job.orderId);
      if (ms !== undefined) throw new Wait(ms, 'another worker has this order, or it is due in a moment');
      return { outcome: 'nothing to do' };
    }
    try {
      return await pushOrder(deps, claim, context);
    } catch (error) {
      if (error instanceof ClaimLost) return { outcome: 'taken over by another worker' };
      await letGo(deps, claim).catch(() => {}); // with Postgres away the lease runs out instead
      throw error;
    }
  };

/** Interrupted: what may have been told is asked about, the rest is due again; nothing is spent. */
async function letGo(deps: AwbDeps, claim: Claim): Promise<void> {
  await deps.db.$client`
    update temu_pushes set claim = null, offered_at = null, due_at = ${new Date(deps.clock())},
      state = case when told_at is null then 'pending' else 'unknown' end, attempts = greatest(0, attempts - 1)
    where claim = ${claim.token} and state = 'sending'`;
}

/** One order in one worker's hands. */
interface Work {
  deps: AwbDeps;
  claim: Claim;
  store: Store;
  order: AwbOrder;
  signal: AbortSignal;
}

async function pushOrder(deps: AwbDeps, claim: Claim, { signal }: JobContext): Promise<Outcome> {
  const order = await readOrder(deps.db, claim.orderId);
  const store = order?.storeId ? await activeStore(deps.db, deps.secrets, order.storeId) : undefined;
  if (!order || !store) {
    // due as it is: the store's resumption offers it again
    await letGo(deps, claim);
    return { outcome: 'store paused' };
  }
  const work: Work = { deps, claim, store, order, signal };
  if (claim.pushes.some(({ attempts }) => attempts > POISON_ATTEMPTS))
    return await settle(work, claim.pushes, {
      ...parked(`given up: ${POISON_ATTEMPTS} tries ended without an outcome`),
      maybeTold: true,
    });

  const told = claim.pushes.filter(({ toldAt }) => toldAt !== null);
  const open = told.length > 0 ? await resolveTold(work, told) : claim.pushes;
  if (!Array.isArray(open)) return open;
  if (open.length === 0) return { outcome: 'sent', order: order.sn };

  const plan = planPush({
    ...order,
    parcels: open.map((push) => ({
      pushId: push.id,
      awbNumber: push.awbNumber,
      carrier: carrierOf(push),
      items: push.items,
    })),
  });
  switch (plan.do) {
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

const carrierOf = (push: ClaimedPush) => push.carrier ?? push.bookingCourier;

const parked = (error: string, untilOrderChanges = false) => ({
  state: 'parked' as const,
  error,
  untilOrderChanges,
});

async function settle(work: Work, pushes: readonly ClaimedPush[], outcome: Settlement): Promise<Outcome> {
  await settlePushes(
    work.deps,
    work.claim,
    pushes.map(({ id }) => id),
    outcome,
  );
  const why = 'error' in outcome ? outcome.error : null;
  return {
    outcome: outcome.state,
    order: work.order.sn,
    awbs: pushes.map((push) => push.awbNumber).join(' '),
    why,
  };
}

/** Later again: what may have been told stays unknown, the rest stays to be told. */
async function postpone(
  work: Work,
  pushes: readonly ClaimedPush[],
  { ms, error, spent }: { ms: number; error: string | null; spent: boolean },
): Promise<Outcome> {
  const dueAt = new Date(work.deps.clock() + ms);
  const told = pushes.filter(({ toldAt }) => toldAt !== null);
  const untold = pushes.filter(({ toldAt }) => toldAt === null);
  if (told.length > 0)
    await settle(work, told, { state: 'unknown', error: error ?? 'the answer was lost', dueAt });
  if (untold.length > 0) await settle(work, untold, { state: 'pending', error, dueAt, spent });
  return { outcome: 'later', order: work.order.sn, inMs: ms, why: error };
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

/** Tells Temu of all parcels of an order in one call. */
async function confirm(
  work: Work,
  pushes: readonly ClaimedPush[],
  sendType: 0 | 1,
  packages: readonly Package[],
): Promise<Outcome> {
  const { deps, store, order, signal } = work;
  const warehouse = await warehouseOf(deps, store, signal);
  if (!warehouse.ok) return await onFailure(work, pushes, warehouse.failure);
  const requests: unknown[] = [];
  for (const { parcel, contents } of packages) {
    const provider = await providerOf(deps, store, parcel.carrier, signal);
    if (!provider.ok) return await onFailure(work, pushes, provider.failure);
    if (!provider.value.ok) return await settle(work, pushes, parked(provider.value.error));
    requests.push({
      carrierId: numberOf(provider.value.id),
      trackingNumber: parcel.awbNumber,
      selfShippingWarehouseId: warehouse.value,
      orderSendInfoList: contents.map(({ orderSn, quantity }) => ({
        parentOrderSn: order.sn,
        orderSn,
        quantity,
      })),
    });
  }
  const answer = await deps.temu.call(
    store,
    'confirmShipment',
    { sendType, sendRequestList: requests },
    {
      share: 'awb',
      signal,
      effect: {
        beforeSend: () =>
          aboutToTell(
            deps,
            work.claim,
            pushes.map(({ id }) => id),
          ),
      },
    },
  );
  return answer.ok
    ? await settle(work, pushes, { state: 'sent' })
    : await onFailure(work, pushes, answer.failure);
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

/** A re-booking: Temu's parcel gets the new number. */
async function change(work: Work, push: ClaimedPush, packageSn: string): Promise<Outcome> {
  const { deps, store, signal } = work;
  const warehouse = await warehouseOf(deps, store, signal);
  if (!warehouse.ok) return await onFailure(work, [push], warehouse.failure);
  const provider = await providerOf(deps, store, carrierOf(push), signal);
  if (!provider.ok) return await onFailure(work, [push], provider.failure);
  if (!provider.value.ok) return await settle(work, [push], parked(provider.value.error));
  const edit = {
    packageSn,
    trackingNumber: push.awbNumber,
    shipCompanyId: numberOf(provider.value.id),
    selfShippingWarehouseId: warehouse.value,
  };
  const answer = await deps.temu.call(
    store,
    'changeShipment',
    { editPackageRequestList: [edit] },
    { share: 'awb', signal, effect: { beforeSend: () => aboutToTell(deps, work.claim, [push.id]) } },
  );
  if (!answer.ok) return await onFailure(work, [push], answer.failure);
  return answer.value === false
    ? await settle(
        work,
        [push],
        parked('Temu did not take the new number: change it in Temu’s seller centre'),
      )
    : await settle(work, [push], { state: 'sent' });
}

/** Temu wants its ids as numbers; one beyond 2^53 stays exact as a bigint. */
const numberOf = (id: string): number | bigint | string =>
  !/^\d+$/.test(id) ? id : Number.isSafeInteger(Number(id)) ? Number(id) : BigInt(id);

/** "The current package cannot be edited": a re-booking that Temu does not allow. */
const NOT_EDITABLE = 120015529;

/** One action for each kind of failure (T16, A7). */
async function onFailure(work: Work, pushes: readonly ClaimedPush[], failure: Failure): Promise<Outcome> {
  const text = failure.message;
  const attempts = Math.max(...pushes.map((push) => push.attempts));
  switch (failure.kind) {
    case 'credentials':
    case 'bug':
      await postpone(work, pushes, { ms: 0, error: text, spent: false });
      await pauseRefusedStore(work.deps.db, work.store, failure);
      return { outcome: 'store paused', why: text };
    case 'throttled':
      return await postpone(work, pushes, { ms: seconds(15), error: text, spent: false });
    case 'notReady':
      return await postpone(work, pushes, { ms: minutes(2), error: text, spent: true });
    case 'unknownOutcome':
      return await settle(work, pushes, {
        state: 'unknown',
        error: `the answer was lost (${text}): Temu is asked before anything is sent again`,
        dueAt: nextLook(work, attempts),
      });
    case 'transient':
    case 'malformed':
      if (work.deps.clock() > deadlineOf(work, pushes))
        return await settle(work, pushes, {
          ...parked(`Temu could not be told before the deadline: ${text}`),
          maybeTold: pushes.some(({ toldAt }) => toldAt !== null),
        });
      return await postpone(work, pushes, {
        ms: backoffMs(awbPush.backoff, attempts),
        error: text,
        spent: true,
      });
    case 'alreadyDone':
      return await settleAlreadyDone(work, pushes, text);
    case 'sellerMustAct':
      return await settle(work, pushes, parked(text, true));
    case 'scope':
      return await settle(
        work,
        pushes,
        parked(
          `${text}; ask Temu's business contact to open this API, authorise the app again, then: orderfleet awb retry`,
        ),
      );
    case 'rejected':
      return await settle(
        work,
        pushes,
        failure.code === NOT_EDITABLE ? parked(text) : { state: 'rejected', error: text },
      );
  }
}

/** Soon after the first lost answer; a call whose answers are lost again and again is repeated ever more seldom (A7). */
const nextLook = ({ deps }: Work, attempts: number) =>
  new Date(
    deps.clock() +
      backoffMs({ baseMs: deps.timings.firstLookMs, maxMs: awbPush.backoff.maxMs }, attempts, () => 0),
  );

const deadlineOf = ({ order }: Work, pushes: readonly ClaimedPush[]) =>
  order.shipBy?.getTime() ??
  Math.min(...pushes.map(({ createdAt }) => createdAt.getTime())) + WITHOUT_DEADLINE_MS;

/** "Already shipped", "number used": true when Temu has our number for this order, else a conflict (A6). */
async function settleAlreadyDone(work: Work, pushes: readonly ClaimedPush[], text: string): Promise<Outcome> {
  const known = await readBack(work.deps, work.store, work.order, work.signal);
  if (!known.ok)
    return await settle(work, pushes, {
      state: 'unknown',
      error: text,
      dueAt: new Date(work.deps.clock() + work.deps.timings.firstLookMs),
    });
  let last: Outcome = { outcome: 'nothing to do' };
  for (const push of pushes) {
    const found = compare(push.awbNumber, known.value, work.order.sent);
    last = await settle(
      work,
      [push],
      found.is === 'sent'
        ? { state: 'sent' }
        : parked(`${text}${found.is === 'conflict' ? `; ${found.reason}` : ''}`, true),
    );
  }
  return last;
}
