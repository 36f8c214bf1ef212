import { stringify } from 'lossless-json';
import { type ApiError, addressWithheld, type OrderLine, type SandboxOrder } from './model.ts';

export type ApiVersion = 'v1' | 'v2';

/** Result of a call about one order: JSON text of the business part, or failures at one or both levels. */
export type Rendered = { ok: string } | { inner?: ApiError; outer?: ApiError };

/** JSON text; bigint becomes a bare number, so ids above 2^53 are exact on the wire. */
function text(value: unknown): string {
  return stringify(value) ?? 'null';
}

/** One element of pageItems (bg.order.list.get, bg.order.list.v2.get; shapes/bg.order.list.v2.get.shape.json). */
export function renderListItem(order: SandboxOrder, version: ApiVersion): string {
  if (order.verbatim) return order.verbatim.listItem;
  const parent = {
    parentOrderLabel: labels(order, version),
    ...(version === 'v2' && { shippingMethod: 1 }),
    parentShippingTime: order.shippedAt,
    updateTime: order.updatedAt,
    latestDeliveryTime: order.latestDelivery,
    ...(version === 'v2' && { parentConfirmTime: order.confirmedAt }),
    fulfillmentWarning: order.warnings,
    parentOrderTime: order.createdAt,
    ...(version === 'v2' && { orderPaymentType: 'PPD', batchOrderNumberList: null }),
    regionId: order.regionId,
    parentOrderSn: order.parentOrderSn,
    parentOrderPendingFinishTime: order.pendingUntil,
    siteId: order.siteId,
    expectShipLatestTime: order.shipBy,
    parentOrderStatus: order.status,
    hasShippingFee: order.amounts.shippingAmountTotal === 0,
  };
  return text({
    parentOrderMap: parent,
    orderList: order.lines.map((line) => listLine(order, line, version)),
  });
}

const LABELS = [
  'soon_to_be_overdue',
  'past_due',
  'pending_buyer_cancellation',
  'pending_buyer_address_change',
  'pending_risk_control_alert',
] as const;

function labels(order: SandboxOrder, version: ApiVersion): { name: string; value: 0 | 1 }[] {
  const names = version === 'v2' ? [...LABELS, 'signature_required_on_delivery'] : LABELS;
  return names.map((name) => ({ name, value: order.labels.includes(name) ? 1 : 0 }));
}

function listLine(order: SandboxOrder, line: OrderLine, version: ApiVersion): Record<string, unknown> {
  return {
    canceledQuantityBeforeShipment: line.cancelled,
    quantity: line.ordered - line.cancelled,
    orderSn: line.orderSn,
    goodsId: BigInt(line.goodsId),
    orderLabel: [
      { name: 'customized_products', value: 0 },
      { name: 'US_to_CA', value: 0 },
    ],
    orderStatus: line.status,
    inventoryDeductionWarehouseId: null,
    fulfillmentType: 'fulfillBySeller',
    ...(version === 'v2' && {
      originalGoodsName: line.goodsName,
      isCancelledDuringPending: false,
      fulfillmentWarning: [],
      orderPaymentType: 'PPD',
      originalSpecName: line.spec,
      orderShippingTime: line.status === 4 || line.status === 5 ? order.shippedAt : null,
    }),
    spec: line.spec,
    originalOrderQuantity: line.ordered,
    thumbUrl: line.thumbUrl,
    inventoryDeductionWarehouseName: null,
    goodsName: line.goodsName,
    productList: [
      {
        productSkuId: BigInt(line.productSkuId),
        soldFactor: 1,
        extCode: line.extCode,
        productId: BigInt(line.productId),
      },
    ],
    skuId: BigInt(line.skuId),
  };
}

/** The result of bg.order.amount.query: integers in minor units, rows in another order than the list's. */
export function renderAmount(order: SandboxOrder): Rendered {
  if (order.amountFailure) return { outer: order.amountFailure };
  if (order.verbatim?.amount) return { ok: order.verbatim.amount };
  const { currency, amounts } = order;
  const money = (amount: number | null) => ({ amount, currency });
  const rows = order.lines.map((line) => ({
    unitBasePrice: money(line.unitPrice),
    unitRetailPriceVatExcl: money(scaled(line.unitPrice, 1.36)),
    quantity: line.ordered,
    orderSn: line.orderSn,
    unitRetailPriceVatIncl: money(scaled(line.unitPrice, 1.62)),
    productTaxRate: 19_000_000,
    basePrice: money(line.unitPrice === null ? null : line.unitPrice * line.ordered),
  }));
  const open = amounts.taxTotalAfterDiscount === null || amounts.estimatedRevenue === null;
  return {
    ok: text({
      parentOrderMap: {
        taxTotalAfterDiscount: money(amounts.taxTotalAfterDiscount),
        estimatedRevenueDeduction: money(amounts.estimatedRevenueDeduction),
        parentOrderSn: order.parentOrderSn,
        taxTotal: money(amounts.taxTotal),
        refundsTotal: money(amounts.refundsTotal),
        estimatedRevenue: money(amounts.estimatedRevenue),
        discountFromTEMU: money(amounts.discountFromTEMU),
        shippingAmountTotal: money(amounts.shippingAmountTotal),
        discountFromSeller: money(amounts.discountFromSeller),
        basePriceTotal: money(amounts.basePriceTotal),
      },
      // Reversed, to detect clients that match by position instead of by orderSn.
      orderList: rows.reverse(),
      ...(open && { warning: ['Some amount fields are still undergoing system calculation.'] }),
    }),
  };
}

function scaled(amount: number | null, factor: number): number | null {
  return amount === null ? null : Math.round(amount * factor);
}

const GONE: ApiError = { errorCode: 40003, errorMsg: 'invalid param' };

/**
 * The result of bg.order.shippinginfo.get and .v2.get. Cancelled, shipped and received orders get no address (source
 * document "Get Shipping Details"): a failure, a null or empty fields, as the order's `withoutAddress` says.
 */
export function renderShipping(order: SandboxOrder, version: ApiVersion): Rendered {
  if (order.shippingFailure) return order.shippingFailure;
  if (order.verbatim?.shipping) return { ok: order.verbatim.shipping };
  if (addressWithheld(order.status)) {
    if (order.withoutAddress === 'error') return { inner: GONE };
    if (order.withoutAddress === 'null') return { ok: 'null' };
  }
  const withheld = addressWithheld(order.status);
  const a = order.address;
  const shown = <T>(value: T): T | null => (withheld ? null : value);
  const all = [a.street1, a.street2].filter((part) => part !== null && part !== '').join(', ');
  return {
    ok: text({
      receiptAdditionalName: null,
      regionName3: shown(a.city),
      regionName4: null,
      mail: shown(a.mail),
      regionName1: shown(a.countryName),
      regionName2: shown(a.state),
      ...(version === 'v2' && {
        addressExtra: { firstName: shown(a.name), lastName: null, contactlessDropPoint: null },
        taxCode: null,
        taxCodeType: null,
        warning: { isRestriction: false, reason: null },
      }),
      mobile: shown(a.mobile),
      addressLineAll: shown(all),
      receiptName: shown(a.name),
      addressLine1: shown(a.street1),
      backupMobile: null,
      addressLine2: shown(a.street2),
      postCode: shown(a.postCode),
      addressLine3: null,
    }),
  };
}
