import type { Sandbox } from '../../sandbox/server.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import type { OrderLine, SandboxOrder, Shop, ShopSpec } from '../../sandbox/temu/model.ts';
import type { Params } from '../../sandbox/temu/sign.ts';
import { call, demoShop, sandboxForTest } from './client.ts';

export const CONFIRM = 'bg.logistics.shipment.v2.confirm';
export const READ_BACK = 'bg.logistics.shipment.v2.get';
export const UPDATE = 'bg.logistics.shipment.shippingtype.update';
export const COMPANIES = 'bg.logistics.companies.get';
export const WAREHOUSES = 'bg.logistics.warehouse.list.get';

export const DHL = 141_252_268;

export interface Harbour {
  sandbox: Sandbox;
  shop: Shop;
  /** Orders that can be shipped: of one row of one unit, and of two rows, the second with two units. */
  single: SandboxOrder;
  double: SandboxOrder;
  warehouseId: string;
}

/** A shop with two orders that wait for shipping. */
export async function harbour(change: Partial<ShopSpec> = {}): Promise<Harbour> {
  const sandbox = await sandboxForTest({ qps: 1000 });
  const shop = demoShop(sandbox, change);
  const now = sandbox.world.clock.now();
  const plain = { name: 'plain', weight: 1, status: 2, articles: 1, units: 1 };
  const [single, double] = generateOrders({
    seed: 1,
    count: 2,
    shop,
    now,
    days: 3,
    scenarios: [plain, { ...plain, articles: 2 }],
  }) as [SandboxOrder, SandboxOrder];
  for (const order of [single, double]) Object.assign(order, { labels: [], warnings: [] });
  const [row] = single.lines as [OrderLine];
  single.lines = [{ ...row, ordered: 1 }];
  const [first, second] = double.lines as [OrderLine, OrderLine];
  double.lines = [
    { ...first, ordered: 1 },
    { ...second, ordered: 2 },
  ];
  sandbox.world.addOrders(shop, [single, double]);
  const warehouseId = shop.warehouses.find(({ isDefault }) => isDefault)?.id as string;
  return { sandbox, shop, single, double, warehouseId };
}

/** All open rows of an order, as orderSendInfoList wants them. */
export function itemsOf({ parentOrderSn, lines }: SandboxOrder, quantity?: number) {
  return lines.map((line) => ({
    parentOrderSn,
    orderSn: line.orderSn,
    quantity: quantity ?? line.ordered - line.cancelled,
  }));
}

export function parcelOf(at: Harbour, order: SandboxOrder, trackingNumber: string, change: Params = {}) {
  return {
    carrierId: DHL,
    trackingNumber,
    selfShippingWarehouseId: at.warehouseId,
    orderSendInfoList: itemsOf(order),
    ...change,
  };
}

/** Confirms an order whole, in one parcel; `change` goes over the parcel. */
export function confirm(at: Harbour, order: SandboxOrder, trackingNumber: string, change: Params = {}) {
  return confirmAll(at, 0, [parcelOf(at, order, trackingNumber, change)]);
}

export function confirmAll(at: Harbour, sendType: unknown, sendRequestList: unknown) {
  return call(at.sandbox, at.shop, { type: CONFIRM, sendType, sendRequestList });
}

export interface ShipmentInfo {
  trackingNumber: string;
  packageSn: string;
  [key: string]: unknown;
}

/** What Temu knows of the parcels of a row (the first one unless told). */
export async function readBack(
  { sandbox, shop }: Harbour,
  { parentOrderSn, lines }: SandboxOrder,
  orderSn = lines[0]?.orderSn,
): Promise<ShipmentInfo[]> {
  const { result } = await call(sandbox, shop, { type: READ_BACK, parentOrderSn, orderSn });
  return (result as { shipmentInfoDTO: ShipmentInfo[] }).shipmentInfoDTO;
}
