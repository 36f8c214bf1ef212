import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { type App, body, query } from './control-body.ts';
import { courierRoutes } from './control-couriers.ts';
import { outboxRoutes } from './control-outbox.ts';
import * as schema from './control-schema.ts';
import type { Couriers } from './couriers/couriers.ts';
import { demoShops } from './demo-shops.ts';
import type { EffectFilter, Effects } from './effects.ts';
import type { Hooks } from './hooks.ts';
import type { RequestHandler } from './http.ts';
import { createRandom } from './random.ts';
import type { RequestFilter, RequestLog } from './request-log.ts';
import type { Slack } from './slack.ts';
import type { Smtp } from './smtp.ts';
import { expected } from './temu/expected.ts';
import type { FaultRule, Faults } from './temu/faults.ts';
import { generateOrders } from './temu/generator.ts';
import type { Life } from './temu/life.ts';
import type { Company, SandboxOrder, Shop, ShopSpec } from './temu/model.ts';
import { recordedOrders } from './temu/recorded.ts';
import { cancelSome } from './temu/scenarios.ts';
import { shipByHand } from './temu/shipment.ts';
import type { World } from './temu/world.ts';

export interface ControlContext {
  world: World;
  life: Life;
  faults: Faults;
  ledger: RequestLog;
  effects: Effects;
  couriers: Couriers;
  slack: Slack;
  hooks: Hooks;
  smtp: Smtp | null;
  /** The fleet's environment variables that lead here. */
  env(): Record<string, string>;
  qps: number;
}

/** The control API under /_sandbox, for other processes and e2e tests. Loopback only, so without a login. */
export function createControl(context: ControlContext): RequestHandler {
  const app = new Hono().basePath('/_sandbox');
  shopRoutes(app, context);
  orderRoutes(app, context);
  faultRoutes(app, context);
  ledgerRoutes(app, context);
  effectRoutes(app, context);
  courierRoutes(app, context);
  outboxRoutes(app, context);
  app.get('/env', (c) => c.json(context.env()));
  app.post('/clock', async (c) => {
    context.world.clock.offsetMs = (await body(c, schema.clock)).offsetMs;
    return c.json({ now: new Date(context.world.clock.now()).toISOString() });
  });
  app.post('/reset', (c) => {
    context.world.clear();
    context.faults.clear();
    context.ledger.reset();
    context.effects.reset();
    context.couriers.reset();
    context.slack.reset();
    context.hooks.reset();
    context.smtp?.reset();
    context.world.clock.offsetMs = 0;
    return c.json({ ok: true });
  });
  app.notFound((c) => c.json({ error: `nothing is served at ${c.req.method} ${c.req.path}` }, 404));
  app.onError((error, c) => c.json({ error: error.message }, 400));
  // The global Request and Response belong to the process, not to the sandbox.
  return getRequestListener(app.fetch, { overrideGlobalObjects: false });
}

function shopRoutes(app: App, { world }: ControlContext): void {
  app.get('/shops', (c) =>
    c.json(world.shops().map((shop) => ({ ...shown(shop), orders: world.orders(shop).length }))),
  );
  app.post('/shops', async (c) => {
    const wanted = await body(c, schema.shops);
    const specs: readonly ShopSpec[] = 'demo' in wanted ? demoShops() : [wanted as ShopSpec];
    return c.json(
      specs.map((spec) => shown(world.addShop(spec))),
      201,
    );
  });
  app.post('/shops/:name', async (c) => {
    const name = c.req.param('name');
    const change = await body(c, schema.shopChange);
    if (change.revoked !== undefined) world.setCredentialsRevoked(name, change.revoked);
    if (change.accessToken !== undefined) world.setAccessToken(name, change.accessToken);
    if (change.amountScope !== undefined) world.setAmountScope(name, change.amountScope);
    if (change.deniedTypes !== undefined) world.setDeniedTypes(name, change.deniedTypes);
    if (change.hosts !== undefined) world.setHosts(name, change.hosts, change.wrongHostAnswer);
    if (change.products !== undefined) world.setProducts(name, change.products);
    if (change.companies !== undefined) world.setCompanies(name, change.companies as Company[]);
    if (change.warehouses !== undefined) world.setWarehouses(name, change.warehouses);
    if (change.shipsItself !== undefined) world.setShipsItself(name, change.shipsItself);
    return c.json(shown(world.shop(name)));
  });
  app.get('/companies', (c) => c.json(world.shop(query(c, schema.byShop).shop).companies));
  app.get('/products', (c) => c.json(world.shop(query(c, schema.byShop).shop).products));
}

/** Includes the fake credentials, for other processes; long lists have URLs of their own. */
function shown({ products, companies, ...shop }: Shop) {
  return { ...shop, products: products.length, companies: companies.length };
}

function orderRoutes(app: App, { world }: ControlContext): void {
  app.post('/orders', async (c) => {
    const { shop: name, count, seed, days, recorded } = await body(c, schema.orders);
    const shop = world.shop(name);
    const now = world.clock.now();
    const orders = generateOrders({ seed, count, shop, now, days });
    if (recorded) orders.push(...recordedOrders({ shop, updatedAt: Math.floor(now / 1000) - 3600 }));
    world.addOrders(shop, orders);
    return c.json({ added: orders.length, total: world.orders(shop).length }, 201);
  });
  app.get('/orders', (c) => {
    const { shop, limit } = query(c, schema.orderList);
    return c.json(world.orders(shop).slice(0, limit));
  });
  app.post('/change', async (c) => {
    const { shop, count, seed, parentOrderSn, set, keepUpdateTime } = await body(c, schema.change);
    const random = createRandom(seed);
    const sns = parentOrderSn
      ? [parentOrderSn]
      : random.shuffle(world.orders(shop).map((order) => order.parentOrderSn)).slice(0, count);
    const change = set ? (set as Partial<SandboxOrder>) : randomChange(random);
    for (const sn of sns) world.changeOrder(shop, sn, change, keepUpdateTime ? null : undefined);
    return c.json({ changed: sns });
  });
  app.post('/ship', async (c) => {
    const { shop, parentOrderSn, ...given } = await body(c, schema.ship);
    return c.json(shipByHand(world, shop, parentOrderSn, given as { trackingNumber?: string }));
  });
  app.get('/expected', (c) => {
    const { shop: name, now, parentOrderSn, addressSeen } = query(c, schema.expected);
    const { products, amountScope } = world.shop(name);
    const options = { now: now ?? world.clock.now(), products, amountScope, addressSeen };
    const orders = world
      .orders(name)
      .filter((order) => !parentOrderSn || order.parentOrderSn === parentOrderSn);
    return c.json({ products, orders: orders.map((order) => expected(order, options)) });
  });
}

/** A random change: a new street, or fewer units; a closed order is only touched. */
function randomChange(random: ReturnType<typeof createRandom>) {
  return (order: SandboxOrder): void => {
    if (order.status !== 1 && order.status !== 2) return;
    const untouched = order.lines.every(({ cancelled }) => cancelled === 0);
    const units = order.lines.reduce((sum, { ordered }) => sum + ordered, 0);
    if (untouched && units > 1 && random.chance(0.3)) cancelSome(order, random);
    else
      order.address = { ...order.address, street1: `${random.int(1, 999)} ${order.address.street1 ?? ''}` };
  };
}

function faultRoutes(app: App, { faults }: ControlContext): void {
  const shownFaults = () => faults.list().map(({ id, rule, hits }) => ({ id, hits: hits(), ...rule }));
  app.get('/faults', (c) => c.json(shownFaults()));
  app.post('/faults', async (c) => {
    const { id } = faults.add((await body(c, schema.fault)) as FaultRule);
    return c.json({ id }, 201);
  });
  app.delete('/faults', (c) => {
    faults.clear();
    return c.json({ ok: true });
  });
  app.delete('/faults/:id', (c) => c.json({ removed: faults.remove(Number(c.req.param('id'))) }));
}

function ledgerRoutes(app: App, { ledger, world, qps }: ControlContext): void {
  app.get('/stats', (c) =>
    c.json({
      now: new Date(world.clock.now()).toISOString(),
      qps,
      shops: world.shops().map((shop) => ({ name: shop.name, orders: world.orders(shop).length })),
      ...ledger.totals(),
    }),
  );
  app.get('/ledger', (c) => {
    const { limit, ...filter } = query(c, schema.ledger);
    return c.json(ledger.entries(filter as RequestFilter).slice(-limit));
  });
  app.get('/utilisation', (c) => {
    const wanted = query(c, schema.utilisation);
    return c.json({
      utilisation: ledger.utilisation(wanted.appKey, wanted.from, wanted.to, wanted.qps ?? qps),
    });
  });
  app.delete('/ledger', (c) => {
    ledger.reset();
    return c.json({ ok: true });
  });
}

function effectRoutes(app: App, { effects }: ControlContext): void {
  app.get('/effects', (c) => {
    const { limit, ...rest } = query(c, schema.effects);
    const filter = rest as EffectFilter;
    return c.json({ summary: effects.summary(filter), attempts: effects.attempts(filter).slice(-limit) });
  });
  app.delete('/effects', (c) => {
    effects.reset();
    return c.json({ ok: true });
  });
}
