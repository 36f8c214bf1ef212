import { z } from 'zod';
import type { Db } from '../../db/client.ts';
import { ok, type Result } from '../../errors.ts';
import { rows } from '../../rows.ts';
import { type Store, wrongShape } from '../client.ts';
import { parseExact } from '../json.ts';
import { type ListItem, listItem } from '../orders/answers.ts';
import type { OrdersDeps } from '../orders/deps.ts';
import type { KnownPackage, OpenLine } from './plan.ts';

/** What a push needs to know of its order. */
export interface AwbOrder {
  id: string;
  sn: string;
  storeId: string | null;
  status: string;
  marketplaceStatus: string | null;
  shipBy: Date | null;
  /** Temu's fulfillmentWarning for the whole order. */
  warnings: string[];
  lines: OpenLine[];
  /** Numbers that Temu has from us for this order. */
  sent: string[];
  /** The last heard of among those of them that are for the whole order. */
  newestSent: { awbNumber: string; createdAt: Date } | null;
}

interface OrderRow extends Omit<AwbOrder, 'lines' | 'newestSent' | 'warnings'> {
  newestSent: string | null;
  newestSentAt: Date | null;
  /** The order as Temu's list gave it, digit for digit. */
  payload: string | null;
  stored: { id: string; orderSn: string; quantity: number }[];
}

export async function readOrder(db: Db, orderId: string): Promise<AwbOrder | undefined> {
  const [row] = await db.$client<OrderRow[]>`
    select o.id, o.marketplace_order_id as sn, o.store_id as "storeId", o.status,
      o.marketplace_status as "marketplaceStatus", o.ship_by_date as "shipBy", i.payload::text as payload,
      coalesce((select jsonb_agg(jsonb_build_object('id', l.id, 'orderSn', l.marketplace_order_item_id,
          'quantity', l.quantity)) from order_item_lines l where l.order_id = o.id), '[]') as stored,
      array(select s.awb_number from temu_pushes p join shipments s on s.id = p.shipment_id
        where p.order_id = o.id and p.state = 'sent') as sent,
      newest.awb_number as "newestSent", newest.created_at as "newestSentAt"
    from orders o
      left join lateral (
        select s.awb_number, p.created_at from temu_pushes p join shipments s on s.id = p.shipment_id
        where p.order_id = o.id and p.state = 'sent' and s.items is null
        order by p.created_at desc limit 1) newest on true
      left join temu_order_inbox i on i.store_id = o.store_id and i.parent_order_sn = o.marketplace_order_id
    where o.id = ${orderId}`;
  if (!row) return undefined;
  const { payload, stored, newestSent: awbNumber, newestSentAt: createdAt, ...order } = row;
  const newestSent = awbNumber && createdAt ? { awbNumber, createdAt } : null;
  const parsed = payload === null ? undefined : listItem.safeParse(parseExact(payload)).data;
  const warnings = parsed?.parentOrderMap.fulfillmentWarning ?? [];
  return { ...order, newestSent, warnings, lines: openLines(parsed, stored) };
}

/** Temu's states of a line that is still to be shipped. */
const TO_SHIP = new Set([1, 2]);

/** What is left to ship, by Temu's latest copy; by our lines where there is none. */
function openLines(parsed: ListItem | undefined, stored: OrderRow['stored']): OpenLine[] {
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
 * A6: the parcels that Temu has for an order. The call wants a line besides the order, so every line is asked about
 * until each parcel of ours could have shown up; the same parcel of several lines counts once.
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
  const rows = await db.$client<{ sn: string }[]>`
    select marketplace_order_item_id as sn from order_item_lines where order_id = ${order.id} order by 1`;
  return rows.length > 0 ? rows.map(({ sn }) => sn) : order.lines.map(({ orderSn }) => orderSn);
}
