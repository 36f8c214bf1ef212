import type { ConfirmRequest, SendNumber, SendPackage } from './confirm-request.ts';
import type { ApiError, Company, OrderLine, SandboxOrder, Shop } from './model.ts';
import { badParams, naming, SHIPPING } from './shipping-errors.ts';
import type { World } from './world.ts';

export interface ConfirmCase extends ConfirmRequest {
  shop: Shop;
  world: World;
}

/**
 * Why Temu rejects the whole call; undefined: it does not. Temu's order of checks is unknown: here the orders come first,
 * then their state, number, warehouse and carrier, and finally the quantities.
 */
export function refusalOf(request: ConfirmCase): ApiError | undefined {
  return (
    ordersExist(request) ??
    ordersFitType(request) ??
    ordersShippable(request) ??
    numbersReadable(request) ??
    numbersFresh(request) ??
    subPackagesAllowed(request) ??
    firstOf(numbersOf(request), ({ warehouseId }) => warehouseRefusal(request.shop, warehouseId)) ??
    firstOf(numbersOf(request), (number) => carrierRefusal(request.shop, number)) ??
    quantitiesMatch(request)
  );
}

/** Units of a row that are not shipped yet. */
export function openUnits({ ordered, cancelled, status }: OrderLine): number {
  return status === 3 ? 0 : ordered - cancelled;
}

/** The parent orders of a call, which exist. */
export function parentsOf({ packages, shop, world }: ConfirmCase): SandboxOrder[] {
  const sns = packages.flatMap(({ items }) => items.map(({ parentOrderSn }) => parentOrderSn));
  return [...new Set(sns)].flatMap((sn) => world.order(shop, sn) ?? []);
}

/** Numbers of all packages and sub-packages. */
export function numbersOf({ packages }: ConfirmRequest): SendNumber[] {
  return packages.flatMap((parcel) => [parcel, ...parcel.subs]);
}

function firstOf<T>(list: readonly T[], refusal: (one: T) => ApiError | undefined): ApiError | undefined {
  for (const one of list) {
    const error = refusal(one);
    if (error) return error;
  }
  return undefined;
}

function ordersExist({ packages, shop, world }: ConfirmCase): ApiError | undefined {
  return firstOf(packages, ({ items, trackingNumber }) => {
    const seen = new Set<string>();
    return firstOf(items, ({ parentOrderSn, orderSn, goodsId, skuId }) => {
      const order = world.order(shop, parentOrderSn);
      if (!order) return SHIPPING.parentInvalid;
      const line = order.lines.find((one) => one.orderSn === orderSn);
      if (!line) return SHIPPING.orderInvalid;
      if ((goodsId ?? line.goodsId) !== line.goodsId || (skuId ?? line.skuId) !== line.skuId)
        return SHIPPING.orderInvalid;
      if (seen.has(orderSn)) return naming(SHIPPING.sameRowTwice, trackingNumber);
      seen.add(orderSn);
      return undefined;
    });
  });
}

function ordersFitType(request: ConfirmCase): ApiError | undefined {
  const { sendType, packages } = request;
  const parents = parentsOf(request);
  if (sendType !== 1 && packages.length > 1) return badParams('sendRequestList');
  if (sendType !== 2) return parents.length > 1 ? SHIPPING.parentInvalid : undefined;
  const addresses = new Set(parents.map(({ address }) => JSON.stringify(address)));
  return addresses.size > 1 ? SHIPPING.differentAddresses : undefined;
}

/** A label that blocks shipping, and the acceptance that overrides it. */
const PENDING = [
  ['pending_buyer_address_change', 'DENY_ADDRESS_CHANGE', SHIPPING.addressChange],
  ['pending_buyer_cancellation', 'DENY_CANCELLATION', SHIPPING.cancelPending],
  ['pending_risk_control_alert', 'DENY_PARENT_RISK_WARNING', SHIPPING.riskAlert],
] as const;

/** Labels that the call overrides. */
export function overruledLabels(packages: readonly SendPackage[], parentOrderSn: string): string[] {
  const about = packages.filter(({ items }) => items.some((item) => item.parentOrderSn === parentOrderSn));
  return PENDING.filter(([, word]) => about.some(({ acceptance }) => acceptance.has(word))).map(
    ([label]) => label,
  );
}

function ordersShippable(request: ConfirmCase): ApiError | undefined {
  return firstOf(parentsOf(request), (order) => {
    const overruled = overruledLabels(request.packages, order.parentOrderSn);
    const pending = PENDING.find(([label]) => order.labels.includes(label) && !overruled.includes(label));
    if (order.confirmFailure) return order.confirmFailure;
    if (shippedAlready(request, order)) return SHIPPING.alreadyShipped;
    if (order.status !== 2 && order.status !== 41) return SHIPPING.parentInvalid;
    if (order.warnings.includes('RESTRICT_SELF_SHIPPING')) return SHIPPING.restricted;
    return pending?.[2];
  });
}

/** The whole order, or a row that the call names. */
function shippedAlready({ packages }: ConfirmCase, order: SandboxOrder): boolean {
  if ([4, 5, 51].includes(order.status)) return true;
  const named = new Set(packages.flatMap(({ items }) => items.map(({ orderSn }) => orderSn)));
  return order.lines.some(({ orderSn, status }) => named.has(orderSn) && (status === 4 || status === 5));
}

function numbersReadable(request: ConfirmCase): ApiError | undefined {
  return firstOf(numbersOf(request), ({ trackingNumber }) => {
    if (trackingNumber.trim() === '') return SHIPPING.numberBlank;
    return signsIn(trackingNumber) ? SHIPPING.numberSigns : undefined;
  });
}

/** Temu lists -, %, # "etc.": everything but letters and digits. */
export function signsIn(trackingNumber: string): boolean {
  return !/^[A-Za-z0-9]+$/.test(trackingNumber);
}

function numbersFresh(request: ConfirmCase): ApiError | undefined {
  const seen = new Set<string>();
  for (const { trackingNumber } of numbersOf(request)) {
    if (seen.has(trackingNumber)) return SHIPPING.numberTwice;
    seen.add(trackingNumber);
  }
  return [...seen].some((number) => request.world.packages.withNumber(number))
    ? SHIPPING.numberUsed
    : undefined;
}

function subPackagesAllowed({ packages }: ConfirmCase): ApiError | undefined {
  return firstOf(packages, ({ subs, items }) => {
    if (subs.length > 10) return SHIPPING.tooManySubs;
    const single = items.length === 1 && items[0]?.quantity === 1;
    return subs.length > 0 && !single ? SHIPPING.subQuantity : undefined;
  });
}

export function warehouseRefusal(shop: Shop, warehouseId: string | null): ApiError | undefined {
  if (!warehouseId?.trim()) return SHIPPING.warehouseMissing;
  const warehouse = shop.warehouses.find(({ id }) => id === warehouseId);
  if (!warehouse) return SHIPPING.warehouseInvalid;
  return warehouse.managementType === null ? SHIPPING.warehouseUnfinished : undefined;
}

/** The carrier by its id, in whichever region of the shop. */
export function companyOf(shop: Shop, carrierId: number): Company | undefined {
  return shop.companies.find(({ id }) => id === carrierId);
}

function carrierRefusal(shop: Shop, { carrierId, trackingNumber }: SendNumber): ApiError | undefined {
  const company = companyOf(shop, carrierId);
  if (!company) return SHIPPING.carrierUnknown;
  const fits = company.pattern === undefined || new RegExp(company.pattern).test(trackingNumber);
  return fits ? undefined : naming(SHIPPING.numberInvalid, trackingNumber);
}

/** Every open unit of every parent, neither more nor less, over all packages of the call. */
function quantitiesMatch(request: ConfirmCase): ApiError | undefined {
  const sent = new Map<string, number>();
  for (const { orderSn, quantity } of request.packages.flatMap(({ items }) => items))
    sent.set(orderSn, (sent.get(orderSn) ?? 0) + quantity);
  const waiting = parentsOf(request).flatMap(({ lines }) =>
    lines.filter(({ status }) => status !== 4 && status !== 5),
  );
  const covered = waiting.every((line) => (sent.get(line.orderSn) ?? 0) === openUnits(line));
  return covered ? undefined : SHIPPING.quantity;
}
