import { notices } from '../../db/schema/index.ts';
import {
  actionOf,
  type Failure,
  FailureError,
  isInfrastructureFault,
  messageOf,
  type Result,
} from '../../errors.ts';
import { backoffMs } from '../../queue/define.ts';
import type { JobContext, Outcome } from '../../queue/handle.ts';
import type { Store, TemuApi } from '../client.ts';
import { parseExact } from '../json.ts';
import { activeStore, pauseRefusedStore } from '../stores.ts';
import { amountAnswer, type ListItem, listItem, readAnswer, shippingAnswer } from './answers.ts';
import { pauseApi, pauseOf, resumeApi } from './api-pauses.ts';
import type { OrdersDeps } from './deps.ts';
import { orderJobId } from './inbox.ts';
import { type MappedOrder, mapOrder } from './map.ts';
import { createPlaces } from './places.ts';
import { temuOrders } from './queues.ts';
import { saveOrder } from './save.ts';
import { nextHeal } from './status.ts';

/** While a worker has an order, nobody else takes it for this long (R2: under two minutes with the sweep). */
const LEASE_MS = 75_000;
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
/** What stepped aside comes after a thousand orders of each other store, else it would be first again. */
const PUT_OFF_PRIORITY = 100;
/** Short: where nobody else comes, the quota must not run dry while orders wait. */
const LET_OTHERS_PASS_MS = 1_000;

interface ClaimedOrder {
  storeId: string;
  sn: string;
  payload: string;
  version: number;
  attempts: number;
  incompleteSince: Date | null;
  error: string | null;
  severalStores: boolean;
}

/** Handler of temu-orders (T5): all three calls are tried, then the order is written in one transaction. */
export function createEnrichment(deps: OrdersDeps) {
  const places = createPlaces(MOST_PLACES, WAIT_FOR_PLACE_MS);

  return async (job: { storeId: string; parentOrderSn: string }, context: JobContext): Promise<Outcome> => {
    const row = await claim(deps, job.storeId, job.parentOrderSn, context.redelivered);
    if (!row) return { outcome: 'nothing to do' };
    if (row.severalStores && !(await places.enter(row.storeId)))
      return await giveBack(deps, row, LET_OTHERS_PASS_MS, 'stepped aside for other stores');
    try {
      const store = await activeStore(deps.db, deps.secrets, row.storeId);
      if (!store) return await giveBack(deps, row, 0, 'store paused');
      if (deps.temu.hanging(store.id) >= HANGING)
        return await giveBack(deps, row, STEP_ASIDE_MS, 'stepped aside: the store does not answer');
      return await enrich(deps, store, row, context);
    } catch (error) {
      // when Postgres itself is away, the lease runs out instead
      if (!(error instanceof FailureError)) await interrupted(deps, row, context, error).catch(() => {});
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
  const stopped = signal.aborted && (signal.reason as Error | undefined)?.name !== 'TimeoutError';
  if (stopped || isInfrastructureFault(error)) await putOff(deps, row, 0, null);
  else await putOff(deps, row, backoffMs(temuOrders.backoff, row.attempts), messageOf(error));
}

async function claim(
  { db, clock }: OrdersDeps,
  storeId: string,
  sn: string,
  redelivered: boolean,
): Promise<ClaimedOrder | undefined> {
  const [row] = await db.$client<ClaimedOrder[]>`
    update temu_order_inbox set attempts = attempts + 1, due_at = ${new Date(clock() + LEASE_MS)}
    where store_id = ${storeId} and parent_order_sn = ${sn} and state in ('pending', 'incomplete')
      and (${redelivered} or due_at <= ${new Date(clock())})
    returning store_id as "storeId", parent_order_sn as sn, payload::text, version, attempts,
      incomplete_since as "incompleteSince", error,
      (select count(*) > 1 from temu_stores where active) as "severalStores"`;
  return row;
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
      : 'its list item cannot be read';
    return await setAside(deps, row, why);
  }
  const item = parsed.data;
  const params = { parentOrderSn: item.parentOrderMap.parentOrderSn };
  const ask = async (api: TemuApi): Promise<Result<unknown>> => {
    const pause = await pauseOf(deps, store, api);
    if (pause && !pause.asksNow) return { ok: false, failure: pause.failure };
    const answer = await deps.temu.call(store, api, params, { share: 'orders', signal: context.signal });
    if (pause && answer.ok) await resumeApi(deps, store, api);
    return answer;
  };
  const [amounts, shipping] = await Promise.all([
    ask('orderAmount').then((answer) => readAnswer('orderAmount', amountAnswer, answer)),
    ask('orderShipping').then((answer) => readAnswer('orderShipping', shippingAnswer, answer)),
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
      await giveBack(deps, row, 0, 'store paused');
      await pauseRefusedStore(deps.db, store, failure);
      return { outcome: 'store paused', why: failure.message };
    }
    if (action === 'pauseApi') await pauseApi(deps, store, api, failure);
    if (action === 'wait') return await giveBack(deps, row, failure.retryAfterMs ?? 15_000, 'throttled');
  }
  const forTheMoment = failures.find(({ failure }) => actionOf(failure) === 'retry');
  if (forTheMoment && row.attempts < temuOrders.attempts) {
    return await tryAgain(deps, row, backoffMs(temuOrders.backoff, row.attempts), forTheMoment.failure);
  }
  return await writeOrder(
    deps,
    store,
    row,
    item,
    amounts,
    shipping,
    failures.map(({ failure }) => failure),
  );
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
  const heal = planHeal(order, row, failures, now);
  const saved = await saveOrder(deps.db, store, order, {
    storeId: row.storeId,
    parentOrderSn: row.sn,
    version: row.version,
    state: heal ? 'incomplete' : 'stored',
    dueAt: heal?.at ?? null,
    incompleteSince: heal?.since ?? null,
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
        payload: { store: store.name, text: `Temu asks the seller to act first (${code}): ${message}` },
      })
      .onConflictDoNothing();
}

/** T13: when a missing part is fetched again, if it is: at the latest when the order's hold ends (T12). */
function planHeal(order: MappedOrder, row: ClaimedOrder, failures: readonly Failure[], now: Date) {
  if (!order.decision.healable) return null;
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

/** Due again after `ms` without a spent attempt. A short wait gets its job at once, a long one from the sweep. */
async function giveBack(deps: OrdersDeps, row: ClaimedOrder, ms: number, why: string): Promise<Outcome> {
  await putOff(deps, row, ms, null);
  return { outcome: why };
}

async function tryAgain(deps: OrdersDeps, row: ClaimedOrder, ms: number, failure: Failure): Promise<Outcome> {
  await putOff(deps, row, ms, failure.message);
  return { outcome: 'tried again', attempt: row.attempts, inMs: ms, why: failure.message };
}

async function putOff(
  { db, queues, clock }: OrdersDeps,
  row: ClaimedOrder,
  ms: number,
  error: string | null,
) {
  const dueAt = new Date(clock() + ms);
  const spent = error === null ? 1 : 0;
  const kept = await db.$client`
    update temu_order_inbox set due_at = ${dueAt}, offered_at = ${ms > 0 ? dueAt : null},
      attempts = greatest(attempts - ${spent}, 0), error = coalesce(${error}, error)
    where store_id = ${row.storeId} and parent_order_sn = ${row.sn} and version = ${row.version}
      and state in ('pending', 'incomplete')
    returning 1`;
  if (kept.length === 0 || ms === 0) return; // a newer copy has its own job; what is due at once waits for the sweep
  await queues.add(temuOrders, [
    {
      id: orderJobId(row.storeId, row.sn, dueAt.getTime()),
      delayMs: ms,
      priority: error === null ? PUT_OFF_PRIORITY : 1,
      payload: { v: 1, storeId: row.storeId, parentOrderSn: row.sn },
    },
  ]);
}

/** R3: it fails alone and visibly; a newer copy from Temu, or `sync`, brings it back. */
async function setAside({ db }: OrdersDeps, row: ClaimedOrder, why: string): Promise<never> {
  await db.$client`
    update temu_order_inbox set state = 'failed', error = ${why}
    where store_id = ${row.storeId} and parent_order_sn = ${row.sn} and version = ${row.version}`;
  throw new FailureError({ kind: 'rejected', message: `${row.sn}: ${why}` });
}
