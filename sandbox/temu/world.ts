import { companiesOf, warehousesOf } from './carriers.ts';
import { productsOf } from './catalogue.ts';
import { type Expected, expected } from './expected.ts';
import {
  type Company,
  type HostName,
  hostOf,
  type Package,
  type Product,
  type SandboxOrder,
  type Shop,
  type ShopIdentity,
  type ShopSpec,
  type Warehouse,
} from './model.ts';
import { createPackages, type Packages } from './packages.ts';

/** The sandbox's clock: the real one, shifted on request. */
export interface SandboxClock {
  now(): number;
  offsetMs: number;
}

type OrderChange = Partial<SandboxOrder> | ((order: SandboxOrder) => void);

/** All state of the stand-in: shops, their orders and the parcels of these. Orders belong to a shop's access token. */
export interface World {
  readonly clock: SandboxClock;
  readonly packages: Packages;
  /** Throws when the name or token is taken, or the app key is known with another secret. */
  addShop(spec: ShopSpec): Shop;
  shops(): Shop[];
  /** Throws when there is no such shop. */
  shop(name: string): Shop;
  hasShop(name: string): boolean;
  removeShop(name: string): void;
  /** Number of orders of all shops. */
  size(): number;
  addOrders(shop: ShopIdentity | string, orders: readonly SandboxOrder[]): void;
  /** A shop's orders, newest change first, as in the list call. Not a copy: change orders only by `changeOrder`. */
  orders(shop: ShopIdentity | string): readonly SandboxOrder[];
  order(shop: ShopIdentity | string, parentOrderSn: string): SandboxOrder | undefined;
  /**
   * Changes an order and moves its updateTime to this wall second (or `updatedAt`, Unix seconds; null keeps it, as
   * Temu may do for a new address). A recorded order is no longer served verbatim afterwards.
   */
  changeOrder(
    shop: ShopIdentity | string,
    parentOrderSn: string,
    change: OrderChange,
    updatedAt?: number | null,
  ): SandboxOrder;
  removeOrder(shop: ShopIdentity | string, parentOrderSn: string): void;
  /** Revoked: the token gets 3000034 until it is restored or replaced. */
  setCredentialsRevoked(shop: ShopIdentity | string, revoked: boolean): void;
  /** A new authorization: the old token is invalid at once (3000031), the orders stay with the shop. */
  setAccessToken(shop: ShopIdentity | string, accessToken: string): void;
  setAmountScope(shop: ShopIdentity | string, allowed: boolean): void;
  setDeniedTypes(shop: ShopIdentity | string, types: readonly string[]): void;
  setHosts(
    shop: ShopIdentity | string,
    hosts: readonly HostName[],
    wrongHostAnswer?: Shop['wrongHostAnswer'],
  ): void;
  setProducts(shop: ShopIdentity | string, products: readonly Product[]): void;
  setCompanies(shop: ShopIdentity | string, companies: readonly Company[]): void;
  setWarehouses(shop: ShopIdentity | string, warehouses: readonly Warehouse[]): void;
  setShipsItself(shop: ShopIdentity | string, shipsItself: boolean): void;
  /** What Orderfleet must store for every order of a shop, by default at the sandbox's time. */
  expected(shop: ShopIdentity | string, now?: number): Expected[];
  /** JSON text of an order, cached until the order changes. */
  cached<T>(order: SandboxOrder, key: string, make: () => T): T;
  shopsOfApp(appKey: string): Shop[];
  shopOfToken(accessToken: string): Shop | undefined;
  snapshot(): WorldSnapshot;
  /** Replaces everything by a snapshot. */
  restore(snapshot: WorldSnapshot): void;
  /** Removes all shops, orders and packages. */
  clear(): void;
}

export interface WorldSnapshot {
  shops: { shop: Shop; orders: SandboxOrder[] }[];
  packages: Package[];
}

interface Room {
  shop: Shop;
  bySn: Map<string, SandboxOrder>;
  /** Newest change first, ties by order number. */
  sorted: SandboxOrder[];
}

/** Order of the list call: update time descending; ties by order number so that pages are stable. */
export function byUpdateTime(a: SandboxOrder, b: SandboxOrder): number {
  return b.updatedAt - a.updatedAt || (a.parentOrderSn < b.parentOrderSn ? -1 : 1);
}

export function createWorld(clock: SandboxClock): World {
  const rooms = new Map<string, Room>();
  const packages = createPackages();
  const texts = new WeakMap<SandboxOrder, Map<string, unknown>>();

  const room = (shop: ShopIdentity | string): Room => {
    const name = typeof shop === 'string' ? shop : shop.name;
    const found = rooms.get(name);
    if (!found)
      throw new Error(`there is no shop "${name}" in the sandbox; known: ${[...rooms.keys()].join(', ')}`);
    return found;
  };
  const shops = (): Shop[] => [...rooms.values()].map(({ shop }) => shop);
  const orderIn = (from: Room, sn: string): SandboxOrder => {
    const order = from.bySn.get(sn);
    if (!order) throw new Error(`shop "${from.shop.name}" has no order ${sn}`);
    return order;
  };

  const world: World = {
    clock,
    packages,
    addShop: (spec) => {
      checkNewShop(spec, shops());
      const shop = completeShop(spec);
      rooms.set(shop.name, { shop, bySn: new Map(), sorted: [] });
      return shop;
    },
    shops,
    shop: (name) => room(name).shop,
    hasShop: (name) => rooms.has(name),
    removeShop: (name) => {
      rooms.delete(name);
      packages.removeShop(name);
    },
    size: () => [...rooms.values()].reduce((sum, { sorted }) => sum + sorted.length, 0),
    addOrders: (shop, orders) => {
      const into = room(shop);
      for (const order of orders) {
        if (into.bySn.has(order.parentOrderSn))
          throw new Error(`order ${order.parentOrderSn} is already there`);
        into.bySn.set(order.parentOrderSn, order);
      }
      if (orders.length === 1) insert(into.sorted, orders[0] as SandboxOrder);
      else into.sorted = [...into.sorted, ...orders].sort(byUpdateTime);
    },
    orders: (shop) => room(shop).sorted,
    order: (shop, sn) => room(shop).bySn.get(sn),
    changeOrder: (shop, sn, change, updatedAt = Math.floor(clock.now() / 1000)) => {
      const from = room(shop);
      const order = orderIn(from, sn);
      // Searched before the change: the position in the sorted list depends on the old update time.
      from.sorted.splice(position(from.sorted, order), 1);
      if (typeof change === 'function') change(order);
      else Object.assign(order, change);
      if (updatedAt !== null) order.updatedAt = updatedAt;
      order.verbatim = null;
      texts.delete(order);
      insert(from.sorted, order);
      return order;
    },
    removeOrder: (shop, sn) => {
      const from = room(shop);
      from.sorted.splice(position(from.sorted, orderIn(from, sn)), 1);
      from.bySn.delete(sn);
    },
    setCredentialsRevoked: (shop, revoked) => {
      room(shop).shop.revoked = revoked;
    },
    setAccessToken: (shop, accessToken) => {
      const { shop: owner } = room(shop);
      owner.accessToken = accessToken;
      owner.revoked = false;
    },
    setAmountScope: (shop, allowed) => {
      room(shop).shop.amountScope = allowed;
    },
    setDeniedTypes: (shop, types) => {
      room(shop).shop.deniedTypes = types;
    },
    setHosts: (shop, hosts, wrongHostAnswer) => {
      Object.assign(room(shop).shop, { hosts, ...(wrongHostAnswer && { wrongHostAnswer }) });
    },
    setProducts: (shop, products) => {
      room(shop).shop.products = products;
    },
    setCompanies: (shop, companies) => {
      room(shop).shop.companies = companies;
    },
    setWarehouses: (shop, warehouses) => {
      room(shop).shop.warehouses = warehouses;
    },
    setShipsItself: (shop, shipsItself) => {
      room(shop).shop.shipsItself = shipsItself;
    },
    expected: (shop, now = clock.now()) => {
      const { shop: owner, sorted } = room(shop);
      const { products, amountScope } = owner;
      return sorted.map((order) => expected(order, { now, products, amountScope }));
    },
    cached: <T>(order: SandboxOrder, key: string, make: () => T): T => {
      const kept = texts.get(order) ?? new Map<string, unknown>();
      texts.set(order, kept);
      if (!kept.has(key)) kept.set(key, make());
      return kept.get(key) as T;
    },
    shopsOfApp: (appKey) => shops().filter((shop) => shop.appKey === appKey),
    shopOfToken: (accessToken) => shops().find((shop) => shop.accessToken === accessToken),
    snapshot: () => ({
      shops: [...rooms.values()].map(({ shop, sorted }) => ({ shop, orders: sorted })),
      packages: packages.list(),
    }),
    restore: (snapshot) => {
      rooms.clear();
      for (const { shop, orders } of snapshot.shops) {
        // A state saved before these fields existed.
        const whole = { ...completeShop(shop), revoked: shop.revoked };
        rooms.set(shop.name, { shop: whole, bySn: new Map(), sorted: [] });
        world.addOrders(
          shop,
          orders.map((order) => Object.assign({ confirmFailure: null, packagesLocked: false }, order)),
        );
      }
      packages.replace(snapshot.packages);
    },
    clear: () => {
      rooms.clear();
      packages.replace([]);
    },
  };
  return world;
}

function completeShop(spec: ShopSpec): Shop {
  return {
    ...spec,
    hosts: spec.hosts ?? [hostOf(spec.region)],
    wrongHostAnswer: spec.wrongHostAnswer ?? 'unknownApp',
    amountScope: spec.amountScope ?? true,
    deniedTypes: spec.deniedTypes ?? [],
    products: spec.products ?? productsOf(spec),
    companies: spec.companies ?? companiesOf(),
    warehouses: spec.warehouses ?? warehousesOf(spec),
    shipsItself: spec.shipsItself ?? true,
    revoked: false,
  };
}

function checkNewShop(spec: ShopSpec, shops: readonly Shop[]): void {
  for (const other of shops) {
    if (other.name === spec.name) throw new Error(`there is already a shop "${spec.name}"`);
    if (other.accessToken === spec.accessToken)
      throw new Error(`the access token of "${spec.name}" is taken`);
    if (other.appKey === spec.appKey && other.appSecret !== spec.appSecret) {
      throw new Error(`app key ${spec.appKey} is already there with another secret`);
    }
  }
}

/** Index of the first order that does not come before the given one. */
function position(sorted: readonly SandboxOrder[], order: SandboxOrder): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = sorted[middle] as SandboxOrder;
    if (other !== order && byUpdateTime(other, order) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insert(sorted: SandboxOrder[], order: SandboxOrder): void {
  sorted.splice(position(sorted, order), 0, order);
}

/** The slice of a sorted list whose update time is in the closed interval (Unix seconds). */
export function updatedBetween(
  sorted: readonly SandboxOrder[],
  start: number,
  end: number,
): [from: number, to: number] {
  const firstAtMost = (seconds: number): number => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] as SandboxOrder).updatedAt > seconds) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return [firstAtMost(end), firstAtMost(start - 1)];
}
