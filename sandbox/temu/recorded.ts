import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLosslessNumber, parse, stringify } from 'lossless-json';
import { packageRoot } from '../../src/lib/package-root.ts';
import type { OrderAmounts, OrderLine, SandboxOrder, ShopIdentity } from './model.ts';

/** Location of the recorded responses in a checkout. */
export const RECORDED_FOLDER = join(packageRoot(), 'tests/fixtures/temu');

export interface RecordedOptions {
  shop: ShopIdentity;
  /** Folder of the recorded responses; default: tests/fixtures/temu. */
  folder?: string;
  /** Moves all times so that updateTime is this (Unix seconds); default: as recorded, in 2025. */
  updatedAt?: number;
}

type Json = { readonly [key: string]: unknown };

/**
 * The recorded responses as orders of a shop: the EU order with its list item and the recorded amount and address (only
 * parentOrderSn and orderSn are replaced), and the Brazilian v2 list item, without a recorded amount and address. Served
 * verbatim until they change.
 */
export function recordedOrders(options: RecordedOptions): SandboxOrder[] {
  const folder = options.folder ?? RECORDED_FOLDER;
  const read = (file: string): Json => parse(readFileSync(join(folder, file), 'utf8')) as Json;
  const eu = moved(listItem(read('order-list-v1.eu.nested.json')), options.updatedAt);
  const br = moved(listItem(read('order-list-v2.br.nested.restrict-self-shipping.json')), options.updatedAt);
  const amount = ownAmount(read('order-amount-query.eu.json').result as Json, eu);
  const shipping = (read('order-shippinginfo-v1.eu.nested.json').result as Json).result as Json;
  return [
    toOrder(options.shop, eu, { amount, shipping }),
    toOrder(options.shop, br, { amount: null, shipping: null }),
  ];
}

function listItem(answer: Json): Json {
  return (((answer.result as Json).result as Json).pageItems as Json[])[0] as Json;
}

function int(value: unknown): number | null {
  return isLosslessNumber(value) ? Number(value.toString()) : null;
}

function digits(value: unknown): string {
  return isLosslessNumber(value) ? value.toString() : String(value);
}

function string(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

const TIMES = [
  'updateTime',
  'latestDeliveryTime',
  'parentOrderTime',
  'parentOrderPendingFinishTime',
  'expectShipLatestTime',
] as const;

function moved(item: Json, updatedAt: number | undefined): Json {
  if (updatedAt === undefined) return item;
  const parent = item.parentOrderMap as Json;
  const shift = updatedAt - (int(parent.updateTime) ?? 0);
  const times = TIMES.map((key) => [key, BigInt((int(parent[key]) ?? 0) + shift)] as const);
  const renumbered = { ...item, parentOrderMap: { ...parent, ...Object.fromEntries(times) } };
  // Through text, so that moved and recorded numbers have the same type.
  return parse(stringify(renumbered) as string) as Json;
}

function ownAmount(amount: Json, item: Json): Json {
  const { parentOrderSn } = item.parentOrderMap as Json;
  const sns = (item.orderList as Json[]).map(({ orderSn }) => orderSn);
  return {
    ...amount,
    parentOrderMap: { ...(amount.parentOrderMap as Json), parentOrderSn },
    orderList: (amount.orderList as Json[]).map((row, index) => ({ ...row, orderSn: sns[index] })),
  };
}

function toOrder(
  shop: ShopIdentity,
  item: Json,
  recorded: { amount: Json | null; shipping: Json | null },
): SandboxOrder {
  const parent = item.parentOrderMap as Json;
  const { amount, shipping } = recorded;
  const lines = (item.orderList as Json[]).map((row, index) => toLine(row, amount, index));
  return {
    parentOrderSn: digits(parent.parentOrderSn),
    shopName: shop.name,
    shopCountry: shop.country,
    status: int(parent.parentOrderStatus) ?? 0,
    createdAt: int(parent.parentOrderTime) ?? 0,
    updatedAt: int(parent.updateTime) ?? 0,
    pendingUntil: int(parent.parentOrderPendingFinishTime),
    confirmedAt: int(parent.parentOrderPendingFinishTime),
    shipBy: int(parent.expectShipLatestTime),
    latestDelivery: int(parent.latestDeliveryTime),
    shippedAt: int(parent.parentShippingTime),
    regionId: int(parent.regionId) ?? 0,
    siteId: int(parent.siteId) ?? 0,
    currency: amount ? 'EUR' : 'BRL',
    lines,
    amounts: amount ? toAmounts(amount.parentOrderMap as Json) : MADE_UP_AMOUNTS,
    address: shipping ? toAddress(shipping) : MADE_UP_ADDRESS,
    labels: [],
    warnings: (parent.fulfillmentWarning as string[]) ?? [],
    amountFailure: null,
    shippingFailure: null,
    confirmFailure: null,
    packagesLocked: false,
    withoutAddress: 'error',
    kinds: ['recorded', `status${int(parent.parentOrderStatus)}`],
    verbatim: {
      listItem: stringify(item) as string,
      amount: amount ? (stringify(amount) as string) : null,
      shipping: shipping ? (stringify(shipping) as string) : null,
    },
  };
}

function toLine(row: Json, amount: Json | null, index: number): OrderLine {
  const product = (row.productList as Json[])[0] as Json;
  const price = amount ? ((amount.orderList as Json[])[index] as Json).unitBasePrice : undefined;
  return {
    orderSn: digits(row.orderSn),
    status: int(row.orderStatus) ?? 0,
    skuId: digits(row.skuId),
    goodsId: digits(row.goodsId),
    productSkuId: digits(product.productSkuId),
    productId: digits(product.productId),
    goodsName: string(row.goodsName) ?? '',
    spec: string(row.spec) ?? '',
    thumbUrl: string(row.thumbUrl) ?? '',
    extCode: string(product.extCode) ?? '',
    ordered: int(row.originalOrderQuantity) ?? 0,
    cancelled: int(row.canceledQuantityBeforeShipment) ?? 0,
    unitPrice: price ? int((price as Json).amount) : MADE_UP_AMOUNTS.basePriceTotal,
  };
}

function toAmounts(parent: Json): OrderAmounts {
  const of = (key: keyof OrderAmounts): number | null => int((parent[key] as Json | undefined)?.amount);
  return {
    taxTotal: of('taxTotal'),
    taxTotalAfterDiscount: of('taxTotalAfterDiscount'),
    basePriceTotal: of('basePriceTotal'),
    shippingAmountTotal: of('shippingAmountTotal'),
    estimatedRevenue: of('estimatedRevenue'),
    estimatedRevenueDeduction: of('estimatedRevenueDeduction'),
    discountFromTEMU: of('discountFromTEMU'),
    discountFromSeller: of('discountFromSeller'),
    refundsTotal: of('refundsTotal'),
  };
}

function toAddress(shipping: Json): SandboxOrder['address'] {
  const countryName = string(shipping.regionName1);
  return {
    name: string(shipping.receiptName),
    mobile: string(shipping.mobile),
    mail: string(shipping.mail),
    countryName,
    countryCode: countryName === 'France' ? 'FR' : null,
    state: string(shipping.regionName2),
    city: string(shipping.regionName3),
    street1: string(shipping.addressLine1),
    street2: string(shipping.addressLine2),
    postCode: string(shipping.postCode),
  };
}

/** For the Brazilian item, of which Temu's pages show neither amount nor address. */
const MADE_UP_AMOUNTS: OrderAmounts = {
  taxTotal: 0,
  taxTotalAfterDiscount: 0,
  basePriceTotal: 4990,
  shippingAmountTotal: 0,
  estimatedRevenue: 4990,
  estimatedRevenueDeduction: 0,
  discountFromTEMU: 0,
  discountFromSeller: 0,
  refundsTotal: null,
};

const MADE_UP_ADDRESS: SandboxOrder['address'] = {
  name: 'João da Conceição',
  mobile: '+55 11 900000000',
  mail: '000000000000@us.shipping.temuemail.com',
  countryName: 'Brazil',
  countryCode: 'BR',
  state: 'São Paulo',
  city: 'São Paulo',
  street1: 'Avenida Paulista 1000',
  street2: null,
  postCode: '01310-100',
};
