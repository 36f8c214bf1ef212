import { despiteOutage } from '../../db/despite-outage.ts';
import { notices } from '../../db/schema/index.ts';
import { actionOf, type Failure, FailureError, messageOf, ok, type Result, UserError } from '../../errors.ts';
import { isInfrastructureFault } from '../../infrastructure.ts';
import { ClaimLost, explainUnclaimed } from '../../leases/claim.ts';
import { backoffMs, minutes } from '../../queue/define.ts';
import { type JobContext, type Outcome, TimeUp } from '../../queue/handle.ts';
import type { Store, TemuApi } from '../client.ts';
import { parseExact } from '../json.ts';
import { createPlaces } from '../places.ts';
import { activeStore, pauseRefusedStore } from '../stores.ts';
import { amountAnswer, type ListItem, listItem, readAnswer, shippingAnswer } from './answers.ts';
import { askNextTime, dueIfResumed, pauseApi, pauseOf, resumeApi, saysNothingOf } from './api-pauses.ts';
import type { OrdersDeps } from './deps.ts';
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
import { saveOrder } from './save.ts';
import { nextHeal } from './status.ts';

/** An order whose handling fails or kills its worker this often is set aside. */
const POISON_ATTEMPTS = 12;
/**
 * Calls of one store in this process that hang for seconds: from this many on the store is in trouble, and its orders
 * step aside instead of taking every place of the queue until they time out (T17).
 */
const HANGING = 10;
const STEP_ASIDE_MS = 30_000;
/** Where there are several stores, one has this many of the queue's places at most, … */
const MOST_PLACES = Math.floor(temuOrders.concurrency * 0.8);
/** … and its further orders wait this long for one of them before they step aside. */
const WAIT_FOR_PLACE_MS = 250;
/** An order whose store's secrets do not open is looked at again after this long. */
const LOCKED_MS = minutes(1);
/** Short: where nobody else comes, the quota must not run dry while orders wait. */
const LET_OTHERS_PASS_MS = 1_000;

/** Handler of temu-orders (T5): all three calls are tried, then the order is written in one transaction. */
export function createEnrichment(deps: OrdersDeps) {
  const places = createPlaces(MOST_PLACES, WAIT_FOR_PLACE_MS);

  return async (job: { storeId: string; parentOrderSn: string }, context: JobContext): Promise<Outcome> => {
    const row = await claimOrder(deps, job, context.redelivered);
    if (!row) return await explainUnclaimed(deps, ONE_ORDER, { ...job });
    const later = async (ms: number, outcome: string): Promise<Outcome> => {
      await releaseOrder(deps, row, ms);
      return { outcome };
    };
    if (row.severalStores && !(await places.enter(row.storeId)))
      return await later(LET_OTHERS_PASS_MS, 'stepped aside for other stores');
    try {
      const store = await activeStore(deps.db, deps.secrets, row.storeId);
      if (!store) return await later(0, 'store paused');
      if (deps.temu.hanging(store.id) >= HANGING)
        return await later(STEP_ASIDE_MS, 'stepped aside: the store does not answer');
      return await enrich(deps, store, row, context);
    } catch (error) {
      if (error instanceof ClaimLost) return { outcome: 'taken over by another worker' };
      if (!(error instanceof FailureError))
        await despiteOutage(() => interrupted(deps, row, context, error), context.signal).catch(() => {});
      throw error;
    } finally {
      if (row.severalStores) places.leave(row.storeId);
    }
  };
}

/**
 * What a shutdown or the infrastructure interrupted costs the order no attempt. Anything else is the order's own: it is
 * tried again ever later with the reason on its row, and set aside in the end (R3).
 */
async function interrupted(
  deps: OrdersDeps,
  row: ClaimedOrder,
  { signal }: JobContext,
  error: unknown,
): Promise<void> {
  const stopped = signal.aborted && !(signal.reason instanceof TimeUp);
  if (stopped || isInfrastructureFault(error)) await releaseOrder(deps, row, 0);
  // the store's secrets do not open: whoever mends the key finds the order with all its tries
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
      ? `given up after ${POISON_ATTEMPTS} tries: ${row.error ?? 'each of them ended its worker'}`
      : unreadable(parsed.error);
    return await quarantine(deps, row, why);
  }
  const item = parsed.data;
  const params = { parentOrderSn: item.parentOrderMap.parentOrderSn };
  const notAsked: TemuApi[] = [];
  const ask = async (api: TemuApi): Promise<Result<unknown>> => {
    const pause = await pauseOf(deps, store, api);
    if (pause && !pause.asksNow) {
      notAsked.push(api);
      return { ok: false, failure: pause.failure };
    }
    const answer = await deps.temu.call(store, api, params, { share: 'orders', signal: context.signal });
    if (pause && !saysNothingOf(answer)) await resumeApi(deps, store, api);
    else if (pause && !answer.ok && answer.failure.kind !== 'scope') await askNextTime(deps, store, api);
    return answer;
  };
  const [amounts, shipping] = await Promise.all([
    ask('orderAmount').then((answer) => readAnswer('orderAmount', amountAnswer, answer)),
    row.forgotten
      ? ok(null)
      : ask('orderShipping').then((answer) => readAnswer('orderShipping', shippingAnswer, answer)),
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
      // paused first: given back to a store that is on, the order would be asked for again at once
      await pauseRefusedStore(deps.db, store, failure);
      await releaseOrder(deps, row, 0);
      return { outcome: 'store paused', why: failure.message };
    }
    // who was not asked has nothing new to say: a pause that ended meanwhile must not begin again
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
  for (const api of notAsked) await dueIfResumed(deps, store, api, row.sn);
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
  const heal = planHeal(order, row, failures, now, !amounts.ok && mayCome(amounts.failure));
  const saved = await saveOrder(deps.db, store, order, row.claim, {
    again: heal,
    error: failures.map(({ message }) => message).join('; ') || null,
  });
  await tellSeller(deps, store, failures);
  return {
    outcome: saved ? order.decision.status : 'older than what is stored',
    store: store.name,
    order: row.sn,
  };
}

/** T16 "seller must act": said once per store and reason; the orders wait as Incomplete meanwhile. */
async function tellSeller({ db }: OrdersDeps, store: Store, failures: readonly Failure[]): Promise<void> {
  for (const { code, message } of failures.filter(({ kind }) => kind === 'sellerMustAct'))
    await db
      .insert(notices)
      .values({
        kind: 'seller-must-act',
        key: `seller-must-act-${store.id}-${code}`,
        subject: store.id,
        payload: { store: store.name, text: `Temu asks the seller to act first (${code}): ${message}` },
      })
      .onConflictDoNothing();
}

/**
 * A price that is missing for a reason of the moment: it is asked for again also where its absence is no error of the
 * order (T13), which would otherwise lack it for ever. An address is another matter: shipped orders have none.
 */
const mayCome = ({ kind }: Failure) => ['transient', 'malformed', 'notReady', 'scope'].includes(kind);

/** T13: when a missing part is fetched again, if it is: at the latest when the order's hold ends (T12). */
function planHeal(
  order: MappedOrder,
  row: ClaimedOrder,
  failures: readonly Failure[],
  now: Date,
  priceMayCome: boolean,
) {
  if (!order.decision.healable && !priceMayCome) return null;
  const since = row.incompleteSince ?? now;
  const notReady = failures.some((failure) => actionOf(failure) === 'retryLater');
  const minutesPassed = (now.getTime() - since.getTime()) / 60_000;
  const at = nextHeal(since, now, notReady ? Math.floor(Math.log2(minutesPassed + 2)) : null);
  return at && { at, since };
}

/** T10: our SKUs for Temu's. */
async function skusOf({ db }: OrdersDeps, storeId: string, item: ListItem): Promise<Map<string, string[]>> {
  const ids = [...new Set(item.orderList.map((line) => line.skuId).filter((id) => id !== null))];
  if (ids.length === 0) return new Map();
  const rows = await db.$client<{ id: string; skus: string[] }[]>`
    select temu_sku_id as id, array_agg(sku order by sku) as skus from temu_products
    where store_id = ${storeId} and temu_sku_id = any(${ids}) group by temu_sku_id`;
  return new Map(rows.map((row) => [row.id, row.skus]));
}

/** Unit prices that an earlier read found, for a price call that fails now. */
async function knownPrices({ db }: OrdersDeps, storeId: string, sn: string): Promise<Map<string, string>> {
  const rows = await db.$client<{ sn: string; price: string }[]>`
    select l.marketplace_order_item_id as sn, p.item_price::text as price
    from orders o join products_in_order p on p.order_id = o.id join order_item_lines l on l.product_in_order_id = p.id
    where o.source = 'temu' and o.store_id = ${storeId} and o.marketplace_order_id = ${sn} and p.item_price is not null`;
  return new Map(rows.map((row) => [row.sn, row.price]));
}
