import { createRandom, seedOf } from '../random.ts';
import { type Catalogue, catalogueOf, splitCatalogue } from './catalogue.ts';
import { generateOrder } from './generator.ts';
import type { SandboxOrder, Shop } from './model.ts';
import { cancelAll, cancelSome, pickScenario, SCENARIOS, type Scenario } from './scenarios.ts';
import type { World } from './world.ts';

export interface LifeOptions {
  world: World;
  seed: number;
  /** Speed-up of simulated time. */
  speed: number;
  /** Mean real time between two new orders of a shop; divided by speed. */
  arrivalEveryMs: number;
}

/**
 * Orders are placed, paid, changed, partly cancelled, shipped and received, each event at its wall second. In a shop with
 * `shipsItself` false no order ships by itself: it arrives after the API has confirmed it.
 */
export interface Life {
  /** Runs all events that are due at this epoch millisecond; returns their number. */
  tick(now: number): number;
  /** Ticks until stop; does not keep the process alive. */
  start(): void;
  stop(): void;
  snapshot(): LifeSnapshot;
  restore(snapshot: LifeSnapshot): void;
}

export interface LifeSnapshot {
  random: number;
  events: LifeEvent[];
  arrivals: Record<string, number>;
}

interface LifeEvent {
  at: number;
  shop: string;
  sn: string;
  /** The order's updateTime when this was planned: after any other change it is planned again. */
  status?: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Fine enough for a speed of several hundred, coarse enough to cost nothing. */
const TICK_MS = 200;

/** Real time until an order's next event, by status; the reference gives a cool-off of 601–960 s. */
const DELAYS: Record<number, readonly [number, number]> = {
  1: [601_000, 960_000],
  2: [30 * MINUTE, 18 * HOUR],
  4: [2 * DAY, 6 * DAY],
  41: [6 * HOUR, DAY],
  51: [DAY, 3 * DAY],
};

export function createLife({ world, seed, speed, arrivalEveryMs }: LifeOptions): Life {
  let random = createRandom(seedOf('life', seed));
  let timer: NodeJS.Timeout | undefined;
  const catalogues = new Map<string, Catalogue>();
  const events = createAgenda();
  const arrivals = new Map<string, number>();
  let known = new WeakSet<SandboxOrder>();

  const schedule = (shop: string, order: SandboxOrder, now: number): void => {
    const delay = DELAYS[order.status];
    if (!delay) return;
    events.add({
      at: now + random.int(...delay) / speed,
      shop,
      sn: order.parentOrderSn,
      status: order.status,
    });
  };
  /** Orders that were added by others get events, too. */
  const adopt = (now: number): void => {
    for (const shop of world.shops()) {
      for (const order of world.orders(shop)) {
        if (known.has(order)) continue;
        known.add(order);
        schedule(shop.name, order, now);
      }
    }
  };
  let adopted = -1;

  const place = (shop: Shop, now: number): void => {
    const catalogue = catalogues.get(shop.name) ?? splitCatalogue(catalogueOf(shop));
    catalogues.set(shop.name, catalogue);
    const taken = { has: (sn: string) => world.order(shop, sn) !== undefined, add: () => undefined };
    const order = generateOrder(
      { random, catalogue, shop, now, days: 1, taken },
      pickScenario(random, NEW_ORDERS),
    );
    const second = Math.floor(now / 1000);
    Object.assign(order, {
      createdAt: second,
      updatedAt: second,
      pendingUntil: second + Math.ceil(960 / speed),
    });
    world.addOrders(shop, [order]);
  };
  const arrive = (now: number): number => {
    let count = 0;
    for (const shop of world.shops()) {
      const due = arrivals.get(shop.name) ?? now + pause();
      if (due <= now) {
        place(shop, now);
        count++;
      }
      arrivals.set(shop.name, due <= now ? now + pause() : due);
    }
    return count;
  };
  // Exponential, as for independent buyers.
  const pause = (): number => (-Math.log(1 - random.next()) * arrivalEveryMs) / speed;

  const life: Life = {
    tick: (now) => {
      let count = arrive(now);
      const total = world.size();
      if (total !== adopted) adopt(now);
      adopted = total;
      for (let event = events.takeDue(now); event; event = events.takeDue(now)) {
        const { shop, sn, status } = event;
        const order = world.hasShop(shop) ? world.order(shop, sn) : undefined;
        if (!order) continue;
        const second = Math.floor(now / 1000);
        const undisturbed = status === undefined || status === order.status;
        const change = undisturbed ? nextOf(order, random, second, world.shop(shop).shipsItself) : undefined;
        if (change) world.changeOrder(shop, sn, change, second);
        schedule(shop, order, now);
        if (change) count++;
      }
      return count;
    },
    start: () => {
      timer ??= setInterval(() => life.tick(world.clock.now()), TICK_MS).unref();
    },
    stop: () => {
      clearInterval(timer);
      timer = undefined;
    },
    snapshot: () => ({
      random: random.state(),
      events: events.list(),
      arrivals: Object.fromEntries(arrivals),
    }),
    restore: (snapshot) => {
      random = createRandom(snapshot.random);
      arrivals.clear();
      for (const [shop, at] of Object.entries(snapshot.arrivals)) arrivals.set(shop, at);
      const here = snapshot.events.filter(({ shop, sn }) => world.hasShop(shop) && world.order(shop, sn));
      events.replace(here);
      known = new WeakSet(here.map(({ shop, sn }) => world.order(shop, sn) as SandboxOrder));
      adopted = -1;
    },
  };
  return life;
}

/** New orders are not paid yet; failures and unknown SKUs as in the generator. */
const NEW_ORDERS: readonly Scenario[] = SCENARIOS.filter(
  ({ status, updated }) => updated === undefined && (status === undefined || status === 2),
).map((scenario) => ({ ...scenario, status: 1 }));

type Random = ReturnType<typeof createRandom>;

type Change = (order: SandboxOrder) => void;

/** An order's next event; undefined: it waits to be shipped. */
function nextOf(
  order: SandboxOrder,
  random: Random,
  second: number,
  shipsItself: boolean,
): Change | undefined {
  if (order.status === 1) return (changing) => leavePending(changing, random, second);
  if (order.status === 2) return nextOfOpen(order, random, second, shipsItself);
  if (order.status !== 41) return (changing) => setStatus(changing, 5);
  return shipsItself ? (changing) => setStatus(changing, random.chance(0.8) ? 4 : 51) : undefined;
}

function leavePending(order: SandboxOrder, random: Random, second: number): void {
  const event = random.weighted([
    ['more', 10],
    ['cancelled', 5],
    ['paid', 85],
  ] as const);
  if (event === 'more') changeQuantity(order, random);
  if (event === 'cancelled') cancelWhole(order);
  if (event !== 'paid') return;
  setStatus(order, 2);
  order.confirmedAt = second;
  order.shipBy = second + random.int(1, 3) * (DAY / 1000);
}

function nextOfOpen(
  order: SandboxOrder,
  random: Random,
  second: number,
  shipsItself: boolean,
): Change | undefined {
  const failing = order.amountFailure !== null || order.shippingFailure !== null;
  const untouched = order.lines.every(({ cancelled }) => cancelled === 0);
  const units = order.lines.reduce((sum, { ordered }) => sum + ordered, 0);
  const alive = order.lines.some(({ cancelled, ordered }) => cancelled < ordered);
  const event = random.weighted([
    ['heal', failing ? 50 : 0],
    ['address', 8],
    ['cancelSome', untouched && units > 1 ? 12 : 0],
    ['cancelAll', untouched ? 4 : 0],
    ['partly', order.lines.filter(({ status }) => status === 2).length > 1 ? 8 : 0],
    ['ship', 70],
  ] as const);
  if (!alive || event === 'cancelAll') return cancelWhole;
  if (event === 'heal') return heal;
  if (event === 'address') return (changing) => changeAddress(changing, random);
  if (event === 'cancelSome') return (changing) => cancelSome(changing, random);
  return shipsItself ? (changing) => ship(changing, second, event === 'partly') : undefined;
}

function ship(order: SandboxOrder, second: number, partly: boolean): void {
  order.shippedAt = second;
  const first = order.lines.find(({ status }) => status === 2);
  if (partly && first) {
    order.status = 41;
    first.status = 4;
  } else {
    setStatus(order, 4);
  }
}

/** Rows follow their order, but a cancelled row stays cancelled. */
function setStatus(order: SandboxOrder, status: number): void {
  order.status = status;
  for (const line of order.lines) {
    if (line.status !== 3) line.status = status === 51 ? 5 : status;
  }
}

function heal(order: SandboxOrder): void {
  Object.assign(order, { amountFailure: null, shippingFailure: null });
}

function cancelWhole(order: SandboxOrder): void {
  order.status = 3;
  cancelAll(order);
}

function changeQuantity(order: SandboxOrder, random: Random): void {
  const line = random.pick(order.lines);
  const before = line.ordered;
  line.ordered += 1;
  const { amounts } = order;
  const more = (line.unitPrice ?? 0) * (line.ordered - before);
  if (amounts.basePriceTotal !== null) amounts.basePriceTotal += more;
  if (amounts.estimatedRevenue !== null) amounts.estimatedRevenue += more;
}

function changeAddress(order: SandboxOrder, random: Random): void {
  order.address = {
    ...order.address,
    street1: `${order.address.street1 ?? ''} (${random.int(2, 99)})`,
    street2: null,
  };
}

interface Agenda {
  add(event: LifeEvent): void;
  takeDue(now: number): LifeEvent | undefined;
  list(): LifeEvent[];
  replace(events: readonly LifeEvent[]): void;
}

/** Events by time, latest first, so that taking the next one is a pop. */
function createAgenda(): Agenda {
  let events: LifeEvent[] = [];
  return {
    add: (event) => {
      let low = 0;
      let high = events.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((events[middle] as LifeEvent).at > event.at) low = middle + 1;
        else high = middle;
      }
      events.splice(low, 0, event);
    },
    takeDue: (now) => ((events.at(-1)?.at ?? Number.POSITIVE_INFINITY) <= now ? events.pop() : undefined),
    list: () => [...events],
    replace: (next) => {
      events = [...next].sort((a, b) => b.at - a.at);
    },
  };
}
