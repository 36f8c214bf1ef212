import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Failure, ok, type Result } from '../../../src/lib/errors.ts';
import { failureOf, readEnvelope } from '../../../src/temu/envelope.ts';
import { parseExact } from '../../../src/temu/json.ts';
import { type MapInput, mapOrder } from '../../../src/temu/orders/map.ts';
import { decimalOf } from '../../../src/temu/orders/money.ts';
import {
  type Amounts,
  amountResponse,
  type ListItem,
  listItem,
  parseResponse,
  type Shipping,
  shippingResponse,
} from '../../../src/temu/orders/responses.ts';
import { HOLD_MS } from '../../../src/temu/orders/status.ts';
import { recordedText } from '../recorded.ts';

type Json = Record<string, unknown>;

/** A recorded answer as a document of one's own, to be changed. */
const document = (file: string) => parseExact(recordedText(file)) as { result: Json };
const recordedItem = () =>
  ((document('order-list-v1.eu.nested.json').result.result as Json).pageItems as Json[])[0] as {
    parentOrderMap: Json;
    orderList: Json[];
  };
const recordedShipping = () => document('order-shippinginfo-v1.eu.nested.json').result.result as Json;
/** The recorded amounts are another order's: its numbers are replaced by the recorded item's. */
const recordedAmounts = () => {
  const amounts = document('order-amount-query.eu.json').result as {
    parentOrderMap: Json;
    orderList: Json[];
  };
  amounts.parentOrderMap.parentOrderSn = 'PO-076-13925293151271879';
  for (const row of amounts.orderList) row.orderSn = '076-13925398008871879';
  return amounts;
};
const SN = '076-13925398008871879';
const SKU = '67055176970656';
const UPDATED = new Date(1736430759_000);
const LATER = new Date(UPDATED.getTime() + 24 * 3_600_000);

const readItem = (value: unknown): ListItem => listItem.parse(value);
const readAmounts = (value: unknown) => parseResponse('orderAmount', amountResponse, ok(value));
const readShipping = (value: unknown) => parseResponse('orderShipping', shippingResponse, ok(value));
/** A refusal as the client gives it, from the text of Temu's answer. */
const refused = (text: string): { ok: false; failure: Failure } => {
  const read = readEnvelope(text);
  if (!read.ok || read.value.kind !== 'refused') throw new Error(`this is no refusal: ${text}`);
  return { ok: false, failure: failureOf(read.value.refusal) };
};
const priceRefused = refused(recordedText('error.order-amount-query.7000000.json'));
const shippingRefused = refused(recordedText('error.order-shippinginfo-v1.inner-40003.json'));

interface Change {
  parent?: Json;
  /** Replaces the single recorded row by rows made of it. */
  rows?: Json[];
  totals?: Json;
  /** Minor units by orderSn; replaces the recorded row. */
  unitPrices?: Record<string, number | bigint | null>;
  shipping?: Json;
  currency?: string;
}

function input(change: Change = {}, more: Partial<MapInput> = {}): MapInput {
  const item = recordedItem();
  const [row] = item.orderList;
  Object.assign(item.parentOrderMap, change.parent);
  if (change.rows) item.orderList = change.rows.map((fields) => ({ ...row, ...fields }));
  const amounts = recordedAmounts();
  Object.assign(amounts.parentOrderMap, change.totals);
  if (change.unitPrices)
    amounts.orderList = Object.entries(change.unitPrices).map(([orderSn, amount]) => ({
      orderSn,
      unitBasePrice: { amount, currency: 'EUR' },
    }));
  if (change.currency)
    for (const money of [
      ...Object.values(amounts.parentOrderMap),
      ...amounts.orderList.map((one) => one.unitBasePrice),
    ])
      if (typeof money === 'object' && money !== null) Object.assign(money, { currency: change.currency });
  return {
    item: readItem(item),
    amounts: readAmounts(amounts),
    shipping: readShipping({ ...recordedShipping(), ...change.shipping }),
    skus: new Map([[SKU, ['OUR-SKU']]]),
    country: 'DE',
    knownPrices: new Map(),
    now: LATER,
    ...more,
  };
}
const map = (change?: Change, more?: Partial<MapInput>) => mapOrder(input(change, more));
const product = (change?: Change, more?: Partial<MapInput>) => {
  const { products } = map(change, more);
  expect(products).toHaveLength(1);
  return products[0] as (typeof products)[number];
};
const money = (amount: number | bigint | null, currency: string | null = 'EUR') => ({ amount, currency });

describe('T6: the list call', () => {
  it('T6: updateTime → orders.order_modified_at', () => {
    expect(map().orderModifiedAt).toEqual(new Date(1736430759_000));
  });
  it('T6: parentOrderTime → orders.order_created_at', () => {
    expect(map().orderCreatedAt).toEqual(new Date(1736430158_000));
    expect(map({ parent: { parentOrderTime: null } }).orderCreatedAt).toBeNull();
  });
  it('T6: expectShipLatestTime → orders.ship_by_date', () => {
    expect(map().shipByDate).toEqual(new Date(1736550600_000));
    expect(map({ parent: { expectShipLatestTime: null } }).shipByDate).toBeNull();
  });
  it('T6: parentOrderSn → orders.marketplace_order_id', () => {
    expect(map().marketplaceOrderId).toBe('PO-076-13925293151271879');
  });
  it('T6: parentOrderStatus → orders.marketplace_status and orders.status', () => {
    expect(map().marketplaceStatus).toBe('UN_SHIPPING');
    expect(map().decision.status).toBe('Ready for Shipping');
  });
  it('T6: regionId → temu_orders.region_id', () => {
    expect(map().regionId).toBe(76);
    expect(map({ parent: { regionId: null } }).regionId).toBeNull();
  });
  it('T6: orderSn → order_item_lines.marketplace_order_item_id', () => {
    expect(product().lines).toEqual([{ marketplaceOrderItemId: SN, quantity: 1 }]);
  });
  it('T6: goodsId → products_in_order.channel_item_id', () => {
    expect(product().channelItemId).toBe('603617570475412');
  });
  it('T6: goodsName → products_in_order.item_title', () => {
    expect(product().itemTitle).toBe('test1');
  });
  it('T6: originalOrderQuantity → products_in_order.quantity, cancelled units or not', () => {
    const row = { originalOrderQuantity: 5, quantity: 3, canceledQuantityBeforeShipment: 2 };
    expect(product({ rows: [row] }).quantity).toBe(5);
    // an answer without it: what remains and what was cancelled
    expect(product({ rows: [{ ...row, originalOrderQuantity: null }] }).quantity).toBe(5);
  });
  it('T6: skuId → products_in_order.item_transaction_id', () => {
    expect(product().itemTransactionId).toBe(SKU);
  });
  it('T6: productSkuId with the unit price → products_in_order.item_order_line_id', () => {
    expect(product().itemOrderLineId).toBe('254794717573-1.00');
    expect(product({ unitPrices: { [SN]: null } }).itemOrderLineId).toBe('254794717573');
  });
  it('T6: orderStatus → products_in_order.status, by its name', () => {
    expect(product().status).toBe('UN_SHIPPING');
    expect(product({ rows: [{ orderStatus: 41 }] }).status).toBe('PARTIAL DELIVERY');
    expect(product({ rows: [{ orderStatus: 77 }] }).status).toBe('77');
    expect(product({ rows: [{ orderStatus: null }] }).status).toBeNull();
  });
  it('T6: ids above 2^53 keep every digit', () => {
    const rows = [
      {
        goodsId: 897039159485005821n,
        skuId: 897039159485005822n,
        productList: [{ productSkuId: 897039159485005823n }],
      },
    ];
    expect(product({ rows })).toMatchObject({
      channelItemId: '897039159485005821',
      itemTransactionId: '897039159485005822',
      itemOrderLineId: '897039159485005823-1.00',
    });
  });
});

describe('T7: statuses', () => {
  it.each([
    [1, 'PENDING', 'Pending'],
    [2, 'UN_SHIPPING', 'Ready for Shipping'],
    [3, 'CANCELED', 'Cancelled'],
    [4, 'SHIPPED', 'Shipped'],
    [5, 'RECEIPTED', 'Shipped'],
    [41, 'PARTIAL DELIVERY', 'Partially Shipped'],
    [51, 'PARTIAL RECEIPT', 'Partially Shipped'],
  ])('T7: %i → marketplace_status %s, orders.status %s, no error', (value, state, status) => {
    expect(map({ parent: { parentOrderStatus: value } })).toMatchObject({
      marketplaceStatus: state,
      decision: { status },
      errors: [],
    });
  });

  it('T7: a number that came as text is that number', () => {
    expect(map({ parent: { parentOrderStatus: '2' }, rows: [{ orderStatus: '2' }] })).toEqual(map());
  });

  it.each([
    [66, '66', '66'],
    [2.5, '2.5', '2.5'],
    ['SHIPPED', 'SHIPPED', '"SHIPPED"'],
    [null, null, 'null'],
  ])(
    'T7: any other value (%o) is kept as it came; Incomplete, with an error that names it',
    (value, kept, named) => {
      expect(map({ parent: { parentOrderStatus: value } })).toMatchObject({
        marketplaceStatus: kept,
        decision: { status: 'Incomplete', backfillable: false },
        errors: [{ type: 'Unknown Status', message: expect.stringContaining(`the status ${named},`) }],
      });
    },
  );
});

describe('T8: the price call', () => {
  it('T8: taxTotalAfterDiscount → orders.total_vat outside of the US', () => {
    expect(map().prices).toMatchObject({ totalVat: '0.30', totalSalesTax: null });
  });
  it('T8: taxTotalAfterDiscount → orders.total_sales_tax when the store’s country is US', () => {
    expect(map({}, { country: 'US' }).prices).toMatchObject({ totalVat: null, totalSalesTax: '0.30' });
  });
  it('T8: estimatedRevenue → orders.order_total_amount', () => {
    expect(map().prices?.orderTotalAmount).toBe('4.09');
  });
  it('T8: basePriceTotal → orders.order_subtotal_amount', () => {
    expect(map().prices?.orderSubtotalAmount).toBe('1.00');
  });
  it('T8: shippingAmountTotal → orders.shipping_service_cost', () => {
    expect(map().prices?.shippingServiceCost).toBe('2.79');
  });
  it('T8: basePriceTotal.currency → orders.order_currency', () => {
    expect(map().prices?.orderCurrency).toBe('EUR');
    expect(
      map({ totals: { basePriceTotal: money(5, 'RON'), estimatedRevenue: money(7, 'EUR') } }).prices,
    ).toMatchObject({ orderCurrency: 'RON' });
  });
  it('T8: discountFromTEMU → temu_orders.temu_discount', () => {
    expect(map().prices?.temuDiscount).toBe('0.00');
    expect(map({ totals: { discountFromTEMU: money(125) } }).prices?.temuDiscount).toBe('1.25');
  });
  it('T8: discountFromSeller → temu_orders.seller_discount', () => {
    expect(map().prices?.sellerDiscount).toBe('0.00');
    expect(map({ totals: { discountFromSeller: money(75) } }).prices?.sellerDiscount).toBe('0.75');
  });
  it('T8: the sum of both discounts → orders.discount_value', () => {
    const totals = { discountFromTEMU: money(125), discountFromSeller: money(75) };
    expect(map({ totals }).prices?.discountValue).toBe('2.00');
    expect(map({ totals: { ...totals, discountFromSeller: money(null) } }).prices).toMatchObject({
      discountValue: '1.25',
      sellerDiscount: null,
    });
  });
  it('T8: orderList[].unitBasePrice, matched by orderSn → products_in_order.item_price', () => {
    expect(product().itemPrice).toBe('1.00');
    // by number, not by place
    const rows = [
      { orderSn: 'a', skuId: 1 },
      { orderSn: 'b', skuId: 2 },
    ];
    const { products } = map({ rows, unitPrices: { b: 222, x: 5, a: 111 } });
    expect(products.map((one) => [one.itemTransactionId, one.itemPrice])).toEqual([
      ['1', '1.11'],
      ['2', '2.22'],
    ]);
  });

  it.each([
    'taxTotalAfterDiscount',
    'estimatedRevenue',
    'basePriceTotal',
    'shippingAmountTotal',
    'discountFromTEMU',
    'discountFromSeller',
  ])('T8: a null amount of %s stays null, and so does a missing one', (field) => {
    const column = {
      taxTotalAfterDiscount: 'totalVat',
      estimatedRevenue: 'orderTotalAmount',
      basePriceTotal: 'orderSubtotalAmount',
      shippingAmountTotal: 'shippingServiceCost',
      discountFromTEMU: 'temuDiscount',
      discountFromSeller: 'sellerDiscount',
    }[field] as string;
    const whole = map().prices as Json;
    for (const value of [money(null), null, undefined]) {
      const prices = map({ totals: { [field]: value } }).prices as Json;
      expect(prices[column]).toBeNull();
      const others = Object.keys(whole).filter(
        (key) => ![column, 'discountValue', 'orderCurrency'].includes(key),
      );
      for (const key of others) expect(prices[key], key).toBe(whole[key]);
    }
  });

  it('T8: both discounts null: their sum is null, not 0.00', () => {
    const totals = { discountFromTEMU: money(null), discountFromSeller: money(null) };
    expect(map({ totals }).prices?.discountValue).toBeNull();
  });

  it.each(['JPY', 'KRW'])('T8: %s has no minor units: nothing is divided', (currency) => {
    const change = {
      currency,
      totals: { discountFromTEMU: money(5, currency), discountFromSeller: money(6, currency) },
    };
    expect(map(change).prices).toMatchObject({
      totalVat: '30.00',
      orderTotalAmount: '409.00',
      orderSubtotalAmount: '100.00',
      shippingServiceCost: '279.00',
      discountValue: '11.00',
      orderCurrency: currency,
    });
    expect(product(change)).toMatchObject({ itemPrice: '100.00', itemOrderLineId: '254794717573-100.00' });
  });

  it('T8: KWD has three places: thousandths, of which the columns hold the hundredths', () => {
    const change = {
      currency: 'KWD',
      totals: {
        estimatedRevenue: money(1500, 'KWD'),
        discountFromTEMU: money(1, 'KWD'),
        discountFromSeller: money(4, 'KWD'),
      },
    };
    // the sum is of what Temu said, not of what was rounded
    expect(map(change).prices).toMatchObject({
      ...{ totalVat: '0.03', orderTotalAmount: '1.50', orderCurrency: 'KWD' },
      ...{ temuDiscount: '0.00', sellerDiscount: '0.00', discountValue: '0.01' },
    });
    expect(product(change)).toMatchObject({ itemPrice: '0.10', itemOrderLineId: '254794717573-0.10' });
  });

  it('T8: a money without its currency has the order’s: totals and unit prices alike', () => {
    const given = input({ currency: 'JPY' });
    const amounts = (given.amounts as { value: Amounts }).value;
    amounts.parentOrderMap.taxTotalAfterDiscount.currency = null;
    for (const row of amounts.orderList) row.unitBasePrice.currency = null;
    expect(mapOrder(given)).toMatchObject({
      prices: { totalVat: '30.00' },
      products: [{ itemPrice: '100.00' }],
    });
  });
});

describe('T9: the shipping call', () => {
  it('T9: regionName1 → orders.shipping_country_name and its code in shipping_country_code', () => {
    expect(map().address).toMatchObject({ shippingCountryName: 'France', shippingCountryCode: 'FR' });
    expect(map({ shipping: { regionName1: 'Romania' } }).address?.shippingCountryCode).toBe('RO');
  });
  it('T9: regionName2 → orders.shipping_state_province', () => {
    expect(map().address?.shippingStateProvince).toBe('Bread');
  });
  it('T9: regionName3 → orders.shipping_city', () => {
    expect(map().address?.shippingCity).toBe('Lavender');
  });
  it('T9: addressLine1 → orders.shipping_street1', () => {
    expect(map().address?.shippingStreet1).toBe('25 aaasteet');
  });
  it('T9: postCode → orders.shipping_postal_code', () => {
    expect(map().address?.shippingPostalCode).toBe('99991');
  });
  it('T9: receiptName → orders.shipping_buyer_name', () => {
    expect(map().address?.shippingBuyerName).toBe('kanye west');
  });
  it('T9: mobile → orders.shipping_phone', () => {
    expect(map().address?.shippingPhone).toBe('+33 1 23 45 67 89');
  });
  it('T9: mail → orders.buyer_mail', () => {
    expect(map().address?.buyerMail).toBe('c437jtmpir13028@eu.shipping.temuemail.com');
  });

  it('T9: a country that no list knows keeps its name, leaves the code null and is reported', () => {
    const order = map({ shipping: { regionName1: 'Freedonia' } });
    expect(order.address).toMatchObject({ shippingCountryName: 'Freedonia', shippingCountryCode: null });
    expect(order.errors).toEqual([
      { type: 'Unknown Country', message: expect.stringContaining('"Freedonia"') },
    ]);
    expect(order.decision.status).toBe('Ready for Shipping');
  });

  it.each(['Congo', ' congo ', 'Kongo', 'Конго'])(
    'T9: %s is the name of two countries: neither is guessed',
    (regionName1) => {
      const order = map({ shipping: { regionName1 } });
      expect(order.address).toMatchObject({
        shippingCountryName: regionName1.trim(),
        shippingCountryCode: null,
      });
      expect(order.errors).toMatchObject([{ type: 'Unknown Country' }]);
    },
  );
  it.each([
    ['Democratic Republic of the Congo', 'CD'],
    ['Republic of the Congo', 'CG'],
    ['Guinea', 'GN'],
    ['Niger', 'NE'],
    ['România', 'RO'],
    ['deutschland', 'DE'],
    ["Cote d'Ivoire", 'CI'],
  ])('T9: %s: %s', (regionName1, code) => {
    expect(map({ shipping: { regionName1 } }).address?.shippingCountryCode).toBe(code);
  });

  it('T9, R4: an endless country name makes no endless message', () => {
    const [error] = map({ shipping: { regionName1: 'x'.repeat(100_000) } }).errors;
    expect(error?.message.length).toBeLessThan(300);
  });

  it('T9: an address without any field is no address', () => {
    const none = Object.fromEntries(Object.keys(recordedShipping()).map((key) => [key, null]));
    expect(map({ shipping: none }).address).toBeNull();
    expect(map({}, { shipping: ok(null) })).toMatchObject({ address: null, errors: [] });
  });

  it('T9: blanks around a text are not stored, a blank text is none', () => {
    expect(map({ shipping: { receiptName: '  Ana ', mail: ' ' } }).address).toMatchObject({
      shippingBuyerName: 'Ana',
      buyerMail: null,
    });
  });
});

describe('T10: SKUs', () => {
  it('T10: one product with the Temu SKU id: its sku', () => {
    expect(product().sku).toBe('OUR-SKU');
  });

  it('T10: none: sku stays null, everything else is stored, no error', () => {
    const order = map({}, { skus: new Map() });
    expect(order.errors).toEqual([]);
    expect(order.products).toEqual(map().products.map((one) => ({ ...one, sku: null })));
  });

  it('T10: several: sku stays null, and the error to the letter', () => {
    const order = map({}, { skus: new Map([[SKU, ['A', 'B']]]) });
    expect(order.products[0]?.sku).toBeNull();
    expect(order.errors).toEqual([
      {
        type: 'Product Mapping',
        message: `Multiple Products present in the system with Temu SKU IDs ${SKU}`,
      },
    ]);
    expect(order.decision.status).toBe('Ready for Shipping');
  });

  it('T10: said once per Temu SKU id, however many rows and prices it has', () => {
    const rows = [
      { orderSn: 'a', skuId: 1 },
      { orderSn: 'b', skuId: 1 },
      { orderSn: 'c', skuId: 2 },
      { orderSn: 'd', skuId: 3 },
    ];
    const skus = new Map([
      ['1', ['A', 'B']],
      ['2', ['C', 'D', 'E']],
      ['3', ['F']],
    ]);
    expect(map({ rows, unitPrices: { a: 1, b: 2 } }, { skus }).errors.map(({ message }) => message)).toEqual([
      'Multiple Products present in the system with Temu SKU IDs 1',
      'Multiple Products present in the system with Temu SKU IDs 2',
    ]);
  });
});

describe('T11: lines', () => {
  const single = (orderSn: string) => ({ orderSn, originalOrderQuantity: 1 });

  it('T11: three ordered, two at 20.00 and one at 15.00: two products', () => {
    const order = map({
      rows: [single('a'), single('b'), single('c')],
      unitPrices: { a: 2000, b: 1500, c: 2000 },
    });
    expect(order.products).toMatchObject([
      {
        itemTransactionId: SKU,
        sku: 'OUR-SKU',
        itemPrice: '20.00',
        quantity: 2,
        itemOrderLineId: '254794717573-20.00',
        lines: [
          { marketplaceOrderItemId: 'a', quantity: 1 },
          { marketplaceOrderItemId: 'c', quantity: 1 },
        ],
      },
      {
        itemTransactionId: SKU,
        sku: 'OUR-SKU',
        itemPrice: '15.00',
        quantity: 1,
        itemOrderLineId: '254794717573-15.00',
        lines: [{ marketplaceOrderItemId: 'b', quantity: 1 }],
      },
    ]);
  });

  it('T11: rows of the same SKU and price become one product with the summed quantity and a line per row', () => {
    const rows = [single('a'), { orderSn: 'b', originalOrderQuantity: 4 }, single('c')];
    expect(product({ rows, unitPrices: { a: 100, b: 100, c: 100 } })).toMatchObject({
      quantity: 6,
      lines: [
        { marketplaceOrderItemId: 'a', quantity: 1 },
        { marketplaceOrderItemId: 'b', quantity: 4 },
        { marketplaceOrderItemId: 'c', quantity: 1 },
      ],
    });
  });

  it('T11: rows of which no price is known are one product apart', () => {
    const { products } = map({ rows: [single('a'), single('b')], unitPrices: { a: 100 } });
    expect(products.map((one) => one.itemPrice)).toEqual(['1.00', null]);
  });

  it('T11: different SKUs at the same price stay apart', () => {
    const rows = [
      { ...single('a'), skuId: 1 },
      { ...single('b'), skuId: 2 },
    ];
    const { products } = map({ rows, unitPrices: { a: 100, b: 100 } });
    expect(products).toHaveLength(2);
    // they share the recorded productSkuId and the price: item_order_line_id is unique nevertheless
    expect(products.map((one) => one.itemOrderLineId)).toEqual(['254794717573-1.00', '254794717573-1.00-2']);
  });

  it('T11: a row without a skuId is not another’s SKU because their numbers are equal', () => {
    const rows = [
      { ...single('a'), skuId: null, productList: [{ productSkuId: 7 }] },
      { ...single('b'), skuId: 7, productList: null },
    ];
    const { products } = map({ rows, unitPrices: {} });
    expect(products.map((one) => one.itemTransactionId)).toEqual([null, '7']);
  });

  it('T11: a product of rows in different states shows the one with the most work ahead', () => {
    const rows = [
      { ...single('a'), orderStatus: 3 },
      { ...single('b'), orderStatus: 2 },
      { ...single('c'), orderStatus: 4 },
    ];
    expect(product({ rows, unitPrices: {} }).status).toBe('UN_SHIPPING');
    expect(product({ rows: [...rows].reverse(), unitPrices: {} }).status).toBe('UN_SHIPPING');
  });

  it('T11, T13: prices of an earlier read group the rows while the price call fails', () => {
    const rows = [single('a'), single('b'), single('c')];
    const order = map(
      { rows },
      {
        amounts: priceRefused,
        knownPrices: new Map([
          ['a', '20.00'],
          ['b', '15.00'],
          ['c', '20.00'],
        ]),
      },
    );
    expect(order.products.map((one) => [one.itemPrice, one.quantity])).toEqual([
      ['20.00', 2],
      ['15.00', 1],
    ]);
    expect(order.prices).toBeNull();
  });
});

describe('T12: cancelled before shipment', () => {
  const row = (ordered: number, cancelled: number, orderSn = `${ordered}-${cancelled}`) => ({
    orderSn,
    originalOrderQuantity: ordered,
    quantity: ordered - cancelled,
    canceledQuantityBeforeShipment: cancelled,
  });
  const at = (ms: number) => ({ now: new Date(UPDATED.getTime() + ms) });

  it.each([
    ['one of three units', [row(3, 1)], 'Ready for Shipping'],
    ['every unit', [row(3, 3)], 'Cancelled'],
    ['one row of two, whole', [row(2, 2), row(1, 0)], 'Ready for Shipping'],
    ['every row', [row(2, 2), row(1, 1)], 'Cancelled'],
  ])('T12: %s: Pending until exactly 30 minutes after updateTime, then %3$s', (_, rows, final) => {
    expect(map({ rows }, at(HOLD_MS - 1)).decision).toEqual({
      status: 'Pending',
      pendingUntil: new Date(UPDATED.getTime() + 30 * 60_000),
      statusAfterPending: final,
      backfillable: false,
    });
    expect(map({ rows }, at(HOLD_MS)).decision).toMatchObject({ status: final, pendingUntil: null });
    expect(map({ rows }, at(HOLD_MS + 86_400_000)).decision).toMatchObject({
      status: final,
      pendingUntil: null,
    });
  });

  it('T12: nothing cancelled: no wait', () => {
    expect(map({ rows: [row(3, 0)] }, at(0)).decision).toMatchObject({ status: 'Ready for Shipping' });
  });

  it('T12, T13: while it waits a missing part is no error yet; after the wait it is', () => {
    const rows = [row(3, 1)];
    expect(map({ rows }, { ...at(0), amounts: priceRefused })).toMatchObject({
      decision: { status: 'Pending', statusAfterPending: 'Incomplete', backfillable: true },
      errors: [],
    });
    expect(map({ rows }, { ...at(HOLD_MS), amounts: priceRefused })).toMatchObject({
      decision: { status: 'Incomplete' },
      errors: [{ type: 'Order Download', message: 'BUSINESS_SERVICE_ERROR' }],
    });
  });
});

describe('T13: Incomplete', () => {
  const both = refused(
    JSON.stringify({
      success: false,
      errorCode: 180020001,
      errorMsg: 'This country has not yet opened address query capabilities',
      result: { success: false, errorCode: 40003, errorMsg: 'invalid param', result: null },
    }),
  );
  const outerOnly = refused(
    JSON.stringify({
      success: false,
      errorCode: 180020001,
      errorMsg: 'outer words',
      result: { success: true, errorCode: 0, errorMsg: 'inner words do not count', result: {} },
    }),
  );
  const none: Record<string, { amounts?: Result<Amounts>; shipping?: Result<Shipping> }> = {
    'the price call': { amounts: priceRefused },
    'the shipping call (inner level)': { shipping: shippingRefused },
    'the shipping call (outer level)': { shipping: outerOnly },
    'the shipping call (both levels)': { shipping: both },
    'both calls': { amounts: priceRefused, shipping: shippingRefused },
  };
  const messages: Record<string, string[]> = {
    'the price call': ['BUSINESS_SERVICE_ERROR'],
    'the shipping call (inner level)': ['invalid param'],
    'the shipping call (outer level)': ['outer words'],
    'the shipping call (both levels)': [
      'This country has not yet opened address query capabilities; invalid param',
    ],
    'both calls': ['BUSINESS_SERVICE_ERROR', 'invalid param'],
  };
  const states = [
    [1, 'Pending', false],
    [2, 'Incomplete', true],
    [3, 'Cancelled', false],
    [4, 'Shipped', false],
    [5, 'Shipped', false],
    [41, 'Incomplete', true],
    [51, 'Incomplete', true],
  ] as const;

  it.each(
    Object.keys(none).flatMap((failed) =>
      states.map(([state, status, error]) => ({ failed, state, status, error })),
    ),
  )(
    'T13: $failed fails for an order in state $state: $status, errors: $error',
    ({ failed, state, status, error }) => {
      const order = map({ parent: { parentOrderStatus: state } }, none[failed]);
      expect(order.decision).toMatchObject({ status, backfillable: error });
      expect(order.errors).toEqual(
        error ? messages[failed]?.map((message) => ({ type: 'Order Download', message })) : [],
      );
      // all that is known is stored, and only that
      const whole = map({ parent: { parentOrderStatus: state } });
      expect(order.prices).toEqual(none[failed]?.amounts ? null : whole.prices);
      expect(order.address).toEqual(none[failed]?.shipping ? null : whole.address);
      expect(
        order.products.map(({ channelItemId, quantity, sku }) => ({ channelItemId, quantity, sku })),
      ).toEqual(whole.products.map(({ channelItemId, quantity, sku }) => ({ channelItemId, quantity, sku })));
    },
  );

  it('T13: a call that failed without Temu’s words says what happened', () => {
    const failure: Failure = { kind: 'transient', message: 'Temu answered HTTP 502' };
    expect(map({}, { amounts: { ok: false, failure } }).errors).toEqual([
      { type: 'Order Download', message: 'Temu answered HTTP 502' },
    ]);
  });

  it('T13: an unknown status is not mended by a call, whatever fails', () => {
    const order = map({ parent: { parentOrderStatus: 9 } }, { amounts: priceRefused });
    expect(order.decision).toMatchObject({ status: 'Incomplete', backfillable: false });
    expect(order.errors.map(({ type }) => type)).toEqual(['Unknown Status']);
  });
});

describe('T8: exact decimals', () => {
  it.each([
    [30n, 'EUR', '0.30'],
    [0n, 'EUR', '0.00'],
    [5n, 'RON', '0.05'],
    [-5n, 'EUR', '-0.05'],
    [-100n, 'EUR', '-1.00'],
    [409n, null, '4.09'],
    [123456789012n, 'EUR', '1234567890.12'],
    [30n, 'JPY', '30.00'],
    [30n, 'krw', '30.00'],
    [-7n, 'KRW', '-7.00'],
    [1500n, 'KWD', '1.50'],
    [1504n, 'bhd', '1.50'],
    [1505n, 'JOD', '1.51'],
    [-1505n, 'OMR', '-1.51'],
    [9995n, 'TND', '10.00'],
    [5n, 'LYD', '0.01'],
    [4n, 'IQD', '0.00'],
    [-4n, 'IQD', '0.00'],
    [0n, 'KWD', '0.00'],
    [99_999_999_999n, 'KWD', '100000000.00'],
    // two places by ISO 4217 and at Temu, though people write none
    [30n, 'HUF', '0.30'],
  ])('T8: %s minor units of %s are %s', (amount, currency, expected) => {
    expect(decimalOf(amount, currency)).toBe(expected);
  });

  it('T8: null stays null, in every currency', () => {
    for (const currency of ['EUR', 'JPY', null]) expect(decimalOf(null, currency)).toBeNull();
  });

  it('T8: agrees with integer arithmetic and loses no digit (property)', () => {
    const currency = fc.constantFrom('EUR', 'RON', 'USD', 'JPY', 'KRW', null);
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), currency, (amount, code) => {
        const text = decimalOf(amount, code) as string;
        expect(text).toMatch(/^-?(0|[1-9]\d*)\.\d\d$/);
        const minor = BigInt(text.replace('.', ''));
        expect(minor).toBe(code === 'JPY' || code === 'KRW' ? amount * 100n : amount);
      }),
    );
  });

  it('T8: three places become two, half a unit of the second away at most, and alike below zero (property)', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 40n }), (amount) => {
        const text = decimalOf(amount, 'KWD') as string;
        expect(text).toMatch(/^(0|[1-9]\d*)\.\d\d$/);
        const above = BigInt(text.replace('.', '')) * 10n - amount;
        expect(above > -5n && above <= 5n).toBe(true);
        expect(decimalOf(-amount, 'KWD')).toBe(text === '0.00' ? text : `-${text}`);
      }),
    );
  });
});

describe('mapOrder, for everything that the schemas accept', () => {
  // few values, so that rows meet: same SKU, same price, same productSkuId, and texts that look like joined ids
  const id = fc.oneof(
    fc.constantFrom<unknown>(
      1,
      2,
      '1',
      '1-1.00',
      '1-1.00-2',
      '2-1.00',
      897039159485005823n,
      '',
      null,
      undefined,
    ),
    fc.string({ maxLength: 5 }),
  );
  const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof(arbitrary, fc.constantFrom(null, undefined));
  const quantity = option(fc.integer({ min: 0, max: 5 }));
  const text = option(fc.string({ unit: 'binary', maxLength: 8 }));
  const time = fc.oneof(
    fc.integer({ min: 1, max: 253_402_300_799 }),
    fc.constantFrom(1736430759, 1736430759n),
  );
  const row = (orderSn: string) =>
    fc.record({
      orderSn: fc.constant(orderSn),
      orderStatus: option(fc.oneof(fc.constantFrom(1, 2, 3, 4, 5, 41, 51), fc.integer())),
      goodsId: id,
      goodsName: text,
      skuId: id,
      originalOrderQuantity: quantity,
      quantity,
      canceledQuantityBeforeShipment: quantity,
      productList: option(fc.array(fc.record({ productSkuId: id }), { maxLength: 2 })),
    });
  const sns = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', '1', '1-1.00', '2'), { maxLength: 6 });
  const anyItem = fc
    .record({
      parentOrderMap: fc.record({
        parentOrderSn: fc.string({ minLength: 1, maxLength: 30 }),
        parentOrderStatus: fc.oneof(
          fc.constantFrom<unknown>(1, 2, 3, 4, 5, 41, 51, '2', null),
          fc.integer(),
          fc.string(),
        ),
        updateTime: time,
        parentOrderTime: option(time),
        expectShipLatestTime: option(time),
        regionId: option(fc.integer()),
      }),
      orderList: sns.chain((list) => fc.tuple(...list.map(row))),
    })
    .map((value) => listItem.parse(value));
  const anyMoney = option(
    fc.record({
      amount: option(fc.oneof(fc.constantFrom(100, 1500, 2000), fc.integer({ min: -1000, max: 1000 }))),
      currency: option(fc.constantFrom('EUR', 'JPY', 'KWD', '')),
    }),
  );
  const anyAmounts = fc
    .record({
      parentOrderMap: fc.record({
        taxTotalAfterDiscount: anyMoney,
        estimatedRevenue: anyMoney,
        basePriceTotal: anyMoney,
        shippingAmountTotal: anyMoney,
        discountFromTEMU: anyMoney,
        discountFromSeller: anyMoney,
      }),
      orderList: option(
        fc.array(fc.record({ orderSn: fc.constantFrom('a', 'b', 'c', 1), unitBasePrice: anyMoney })),
      ),
    })
    .map((value): Result<Amounts> => readAmounts(value));
  const country = fc.constantFrom(
    'France',
    'Romania',
    'constructor',
    '__proto__',
    'toString',
    'Nowhere',
    null,
  );
  const anyShipping = option(
    fc.record({
      regionName1: country,
      regionName2: text,
      regionName3: text,
      addressLine1: text,
      receiptName: text,
    }),
  ).map((value): Result<Shipping> => readShipping(value));
  const anyInput = fc.record({
    item: anyItem,
    amounts: fc.oneof(anyAmounts, fc.constant<Result<Amounts>>(priceRefused)),
    shipping: fc.oneof(anyShipping, fc.constant<Result<Shipping>>(shippingRefused)),
    skus: fc
      .array(fc.tuple(fc.constantFrom('1', '2'), fc.array(fc.string(), { maxLength: 3 })))
      .map((all) => new Map(all)),
    country: fc.constantFrom('US', 'DE'),
    knownPrices: fc
      .array(fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom('1.00', '2.00')))
      .map((all) => new Map(all)),
    now: fc.date({ noInvalidDate: true }),
  });
  const property = (check: (given: MapInput) => void) =>
    fc.assert(fc.property(anyInput, check), { numRuns: 300 });

  it('never throws, and says the same twice (property)', () => {
    property((given) => {
      expect(mapOrder(given)).toEqual(mapOrder(given));
    });
  });

  it('T11: the quantities of the products are those of the rows (property)', () => {
    property((given) => {
      const ordered = given.item.orderList.map(
        (one) => one.originalOrderQuantity ?? (one.quantity ?? 0) + (one.canceledQuantityBeforeShipment ?? 0),
      );
      const { products } = mapOrder(given);
      const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
      expect(sum(products.map((one) => one.quantity))).toBe(sum(ordered));
      for (const one of products) expect(sum(one.lines.map((line) => line.quantity))).toBe(one.quantity);
    });
  });

  it('T11: every orderSn is in exactly one line (property)', () => {
    property((given) => {
      const lines = mapOrder(given).products.flatMap((one) =>
        one.lines.map((line) => line.marketplaceOrderItemId),
      );
      expect([...lines].sort()).toEqual(given.item.orderList.map((one) => one.orderSn).sort());
    });
  });

  it('T6: item_order_line_id is unique within the order (property)', () => {
    property((given) => {
      const ids = mapOrder(given).products.map((one) => one.itemOrderLineId);
      expect(new Set(ids).size).toBe(ids.length);
    });
  });

  it('T11: a product has one SKU and one price, and no two products have both in common (property)', () => {
    property((given) => {
      const { products } = mapOrder(given);
      const bySn = new Map(given.item.orderList.map((one) => [one.orderSn, one]));
      for (const one of products)
        for (const line of one.lines)
          expect(bySn.get(line.marketplaceOrderItemId)?.skuId).toBe(one.itemTransactionId);
      const known = products.filter((one) => one.itemTransactionId !== null);
      const keys = known.map((one) => `${one.itemTransactionId} ${one.itemPrice}`);
      expect(new Set(keys).size).toBe(keys.length);
    });
  });

  it('T9: a country code is two capitals or null; a name without one is reported (property)', () => {
    property((given) => {
      const { address, errors } = mapOrder(given);
      const code = address?.shippingCountryCode ?? null;
      if (code !== null) expect(code).toMatch(/^[A-Z]{2}$/);
      const reported = errors.some(({ type }) => type === 'Unknown Country');
      expect(reported).toBe(Boolean(address?.shippingCountryName) && code === null);
    });
  });

  it('T13: a download error stands exactly where a part can be asked for again and nothing waits (property)', () => {
    property((given) => {
      const { decision, errors } = mapOrder(given);
      const told = errors.some(({ type }) => type === 'Order Download');
      expect(told).toBe(decision.backfillable && decision.pendingUntil === null);
    });
  });
});
