import type { Attempt } from '../../../sandbox/effects.ts';
import { type Sandbox, startSandbox } from '../../../sandbox/server.ts';
import type { FaultAction } from '../../../sandbox/temu/faults.ts';
import { generateOrders, renderListItem } from '../../../sandbox/temu/generator.ts';
import type { Package, SandboxOrder, Shop, ShopSpec } from '../../../sandbox/temu/model.ts';
import type { AwbCreated } from '../../../src/client/index.ts';
import { awbCreatedEvent } from '../../../src/client/index.ts';
import type { Outcome } from '../../../src/queue/handle.ts';
import { AWB_TIMINGS, type AwbDeps } from '../../../src/temu/awb/claim.ts';
import { awbTasks } from '../../../src/temu/awb/index.ts';
import { recordEvent } from '../../../src/temu/awb/ingest-event.ts';
import { createPush } from '../../../src/temu/awb/push.ts';
import type { Recorded } from '../../../src/temu/awb/recorded.ts';
import { parseExact } from '../../../src/temu/json.ts';
import { storeInInbox, toInboxRow } from '../../../src/temu/orders/inbox.ts';
import { addShopAsStore, startTestFleet, type TestFleet } from '../../support/fleet.ts';
import type { Backend } from '../../support/redis.ts';

export interface AwbShop {
  shop: Shop;
  storeId: string;
}

export interface AwbOrder {
  /** Ours. */
  id: string;
  /** Temu's. */
  sn: string;
  in: AwbShop;
  lines: { id: string; orderSn: string; ordered: number }[];
}

export interface PushRow {
  awb: string;
  state: string;
  error: string | null;
  attempts: number;
  sentAt: Date | null;
  toldAt: Date | null;
  dueAt: Date;
}

export interface OrderRow {
  sent: boolean;
  sentAt: Date | null;
  error: string | null;
}

/** What the tests ask of Temu's side. */
interface Asking {
  /** A number that was not used before. */
  newAwb(): string;
  /** Everything that Temu heard of an order's parcels, refused calls and lost ones included. */
  heard(order: AwbOrder, via?: 'confirm' | 'update'): Attempt[];
  /** How many confirmations of an order Temu heard. */
  confirms(order: AwbOrder): number;
  /** The parcels that Temu has now. */
  parcelsOf(order: AwbOrder): Package[];
  /** Temu misbehaves at the next calls of this type, or of `bg.logistics.shipment.v2.confirm`. */
  fault(action: FaultAction, options?: { times?: number; type?: string; order?: AwbOrder }): void;
  /** Temu answers this to every confirmation of the order; null: no more. */
  refuses(order: AwbOrder, errorCode: number | null, errorMsg?: string): void;
  /** The only push of an order. */
  only(order: AwbOrder): Promise<PushRow>;
}

/** The AWB side of the fleet in this process, with a Temu of its own and a clock that only the test moves. */
export interface AwbStand extends Asking {
  sandbox: Sandbox;
  stack: TestFleet;
  deps: AwbDeps;
  addShop(change?: Partial<ShopSpec> & { warehouseId?: string }): Promise<AwbShop>;
  /** An order of the shop at Temu and, unless `known` is false, in our database as a sync would have left it. */
  addOrder(
    shop: AwbShop,
    options?: { units?: number[]; shipBy?: Date; known?: boolean; finish?: (order: SandboxOrder) => void },
  ): Promise<AwbOrder>;
  /** What a sync does after the order has changed at Temu. */
  sync(order: AwbOrder): Promise<void>;
  advance(ms: number): void;
  /** The event as it comes from the queue; the order is named by our id unless told otherwise. */
  created(order: AwbOrder, awbNumber: string, more?: Partial<AwbCreated>): Promise<Recorded>;
  /** The handler of `awb-push`, once. */
  push(order: AwbOrder, deps?: AwbDeps): Promise<Outcome>;
  /** Time goes to the order's next look and the handler runs, so often or until all of it is settled. */
  pushOn(order: AwbOrder, turns?: number): Promise<PushRow[]>;
  /** All that the scheduler does for AWB numbers, once. */
  tick(): Promise<void>;
  pushes(order: AwbOrder): Promise<PushRow[]>;
  row(order: AwbOrder): Promise<OrderRow>;
  /** Texts of the notices about an order, oldest first. */
  notices(order: AwbOrder, kind?: string): Promise<string[]>;
  close(): Promise<void>;
}

const STATUS: Record<number, [status: string, marketplaceStatus: string]> = {
  1: ['Pending', 'PENDING'],
  2: ['Ready for Shipping', 'UN_SHIPPING'],
  3: ['Cancelled', 'CANCELED'],
  4: ['Shipped', 'SHIPPED'],
};
export const CONFIRM = 'bg.logistics.shipment.v2.confirm';
export const UPDATE = 'bg.logistics.shipment.shippingtype.update';
export const READ_BACK = 'bg.logistics.shipment.v2.get';
const MOVING = new Set(['pending', 'sending', 'unknown']);

export async function startAwbStand(
  options: { backend?: Backend; settings?: Record<string, string> } = {},
): Promise<AwbStand> {
  const sandbox = await startSandbox({ qps: 2000 });
  const stack = await startTestFleet(options.backend ?? 'postgres', sandbox.routers, {
    TEMU_QPS: '1000',
    TEMU_TIMEOUT: '1',
    ...options.settings,
  });
  const sql = stack.sql;
  let offsetMs = 0;
  let made = 0;
  const deps: AwbDeps = { ...stack.fleet, clock: () => Date.now() + offsetMs, timings: AWB_TIMINGS };

  async function keepInInbox(storeId: string, order: SandboxOrder): Promise<void> {
    await storeInInbox(deps, storeId, [toInboxRow(parseExact(renderListItem(order, 'v1')))]);
    await sql`update temu_order_inbox set state = 'stored' where parent_order_sn = ${order.parentOrderSn}`;
  }

  async function saveOrder(
    { storeId }: AwbShop,
    order: SandboxOrder,
    shipBy: Date,
  ): Promise<Pick<AwbOrder, 'id' | 'lines'>> {
    await keepInInbox(storeId, order);
    const [status, marketplaceStatus] = STATUS[order.status] as [string, string];
    const id = crypto.randomUUID();
    await sql`
      insert into orders (id, source, store_id, marketplace_order_id, status, marketplace_status, order_modified_at, ship_by_date)
      values (${id}, 'temu', ${storeId}, ${order.parentOrderSn}, ${status}, ${marketplaceStatus},
        ${new Date(order.updatedAt * 1000)}, ${shipBy})`;
    await sql`insert into temu_orders (order_id) values (${id})`;
    const lines: AwbOrder['lines'] = [];
    for (const { orderSn, ordered, skuId } of order.lines) {
      const [line] = await sql<{ id: string }[]>`
        with product as (
          insert into products_in_order (order_id, item_order_line_id, quantity)
          values (${id}, ${`${skuId}-${lines.length}`}, ${ordered}) returning id)
        insert into order_item_lines (order_id, product_in_order_id, marketplace_order_item_id, quantity)
        select ${id}, id, ${orderSn}, ${ordered} from product returning id`;
      lines.push({ id: line?.id ?? '', orderSn, ordered });
    }
    return { id, lines };
  }

  const heard: Asking['heard'] = (order, via = 'confirm') =>
    sandbox.effects.ofOrder(order.sn).filter((one) => one.via === via);
  const stand: AwbStand = {
    newAwb: () => `AWB${10_000 + ++made}`,
    heard,
    confirms: (order) => new Set(heard(order).map(({ call }) => call)).size,
    parcelsOf: (order) => sandbox.world.packages.ofOrder(order.in.shop.name, order.sn),
    fault(action, { times = 1, type = CONFIRM, order } = {}) {
      sandbox.faults.add({
        match: { type, ...(order ? { parentOrderSn: order.sn } : {}) },
        times,
        do: action,
      });
    },
    refuses(order, errorCode, errorMsg = 'no') {
      sandbox.world.changeOrder(order.in.shop, order.sn, {
        confirmFailure: errorCode === null ? null : { errorCode, errorMsg },
      });
    },
    async only(order) {
      const pushes = await stand.pushes(order);
      if (pushes.length !== 1) throw new Error(`${pushes.length} pushes: ${JSON.stringify(pushes)}`);
      return pushes[0] as PushRow;
    },
    sandbox,
    stack,
    deps,
    async addShop({ warehouseId, ...change } = {}) {
      const name = change.name ?? `shop-${++made}`;
      const shop = sandbox.world.addShop({
        ...{
          name,
          appKey: `key-of-${name}`,
          appSecret: `secret-of-${name}`,
          accessToken: `token-of-${name}`,
        },
        ...{ region: 'EU', country: 'RO' },
        ...change,
      });
      return { shop, storeId: await addShopAsStore(stack, { ...shop, warehouseId }) };
    },
    async addOrder(place, { units = [1], shipBy, known = true, finish } = {}) {
      const order = generateOrders({
        seed: ++made,
        count: 1,
        shop: place.shop,
        now: Date.now(),
        days: 5,
        scenarios: [{ name: 'plain', weight: 1, status: 2, updated: 'old' }],
      })[0] as SandboxOrder;
      const line = order.lines[0] as SandboxOrder['lines'][number];
      order.lines = units.map((ordered, index) => ({
        ...line,
        orderSn: `${line.orderSn}${index}`,
        ordered,
        cancelled: 0,
      }));
      Object.assign(order, { labels: [], warnings: [] });
      finish?.(order);
      sandbox.world.addOrders(place.shop, [order]);
      const sn = order.parentOrderSn;
      if (!known) return { id: '', sn, in: place, lines: [] };
      const saved = await saveOrder(place, order, shipBy ?? new Date(deps.clock() + 48 * 3_600_000));
      return { sn, in: place, ...saved };
    },
    async sync(order) {
      const now = sandbox.world.order(order.in.shop, order.sn) as SandboxOrder;
      if (order.id === '') {
        Object.assign(order, await saveOrder(order.in, now, new Date(deps.clock() + 48 * 3_600_000)));
        return;
      }
      await keepInInbox(order.in.storeId, now);
      const [status, marketplaceStatus] = STATUS[now.status] as [string, string];
      await sql`
        update orders set status = ${status}, marketplace_status = ${marketplaceStatus},
          order_modified_at = ${new Date(now.updatedAt * 1000)} where id = ${order.id}`;
    },
    advance(ms) {
      offsetMs += ms;
    },
    created: (order, awbNumber, more = {}) =>
      recordEvent(
        deps,
        awbCreatedEvent.parse({
          ...(more.marketplaceOrderId ? {} : { orderId: order.id }),
          awbNumber,
          carrier: 'sameday',
          ...more,
        }),
      ),
    push: (order, by = deps) =>
      createPush(by)(
        { orderId: order.id },
        { signal: new AbortController().signal, log: stack.fleet.log, redelivered: false },
      ),
    async pushOn(order, turns = 10) {
      for (let turn = 0; turn < turns; turn++) {
        const moving = (await stand.pushes(order)).filter(({ state }) => MOVING.has(state));
        if (moving.length === 0) break;
        const next = Math.min(...moving.map(({ dueAt }) => dueAt.getTime()));
        offsetMs += Math.max(0, next - deps.clock());
        await stand.push(order);
      }
      return await stand.pushes(order);
    },
    async tick() {
      for (const task of awbTasks(deps)) await task.run(new AbortController().signal);
    },
    pushes: (order) => sql<PushRow[]>`
      select s.awb_number as awb, p.state, p.error, p.attempts, p.sent_at as "sentAt", p.told_at as "toldAt",
        p.due_at as "dueAt"
      from temu_pushes p join shipments s on s.id = p.shipment_id where p.order_id = ${order.id} order by s.created_at, 1`,
    async row(order) {
      const [row] = await sql<OrderRow[]>`
        select tracking_sent_to_temu as sent, tracking_sent_at as "sentAt", tracking_send_error as error
        from temu_orders where order_id = ${order.id}`;
      if (!row) throw new Error(`${order.sn} is not stored`);
      return row;
    },
    async notices(order, kind) {
      const rows = await sql<{ text: string }[]>`
        select payload->>'text' as text from notices where payload->>'orderId' = ${order.id}
        and kind = coalesce(${kind ?? null}, kind) order by created_at`;
      return rows.map(({ text }) => text);
    },
    async close() {
      sandbox.faults.clear();
      await sandbox.close();
      await stack.close();
    },
  };
  return stand;
}
