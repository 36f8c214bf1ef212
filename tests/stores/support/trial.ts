/** What every kind of store must carry: the migrations, an AWB number on its way to Temu, and a doctor with nothing to mend. */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { startSandbox } from '../../../sandbox/server.ts';
import { generateOrders } from '../../../sandbox/temu/generator.ts';
import { alertHandlers, alertTasks } from '../../../src/alerts/index.ts';
import { type AwbCreated, createClient } from '../../../src/client/index.ts';
import { parseConfig } from '../../../src/config/index.ts';
import { openFleet } from '../../../src/fleet/index.ts';
import { createLog } from '../../../src/lib/log.ts';
import { maintenance, maintenanceHandler, schedulesOf } from '../../../src/queue/maintenance.ts';
import { runWorkers } from '../../../src/queue/run.ts';
import { reconcileSchedules } from '../../../src/queue/schedules.ts';
import { awbHandlers } from '../../../src/temu/awb/index.ts';
import { orderHandlers } from '../../../src/temu/orders/index.ts';
import { addStore } from '../../../src/temu/stores.ts';
import { reconcileTrackers, trackingHandlers } from '../../../src/tracking/index.ts';
import { SHOP, storeReadyOrders } from '../../support/orders.ts';
import { startProcess } from '../../support/process.ts';
import { openSql } from '../../support/sql.ts';
import { until } from '../../support/until.ts';

export interface Stores {
  DATABASE_URL: string;
  PGSSLROOTCERT?: string;
  REDIS_URL?: string;
}

export interface Trial {
  /** An event of the shipping app's client; resolves when Temu has been told the number, once. */
  goesThrough(awbNumber: string): Promise<void>;
  /** What `orderfleet doctor` prints; it must end with 0. */
  doctor(): Promise<string>;
  close(): Promise<void>;
}

/** Runs a command of ours to its end, in an environment that has these stores alone. */
export async function command(args: readonly string[], env: Record<string, string>) {
  const child = startProcess('src/cli/main.ts', { args: [...args], env });
  const { code } = await child.exited;
  return { code, output: child.output() };
}

export const fleetEnv = (stores: Stores): Record<string, string> => ({
  ...stores,
  CREDENTIALS_KEY: randomBytes(32).toString('base64'),
  ORDERFLEET_HOME: '/nonexistent',
});

/** A whole fleet in this process on these stores, which `orderfleet migrate` has prepared. */
export async function startTrial(stores: Stores): Promise<Trial> {
  const sandbox = await startSandbox({ qps: 1000 });
  const env = { ...fleetEnv(stores), ...sandbox.env(), ALERTS_SLACK_CHANNEL_ID: 'C0ALERTS', TEMU_QPS: '200' };
  const migrated = await command(['migrate'], env);
  expect(migrated.output).toContain('The database is up to date');

  const config = parseConfig(env);
  const fleet = openFleet(config, 'trial', { log: createLog({ level: 'silent', name: 'trial' }) });
  const shop = sandbox.world.addShop(SHOP);
  const storeId = await addStore(fleet.db, fleet.secrets, { ...shop, apiVersion: 'v1' });
  const orders = generateOrders({
    ...{ seed: 1, count: 9, shop, now: Date.now(), days: 5 },
    scenarios: [{ name: 'plain', weight: 1, status: 2, updated: 'old' }],
  });
  sandbox.world.addOrders(shop, orders);
  const sql = openSql(config.DATABASE_URL);
  const numbers = await storeReadyOrders({ fleet, sql }, storeId, orders);
  await sql`update temu_stores set last_synced_at = now()`;
  await sql.end();
  const tasks = alertTasks(fleet);
  await reconcileTrackers(fleet, undefined);
  await reconcileSchedules(fleet.queues, maintenance, schedulesOf(tasks), fleet.log);
  const workers = runWorkers(
    [
      ...orderHandlers(fleet),
      ...awbHandlers(fleet),
      ...alertHandlers(fleet),
      ...trackingHandlers(fleet),
      maintenanceHandler(tasks),
    ],
    fleet,
  );
  const address = config.REDIS_URL ? { redisUrl: config.REDIS_URL } : { databaseUrl: config.DATABASE_URL };
  const send = async (event: AwbCreated) => {
    const client = createClient(address);
    try {
      return await client.awbCreated(event);
    } finally {
      await client.close();
    }
  };
  let next = 0;

  return {
    async goesThrough(awbNumber) {
      const marketplaceOrderId = numbers[next++] ?? '';
      await until(
        // a store that fails over refuses for a moment, and the shipping app is told so: it tries again
        () => send({ source: 'temu', marketplaceOrderId, awbNumber, carrier: 'sameday' }),
        { timeoutMs: 60_000, what: `${awbNumber} to be enqueued` },
      );
      await until(() => sandbox.effects.summary({ trackingNumber: awbNumber }).accepted === 1, {
        timeoutMs: 60_000,
        what: `Temu to be told ${awbNumber}`,
      });
    },
    async doctor() {
      await until(async () => (await fleet.queues.workers(maintenance)) === 1, {
        timeoutMs: 30_000,
        what: 'workers to be seen',
      });
      const { code, output } = await command(['doctor'], env);
      expect(output).toMatch(/Postgres: PostgreSQL/);
      expect({ code, output }).toMatchObject({ code: 0 });
      return output;
    },
    async close() {
      await workers.stop(500);
      await fleet.close();
      await sandbox.close();
    },
  };
}
