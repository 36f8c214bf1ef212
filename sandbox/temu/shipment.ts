import { createRandom, seedOf } from '../random.ts';
import type { ApiCall, ApiTable } from './apis.ts';
import {
  type ConfirmCase,
  companyOf,
  openUnits,
  overruledLabels,
  parentsOf,
  refusalOf,
  signsIn,
  warehouseRefusal,
} from './confirm-checks.ts';
import { readConfirm, type SendPackage } from './confirm-request.ts';
import { companies, warehouses } from './logistics.ts';
import type { ApiError, Package, SandboxOrder, Shop } from './model.ts';
import { fieldsOf, integerOf, listOf, textOf } from './params.ts';
import type { Rendered } from './render.ts';
import { badParams, SHIPPING } from './shipping-errors.ts';
import type { World } from './world.ts';

export const CONFIRM = 'bg.logistics.shipment.v2.confirm';
export const UPDATE = 'bg.logistics.shipment.shippingtype.update';

const flat = (): 'flat' => 'flat';
const INNER = { errorCode: 1_000_000, errorMsg: '', serverTime: false };

/** The calls that register a parcel with Temu. All are flat, like the recorded confirmation. */
export const shippingApis: ApiTable = {
  'bg.logistics.companies.get': { envelope: flat, inner: INNER, handle: companies },
  'bg.logistics.warehouse.list.get': { envelope: flat, inner: INNER, handle: warehouses },
  [CONFIRM]: { envelope: flat, inner: INNER, handle: confirm },
  'bg.logistics.shipment.v2.get': { envelope: flat, inner: INNER, handle: readBack },
  [UPDATE]: { envelope: flat, inner: INNER, handle: update },
};

/** All or nothing: one outer error for the whole call, or every package of it. */
function confirm({ params, shop, world }: ApiCall): Rendered {
  const read = readConfirm(params);
  if ('errorCode' in read) return { outer: read };
  const request: ConfirmCase = { ...read, shop, world };
  const refusal = refusalOf(request);
  if (refusal) return { outer: refusal };
  for (const parcel of request.packages) world.packages.add(packageOf(parcel, shop));
  const parents = parentsOf(request);
  for (const { parentOrderSn } of parents) {
    const overruled = overruledLabels(request.packages, parentOrderSn);
    world.changeOrder(shop, parentOrderSn, (order) => {
      shipOpenLines(order, Math.floor(world.clock.now() / 1000));
      order.labels = order.labels.filter((label) => !overruled.includes(label));
    });
  }
  const warningMessage = [...new Set(parents.flatMap(({ warnings }) => warnings))];
  return { ok: JSON.stringify({ assistantAgreementText: null, warningMessage }) };
}

/** A cancelled row stays as it is. */
function shipOpenLines(order: SandboxOrder, second: number): void {
  order.status = 4;
  order.shippedAt = second;
  for (const line of order.lines) if (openUnits(line) > 0) line.status = 4;
}

/** Orders that were saved just before their parcel was confirmed become shipped, as they were. */
export function shipWhatWasTold(world: World): void {
  for (const { shop, contents, byHand } of world.packages.list()) {
    for (const sn of byHand ? [] : new Set(contents.map(({ parentOrderSn }) => parentOrderSn))) {
      const order = world.order(shop, sn);
      if (order?.status === 2)
        world.changeOrder(shop, sn, (changing) => shipOpenLines(changing, order.updatedAt));
    }
  }
}

function packageOf(parcel: SendPackage, shop: Shop): Package {
  const { trackingNumber, carrierId, warehouseId, items } = parcel;
  return {
    shop: shop.name,
    packageSn: packageSnOf(shop, trackingNumber),
    trackingNumber,
    carrierId,
    warehouseId,
    contents: items.map(({ parentOrderSn, orderSn, quantity }) => ({ parentOrderSn, orderSn, quantity })),
    subs: parcel.subs.map((sub) => ({ packageSn: packageSnOf(shop, sub.trackingNumber), ...sub })),
    byHand: false,
  };
}

function packageSnOf(shop: Shop, trackingNumber: string): string {
  return `PK-${createRandom(seedOf('package', shop.name, trackingNumber)).digits(16, true)}`;
}

/**
 * Ships an order as a user does at the seller center: a later confirmation through the API is too late, and the read-back
 * shows this number. Not recorded in the effects.
 */
export function shipByHand(
  world: World,
  shopName: string,
  parentOrderSn: string,
  given: { trackingNumber?: string; carrierId?: number } = {},
): Package {
  const shop = world.shop(shopName);
  const order = world.changeOrder(shop, parentOrderSn, (changing) =>
    shipOpenLines(changing, Math.floor(world.clock.now() / 1000)),
  );
  return addByHand(world, shop, order, given);
}

function addByHand(
  { packages }: World,
  shop: Shop,
  { parentOrderSn, lines }: SandboxOrder,
  given: { trackingNumber?: string; carrierId?: number } = {},
): Package {
  const random = createRandom(seedOf('by hand', shop.name, parentOrderSn));
  let { trackingNumber = random.digits(13) } = given;
  while (packages.withNumber(trackingNumber) && !given.trackingNumber) trackingNumber = random.digits(13);
  const parcel: Package = {
    shop: shop.name,
    packageSn: packageSnOf(shop, trackingNumber),
    trackingNumber,
    carrierId: given.carrierId ?? shop.companies[0]?.id ?? 0,
    warehouseId: shop.warehouses.find(({ isDefault }) => isDefault)?.id ?? null,
    contents: lines
      .filter((line) => (line.status === 4 || line.status === 5) && openUnits(line) > 0)
      .map((line) => ({ parentOrderSn, orderSn: line.orderSn, quantity: openUnits(line) })),
    subs: [],
    byHand: true,
  };
  packages.add(parcel);
  return parcel;
}

/** bg.logistics.shipment.v2.get: the parcels with something of a row; an empty list before it is shipped. */
function readBack({ params, shop, world }: ApiCall): Rendered {
  const parentOrderSn = textOf(params.parentOrderSn);
  const orderSn = textOf(params.orderSn);
  if (!parentOrderSn) return { outer: badParams('parentOrderSn') };
  if (!orderSn) return { outer: badParams('orderSn') };
  const order = world.order(shop, parentOrderSn);
  if (!order) return { outer: SHIPPING.parentInvalid };
  const line = order.lines.find((one) => one.orderSn === orderSn);
  if (!line) return { outer: SHIPPING.orderInvalid };
  const shipped = (line.status === 4 || line.status === 5) && openUnits(line) > 0;
  // Generated orders and those shipped by simulation get a made-up parcel when it is first requested.
  if (shipped && world.packages.ofOrder(shop.name, parentOrderSn).length === 0) addByHand(world, shop, order);
  const parcels = world.packages.ofOrder(shop.name, parentOrderSn, orderSn);
  const shownParcels = parcels.flatMap((parcel) => shown(parcel, shop, orderSn, line.skuId));
  return { ok: `{"shipmentInfoDTO":[${shownParcels.join(',')}]}` };
}

/** Self-shipped with the seller's own number; the reference lists 1 to 4 without explanation. */
const SELF_SHIPPED = 1;

function shown(parcel: Package, shop: Shop, orderSn: string, skuId: string): string[] {
  const { packageSn, carrierId, trackingNumber } = parcel;
  const carrierName = (id: number): string | null => companyOf(shop, id)?.name ?? null;
  const info = {
    quantity: parcel.contents.find((item) => item.orderSn === orderSn)?.quantity ?? 0,
    carrierName: carrierName(carrierId),
    packageSn,
    packageDeliveryType: SELF_SHIPPED,
    cooperativeWarehouseDTO: null,
    carrierId,
    trackingNumber,
    trackingWarningLabel: 0,
    subPackageShipmentInfoList: parcel.subs.map((sub) => ({
      packageSn: sub.packageSn,
      packageDeliveryType: SELF_SHIPPED,
      carrierId: sub.carrierId,
      carrierName: carrierName(sub.carrierId),
      trackingNumber: sub.trackingNumber,
    })),
  };
  // As digits: a skuId may be above 2^53.
  return [`${JSON.stringify(info).slice(0, -1)},"skuId":${skuId}}`];
}

interface Edit {
  parcel: Package;
  trackingNumber: string;
  carrierId: number;
  warehouseId: string | null;
}

/** bg.logistics.shipment.shippingtype.update: all edits or none; updateTime stays, since no status changes. */
function update({ params, shop, world }: ApiCall): Rendered {
  const list = listOf(params.editPackageRequestList).map(fieldsOf);
  if (list.length === 0) return { outer: SHIPPING.badRequest };
  const edits: Edit[] = [];
  for (const fields of list) {
    const edit = readEdit(fields, shop, world);
    if ('errorCode' in edit) return { outer: edit };
    if (edits.some(({ trackingNumber }) => trackingNumber === edit.trackingNumber))
      return { outer: SHIPPING.numberTwice };
    edits.push(edit);
  }
  for (const { parcel, ...change } of edits) world.packages.change(parcel, change);
  return { ok: 'true' };
}

function readEdit(fields: Readonly<Record<string, unknown>>, shop: Shop, world: World): Edit | ApiError {
  const { packages } = world;
  const packageSn = textOf(fields.packageSn) ?? '';
  const parcel = packages.bySn(shop.name, packageSn);
  if (!parcel)
    return packages.bySubSn(shop.name, packageSn) ? SHIPPING.subNotEditable : SHIPPING.packageUnknown;
  if (parcel.contents.some(({ parentOrderSn }) => !editable(world.order(shop, parentOrderSn))))
    return SHIPPING.notEditable;
  const trackingNumber = textOf(fields.trackingNumber)?.trim() ?? '';
  const carrierId = integerOf(fields.shipCompanyId) ?? Number.NaN;
  if (trackingNumber === '') return SHIPPING.badRequest;
  if (signsIn(trackingNumber)) return SHIPPING.numberSigns;
  const holder = packages.withNumber(trackingNumber);
  if (holder && holder !== parcel) return SHIPPING.numberUsed;
  const warehouseId = textOf(fields.selfShippingWarehouseId) ?? null;
  const wrongWarehouse = warehouseRefusal(shop, warehouseId);
  if (wrongWarehouse) return wrongWarehouse;
  // The page of this call lists no code for an unknown carrier.
  return companyOf(shop, carrierId)
    ? { parcel, trackingNumber, carrierId, warehouseId }
    : SHIPPING.badRequest;
}

/** Only while it is on its way. */
function editable(order: SandboxOrder | undefined): boolean {
  return order !== undefined && !order.packagesLocked && (order.status === 4 || order.status === 41);
}
