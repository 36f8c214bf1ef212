import { and, eq, isNotNull, sql } from 'drizzle-orm';
import { despiteOutage } from '../../db/despite-outage.ts';
import { isAnyOf, statement } from '../../db/query.ts';
import { orderItemLines, orders, productsInOrder, temuProducts } from '../../db/schema/index.ts';
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
import { activeStore, pauseRefusedStore } from '../stores.ts';
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
  claimOrder,
  ONE_ORDER,
  quarantine,
  releaseOrder,
  retryOrder,
} from './inbox-orders.ts';
import { type MappedOrder, mapOrder } from './map.ts';
import { temuOrders } from './queues.ts';
import { amountResponse, type ListItem, listItem, parseResponse, shippingResponse } from './responses.ts';
import { saveOrder } from './save.ts';
import { nextBackfill } from './status.ts';

const ph = sql.placeholder;

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

/** Handler of temu-orders (T5): makes all three calls, then writes the order in one transaction. */
export function createEnrichment(deps: OrdersDeps) {
  const bulkheads = createStoreBulkheads(MOST_SLOTS, WAIT_FOR_SLOT_MS);

  return async (job: { storeId: string; parentOrderSn: string }, context: JobContext): Promise<Outcome> => {
    const row = await claimOrder(deps, job, context.redelivered);
    if (!row) return await explainUnclaimed(deps, ONE_ORDER, { ...job });
    const later = async (ms: number, outcome: string): Promise<Outcome> => {
      await releaseOrder(deps, row, ms);
      return { outcome };
    };
    const release = row.severalStores ? await bulkheads.acquire(row.storeId) : undefined;
    if (row.severalStores && !release)
      return await later(LET_OTHERS_PASS_MS, 'stepped aside for other stores');
    try {
      const store = await activeStore(deps.db, deps.secrets, row.storeId);
      if (!store) return await later(0, 'store paused');
      if (deps.temu.hanging(store.id) >= HANGING)
        return await later(STEP_ASIDE_MS, 'stepped aside: the store does not respond');
      return await enrich(deps, store, row, context);
    } catch (error) {
      if (error instanceof ClaimLost) return { outcome: 'taken over by another worker' };
      if (!(error instanceof FailureError))
        await despiteOutage(() => interrupted(deps, row, context, error), context.signal).catch(() => {});
      throw error;
    } finally {
      release?.();
    }
  };
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
  store: Store,
  row: ClaimedOrder,
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
    const pause = await breakerState(deps, store, api);
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
  const outcome = await writeOrder(
    deps,
    store,
    row,
    item,
    amounts,
    shipping,
    failures.map(({ failure }) => failure),
  );
  for (const api of notAsked) await requeueIfClosed(deps, store, api, row.sn);
  return outcome;
}

async function writeOrder(
  deps: OrdersDeps,
  store: Store,
  row: ClaimedOrder,
  item: ListItem,
  amounts: Parameters<typeof mapOrder>[0]['amounts'],
  shipping: Parameters<typeof mapOrder>[0]['shipping'],
  failures: readonly Failure[],
): Promise<Outcome> {
  const now = new Date(deps.clock());
  const order = mapOrder({
    item,
    amounts,
    shipping,
    skus: await skusOf(deps, store.id, item),
    country: store.country,
    knownPrices: amounts.ok ? new Map() : await knownPrices(deps, store.id, row.sn),
    now,
  });
  const backfill = planBackfill(order, row, failures, now, !amounts.ok && mayCome(amounts.failure));
  const saved = await saveOrder(deps.db, store, order, row.claim, {
    again: backfill,
    error: failures.map(({ message }) => message).join('; ') || null,
  });
  await notifySellerMustAct(deps, store, failures);
  return {
    outcome: saved ? order.decision.status : 'older than the stored copy',
    store: store.name,
    order: row.sn,
  };
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

/**
 * A price that is missing for a transient reason is fetched again even where its absence is no error of the order
 * (T13), which would otherwise never get it. Not so an address: shipped orders have none.
 */
const mayCome = ({ kind }: Failure) => ['transient', 'malformed', 'notReady', 'scope'].includes(kind);

/** T13: when a missing part is fetched again, if at all: at the latest when the order's hold ends (T12). */
function planBackfill(
  order: MappedOrder,
  row: ClaimedOrder,
  failures: readonly Failure[],
  now: Date,
  priceMayCome: boolean,
) {
  if (!order.decision.backfillable && !priceMayCome) return null;
  const since = row.incompleteSince ?? now;
  const notReady = failures.some((failure) => actionOf(failure) === 'retryLater');
  const minutesPassed = (now.getTime() - since.getTime()) / 60_000;
  const at = nextBackfill(since, now, notReady ? Math.floor(Math.log2(minutesPassed + 2)) : null);
  return at && { at, since };
}

const SKUS = statement(
  { temuSkuId: temuProducts.temuSkuId, sku: temuProducts.sku },
  (read) => sql`
    select ${read} from ${temuProducts}
    where ${temuProducts.storeId} = ${ph('storeId')} and ${isAnyOf(temuProducts.temuSkuId, ph('ids'))}
    order by ${temuProducts.sku}`,
);

/** T10: our SKUs for Temu's. */
async function skusOf({ db }: OrdersDeps, storeId: string, item: ListItem): Promise<Map<string, string[]>> {
  const ids = [...new Set(item.orderList.map((line) => line.skuId).filter((id) => id !== null))];
  const skus = new Map<string, string[]>();
  if (ids.length === 0) return skus;
  for (const { temuSkuId, sku } of await SKUS.run(db, { storeId, ids }))
    skus.set(temuSkuId, [...(skus.get(temuSkuId) ?? []), sku]);
  return skus;
}

/** Unit prices from an earlier read, for a price call that fails now. */
async function knownPrices({ db }: OrdersDeps, storeId: string, sn: string): Promise<Map<string, string>> {
  const found = await db
    .select({ sn: orderItemLines.marketplaceOrderItemId, price: sql<string>`${productsInOrder.itemPrice}` })
    .from(orders)
    .innerJoin(productsInOrder, eq(productsInOrder.orderId, orders.id))
    .innerJoin(orderItemLines, eq(orderItemLines.productInOrderId, productsInOrder.id))
    .where(
      and(
        eq(orders.source, 'temu'),
        eq(orders.storeId, storeId),
        eq(orders.marketplaceOrderId, sn),
        isNotNull(productsInOrder.itemPrice),
      ),
    );
  return new Map(found.map((row) => [row.sn, row.price]));
}
