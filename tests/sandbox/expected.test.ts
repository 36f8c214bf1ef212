import { describe, expect, it } from 'vitest';
import { decimalText, expected } from '../../sandbox/temu/expected.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import type { OrderLine, Product, SandboxOrder } from '../../sandbox/temu/model.ts';
import { recordedOrders } from '../../sandbox/temu/recorded.ts';
import { AMOUNT, call, demoShop, LIST, SHIPPING, sandboxForTest } from './client.ts';

const shop = { name: 'eu', region: 'EU', country: 'DE' } as const;
const [eu, br] = recordedOrders({ shop }) as [SandboxOrder, SandboxOrder];
const LATE = Date.parse('2025-06-01T00:00:00Z');

describe('what must be in Postgres, for the recorded answers', () => {
  it('is, for the EU order', () => {
    const products = [{ temu_sku_id: '67055176970656', sku: 'TEST-RED' }];
    expect(expected(eu, { now: LATE, products })).toEqual({
      orders: {
        source: 'temu',
        marketplace_order_id: 'PO-076-13925293151271879',
        status: 'Ready for Shipping',
        marketplace_status: 'UN_SHIPPING',
        order_created_at: new Date('2025-01-09T13:42:38Z'),
        order_modified_at: new Date('2025-01-09T13:52:39Z'),
        ship_by_date: new Date('2025-01-10T23:10:00Z'),
        pending_until: null,
        order_total_amount: '4.09',
        order_subtotal_amount: '1.00',
        shipping_service_cost: '2.79',
        total_vat: '0.30',
        total_sales_tax: null,
        discount_value: '0.00',
        order_currency: 'EUR',
        buyer_mail: 'c437jtmpir13028@eu.shipping.temuemail.com',
        shipping_buyer_name: 'kanye west',
        shipping_phone: '+33 1 23 45 67 89',
        shipping_street1: '25 aaasteet',
        shipping_city: 'Lavender',
        shipping_state_province: 'Bread',
        shipping_country_name: 'France',
        shipping_country_code: 'FR',
        shipping_postal_code: '99991',
      },
      temu_orders: { region_id: 76, temu_discount: '0.00', seller_discount: '0.00' },
      products_in_order: [
        {
          item_order_line_id: '254794717573-1.00',
          channel_item_id: '603617570475412',
          item_title: 'test1',
          item_transaction_id: '67055176970656',
          sku: 'TEST-RED',
          quantity: 1,
          item_price: '1.00',
          status: 'UN_SHIPPING',
          order_item_lines: [{ marketplace_order_item_id: '076-13925398008871879', quantity: 1 }],
        },
      ],
      order_errors: [],
      unknown_country: null,
    });
  });

  it('is, for the Brazilian item', () => {
    const truth = expected(br, { now: LATE, products: [] });
    expect(truth).toMatchObject({
      orders: {
        marketplace_order_id: 'PO-029-06682144932474090',
        status: 'Ready for Shipping',
        order_modified_at: new Date('2025-08-10T02:48:43Z'),
        order_currency: 'BRL',
        shipping_country_code: 'BR',
      },
      temu_orders: { region_id: 29 },
      products_in_order: [
        { item_transaction_id: '78037408334151', channel_item_id: '604422071509424', sku: null, quantity: 1 },
      ],
    });
  });

  it('follows from what is served: the recorded text, with its own order numbers', async () => {
    const sandbox = await sandboxForTest();
    const here = demoShop(sandbox);
    sandbox.world.addOrders(here, recordedOrders({ shop: here }));
    const window = { updateAtStart: 1736430759, updateAtEnd: 1736430759 };
    const list = await call(sandbox, here, { type: LIST, ...window });
    expect(list.result?.result).toMatchObject({
      totalItemNum: 1,
      pageItems: [
        {
          parentOrderMap: { parentOrderLabel: { 1: { name: 'past_due', value: 1 } } },
          orderList: [{ spec: 'red' }],
        },
      ],
    });
    const one = { parentOrderSn: 'PO-076-13925293151271879' };
    expect((await call(sandbox, here, { type: AMOUNT, ...one })).result).toMatchObject({
      parentOrderMap: { ...one, estimatedRevenue: { amount: 409, currency: 'EUR' } },
      orderList: [{ orderSn: '076-13925398008871879', unitBasePrice: { amount: 100 } }],
    });
    expect((await call(sandbox, here, { type: SHIPPING, ...one })).result).toMatchObject({
      errorMsg: null,
      result: { receiptName: 'kanye west', addressLine2: '' },
    });
    sandbox.world.changeOrder(here, one.parentOrderSn, { status: 4 });
    expect((await call(sandbox, here, { type: SHIPPING, ...one })).result).toMatchObject({
      success: false,
      errorCode: 40003,
    });
  });

  it('can be moved in time as a whole', () => {
    const [moved] = recordedOrders({ shop, updatedAt: 1_800_000_000 });
    expect(moved?.updatedAt).toBe(1_800_000_000);
    expect((moved?.shipBy ?? 0) - (moved?.updatedAt ?? 0)).toBe((eu.shipBy ?? 0) - eu.updatedAt);
    expect(moved?.verbatim?.listItem).toContain('"updateTime":1800000000,');
  });
});

function order(change: Partial<SandboxOrder>, lines: Partial<OrderLine>[] = [{}]): SandboxOrder {
  const line = eu.lines[0] as OrderLine;
  return {
    ...eu,
    verbatim: null,
    ...change,
    lines: lines.map((own, index) => ({ ...line, orderSn: `076-${index}`, ...own })),
  };
}

const MINUTE = 60_000;
const at = (o: SandboxOrder, minutes: number, products: Product[] = []) =>
  expected(o, { now: o.updatedAt * 1000 + minutes * MINUTE, products });

describe('statuses (T7, T12, T13)', () => {
  it.each([
    [1, 'PENDING', 'Pending'],
    [2, 'UN_SHIPPING', 'Ready for Shipping'],
    [3, 'CANCELED', 'Cancelled'],
    [4, 'SHIPPED', 'Shipped'],
    [5, 'RECEIPTED', 'Shipped'],
    [41, 'PARTIAL DELIVERY', 'Partially Shipped'],
    [51, 'PARTIAL RECEIPT', 'Partially Shipped'],
    [6, '6', 'Incomplete'],
  ])('%i is %s, %s', (status, marketplace_status, ours) => {
    const truth = at(order({ status }), 0);
    expect(truth.orders).toMatchObject({ marketplace_status, status: ours, pending_until: null });
    expect(truth.order_errors).toEqual(status === 6 ? [{ type: null, includes: ['6'] }] : []);
  });

  it.each([
    ['some units of an open order', 2, [{ ordered: 3, cancelled: 1 }], 'Ready for Shipping'],
    ['one of two rows of an open order', 2, [{ cancelled: 1, status: 3 }, {}], 'Ready for Shipping'],
    ['all units of an open order', 2, [{ ordered: 2, cancelled: 2 }], 'Cancelled'],
    ['all units of a cancelled order', 3, [{ cancelled: 1 }], 'Cancelled'],
    ['some units of a pending order', 1, [{ ordered: 2, cancelled: 1 }], 'Pending'],
  ])('%s cancelled: held for 30 minutes', (_, status, lines, after) => {
    const held = order({ status }, lines);
    const until = new Date(held.updatedAt * 1000 + 30 * MINUTE);
    expect(at(held, 0).orders).toMatchObject({ status: 'Pending', pending_until: until });
    expect(at(held, 29.99).orders).toMatchObject({ status: 'Pending', pending_until: until });
    expect(at(held, 30).orders).toMatchObject({ status: after, pending_until: null });
  });

  it.each([
    [4, 'Shipped'],
    [5, 'Shipped'],
    [41, 'Partially Shipped'],
    [51, 'Partially Shipped'],
  ])('a cancellation plays no role once shipped (%i)', (status, ours) => {
    expect(at(order({ status }, [{ ordered: 2, cancelled: 1 }]), 1).orders).toMatchObject({
      status: ours,
      pending_until: null,
    });
  });

  const amountFailure = { errorCode: 7000000, errorMsg: 'BUSINESS_SERVICE_ERROR' };
  const shippingFailure = {
    inner: { errorCode: 40003, errorMsg: 'in' },
    outer: { errorCode: 1, errorMsg: 'out' },
  };

  it.each([2, 41, 51])('a failed price or address makes %i incomplete, with all that is known', (status) => {
    const noPrice = at(order({ status, amountFailure }), 0);
    expect(noPrice).toMatchObject({
      orders: {
        status: 'Incomplete',
        order_total_amount: null,
        order_currency: null,
        shipping_city: 'Lavender',
      },
      products_in_order: [{ item_price: null, item_order_line_id: '254794717573', quantity: 1 }],
      order_errors: [{ type: 'Order Download', includes: ['BUSINESS_SERVICE_ERROR'] }],
    });
    const noAddress = at(order({ status, shippingFailure }), 0);
    expect(noAddress).toMatchObject({
      orders: {
        status: 'Incomplete',
        order_total_amount: '4.09',
        shipping_city: null,
        shipping_country_code: null,
      },
      order_errors: [{ type: 'Order Download', includes: ['in', 'out'] }],
    });
  });

  it.each([
    [1, 'Pending'],
    [3, 'Cancelled'],
    [4, 'Shipped'],
    [5, 'Shipped'],
  ])('but not %i', (status, ours) => {
    const truth = at(order({ status, amountFailure, shippingFailure }), 60);
    expect(truth).toMatchObject({ orders: { status: ours }, order_errors: [] });
  });

  it('an order without the price scope is incomplete', () => {
    const truth = expected(order({ status: 2 }), { now: LATE, products: [], amountScope: false });
    expect(truth).toMatchObject({
      orders: { status: 'Incomplete' },
      order_errors: [{ type: 'Order Download' }],
    });
  });

  it('a shipped order has no address, unless it was read before', () => {
    const shipped = order({ status: 4 });
    expect(at(shipped, 0).orders).toMatchObject({ shipping_city: null, buyer_mail: null });
    const seen = expected(shipped, { now: LATE, products: [], addressSeen: true });
    expect(seen.orders).toMatchObject({ shipping_city: 'Lavender', shipping_country_code: 'FR' });
  });
});

describe('products, prices and SKUs (T8, T10, T11)', () => {
  it('are one record per SKU and price, with a line per row', () => {
    const truth = at(order({}, [{ unitPrice: 2000 }, { unitPrice: 1500 }, { unitPrice: 2000 }]), 0);
    expect(truth.products_in_order).toMatchObject([
      {
        item_order_line_id: '254794717573-15.00',
        quantity: 1,
        order_item_lines: [{ marketplace_order_item_id: '076-1' }],
      },
      {
        item_order_line_id: '254794717573-20.00',
        quantity: 2,
        order_item_lines: [{ marketplace_order_item_id: '076-0' }, { marketplace_order_item_id: '076-2' }],
      },
    ]);
  });

  it('have no SKU when the mapping has none or several, and the latter is an error', () => {
    const rows = [
      { temu_sku_id: '2', sku: 'A' },
      { temu_sku_id: '2', sku: 'B' },
      { temu_sku_id: '1', sku: 'C' },
    ];
    const truth = at(
      order({}, [
        { skuId: '2', productSkuId: '2' },
        { skuId: '1', productSkuId: '1' },
        { skuId: '3', productSkuId: '3' },
      ]),
      0,
      rows,
    );
    expect(truth.products_in_order.map(({ sku }) => sku)).toEqual(['C', null, null]);
    expect(truth.order_errors).toEqual([
      { type: null, includes: ['Multiple Products present in the system with Temu SKU IDs 2'] },
    ]);
    expect(truth.orders.status).toBe('Ready for Shipping');
  });

  it.each([
    [409, 'EUR', '4.09'],
    [9, 'EUR', '0.09'],
    [0, 'EUR', '0.00'],
    [-5, 'EUR', '-0.05'],
    [409, 'JPY', '409.00'],
    [15000, 'KRW', '15000.00'],
    [null, 'EUR', null],
    [123456789012, 'RON', '1234567890.12'],
  ])('%s %s is %s', (amount, currency, text) => {
    expect(decimalText(amount, currency)).toBe(text);
  });

  it('keep a null amount null and put the tax where the account is', () => {
    const amounts = {
      ...eu.amounts,
      discountFromTEMU: null,
      discountFromSeller: null,
      estimatedRevenue: null,
    };
    expect(at(order({ amounts }), 0)).toMatchObject({
      orders: { order_total_amount: null, discount_value: null, total_vat: '0.30', total_sales_tax: null },
      temu_orders: { temu_discount: null, seller_discount: null },
    });
    const some = { ...eu.amounts, discountFromTEMU: 120, discountFromSeller: 35 };
    expect(at(order({ amounts: some, shopCountry: 'US' }), 0)).toMatchObject({
      orders: { discount_value: '1.55', total_vat: null, total_sales_tax: '0.30' },
      temu_orders: { temu_discount: '1.20', seller_discount: '0.35' },
    });
  });

  it('report a country that no list knows', () => {
    const address = { ...eu.address, countryName: 'Atlantis', countryCode: null };
    const truth = at(order({ address }), 0);
    expect(truth.unknown_country).toBe('Atlantis');
    expect(truth.orders).toMatchObject({
      status: 'Ready for Shipping',
      shipping_country_name: 'Atlantis',
      shipping_country_code: null,
    });
  });
});

it('gives every product of an order an id of its own, over thousands of orders', () => {
  const orders = generateOrders({ seed: 3, count: 2000, shop, now: LATE, days: 30 });
  for (const one of orders) {
    const ids = expected(one, { now: LATE, products: [] }).products_in_order.map(
      (product) => product.item_order_line_id,
    );
    expect(new Set(ids).size).toBe(ids.length);
  }
});
