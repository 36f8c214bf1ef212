import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import postgres, { type Sql } from 'postgres';
import type { Parcel } from '../../sandbox/couriers/model.ts';
import { bookParcels } from '../../sandbox/other-channels.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { expected } from '../../sandbox/temu/expected.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import type { SandboxOrder, Shop } from '../../sandbox/temu/model.ts';
import { parseConfig } from '../../src/config/index.ts';
import { closeDb, createDb } from '../../src/db/client.ts';
import { createSecrets } from '../../src/db/secrets.ts';
import { createLog } from '../../src/lib/log.ts';
import { createQueues, type Queues } from '../../src/queue/queues.ts';
import { addStore } from '../../src/temu/stores.ts';
import { type Expected, wrongOrders } from '../e2e/stored.ts';
import { createTestDatabase } from '../support/database.ts';
import { SHOP } from '../support/orders.ts';
import { type RunningProcess, startProcess } from '../support/process.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import type { Backend } from '../support/redis.ts';
import { findRedisServer, type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

/** A whole fleet as it is deployed: a process per role, a role of Postgres without special rights, stores behind proxies. */
export interface House {
  sandbox: Sandbox;
  shop: Shop;
  /** As the administrator, past the proxy. */
  sql: Sql;
  env: Record<string, string>;
  /** http://127.0.0.1:PORT of the web process. */
  web: string;
  processes: ReadonlyMap<string, RunningProcess>;
  /** To look at the jobs. */
  queues: Queues;
  postgres: PostgresHarm;
  redis: RedisHarm | undefined;
  /** Orders at Temu, to be read by the fleet; they are ready to ship. */
  order(count: number): SandboxOrder[];
  /** Parcels at their courier, booked here. */
  book(count: number): Promise<Parcel[]>;
  /** The store's next window opens at once. */
  sync(): Promise<void>;
  /** What is wrong with the orders in the database by the sandbox's truth; nothing, one hopes. */
  wrong(orders: readonly SandboxOrder[]): Promise<string[][]>;
  close(): Promise<void>;
}

/** What can be done to the database; each ends the sessions that are open, as what it stands for does. */
export interface PostgresHarm {
  proxy: TcpProxy;
  readOnly(on: boolean): Promise<void>;
  permission(granted: boolean): Promise<void>;
  login(allowed: boolean): Promise<void>;
  statementTimeout(short: boolean): Promise<void>;
  connections(allowed: boolean): Promise<void>;
}

export interface RedisHarm {
  proxy: TcpProxy;
  admin: Redis;
  /** Snapshots fail, as with a full disk. */
  misconfigured(on: boolean): Promise<void>;
  /** A new server is the primary at the same address; the old one becomes its replica and keeps its connections. */
  failOver(): Promise<void>;
}

const ROLES = ['scheduler', 'temu', 'awb', 'tracking', 'web'] as const;
const PASSWORD = 'only-in-this-test';
export const TOKEN = 'events-token-of-the-test';

export async function build(backend: Backend): Promise<House> {
  const database = await createTestDatabase();
  const sql = postgres(database.url, { max: 2, onnotice: () => {} });
  const role = `app_${randomBytes(6).toString('hex')}`;
  const [row] = await sql<{ name: string }[]>`select current_database() as name`;
  const name = row?.name ?? '';
  await grantLeastRights(sql, role, name);
  const pgProxy = await startProxy(database.url);
  const databaseUrl = new URL(pgProxy.through(database.url));
  databaseUrl.username = role;
  databaseUrl.password = PASSWORD;

  const redis = backend === 'redis' ? await startRedis() : undefined;
  const sandbox = await startSandbox({ qps: 1000 });
  const key = randomBytes(32).toString('base64');
  const env: Record<string, string> = {
    DATABASE_URL: databaseUrl.href,
    ...(redis ? { REDIS_URL: redis.proxy.through(redis.url()) } : {}),
    CREDENTIALS_KEY: key,
    LOG_LEVEL: 'info',
    TEMU_QPS: '500',
    TEMU_TIMEOUT: '5',
    TEMU_EU_URL: sandbox.routers.eu,
    TEMU_US_URL: sandbox.routers.us,
    TEMU_GLOBAL_URL: sandbox.routers.global,
    ...sandbox.couriers.env(),
    TRACKERS: 'delhivery-b2c',
    DELHIVERY_B2C_LIMIT: 'off',
    DELHIVERY_B2C_EVERY: '10',
    EVENTS_TOKEN: TOKEN,
    PORT: '0',
    ORDERFLEET_HOME: '/nonexistent', // no settings of a fleet that runs in this checkout
  };
  parseConfig(env); // a wrong one would end every process
  const shop = sandbox.world.addShop(SHOP);
  const db = createDb(database.url, { max: 1 });
  await addStore(db, createSecrets([Buffer.from(key, 'base64')]), { ...shop, apiVersion: 'v1' });
  await closeDb(db);
  await sql`update temu_stores set next_sync_at = now() + interval '1 day'`;

  const processes = new Map<string, RunningProcess>();
  for (const one of ROLES) processes.set(one, startProcess(`workers/${one}.ts`, { env }));
  const [, port] = await (processes.get('web') as RunningProcess).waitForLine(
    /"port":(\d+).*"msg":"listening"/,
  );
  for (const process of processes.values()) await process.waitForLine(/"msg":"started"/);

  const queues = createQueues({
    databaseUrl: database.url,
    redisUrl: env.REDIS_URL,
    log: createLog({ level: 'silent', name: 'test' }),
  });
  let seed = 1;
  return {
    sandbox,
    shop,
    sql,
    env,
    web: `http://127.0.0.1:${port}`,
    processes,
    queues,
    postgres: { proxy: pgProxy, ...harmPostgres(sql, name, role) },
    redis,
    order(count) {
      const orders = generateOrders({
        ...{ seed: seed++, count, shop, now: Date.now(), days: 1 },
        scenarios: [{ name: 'plain', weight: 1, status: 2, updated: 'recent' }],
      });
      sandbox.world.addOrders(shop, orders);
      return orders;
    },
    async book(count) {
      const parcels = sandbox.couriers.parcels.addMany({
        api: 'delhivery-b2c',
        count,
        seed: seed++,
        days: 3,
      });
      await bookParcels(sql as never, parcels);
      return parcels;
    },
    sync: async () => void (await sql`update temu_stores set next_sync_at = now()`),
    async wrong(orders) {
      const truth = orders.map((one) => expected(one, { now: Date.now(), products: [] }));
      const plain = JSON.parse(JSON.stringify(truth)) as Expected[]; // as it comes over HTTP
      const wrong = await wrongOrders(sql, shop.name, plain);
      return wrong.filter(([, what]) => what !== 'is not Temu’s'); // those that were not asked about
    },
    async close() {
      await Promise.all([...processes.values()].map((process) => process.kill('SIGKILL')));
      await queues.close();
      await redis?.close();
      await pgProxy.close();
      await sandbox.close();
      await sql.end();
      await database.drop();
    },
  };
}

/** As deploy/postgres/roles.sql has it for a database that is there already. */
async function grantLeastRights(sql: Sql, role: string, database: string): Promise<void> {
  await sql.unsafe(`
    create role ${role} login password '${PASSWORD}';
    grant connect, temporary on database ${database} to ${role};
    grant usage on schema public, drizzle to ${role};
    grant usage, create on schema bullmq to ${role};`);
  await sql.unsafe(rights('grant', role));
}

const rights = (verb: 'grant' | 'revoke', role: string) =>
  ['public', 'drizzle', 'bullmq']
    .map(
      (schema) => `
        ${verb} select, insert, update, delete on all tables in schema ${schema} ${verb === 'grant' ? 'to' : 'from'} ${role};
        ${verb} usage on all sequences in schema ${schema} ${verb === 'grant' ? 'to' : 'from'} ${role};`,
    )
    .join('');

function harmPostgres(sql: Sql, database: string, role: string): Omit<PostgresHarm, 'proxy'> {
  const endSessions = () => sql`
    select pg_terminate_backend(pid) from pg_stat_activity where datname = ${database} and usename = ${role}`;
  const change = async (statement: string) => {
    await sql.unsafe(statement);
    await endSessions();
  };
  return {
    readOnly: (on) => change(`alter role ${role} set default_transaction_read_only = ${on ? 'on' : 'off'}`),
    // sessions that are open go on: a right is looked at anew for each statement
    permission: async (granted) => void (await sql.unsafe(rights(granted ? 'grant' : 'revoke', role))),
    login: (allowed) => change(`alter role ${role} ${allowed ? 'login' : 'nologin'}`),
    statementTimeout: (short) =>
      change(`alter role ${role} set statement_timeout = ${short ? "'1ms'" : '0'}`),
    connections: (allowed) => change(`alter role ${role} connection limit ${allowed ? -1 : 0}`),
  };
}

/** Two servers behind one address: the second is for a failover. @throws Error where there is no redis-server */
async function startRedis(): Promise<RedisHarm & { url(): string; close(): Promise<void> }> {
  const binary = await findRedisServer();
  if (!binary) throw new Error('this file wants a redis-server in PATH');
  const dirs = await Promise.all([0, 1].map(() => mkdtemp(path.join(os.tmpdir(), 'orderfleet-outage-'))));
  const servers = (await Promise.all(dirs.map((dir) => startRedisServer(binary, dir)))) as [
    RedisServer,
    RedisServer,
  ];
  const admins = servers.map(({ url }) => new Redis(url)) as [Redis, Redis];
  let primary = 0;
  const proxy = await startProxy(servers[0].url);
  const admin = () => admins[primary] as Redis;
  return {
    proxy,
    get admin() {
      return admin();
    },
    url: () => servers[0].url,
    async misconfigured(on) {
      if (on) await rm(dirs[primary] as string, { recursive: true, force: true });
      // a snapshot is tried, and fails, where there is no directory
      await admin().config('SET', 'save', on ? '3600 1' : '');
      if (!on) return;
      await admin()
        .bgsave()
        .catch(() => {});
      await until(async () => /rdb_last_bgsave_status:err/.test(await admin().info('persistence')));
    },
    async failOver() {
      const next = 1 - primary;
      const { port: from } = servers[primary] as RedisServer;
      const { port: to } = servers[next] as RedisServer;
      // else five seconds pass before it begins to copy, and with them all that a short outage sends
      await admin().config('SET', 'repl-diskless-sync-delay', '0');
      await admins[next]?.replicaof('127.0.0.1', from);
      await until(async () => /master_link_status:up/.test((await admins[next]?.info('replication')) ?? ''));
      // as FAILOVER does: what was answered is in the copy
      await admin().call('CLIENT', 'PAUSE', '500', 'WRITE');
      await admin().wait(1, 500);
      await admins[next]?.replicaof('NO', 'ONE');
      await admin().replicaof('127.0.0.1', to);
      proxy.pointTo(to);
      primary = next;
    },
    async close() {
      for (const one of admins) one.disconnect();
      await proxy.close();
      for (const server of servers) await server.stop();
      for (const dir of dirs) await rm(dir, { recursive: true, force: true });
    },
  };
}
