import type { Failure, Result } from '../../lib/errors.ts';
import { cut } from '../../lib/storable.ts';
import { countryCode } from './country.ts';
import { decimalOf } from './money.ts';
import type { Amounts, ListItem, Shipping } from './responses.ts';
import { decideStatus, isKnownState, type StateValue, type StatusDecision, stateName } from './status.ts';

/** Types of order_errors that an import writes and resolves; other types are left alone. */
export const ERROR_TYPES = {
  download: 'Order Download',
  sku: 'Product Mapping',
  status: 'Unknown Status',
  country: 'Unknown Country',
} as const;

export interface OrderError {
  type: (typeof ERROR_TYPES)[keyof typeof ERROR_TYPES];
  message: string;
}

export interface MappedProduct {
  itemOrderLineId: string;
  channelItemId: string | null;
  itemTitle: string | null;
  itemTransactionId: string | null;
  sku: string | null;
  quantity: number;
  itemPrice: string | null;
  status: string | null;
  lines: { marketplaceOrderItemId: string; quantity: number }[];
}

export interface MappedOrder {
  marketplaceOrderId: string;
  /** Null when Temu gave none. */
  marketplaceStatus: string | null;
  decision: StatusDecision;
  orderCreatedAt: Date | null;
  orderModifiedAt: Date;
  shipByDate: Date | null;
  regionId: number | null;
  /** Null when the price call returned nothing: stored values then stay. */
  prices: {
    orderTotalAmount: string | null;
    orderSubtotalAmount: string | null;
    shippingServiceCost: string | null;
    totalVat: string | null;
    totalSalesTax: string | null;
    discountValue: string | null;
    orderCurrency: string | null;
    temuDiscount: string | null;
    sellerDiscount: string | null;
  } | null;
  /** Null when the shipping call returned nothing: stored values then stay. */
  address: {
    buyerMail: string | null;
    shippingBuyerName: string | null;
    shippingPhone: string | null;
    shippingStreet1: string | null;
    shippingCity: string | null;
    shippingStateProvince: string | null;
    shippingCountryName: string | null;
    shippingCountryCode: string | null;
    shippingPostalCode: string | null;
  } | null;
  products: MappedProduct[];
  errors: OrderError[];
}

export interface MapInput {
  item: ListItem;
  amounts: Result<Amounts>;
  shipping: Result<Shipping>;
  /** Temu's skuId → our SKUs (T10). */
  skus: ReadonlyMap<string, readonly string[]>;
  /** ISO-2 country of the seller's account. */
  country: string;
  /** Unit prices by orderSn from an earlier read, for when the price call fails now. */
  knownPrices: ReadonlyMap<string, string>;
  now: Date;
}

/** Maps one Temu order to our tables (T6 to T13), from the responses of the three calls. Pure. */
export function mapOrder({
  item,
  amounts,
  shipping,
  skus,
  country,
  knownPrices,
  now,
}: MapInput): MappedOrder {
  const parent = item.parentOrderMap;
  const decision = decideStatus({
    value: parent.parentOrderStatus,
    updateTime: parent.updateTime as Date,
    lines: item.orderList.map((row) => ({
      ordered: orderedOf(row),
      cancelled: row.canceledQuantityBeforeShipment ?? 0,
    })),
    partMissing: !amounts.ok || !shipping.ok,
    now,
  });
  const address = shipping.ok ? mapAddress(shipping.value) : null;
  const unitPrices = amounts.ok
    ? new Map(
        amounts.value.orderList.map((row) => [
          row.orderSn,
          decimalOf(
            row.unitBasePrice.amount,
            row.unitBasePrice.currency ?? amounts.value.parentOrderMap.basePriceTotal.currency,
          ),
        ]),
      )
    : knownPrices;

  return {
    marketplaceOrderId: parent.parentOrderSn,
    marketplaceStatus: stateName(parent.parentOrderStatus),
    decision,
    orderCreatedAt: parent.parentOrderTime,
    orderModifiedAt: parent.updateTime as Date,
    shipByDate: parent.expectShipLatestTime,
    regionId: parent.regionId ?? null,
    prices: amounts.ok ? mapPrices(amounts.value, country) : null,
    address,
    products: groupRows(item.orderList, unitPrices, skus),
    errors: [
      ...unknownStatus(parent.parentOrderStatus),
      // while an order waits for its hold to end, a missing part is fetched again but is no error yet (T13)
      ...(decision.backfillable && !decision.pendingUntil ? downloadErrors([amounts, shipping]) : []),
      ...ambiguousSkus(item.orderList, skus),
      ...unknownCountry(address),
    ],
  };
}

type Row = ListItem['orderList'][number];

/** originalOrderQuantity; where an older response lacks it, what remains plus what was cancelled. */
const orderedOf = (row: Row) =>
  row.originalOrderQuantity ?? (row.quantity ?? 0) + (row.canceledQuantityBeforeShipment ?? 0);

/** T8. */
function mapPrices({ parentOrderMap: total }: Amounts, country: string): NonNullable<MappedOrder['prices']> {
  const text = (money: { amount: bigint | null; currency: string | null }) =>
    decimalOf(money.amount, money.currency ?? total.basePriceTotal.currency);
  const tax = text(total.taxTotalAfterDiscount);
  const discounts = [total.discountFromTEMU, total.discountFromSeller].filter(
    ({ amount }) => amount !== null,
  );
  const discount =
    discounts.length === 0 ? null : discounts.reduce((sum, { amount }) => sum + (amount ?? 0n), 0n);
  return {
    orderTotalAmount: text(total.estimatedRevenue),
    orderSubtotalAmount: text(total.basePriceTotal),
    shippingServiceCost: text(total.shippingAmountTotal),
    totalVat: country === 'US' ? null : tax,
    totalSalesTax: country === 'US' ? tax : null,
    discountValue: text({ amount: discount, currency: discounts[0]?.currency ?? null }),
    orderCurrency: total.basePriceTotal.currency,
    temuDiscount: text(total.discountFromTEMU),
    sellerDiscount: text(total.discountFromSeller),
  };
}

/** T9. A response without a single field is what Temu returns once an order has shipped: no address. */
function mapAddress(shipping: Shipping): MappedOrder['address'] {
  if (!shipping || Object.values(shipping).every((value) => value === null)) return null;
  return {
    buyerMail: shipping.mail,
    shippingBuyerName: shipping.receiptName,
    shippingPhone: shipping.mobile,
    shippingStreet1: shipping.addressLine1,
    shippingCity: shipping.regionName3,
    shippingStateProvince: shipping.regionName2,
    shippingCountryName: shipping.regionName1,
    shippingCountryCode: shipping.regionName1 ? countryCode(shipping.regionName1) : null,
    shippingPostalCode: shipping.postCode,
  };
}

/** T10 and T11: one product per SKU and price, with one line per row. */
function groupRows(
  rows: readonly Row[],
  prices: ReadonlyMap<string, string | null>,
  skus: MapInput['skus'],
): MappedProduct[] {
  const groups = new Map<string, MappedProduct>();
  for (const row of rows) {
    const price = prices.get(row.orderSn) ?? null;
    const productSkuId = row.productList?.find((product) => product.productSkuId)?.productSkuId;
    const lineId = [productSkuId ?? row.skuId ?? row.goodsId ?? row.orderSn, price]
      .filter((part) => part !== null)
      .join('-');
    // where Temu returns no skuId, the next best id stands for it; numbers of different kinds may be equal
    const [kind, skuKey] = row.skuId
      ? ['sku', row.skuId]
      : productSkuId
        ? ['product', productSkuId]
        : row.goodsId
          ? ['goods', row.goodsId]
          : ['row', row.orderSn];
    const key = JSON.stringify([kind, skuKey, price]);
    const quantity = orderedOf(row);
    const line = { marketplaceOrderItemId: row.orderSn, quantity };
    const status = stateName(row.orderStatus ?? null);
    const group = groups.get(key);
    if (group) {
      group.quantity += quantity;
      group.lines.push(line);
      if (firstToDo(status) < firstToDo(group.status)) group.status = status;
      continue;
    }
    const ours = row.skuId ? (skus.get(row.skuId) ?? []) : [];
    groups.set(key, {
      itemOrderLineId: untaken(lineId, skuKey, groups),
      channelItemId: row.goodsId,
      itemTitle: row.goodsName,
      itemTransactionId: row.skuId,
      sku: ours.length === 1 ? (ours[0] ?? null) : null,
      quantity,
      itemPrice: price,
      status,
      lines: [line],
    });
  }
  return [...groups.values()];
}

/** item_order_line_id is unique in an order; SKUs that share a productSkuId and a price add their own. */
function untaken(lineId: string, skuKey: string, groups: ReadonlyMap<string, MappedProduct>): string {
  const taken = new Set([...groups.values()].map((other) => other.itemOrderLineId));
  let free = lineId;
  while (taken.has(free)) free += `-${skuKey}`;
  return free;
}

/** Rows of one product may be in different states: the product shows the one with the most work left. */
const BY_WORK_AHEAD = [
  'UN_SHIPPING',
  'PENDING',
  'PARTIAL DELIVERY',
  'SHIPPED',
  'PARTIAL RECEIPT',
  'RECEIPTED',
  'CANCELED',
];
const firstToDo = (status: string | null) => {
  const at = BY_WORK_AHEAD.indexOf(status ?? '');
  return at < 0 ? BY_WORK_AHEAD.length : at;
};

const downloadErrors = (calls: readonly Result<unknown>[]): OrderError[] =>
  calls
    .filter((call): call is { ok: false; failure: Failure } => !call.ok)
    .map((call) => ({ type: ERROR_TYPES.download, message: call.failure.message }));

const unknownStatus = (value: StateValue): OrderError[] =>
  isKnownState(value)
    ? []
    : [
        {
          type: ERROR_TYPES.status,
          message: `Temu gave the order the status ${JSON.stringify(value)}, which Orderfleet does not know`,
        },
      ];

/** T10's text, to the letter. */
const ambiguousSkus = (rows: readonly Row[], skus: MapInput['skus']): OrderError[] =>
  [...new Set(rows.map((row) => row.skuId))]
    .filter((skuId) => skuId !== null && (skus.get(skuId)?.length ?? 0) > 1)
    .map((skuId) => ({
      type: ERROR_TYPES.sku,
      message: `Multiple Products present in the system with Temu SKU IDs ${skuId}`,
    }));

const unknownCountry = (address: MappedOrder['address']): OrderError[] =>
  address?.shippingCountryName && !address.shippingCountryCode
    ? [
        {
          type: ERROR_TYPES.country,
          message: `No country code is known for "${cut(address.shippingCountryName, 100)}"`,
        },
      ]
    : [];
