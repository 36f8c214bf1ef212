import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import type { Sql } from 'postgres';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/server.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import type { SandboxOrder, Shop, ShopSpec } from '../../sandbox/temu/model.ts';
import type { Scenario } from '../../sandbox/temu/scenarios.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type Fleet, openFleet } from '../../src/fleet/index.ts';
import { createLog } from '../../src/lib/log.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import type { OrdersDeps } from '../../src/temu/deps.ts';
import { openWindows, orderHandlers, orderTasks, temuPages } from '../../src/temu/orders/index.ts';
import { addStore, type NewStore } from '../../src/temu/stores.ts';
import { createTestDatabase } from './database.ts';
import { type RunningProcess, startProcess } from './process.ts';
import { type Backend, createTestRedis, oneBackend } from './redis.ts';
import { until } from './until.ts';

/** A database and queues of one's own, and the environment that every process of the fleet gets. */
export interface TestFleet {
  env: Record<string, string>;
  /** Connections of this test's own process. */
  fleet: Fleet;
  sql: Sql;
  /** Every line that `fleet` has logged, at every level. */
  logged(): string;
  worker(name: 'temu' | 'scheduler'): RunningProcess;
  close(): Promise<void>;
}

export interface Routers {
  eu: string;
  us: string;
  global: string;
}

export async function startTestFleet(
  backend: Backend,
  routers: Routers,
  settings: Record<string, string> = {},
): Promise<TestFleet> {
  const database = await createTestDatabase();
  const redis = backend === 'redis' ? await createTestRedis() : undefined;
  const env = {
    DATABASE_URL: database.url,
    ...(redis ? { REDIS_URL: redis.url } : {}),
    CREDENTIALS_KEY: randomBytes(32).toString('base64'),
    LOG_LEVEL: 'info',
    TEMU_EU_URL: routers.eu,
    TEMU_US_URL: routers.us,
    TEMU_GLOBAL_URL: routers.global,
    ORDERFLEET_HOME: '/nonexistent', // no settings of a fleet that runs in this checkout
    ...settings,
  };
  let logged = '';
  const destination = new Writable({
    write: (chunk, _, done) => {
      logged += chunk;
      done();
    },
  });
  const log = createLog({ level: 'trace', name: 'test', destination });
  const fleet = openFleet(parseConfig(env), 'test', { log });
  const workers: RunningProcess[] = [];
  return {
    env,
    fleet,
    sql: database.sql,
    logged: () => logged,
    worker(name) {
      const worker = startProcess(`workers/${name}.ts`, { env });
      workers.push(worker);
      return worker;
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.kill()));
      await fleet.close();
      await redis?.drop();
      await database.drop();
    },
  };
}

/** A shop of the sandbox as a store of the fleet, with its products. */
export async function addShopAsStore(
  { fleet, sql }: TestFleet,
  shop: Omit<NewStore, 'apiVersion'> & { products?: readonly { temu_sku_id: string; sku: string }[] },
  apiVersion: 'v1' | 'v2' = 'v1',
): Promise<string> {
  const id = await addStore(fleet.db, fleet.secrets, { ...shop, apiVersion });
  const products = shop.products ?? [];
  await sql`
    insert into temu_products (store_id, temu_sku_id, sku)
    select ${id}, * from unnest(${products.map((one) => one.temu_sku_id)}::text[], ${products.map((one) => one.sku)}::text[])`;
  return id;
}

/** A whole fleet in this process, against a sandbox in this process, with a clock that can be put forward. */
export interface Stand {
  sandbox: Sandbox;
  stack: TestFleet;
  deps: OrdersDeps;
  /** A shop of the sandbox with orders, as a store. */
  addShop(
    change?: Partial<ShopSpec>,
    orders?: number,
    scenario?: Omit<Scenario, 'name' | 'weight'>,
  ): Promise<StandShop>;
  /** Puts the fleet's clock forward; Temu's stays. */
  advance(ms: number): void;
  /**
   * Starts workers; the last ones are stopped at the end. With 'lists' they read lists into the inbox and no more: the
   * cheap ones for tests of the windows.
   */
  work(what?: 'lists'): RunningWorkers;
  /** Does once what the scheduler does all the time. */
  tick(): Promise<void>;
  /** Reads every store's orders now and waits until nothing is left to do. */
  sync(): Promise<void>;
  /** Waits until no active store has anything due that the workers would do. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export interface StandShop {
  shop: Shop;
  storeId: string;
  orders: SandboxOrder[];
}

export async function startStand(
  options: { backend?: Backend; sandbox?: SandboxOptions; settings?: Record<string, string> } = {},
): Promise<Stand> {
  const sandbox = await startSandbox({ qps: 2000, ...options.sandbox });
  const stack = await startTestFleet(options.backend ?? (oneBackend()[0] as Backend), sandbox.routers, {
    TEMU_QPS: '1000',
    ...options.settings,
  });
  let offsetMs = 0;
  const deps = { ...stack.fleet, clock: () => Date.now() + offsetMs };
  let workers: RunningWorkers | undefined;
  let listsAlone = false;
  const sql = stack.sql;

  const settle = async () => {
    await until(
      async () => {
        const left = await sql`
          select 'window' as what, w.state, w.error from temu_sync_windows w join temu_stores s on s.id = w.store_id and s.active
            where w.state = 'open'
          union all
          select i.parent_order_sn, i.state, i.error from temu_order_inbox i join temu_stores s on s.id = i.store_id and s.active
            where not ${listsAlone}
              and (i.state = 'pending' or (i.state = 'incomplete' and (i.attempts > 0 or i.due_at <= ${new Date(deps.clock())})))`;
        if (left.length > 0) throw new Error(`not settled: ${JSON.stringify(left.slice(0, 5))}`);
        return true;
      },
      { timeoutMs: 15_000, what: 'the fleet to settle' },
    );
  };
  const tick = async () => {
    for (const task of orderTasks(deps)) await task.run(new AbortController().signal);
  };
  return {
    sandbox,
    stack,
    deps,
    settle,
    tick,
    async addShop(change = {}, count = 3, scenario = { status: 2, updated: 'old' }) {
      const name = change.name ?? 'shop';
      const shop = sandbox.world.addShop({
        name,
        appKey: `key-of-${name}`,
        appSecret: `secret-of-${name}`,
        accessToken: `token-of-${name}`,
        region: 'EU',
        country: 'DE',
        ...change,
      });
      const orders = generateOrders({
        seed: 1,
        count,
        shop,
        now: Date.now(),
        days: 20,
        scenarios: [{ name: 'plain', weight: 1, ...scenario }],
      });
      sandbox.world.addOrders(shop, orders);
      return { shop, storeId: await addShopAsStore(stack, shop), orders };
    },
    advance(ms) {
      offsetMs += ms;
    },
    work(what) {
      listsAlone = what === 'lists';
      const handlers = orderHandlers(deps).filter(
        ({ definition }) => !listsAlone || definition === temuPages,
      );
      workers = runWorkers(handlers, deps);
      return workers;
    },
    async sync() {
      const stores = await sql<{ id: string }[]>`select id from temu_stores`;
      await openWindows(
        deps,
        stores.map(({ id }) => id),
      );
      await settle();
    },
    async close() {
      sandbox.faults.clear();
      await workers?.stop(500);
      await sandbox.close();
      await stack.close();
    },
  };
}

/** The sandbox as a process of its own, spoken to by its control surface. */
export async function startSandboxProcess(args: string[] = []) {
  const process = startProcess('sandbox/main.ts', { args: ['--port', '0', '--orders', '0', ...args] });
  const [, url] = await process.waitForLine(/Sandbox for Temu at (\S+)/);
  const base = url as string;
  const router = (host: string) => `${base}/${host}/openapi/router`;
  async function control<T>(
    path: string,
    body?: unknown,
    method = body === undefined ? 'GET' : 'POST',
  ): Promise<T> {
    const response = await fetch(`${base}/_sandbox/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`sandbox ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
  return {
    process,
    routers: { eu: router('eu'), us: router('us'), global: router('global') } satisfies Routers,
    control,
  };
}
