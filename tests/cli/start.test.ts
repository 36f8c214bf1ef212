import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseEnv } from 'node:util';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { startProcess } from '../support/process.ts';
import { until } from '../support/until.ts';
import {
  endedWithItsFamily,
  expectWhole,
  family,
  STARTED,
  stillRunning,
  temporaryHome,
} from './orderfleet.ts';

test('O1: npm start: orders arrive from the stand-in, all of it ends together, and a second start goes on', async () => {
  const home = await temporaryHome();
  // the demo has more orders and parcels than are looked at here: what nobody waits for is not to cost much
  const env = {
    ORDERFLEET_HOME: home,
    TEMU_QPS: '10',
    TRACKERS: 'none',
    // a real account: the stand-in leaves it alone, and all that belongs to it
    SHIPROCKET_URL: 'http://127.0.0.1:1/',
  };
  const start = async () => {
    const demo = endedWithItsFamily(startProcess('scripts/start.mjs', { env, cwd: home }));
    await demo.waitForLine(/^Orderfleet is up\.$/, STARTED);
    return demo;
  };
  const fleetEnv = async () => parseEnv(await readFile(path.join(home, 'fleet.env'), 'utf8'));
  const inDatabase = async <T>(look: (sql: postgres.Sql) => Promise<T>): Promise<T> => {
    const sql = postgres(String((await fleetEnv()).DATABASE_URL), { max: 1 });
    return await look(sql).finally(() => sql.end());
  };
  const stores = () => inDatabase((sql) => sql`select name from temu_stores order by name`);
  const stored = () =>
    inDatabase(
      (sql) => sql<{ sn: string }[]>`select marketplace_order_id as sn from orders where source = 'temu'`,
    );

  const first = await start();
  expect(first.output()).toMatch(/Sandbox at http:\/\/127\.0\.0\.1:\d+ for: Temu, DELHIVERY/);
  const before = await until(
    async () => {
      const orders = await stored();
      return orders.length >= 10 && orders;
    },
    { timeoutMs: 60_000, what: 'ten orders' },
  );
  // O5: a worker that is added by hand in this directory may ask the couriers, too
  expect(await fleetEnv()).toMatchObject({ DELHIVERY_AUTH_TOKEN_B2C: expect.stringMatching(/\S/) });
  const { SHIPROCKET_URL, ...fleet } = await fleetEnv();
  expect(SHIPROCKET_URL).toBe(env.SHIPROCKET_URL);
  expect(Object.keys(fleet).filter((name) => name.startsWith('SHIPROCKET_'))).toEqual([]);
  expect(fleet).toMatchObject({
    DELHIVERY_B2C_EVERY: '60',
    DELHIVERY_B2B_EVERY: '60',
    DELHIVERY_FALLBACK_EVERY: '60',
    VELOCITY_EVERY: '60',
  });
  expect(first.output()).not.toMatch(/Sandbox at .*SHIPROCKET/);
  const demoStores = await stores();
  expect(demoStores).toEqual([{ name: 'demo-de' }, { name: 'demo-jp' }, { name: 'demo-ro' }]);
  const all = await family(first.pid);
  expect(all.filter(({ command }) => command.includes('sandbox/main.js'))).toHaveLength(1);
  expectWhole(all);
  expect(await first.kill('SIGINT')).toEqual({ code: 0, signal: null });
  expect(await stillRunning(all)).toEqual([]);

  const second = await start();
  const kept = new Set((await stored()).map(({ sn }) => sn));
  expect(before.filter(({ sn }) => !kept.has(sn))).toEqual([]);
  const sandbox = new URL(String((await fleetEnv()).TEMU_EU_URL)).origin;
  const served = new Set<string>();
  for (const { name } of demoStores) {
    const answer = await fetch(`${sandbox}/_sandbox/orders?shop=${name}&limit=10000`);
    for (const order of (await answer.json()) as { parentOrderSn: string }[]) served.add(order.parentOrderSn);
  }
  expect(before.filter(({ sn }) => !served.has(sn))).toEqual([]);
  expect(await stores()).toEqual(demoStores);
  const rest = await family(second.pid);
  expect(await second.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(await stillRunning(rest)).toEqual([]);
}, 180_000);
