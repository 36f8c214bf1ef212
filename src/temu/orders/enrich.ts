import { despiteOutage } from '../../db/despite-outage.ts';
import { ClaimLost, explainUnclaimed } from '../../leases/claim.ts';
import {
  actionOf,
  type Failure,
  FailureError,
  messageOf,
  ok,
  type Result,
  UserError,
} from '../../lib/errors.ts';
import { isInfrastructureFault } from '../../lib/infrastructure.ts';
import { notify } from '../../notices/index.ts';
import { backoffMs, minutes } from '../../queue/define.ts';
import { type JobContext, type Outcome, TimeUp } from '../../queue/handle.ts';
import { createStoreBulkheads } from '../bulkhead.ts';
import type { Store, TemuApi } from '../client.ts';
import type { OrdersDeps } from '../deps.ts';
import { parseExact } from '../json.ts';
import { pauseRefusedStore } from '../stores.ts';
import {
  breakerState,
  isInconclusive,
  pauseApi,
  releaseProbe,
  requeueIfClosed,
  resumeApi,
} from './api-breaker.ts';
import { unreadable } from './inbox.ts';
import {
  type ClaimedOrder,
  createClaimer,
  ONE_ORDER,
  type OrderKey,
  quarantine,
  releaseOrder,
  retryOrder,
} from './inbox-orders.ts';
import { temuOrders } from './queues.ts';
import { createStoreReader, type FoundStore } from './read-store.ts';
import { amountResponse, listItem, parseResponse, shippingResponse } from './responses.ts';
import { createWriter, type WriteOrder } from './write.ts';

/** An order whose handling fails or kills its worker this often is quarantined. */
const POISON_ATTEMPTS = 12;
/**
 * With this many calls hanging for seconds in this process a store counts as unresponsive, and its orders step aside
 * instead of taking every slot of the queue until they time out (T17).
 */
const HANGING = 10;
const STEP_ASIDE_MS = 30_000;
/** With several stores, the most slots of the queue that one may take, … */
const MOST_SLOTS = Math.floor(temuOrders.concurrency * 0.8);
/** … and how long its further orders wait for one of them before they step aside. */
const WAIT_FOR_SLOT_MS = 250;
/** An order whose store's secrets do not decrypt is retried after this long. */
const LOCKED_MS = minutes(1);
/** Short: where no other store has work, the rate limit must not be left unused while orders wait. */
const LET_OTHERS_PASS_MS = 1_000;

/** Handler of temu-orders (T5): makes all three calls of an order, then writes it in one transaction. */
export function createEnrichment(deps: OrdersDeps) {
  const claimOne = createClaimer(deps);
  const storeOf = createStoreReader(deps);
  const write = createWriter(deps);
  const bulkheads = createStoreBulkheads(MOST_SLOTS, WAIT_FOR_SLOT_MS);

  async function enrichOne(order: OrderKey, context: JobContext, takeSlot: Slot): Promise<Outcome> {
    const row = await claimOne(order, context.redelivered);
    if (!row) return await explainUnclaimed(deps, ONE_ORDER, { ...order });
    const later = async (ms: number, outcome: string): Promise<Outcome> => {
      await releaseOrder(deps, row, ms);
      return { outcome };
    };
    if (row.severalStores && !(await takeSlot()))
      return await later(LET_OTHERS_PASS_MS, 'stepped aside for other stores');
    try {
      const found = await storeOf(row.storeId);
      if (!found) return await later(0, 'store paused');
      if (deps.temu.hanging(row.storeId) >= HANGING)
        return await later(STEP_ASIDE_MS, 'stepped aside: the store does not respond');
      return await enrich(deps, found, row, write, context);
    } catch (error) {
      if (error instanceof ClaimLost) return { outcome: 'taken over by another worker' };
      if (!(error instanceof FailureError))
        await despiteOutage(() => interrupted(deps, row, context, error), context.signal).catch(() => {});
      throw error;
    }
  }

  return async (
    { storeId, parentOrderSn, more = [] }: OrderKey & { more?: readonly string[] | undefined },
    context: JobContext,
  ): Promise<Outcome> => {
    const numbers = [parentOrderSn, ...more];
    let slot: ReturnType<Slot> | undefined;
    const takeSlot = () => {
      slot ??= bulkheads.acquire(storeId);
      return slot;
    };
    try {
      const orders = numbers.map((parentOrderSn) => ({ storeId, parentOrderSn }));
      const ended = await Promise.allSettled(orders.map((order) => enrichOne(order, context, takeSlot)));
      return outcomeOf(numbers, ended);
    } finally {
      (await slot)?.();
    }
  };
}

/** The slot of a job's orders, which are one store's. */
type Slot = () => ReturnType<ReturnType<typeof createStoreBulkheads>['acquire']>;

/**
 * A job's outcome: its order's, or what became of each.
 * @throws what one of them threw (R3): what has the job delivered again before what ends it, since an order that is done
 * has nothing to do then
 */
function outcomeOf(numbers: readonly string[], ended: readonly PromiseSettledResult<Outcome>[]): Outcome {
  const thrown = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  if (thrown.length > 0) throw thrown.find((error) => !(error instanceof FailureError)) ?? thrown[0];
  const outcomes = ended.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const [first, ...others] = outcomes;
  if (first && others.length === 0) return first;
  const each = outcomes.map(({ outcome, why }, at) => `${numbers[at]}: ${outcome}${why ? ` (${why})` : ''}`);
  const all = new Set(outcomes.map(({ outcome }) => outcome));
  return { outcome: [...all].join(', '), orders: each.join(', ') };
}

/**
 * A shutdown or infrastructure fault costs the order no attempt. Anything else counts against the order: it is
 * retried with backoff, the reason on its row, and quarantined in the end (R3).
 */
async function interrupted(
  deps: OrdersDeps,
  row: ClaimedOrder,
  { signal }: JobContext,
  error: unknown,
): Promise<void> {
  const stopped = signal.aborted && !(signal.reason instanceof TimeUp);
  if (stopped || isInfrastructureFault(error)) await releaseOrder(deps, row, 0);
  // the store's secrets do not decrypt: once the key is fixed, the order still has all its attempts
  else if (error instanceof UserError) await releaseOrder(deps, row, LOCKED_MS);
  else
    await retryOrder(deps, row, backoffMs(temuOrders.backoff, row.attempts), { message: messageOf(error) });
}

async function enrich(
  deps: OrdersDeps,
  { store, withheld }: FoundStore,
  row: ClaimedOrder,
  write: WriteOrder,
  context: JobContext,
): Promise<Outcome> {
  const parsed = listItem.safeParse(parseExact(row.payload));
  if (!parsed.success || row.attempts > POISON_ATTEMPTS) {
    const why = parsed.success
      ? `given up after ${POISON_ATTEMPTS} attempts: ${row.error ?? 'each of them crashed its worker'}`
      : unreadable(parsed.error);
    return await quarantine(deps, row, why);
  }
  const item = parsed.data;
  const params = { parentOrderSn: item.parentOrderMap.parentOrderSn };
  const notAsked: TemuApi[] = [];
  const ask = async (api: TemuApi): Promise<Result<unknown>> => {
    const pause = withheld.has(api) ? await breakerState(deps, store, api) : undefined;
    if (pause && !pause.asksNow) {
      notAsked.push(api);
      return { ok: false, failure: pause.failure };
    }
    const answer = await deps.temu.call(store, api, params, { share: 'orders', signal: context.signal });
    if (pause && !isInconclusive(answer)) await resumeApi(deps, store, api);
    else if (pause && !answer.ok && answer.failure.kind !== 'scope') await releaseProbe(deps, store, api);
    return answer;
  };
  const [amounts, shipping] = await Promise.all([
    ask('orderAmount').then((answer) => parseResponse('orderAmount', amountResponse, answer)),
    row.forgotten
      ? ok(null)
      : ask('orderShipping').then((answer) => parseResponse('orderShipping', shippingResponse, answer)),
  ]);
  const failures = (
    [
      ['orderAmount', amounts],
      ['orderShipping', shipping],
    ] as const
  ).flatMap(([api, result]) => (result.ok ? [] : [{ api, failure: result.failure }]));

  for (const { api, failure } of failures) {
    const action = actionOf(failure);
    if (action === 'pauseAccount') {
      // paused first: released to an active store, the order would be fetched again at once
      await pauseRefusedStore(deps.db, store, failure);
      await releaseOrder(deps, row, 0);
      return { outcome: 'store paused', why: failure.message };
    }
    // a skipped call is no new refusal: it must not restart a pause that ended meanwhile
    if (action === 'pauseApi' && !notAsked.includes(api)) await pauseApi(deps, store, api, failure);
    if (action === 'wait') {
      await releaseOrder(deps, row, failure.retryAfterMs ?? 15_000);
      return { outcome: 'throttled' };
    }
  }
  const forTheMoment = failures.find(({ failure }) => actionOf(failure) === 'retry');
  if (forTheMoment && row.attempts < temuOrders.attempts) {
    return await retryOrder(deps, row, backoffMs(temuOrders.backoff, row.attempts), forTheMoment.failure);
  }
  const causes = failures.map(({ failure }) => failure);
  const outcome = await write({ store, row, item, amounts, shipping, failures: causes });
  await notifySellerMustAct(deps, store, causes);
  for (const api of notAsked) await requeueIfClosed(deps, store, api, row.parentOrderSn);
  return { outcome, store: store.name, order: row.parentOrderSn };
}

/** T16 "seller must act": notified once per store and reason; the orders wait as Incomplete meanwhile. */
async function notifySellerMustAct(
  { db }: OrdersDeps,
  store: Store,
  failures: readonly Failure[],
): Promise<void> {
  for (const { code, message } of failures.filter(({ kind }) => kind === 'sellerMustAct'))
    await notify(db, 'seller-must-act', { storeId: store.id, store: store.name, code, why: message });
}
