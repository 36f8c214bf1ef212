import { describe, expect, it } from 'vitest';
import { catalogueOf, productsOf } from '../../sandbox/temu/catalogue.ts';
import {
  generateOrders,
  renderAmount,
  renderListItem,
  renderShipping,
} from '../../sandbox/temu/generator.ts';
import type { SandboxOrder, ShopIdentity } from '../../sandbox/temu/model.ts';
import { SCENARIOS } from '../../sandbox/temu/scenarios.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const EU: ShopIdentity = { name: 'eu', region: 'EU', country: 'RO' };
const GLOBAL: ShopIdentity = { name: 'jp', region: 'GLOBAL', country: 'JP' };
const US: ShopIdentity = { name: 'us', region: 'US', country: 'US' };
const generate = (shop: ShopIdentity, count = 2000, seed = 1) =>
  generateOrders({ seed, count, shop, now: NOW, days: 90 });

const orders = generate(EU);
const units = (order: SandboxOrder): number => order.lines.reduce((sum, { ordered }) => sum + ordered, 0);
const cancelled = (order: SandboxOrder): number => order.lines.reduce((sum, line) => sum + line.cancelled, 0);
const minutesOld = (order: SandboxOrder): number => (NOW / 1000 - order.updatedAt) / 60;

describe('the generator', () => {
  it('is pure: the same seed gives the same orders, another one others', () => {
    expect(generate(EU)).toEqual(orders);
    expect(generate(EU, 50, 2)).not.toEqual(orders.slice(0, 50));
    expect(generate({ ...EU, name: 'other' }, 50)).not.toEqual(orders.slice(0, 50));
  });

  it('gives each order its own number, shaped as Temu shapes them', () => {
    const many = generate(EU, 10_000);
    expect(new Set(many.map(({ parentOrderSn }) => parentOrderSn)).size).toBe(10_000);
    for (const { parentOrderSn, lines, regionId } of many.slice(0, 500)) {
      const prefix = String(regionId).padStart(3, '0');
      expect(parentOrderSn).toMatch(new RegExp(`^PO-${prefix}-\\d{17}$`));
      for (const { orderSn } of lines) expect(orderSn).toMatch(new RegExp(`^${prefix}-\\d{17}$`));
      expect(new Set(lines.map(({ orderSn }) => orderSn)).size).toBe(lines.length);
    }
  });

  it('knows no future and stays inside its days', () => {
    for (const { updatedAt, createdAt } of orders) {
      expect(updatedAt).toBeLessThan(NOW / 1000);
      expect(updatedAt).toBeGreaterThanOrEqual(NOW / 1000 - 90 * 86_400);
      expect(createdAt).toBeLessThanOrEqual(updatedAt);
    }
  });

  it('covers every scenario even in a small number', () => {
    const kinds = new Set(generate(EU, SCENARIOS.length).flatMap(({ kinds }) => kinds));
    for (const { name } of SCENARIOS) expect(kinds).toContain(name);
  });

  it.each<[string, (order: SandboxOrder) => boolean]>([
    ...[1, 2, 3, 4, 5, 41, 51, 6].map((wanted): [string, (order: SandboxOrder) => boolean] => [
      `status ${wanted}`,
      ({ status }) => status === wanted,
    ]),
    [
      'several single-quantity rows of one SKU at one price',
      ({ lines }) =>
        lines.filter(
          (line) =>
            line.ordered === 1 && line.skuId === lines[0]?.skuId && line.unitPrice === lines[0].unitPrice,
        ).length > 1,
    ],
    ...[2, 3].map((prices): [string, (order: SandboxOrder) => boolean] => [
      `one SKU at ${prices} prices`,
      ({ lines }) =>
        lines.some(
          ({ skuId }) =>
            new Set(lines.filter((line) => line.skuId === skuId).map((line) => line.unitPrice)).size ===
            prices,
        ),
    ]),
    [
      'a recent partial cancellation',
      (o) => o.status === 2 && cancelled(o) > 0 && cancelled(o) < units(o) && minutesOld(o) < 30,
    ],
    [
      'an old partial cancellation',
      (o) => o.status === 2 && cancelled(o) > 0 && cancelled(o) < units(o) && minutesOld(o) > 30,
    ],
    ['a recent whole cancellation', (o) => o.status === 3 && cancelled(o) === units(o) && minutesOld(o) < 30],
    ['an old whole cancellation', (o) => o.status === 3 && cancelled(o) === units(o) && minutesOld(o) > 30],
    ['all units cancelled while still open', (o) => o.status === 2 && cancelled(o) === units(o)],
    ['a cancellation while pending', (o) => o.status === 1 && cancelled(o) > 0],
    ['a cancellation before a shipment', (o) => o.status === 4 && cancelled(o) > 0],
    ['null amounts', ({ amounts }) => amounts.taxTotalAfterDiscount === null],
    ['null discounts', ({ amounts }) => amounts.discountFromTEMU === null],
    ['null prices', ({ lines }) => lines.every(({ unitPrice }) => unitPrice === null)],
    ['a price call that fails', ({ amountFailure, status }) => amountFailure !== null && status === 2],
    [
      'a price call that fails once shipped',
      ({ amountFailure, status }) => amountFailure !== null && status === 5,
    ],
    ['a shipping call that fails inside', ({ shippingFailure: f }) => f?.inner !== undefined && !f.outer],
    ['a shipping call that fails outside', ({ shippingFailure: f }) => f?.outer !== undefined && !f.inner],
    ['a shipping call that fails at both levels', ({ shippingFailure: f }) => Boolean(f?.inner && f.outer)],
    ['an unknown country', ({ address }) => address.countryCode === null],
    ['ids above 2^53', ({ lines }) => lines.some(({ goodsId }) => BigInt(goodsId) > 2n ** 53n)],
    ['Greek', ({ address }) => /\p{Script=Greek}/u.test(address.name ?? '')],
    ['Cyrillic', ({ address }) => /\p{Script=Cyrillic}/u.test(address.name ?? '')],
    ['Arabic', ({ address }) => /\p{Script=Arabic}/u.test(address.name ?? '')],
    ['Hebrew', ({ address }) => /\p{Script=Hebrew}/u.test(address.name ?? '')],
    ['Romanian', ({ address }) => /[ȘșȚț]/u.test(address.street1 ?? '')],
    ['an emoji', ({ lines }) => lines.some(({ goodsName }) => /\p{Extended_Pictographic}/u.test(goodsName))],
    ['no phone', ({ address }) => address.mobile === null],
    ['no ship-by date', ({ shipBy }) => shipBy === null],
  ])('makes orders with %s', (_, has) => {
    expect(orders.filter(has).length).toBeGreaterThan(0);
  });

  it('sells in yen and won outside Europe, in dollars in the US, to many countries everywhere', () => {
    const global = generate(GLOBAL);
    expect(global.filter(({ currency }) => currency === 'JPY').length).toBeGreaterThan(500);
    expect(global.some(({ currency }) => currency === 'KRW')).toBe(true);
    expect(global.some(({ address }) => /\p{Script=Han}/u.test(address.name ?? ''))).toBe(true);
    expect(global.some(({ address }) => /\p{Script=Hangul}/u.test(address.name ?? ''))).toBe(true);
    expect(new Set(generate(US).map(({ currency }) => currency))).toEqual(new Set(['USD']));
    expect(new Set(orders.map(({ address }) => address.countryName)).size).toBeGreaterThan(25);
  });

  it('maps most SKUs once, some never and some twice', () => {
    const counts = catalogueOf(EU).map(({ skus }) => skus.length);
    const times = (n: number): number => counts.filter((count) => count === n).length;
    expect(times(1)).toBeGreaterThan(180);
    expect(times(0)).toBeGreaterThan(5);
    expect(times(2)).toBeGreaterThan(5);
    expect(productsOf(EU)).toHaveLength(times(1) + 2 * times(2));
    const skus = (n: number): Set<string> =>
      new Set(
        catalogueOf(EU)
          .filter(({ skus }) => skus.length === n)
          .map(({ skuId }) => skuId),
      );
    for (const n of [0, 2]) {
      const wanted = skus(n);
      expect(orders.some(({ lines }) => lines.some(({ skuId }) => wanted.has(skuId)))).toBe(true);
    }
  });

  it('is fast: 10,000 orders in about a second', () => {
    const start = performance.now();
    generate(EU, 10_000);
    // Measured 0.15 s; the rest is room for a busy machine.
    expect(performance.now() - start).toBeLessThan(3000);
  });

  it('renders JSON that says what the truth says', () => {
    for (const order of orders.slice(0, 300)) {
      for (const version of ['v1', 'v2'] as const) {
        const item = JSON.parse(renderListItem(order, version));
        expect(item.parentOrderMap.updateTime).toBe(order.updatedAt);
        for (const [index, row] of item.orderList.entries()) {
          expect(row.quantity).toBe(row.originalOrderQuantity - row.canceledQuantityBeforeShipment);
          expect(row.orderSn).toBe(order.lines[index]?.orderSn);
        }
        const shipping = renderShipping(order, version);
        if ([3, 4, 5].includes(order.status) && 'ok' in shipping) {
          expect(JSON.parse(shipping.ok)?.receiptName ?? null).toBeNull();
        }
      }
      const amount = renderAmount(order);
      if (!('ok' in amount)) continue;
      const { parentOrderMap, orderList } = JSON.parse(amount.ok);
      expect(parentOrderMap.parentOrderSn).toBe(order.parentOrderSn);
      const sns = orderList.map(({ orderSn }: { orderSn: string }) => orderSn).sort();
      expect(sns).toEqual(order.lines.map(({ orderSn }) => orderSn).sort());
    }
  });
});
