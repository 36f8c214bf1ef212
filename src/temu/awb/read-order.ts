import { eq, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { Db } from '../../db/client.ts';
import { isAnyOf, json, list, name, outer, type RowOf, statement } from '../../db/query.ts';
import {
  carrierPins,
  orderItemLines,
  orders,
  shipments,
  temuOrderInbox,
  temuPushes,
  temuStores,
} from '../../db/schema/index.ts';
import { rows } from '../../lib/bounded-rows.ts';
import { ok, type Result } from '../../lib/errors.ts';
import { togetherOf } from '../../lib/together.ts';
import { type Store, wrongShape } from '../client.ts';
import type { OrdersDeps } from '../deps.ts';
import { parseExact } from '../json.ts';
import { type ListItem, listItem } from '../orders/responses.ts';
import { STORE_BESIDE, storeBeside } from '../stores.ts';
import type { KnownPackage, OpenLine } from './plan.ts';

const ph = sql.placeholder;

/** What a push needs to know of its order. */
export interface AwbOrder {
  id: string;
  sn: string;
  status: string;
  marketplaceStatus: string | null;
  shipBy: Date | null;
  /** Its store; undefined while it has none, or that is paused. */
  store: Store | undefined;
  /** A4: provider ids pinned for the store, by the carrier's normalised name. */
  pins: Readonly<Record<string, string>>;
  /** Temu's fulfillmentWarning for the whole order. */
  warnings: string[];
  lines: OpenLine[];
  /** Numbers that Temu has from us for this order. */
  sent: string[];
  /** The newest of them that is for the whole order. */
  newestSent: { awbNumber: string; createdAt: Date } | null;
}

interface StoredLine {
  id: string;
  orderSn: string;
  quantity: number;
}

/** What Temu has from us for an order. */
const SENT = sql`from ${temuPushes} join ${shipments} on ${shipments.id} = ${temuPushes.shipmentId}
  where ${temuPushes.orderId} = ${orders.id} and ${temuPushes.state} = 'sent'`;

const ORDER = {
  id: orders.id,
  sn: orders.marketplaceOrderId,
  status: orders.status,
  marketplaceStatus: orders.marketplaceStatus,
  shipBy: orders.shipByDate,
  /** The order from Temu's list, digit for digit. */
  payload: sql<string | null>`${temuOrderInbox.payload}::text`,
  stored: json<StoredLine[]>(sql`(
    select coalesce(jsonb_agg(jsonb_build_object('id', ${orderItemLines.id},
      'orderSn', ${orderItemLines.marketplaceOrderItemId}, 'quantity', ${orderItemLines.quantity})), '[]')
    from ${orderItemLines} where ${orderItemLines.orderId} = ${orders.id})`),
  pins: json<Record<string, string>>(sql`(
    select coalesce(jsonb_object_agg(${carrierPins.carrier}, ${carrierPins.providerId}), '{}')
    from ${carrierPins} where ${carrierPins.storeId} = ${orders.storeId})`),
  sent: json<string[]>(sql`(select coalesce(jsonb_agg(${shipments.awbNumber}), '[]') ${SENT})`),
  ...outer({
    newestSent: sql<string>`newest.${name(shipments.awbNumber)}`,
    newestSentAt: sql`newest.${name(temuPushes.createdAt)}`.mapWith(temuPushes.createdAt),
  }),
  ...STORE_BESIDE,
};

const READ_ORDERS = statement(
  ORDER,
  (read) => sql`
    select ${read} from ${orders}
      left join lateral (
        select ${list([shipments.awbNumber, temuPushes.createdAt])} ${SENT} and ${shipments.items} is null
        order by ${temuPushes.createdAt} desc limit 1) newest on true
      left join ${temuStores} on ${temuStores.id} = ${orders.storeId} and ${temuStores.active}
      left join ${temuOrderInbox} on ${temuOrderInbox.storeId} = ${orders.storeId}
        and ${temuOrderInbox.parentOrderSn} = ${orders.marketplaceOrderId}
    where ${isAnyOf(orders.id, ph('ids'))}`,
);

type Deps = Pick<OrdersDeps, 'db' | 'secrets'>;

type Row = RowOf<typeof ORDER>;

interface Read {
  row: Row;
  /** @throws UserError when its secrets do not decrypt */
  store(): Store | undefined;
}

const read = togetherOf<Deps, string, Read | undefined>(async ({ db, secrets }, ids) => {
  const rows = new Map((await READ_ORDERS.run(db, { ids: [...new Set(ids)] })).map((row) => [row.id, row]));
  const opened = new Map<string, Store | undefined>();
  const open = (row: Row) => {
    const id = row['store id'] ?? '';
    if (!opened.has(id)) opened.set(id, storeBeside(row, secrets));
    return opened.get(id);
  };
  return ids.map((id) => {
    const row = rows.get(id);
    return row && { row, store: () => open(row) };
  });
});

/** An order with its store, in one statement; of several that are read at once in the same (P6). */
export async function readOrder(deps: Deps, orderId: string): Promise<AwbOrder | undefined> {
  const found = await read(deps, orderId);
  if (!found) return undefined;
  const { row } = found;
  const { id, sn, status, marketplaceStatus, shipBy, pins, sent, payload, stored } = row;
  const { newestSent: awbNumber, newestSentAt: createdAt } = row;
  const order = {
    id,
    sn,
    status,
    marketplaceStatus,
    shipBy,
    pins,
    sent,
    store: found.store(),
  };
  const newestSent = awbNumber && createdAt ? { awbNumber, createdAt } : null;
  const parsed = payload === null ? undefined : listItem.safeParse(parseExact(payload)).data;
  const warnings = parsed?.parentOrderMap.fulfillmentWarning ?? [];
  return { ...order, newestSent, warnings, lines: openLines(parsed, stored) };
}

/** Temu's states of a line that is still to be shipped. */
const TO_SHIP = new Set([1, 2]);

/** What is left to ship, by Temu's latest copy; by our lines without one. */
function openLines(parsed: ListItem | undefined, stored: readonly StoredLine[]): OpenLine[] {
  if (!parsed)
    return stored.map(({ id, orderSn, quantity }) => ({ id, orderSn, remaining: quantity, warnings: [] }));
  return parsed.orderList
    .filter(
      ({ orderStatus }) => orderStatus === null || orderStatus === undefined || TO_SHIP.has(orderStatus),
    )
    .map((row) => {
      const cancelled = row.canceledQuantityBeforeShipment ?? 0;
      return {
        id: stored.find(({ orderSn }) => orderSn === row.orderSn)?.id ?? null,
        orderSn: row.orderSn,
        remaining:
          row.originalOrderQuantity != null ? row.originalOrderQuantity - cancelled : (row.quantity ?? 0),
        warnings: row.fulfillmentWarning,
      };
    });
}

const text = z
  .union([z.string(), z.number(), z.bigint()])
  .nullish()
  .transform((value) => (value == null ? '' : String(value)));
const shipmentAnswer = z
  .object({
    shipmentInfoDTO: rows(z.object({ trackingNumber: text, packageSn: text }))
      .nullish()
      .transform((list) => list ?? []),
  })
  .nullish()
  .transform((value) => value?.shipmentInfoDTO ?? []);

/**
 * A6: the parcels that Temu has for an order. The call needs a line besides the order, so lines are queried until
 * each of our parcels could have shown up; a parcel of several lines counts once.
 */
export async function readBack(
  deps: OrdersDeps,
  store: Store,
  order: AwbOrder,
  signal: AbortSignal,
): Promise<Result<KnownPackage[]>> {
  const found = new Map<string, KnownPackage>();
  const lines = await linesOf(deps.db, order);
  for (const orderSn of lines) {
    const answer = await deps.temu.call(
      store,
      'readShipment',
      { parentOrderSn: order.sn, orderSn },
      { share: 'awb', signal },
    );
    if (!answer.ok) return answer;
    const parsed = shipmentAnswer.safeParse(answer.value);
    if (!parsed.success) return wrongShape('readShipment', parsed.error.issues[0]?.message ?? 'unexpected');
    for (const one of parsed.data)
      if (one.trackingNumber) found.set(`${one.packageSn} ${one.trackingNumber}`, one);
  }
  return ok([...found.values()]);
}

/** All lines of the order, also those that have shipped. */
async function linesOf(db: Db, order: AwbOrder): Promise<string[]> {
  const stored = await db
    .select({ sn: orderItemLines.marketplaceOrderItemId })
    .from(orderItemLines)
    .where(eq(orderItemLines.orderId, order.id))
    .orderBy(orderItemLines.marketplaceOrderItemId);
  return stored.length > 0 ? stored.map(({ sn }) => sn) : order.lines.map(({ orderSn }) => orderSn);
}
