import {
  type ApiError,
  addressWithheld,
  decimalsOf,
  type OrderLine,
  type Product,
  type SandboxOrder,
} from './model.ts';

/** T12: hold of an order with units cancelled before shipment. */
const HOLD_MS = 30 * 60_000;

export interface ExpectedOptions {
  /** Epoch milliseconds, for the hold (T12). */
  now: number;
  /** Rows of temu_products of the order's store (T10). */
  products: readonly Product[];
  /** False when the store's token may not call bg.order.amount.query: every price call ends in 3000032. */
  amountScope?: boolean;
  /** True when Orderfleet read the order while Temu still returned its address: it must not be lost later. */
  addressSeen?: boolean;
}

interface ExpectedOrder {
  source: 'temu';
  marketplace_order_id: string;
  status: string;
  marketplace_status: string;
  order_created_at: Date;
  order_modified_at: Date;
  ship_by_date: Date | null;
  pending_until: Date | null;
  order_total_amount: string | null;
  order_subtotal_amount: string | null;
  shipping_service_cost: string | null;
  total_vat: string | null;
  total_sales_tax: string | null;
  discount_value: string | null;
  order_currency: string | null;
  buyer_mail: string | null;
  shipping_buyer_name: string | null;
  shipping_phone: string | null;
  shipping_street1: string | null;
  shipping_city: string | null;
  shipping_state_province: string | null;
  shipping_country_name: string | null;
  shipping_country_code: string | null;
  shipping_postal_code: string | null;
}

interface ExpectedProduct {
  item_order_line_id: string;
  channel_item_id: string;
  item_title: string;
  item_transaction_id: string;
  sku: string | null;
  quantity: number;
  item_price: string | null;
  status: string;
  order_item_lines: { marketplace_order_item_id: string; quantity: number }[];
}

/** An open order_error: its message must contain every text of `includes`. `type` null: no rule names it. */
interface ExpectedError {
  type: 'Order Download' | null;
  includes: string[];
}

export interface Expected {
  orders: ExpectedOrder;
  temu_orders: { region_id: number; temu_discount: string | null; seller_discount: string | null };
  /** Sorted by item_order_line_id. */
  products_in_order: ExpectedProduct[];
  order_errors: ExpectedError[];
  /** Set for an unknown country name: kept, code null, reported (T9). */
  unknown_country: string | null;
}

/**
 * What Orderfleet must store in Postgres for an order (T6–T13), derived from the model and not from Temu's JSON, without
 * any code of src/.
 */
export function expected(order: SandboxOrder, options: ExpectedOptions): Expected {
  const priceError = priceFailure(order, options);
  const status = statusOf(order, options);
  const money = moneyOf(order, priceError === null);
  const products = groupLines(order, options.products, priceError === null);
  return {
    orders: {
      source: 'temu',
      marketplace_order_id: order.parentOrderSn,
      status: status.status,
      marketplace_status: stateName(order.status),
      order_created_at: date(order.createdAt) as Date,
      order_modified_at: date(order.updatedAt) as Date,
      ship_by_date: date(order.shipBy),
      pending_until: status.pendingUntil,
      ...money.orders,
      ...addressOf(order, options),
    },
    temu_orders: { region_id: order.regionId, ...money.temuOrders },
    products_in_order: products,
    order_errors: errorsOf(order, options, status.judged),
    unknown_country:
      addressServed(order) && order.address.countryCode === null ? order.address.countryName : null,
  };
}

function date(seconds: number | null): Date | null {
  return seconds === null ? null : new Date(seconds * 1000);
}

const STATES: Record<number, readonly [state: string, status: string]> = {
  1: ['PENDING', 'Pending'],
  2: ['UN_SHIPPING', 'Ready for Shipping'],
  3: ['CANCELED', 'Cancelled'],
  4: ['SHIPPED', 'Shipped'],
  5: ['RECEIPTED', 'Shipped'],
  41: ['PARTIAL DELIVERY', 'Partially Shipped'],
  51: ['PARTIAL RECEIPT', 'Partially Shipped'],
};

/** T7: the state's name; an unknown value as received. */
function stateName(status: number): string {
  return STATES[status]?.[0] ?? String(status);
}

/** T12: end of the hold, or null without a hold. */
function heldUntil(order: SandboxOrder): Date | null {
  const before = order.status === 1 || order.status === 2 || order.status === 3;
  if (!before || !order.lines.some(({ cancelled }) => cancelled > 0)) return null;
  return new Date(order.updatedAt * 1000 + HOLD_MS);
}

/** T7, T12 and T13 together; `judged` says that missing prices or addresses count. */
function statusOf(
  order: SandboxOrder,
  options: ExpectedOptions,
): { status: string; pendingUntil: Date | null; judged: boolean } {
  const until = heldUntil(order);
  if (until && options.now < until.getTime())
    return { status: 'Pending', pendingUntil: until, judged: false };
  const status = until ? releasedStatus(order) : STATES[order.status]?.[1];
  if (status === undefined) return { status: 'Incomplete', pendingUntil: null, judged: false };
  const judged = status === 'Ready for Shipping' || status === 'Partially Shipped';
  const failed = priceFailure(order, options) !== null || shippingErrors(order).length > 0;
  return { status: judged && failed ? 'Incomplete' : status, pendingUntil: null, judged };
}

function releasedStatus(order: SandboxOrder): string {
  if (order.status === 3 || order.lines.every(({ cancelled, ordered }) => cancelled === ordered))
    return 'Cancelled';
  return order.status === 1 ? 'Pending' : 'Ready for Shipping';
}

const NO_SCOPE: ApiError = { errorCode: 3_000_032, errorMsg: "access_token don't have this api access" };

function priceFailure(order: SandboxOrder, options: ExpectedOptions): ApiError | null {
  return options.amountScope === false ? NO_SCOPE : order.amountFailure;
}

function shippingErrors(order: SandboxOrder): ApiError[] {
  const { inner, outer } = order.shippingFailure ?? {};
  return [inner, outer].filter((error) => error !== undefined);
}

/** T8: minor units to numeric(14,2); a currency without minor units is not divided. */
export function decimalText(amount: number | null, currency: string): string | null {
  if (amount === null) return null;
  if (decimalsOf(currency) === 0) return `${amount}.00`;
  const digits = String(Math.abs(amount)).padStart(3, '0');
  return `${amount < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

function moneyOf(order: SandboxOrder, known: boolean) {
  const { amounts, currency } = order;
  const text = (amount: number | null) => (known ? decimalText(amount, currency) : null);
  const tax = text(amounts.taxTotalAfterDiscount);
  const american = order.shopCountry === 'US';
  const { discountFromTEMU: fromTemu, discountFromSeller: fromSeller } = amounts;
  const discount = fromTemu === null && fromSeller === null ? null : (fromTemu ?? 0) + (fromSeller ?? 0);
  return {
    orders: {
      order_total_amount: text(amounts.estimatedRevenue),
      order_subtotal_amount: text(amounts.basePriceTotal),
      shipping_service_cost: text(amounts.shippingAmountTotal),
      total_vat: american ? null : tax,
      total_sales_tax: american ? tax : null,
      discount_value: text(discount),
      order_currency: known ? currency : null,
    },
    temuOrders: { temu_discount: text(fromTemu), seller_discount: text(fromSeller) },
  };
}

/** Whether the shipping call returns the address now. */
function addressServed(order: SandboxOrder): boolean {
  return (
    order.shippingFailure === null && (order.verbatim?.shipping != null || !addressWithheld(order.status))
  );
}

function addressOf(order: SandboxOrder, options: ExpectedOptions) {
  const shown = addressServed(order) || options.addressSeen === true;
  const a = order.address;
  const text = (value: string | null) => (shown ? value : null);
  return {
    buyer_mail: text(a.mail),
    shipping_buyer_name: text(a.name),
    shipping_phone: text(a.mobile),
    shipping_street1: text(a.street1),
    shipping_city: text(a.city),
    shipping_state_province: text(a.state),
    shipping_country_name: text(a.countryName),
    shipping_country_code: text(a.countryCode),
    shipping_postal_code: text(a.postCode),
  };
}

/** productSkuId with the unit price as in item_price (T6); without a price, only productSkuId. */
function itemOrderLineId(productSkuId: string, itemPrice: string | null): string {
  return itemPrice === null ? productSkuId : `${productSkuId}-${itemPrice}`;
}

/** T11: rows of the same SKU at the same price are one product; one line per row. */
function groupLines(order: SandboxOrder, products: readonly Product[], known: boolean): ExpectedProduct[] {
  const groups = new Map<string, OrderLine[]>();
  for (const line of order.lines) {
    const key = `${line.skuId} ${known ? line.unitPrice : null}`;
    groups.set(key, [...(groups.get(key) ?? []), line]);
  }
  return [...groups.values()]
    .map((lines) => product(order, lines, products, known))
    .sort((a, b) => (a.item_order_line_id < b.item_order_line_id ? -1 : 1));
}

function product(
  order: SandboxOrder,
  lines: readonly OrderLine[],
  products: readonly Product[],
  known: boolean,
): ExpectedProduct {
  const line = lines[0] as OrderLine;
  const price = known ? decimalText(line.unitPrice, order.currency) : null;
  const skus = products.filter(({ temu_sku_id }) => temu_sku_id === line.skuId);
  // Rows may differ in status (one shipped, one not): the least advanced one counts for the product, whatever the order
  // of the rows.
  const speaker = [...lines].sort((a, b) => workAhead(a.status) - workAhead(b.status))[0] as OrderLine;
  return {
    item_order_line_id: itemOrderLineId(line.productSkuId, price),
    channel_item_id: line.goodsId,
    item_title: line.goodsName,
    item_transaction_id: line.skuId,
    sku: skus.length === 1 ? (skus[0] as Product).sku : null,
    quantity: lines.reduce((sum, { ordered }) => sum + ordered, 0),
    item_price: price,
    status: stateName(speaker.status),
    order_item_lines: lines.map(({ orderSn, ordered }) => ({
      marketplace_order_item_id: orderSn,
      quantity: ordered,
    })),
  };
}

/** Statuses of a row, from the least to the most advanced. */
const WORK_AHEAD = [2, 1, 41, 4, 51, 5, 3];

function workAhead(status: number): number {
  const at = WORK_AHEAD.indexOf(status);
  return at < 0 ? WORK_AHEAD.length : at;
}

/** T7, T10, T13. */
function errorsOf(order: SandboxOrder, options: ExpectedOptions, judged: boolean): ExpectedError[] {
  const errors: ExpectedError[] = [];
  if (!STATES[order.status]) errors.push({ type: null, includes: [String(order.status)] });
  const price = priceFailure(order, options);
  const shipping = shippingErrors(order);
  if (judged && price) errors.push({ type: 'Order Download', includes: [price.errorMsg] });
  if (judged && shipping.length > 0) {
    errors.push({ type: 'Order Download', includes: shipping.map(({ errorMsg }) => errorMsg) });
  }
  for (const skuId of new Set(order.lines.map((line) => line.skuId))) {
    if (options.products.filter(({ temu_sku_id }) => temu_sku_id === skuId).length > 1) {
      errors.push({
        type: null,
        includes: [`Multiple Products present in the system with Temu SKU IDs ${skuId}`],
      });
    }
  }
  return errors;
}
