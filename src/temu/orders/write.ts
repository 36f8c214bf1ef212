import { and, eq, isNotNull, sql } from 'drizzle-orm';
import { statement } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { orderItemLines, orders, productsInOrder, temuProducts } from '../../db/schema/index.ts';
import { ClaimLost } from '../../leases/claim.ts';
import { actionOf, type Failure, type Result } from '../../lib/errors.ts';
import { together } from '../../lib/together.ts';
import type { Store } from '../client.ts';
import type { OrdersDeps } from '../deps.ts';
import type { ClaimedOrder } from './inbox-orders.ts';
import { type MappedOrder, mapOrder } from './map.ts';
import type { Amounts, ListItem, Shipping } from './responses.ts';
import { saveOrders } from './save.ts';
import { nextBackfill } from './status.ts';

/** An order with what its calls returned. */
export interface Fetched {
  store: Store;
  row: ClaimedOrder;
  item: ListItem;
  amounts: Result<Amounts>;
  shipping: Result<Shipping>;
  failures: readonly Failure[];
}

/** Maps and stores an order. @returns its status, or that it is older than the stored copy (T14) */
export type WriteOrder = (fetched: Fetched) => Promise<string>;

/**
 * Orders whose responses come while others are being written are written together, in one transaction (P7).
 */
export function createWriter(deps: OrdersDeps): WriteOrder {
  const write = together<Fetched, string | undefined>((group) => writeOrders(deps, group));
  return async (fetched) => {
    const status = await write(fetched).catch((error) => {
      if (!(error instanceof ClaimLost)) throw error;
    });
    return status ?? 'older than the stored copy';
  };
}

async function writeOrders(
  deps: OrdersDeps,
  group: readonly Fetched[],
): Promise<readonly (string | undefined)[]> {
  const now = new Date(deps.clock());
  const skus = await skusOf(deps, group);
  const mapped = await Promise.all(
    group.map(async ({ store, row, item, amounts, shipping, failures }) => {
      const order = mapOrder({
        item,
        amounts,
        shipping,
        skus: skus.get(store.id) ?? new Map(),
        country: store.country,
        knownPrices: amounts.ok ? new Map() : await knownPrices(deps, row),
        now,
      });
      const again = planBackfill(order, row, failures, now, !amounts.ok && mayCome(amounts.failure));
      const error = failures.map(({ message }) => message).join('; ') || null;
      return { store, order, claim: row.claim, outcome: { again, error } };
    }),
  );
  const saved = await saveOrders(deps.db, mapped);
  return mapped.map((one) => (saved.has(one) ? one.order.decision.status : undefined));
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

const wanted = recordset('wanted', { storeId: temuProducts.storeId, temuSkuId: temuProducts.temuSkuId });
const SKUS = statement(
  { storeId: temuProducts.storeId, temuSkuId: temuProducts.temuSkuId, sku: temuProducts.sku },
  (read) => sql`
    select ${read} from ${wanted.from(sql.placeholder('wanted'))}
    join ${temuProducts} on ${temuProducts.storeId} = ${wanted.fields.storeId}
      and ${temuProducts.temuSkuId} = ${wanted.fields.temuSkuId}
    order by ${temuProducts.sku}`,
);

/** T10: our SKUs for Temu's, by store. */
async function skusOf(
  { db }: OrdersDeps,
  group: readonly Fetched[],
): Promise<Map<string, Map<string, string[]>>> {
  const ids = new Map<string, Set<string>>();
  for (const { store, item } of group) {
    const its = ids.get(store.id) ?? new Set();
    ids.set(store.id, its);
    for (const { skuId } of item.orderList) if (skuId !== null) its.add(skuId);
  }
  const pairs = [...ids].flatMap(([storeId, its]) => [...its].map((temuSkuId) => ({ storeId, temuSkuId })));
  const skus = new Map([...ids.keys()].map((id) => [id, new Map<string, string[]>()]));
  if (pairs.length === 0) return skus;
  for (const { storeId, temuSkuId, sku } of await SKUS.run(db, { wanted: wanted.textOf(pairs) })) {
    const its = skus.get(storeId);
    its?.set(temuSkuId, [...(its.get(temuSkuId) ?? []), sku]);
  }
  return skus;
}

/** Unit prices from an earlier read, for a price call that fails now. */
async function knownPrices(
  { db }: OrdersDeps,
  { storeId, parentOrderSn }: ClaimedOrder,
): Promise<Map<string, string>> {
  const found = await db
    .select({ sn: orderItemLines.marketplaceOrderItemId, price: sql<string>`${productsInOrder.itemPrice}` })
    .from(orders)
    .innerJoin(productsInOrder, eq(productsInOrder.orderId, orders.id))
    .innerJoin(orderItemLines, eq(orderItemLines.productInOrderId, productsInOrder.id))
    .where(
      and(
        eq(orders.source, 'temu'),
        eq(orders.storeId, storeId),
        eq(orders.marketplaceOrderId, parentOrderSn),
        isNotNull(productsInOrder.itemPrice),
      ),
    );
  return new Map(found.map((row) => [row.sn, row.price]));
}
