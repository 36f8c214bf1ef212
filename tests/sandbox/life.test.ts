import { describe, expect, it } from 'vitest';
import { demoShops } from '../../sandbox/demo-shops.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import { createLife, type Life } from '../../sandbox/temu/life.ts';
import type { ShopSpec } from '../../sandbox/temu/model.ts';
import { byUpdateTime, createWorld, type World } from '../../sandbox/temu/world.ts';

const START = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;

/** A world that lives by a clock that the test moves. */
function living(options: { speed?: number; orders?: number; arrivalEveryMs?: number } = {}) {
  let now = START;
  const world = createWorld({ now: () => now, offsetMs: 0 });
  const shop = world.addShop({ ...(demoShops()[0] as ShopSpec), shipsItself: true });
  world.addOrders(shop, generateOrders({ seed: 1, count: options.orders ?? 0, shop, now, days: 10 }));
  const { speed = 1, arrivalEveryMs = 60_000 } = options;
  const life = createLife({ world, seed: 1, speed, arrivalEveryMs });
  const pass = (ms: number, stepMs: number): number => {
    let events = 0;
    for (const end = now + ms; now < end; ) {
      now += stepMs;
      events += life.tick(now);
    }
    return events;
  };
  return { world, shop, life, pass, now: () => now };
}

function statuses(world: World): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of world.orders('demo-ro')) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describe('orders that live', () => {
  it('arrive unpaid, are paid after the cool-off, and change at the second it happens', () => {
    const { world, shop, pass, now } = living();
    pass(10 * 60_000, 1000);
    expect(world.size()).toBeGreaterThan(3);
    expect(statuses(world)).toEqual({ 1: world.size() });
    for (const order of world.orders(shop)) {
      expect(order.updatedAt).toBe(order.createdAt);
      expect(order.updatedAt * 1000).toBeGreaterThanOrEqual(START);
    }
    pass(30 * 60_000, 1000);
    const paid = world.orders(shop).filter(({ status }) => status === 2);
    expect(paid.length).toBeGreaterThan(3);
    for (const { updatedAt, createdAt } of paid) {
      expect(updatedAt - createdAt).toBeGreaterThanOrEqual(601);
      expect(updatedAt * 1000).toBeLessThanOrEqual(now());
    }
  });

  it('end shipped, received or cancelled, some of them in part, as fast as they are told', () => {
    const { world, shop, pass } = living({ speed: 1000, arrivalEveryMs: 600_000, orders: 200 });
    pass(HOUR, 5_000);
    const counts = statuses(world);
    for (const status of [1, 2, 3, 4, 5]) expect(counts[status]).toBeGreaterThan(0);
    const partly = world.orders(shop).filter(({ lines }) => {
      const cancelled = lines.reduce((sum, line) => sum + line.cancelled, 0);
      return cancelled > 0 && cancelled < lines.reduce((sum, line) => sum + line.ordered, 0);
    });
    expect(partly.length).toBeGreaterThan(0);
    for (const { lines } of world.orders(shop)) {
      for (const { cancelled, ordered } of lines) expect(cancelled).toBeLessThanOrEqual(ordered);
    }
  });

  it('keep the list sorted through it all', () => {
    const { world, shop, pass } = living({ speed: 500, orders: 100 });
    pass(HOUR / 4, 1_000);
    const orders = world.orders(shop);
    expect([...orders].sort(byUpdateTime)).toEqual(orders);
    expect(new Set(orders.map(({ parentOrderSn }) => parentOrderSn)).size).toBe(orders.length);
  });

  it('do the same again with the same seed and clock', () => {
    const run = () => {
      const { world, shop, pass } = living({ speed: 300, orders: 50 });
      pass(HOUR / 30, 500);
      return world.orders(shop);
    };
    expect(run()).toEqual(run());
  });

  it('go on where a snapshot left them', () => {
    const first = living({ speed: 300, orders: 50 });
    first.pass(HOUR / 60, 500);
    const saved = JSON.parse(JSON.stringify({ world: first.world.snapshot(), life: first.life.snapshot() }));
    const resume = (world: World, life: Life): unknown => {
      for (let now = first.now(); now < START + HOUR / 30; now += 500) life.tick(now);
      return world.snapshot();
    };
    const world = createWorld({ now: first.now, offsetMs: 0 });
    const life = createLife({ world, seed: 99, speed: 300, arrivalEveryMs: 60_000 });
    world.restore(saved.world);
    life.restore(saved.life);
    expect(resume(world, life)).toEqual(resume(first.world, first.life));
  });
});

describe('orders of a shop that ships by the API', () => {
  it('wait, and arrive some time after they were confirmed', () => {
    const { world, shop, pass, now } = living({ speed: 1000, arrivalEveryMs: 600_000, orders: 200 });
    world.setShipsItself(shop, false);
    const waiting = world.orders(shop).filter(({ status }) => status === 2).length;
    const shipped = new Set(world.orders(shop).filter(({ status }) => status > 3));
    expect(waiting).toBeGreaterThan(50);
    pass(HOUR, 5_000);
    for (const order of world.orders(shop)) {
      if (!shipped.has(order)) expect([1, 2, 3, 6]).toContain(order.status);
    }
    const open = world.orders(shop).filter(({ status }) => status === 2);
    expect(open.length).toBeGreaterThan(10);

    const [order] = open;
    if (!order) throw new Error('no order waits');
    world.changeOrder(shop, order.parentOrderSn, (changing) => {
      changing.status = 4;
      for (const line of changing.lines) line.status = 4;
    });
    const { updatedAt } = order;
    // What was planned while it waited (at most 65 s at this speed) is void; 173 s is the shortest way at this speed.
    pass(150_000, 500);
    expect([order.status, order.updatedAt]).toEqual([4, updatedAt]);
    pass(600_000, 500);
    expect(order.status).toBe(5);
    expect(now() / 1000).toBeGreaterThan(order.updatedAt);
  });
});

describe('the world', () => {
  it('refuses what does not fit together', () => {
    const { world, shop } = living();
    const [, second] = demoShops() as [ShopSpec, ShopSpec];
    expect(() => world.addShop(shop)).toThrow('already a shop "demo-ro"');
    expect(() => world.addShop({ ...second, accessToken: shop.accessToken })).toThrow('is taken');
    expect(() => world.addShop({ ...second, appSecret: 'x' })).toThrow('another secret');
    expect(() => world.shop('nobody')).toThrow('no shop "nobody"');
    expect(() => world.changeOrder(shop, 'PO-1', {})).toThrow('no order PO-1');
    const orders = generateOrders({ seed: 1, count: 1, shop, now: START, days: 1 });
    world.addOrders(shop, orders);
    expect(() => world.addOrders(shop, orders)).toThrow('already there');
    world.removeOrder(shop, orders[0]?.parentOrderSn as string);
    expect(world.size()).toBe(0);
  });

  it('tells what must be in Postgres for all orders of a shop', () => {
    const { world, shop } = living({ orders: 100 });
    const expected = world.expected(shop);
    expect(expected.map(({ orders }) => orders.marketplace_order_id)).toEqual(
      world.orders(shop).map(({ parentOrderSn }) => parentOrderSn),
    );
    expect(new Set(expected.map(({ orders }) => orders.status))).toEqual(
      new Set(['Pending', 'Ready for Shipping', 'Cancelled', 'Shipped', 'Partially Shipped', 'Incomplete']),
    );
  });
});
