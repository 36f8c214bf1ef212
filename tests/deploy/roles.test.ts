import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { migrateAll } from '../../src/cli/migrate.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type Fleet, openFleet } from '../../src/fleet/index.ts';
import { createLog } from '../../src/lib/log.ts';
import { planArchive } from '../../src/ops/archive/index.ts';
import { readOverview } from '../../src/ops/overview.ts';
import { maintenance, maintenanceHandler } from '../../src/queue/maintenance.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { addStore } from '../../src/temu/stores.ts';
import { reconcileTrackers } from '../../src/tracking/index.ts';
import { makePartitions } from '../../src/tracking/partitions.ts';
import { ROOT } from '../support/process.ts';
import { until } from '../support/until.ts';

const PASSWORD = 'only-in-this-test';

describe('deploy/postgres/roles.sql: a role with the least rights (R5)', () => {
  let admin: Sql;
  let owner: Sql;
  let app: Sql;
  let fleet: Fleet;

  const urlAs = (user: string) => {
    const url = new URL(inject('serverUrl'));
    url.pathname = '/orderfleet';
    if (user) Object.assign(url, { username: user, password: PASSWORD });
    return url.href;
  };

  beforeAll(async () => {
    admin = postgres(inject('serverUrl'), { max: 1, onnotice: () => undefined });
    // as psql would: \connect begins a new connection, each statement stands alone
    const [before = '', after = ''] = readFileSync(path.join(ROOT, 'deploy/postgres/roles.sql'), 'utf8')
      .replace(/^--.*$/gm, '')
      .split('\\connect orderfleet');
    for (const statement of statements(before)) await admin.unsafe(statement);
    for (const role of ['orderfleet_owner', 'orderfleet_app'])
      await admin.unsafe(`alter role ${role} password '${PASSWORD}'`);
    const inside = postgres(urlAs(''), { max: 1, onnotice: () => undefined });
    for (const statement of statements(after)) await inside.unsafe(statement);
    await inside.end();

    owner = postgres(urlAs('orderfleet_owner'), { max: 1, onnotice: () => undefined });
    app = postgres(urlAs('orderfleet_app'), { max: 1, onnotice: () => undefined });
    await migrateAll(urlAs('orderfleet_owner'));
    const config = parseConfig({
      DATABASE_URL: urlAs('orderfleet_app'),
      CREDENTIALS_KEY: randomBytes(32).toString('base64'),
      DELHIVERY_AUTH_TOKEN_B2C: 'a-key', // its tracker is on
    });
    fleet = openFleet(config, 'test', { log: createLog({ level: 'silent', name: 'test' }) });
  });

  afterAll(async () => {
    await fleet?.close();
    await app?.end();
    await owner?.end();
    await admin`drop database if exists orderfleet with (force)`;
    await admin`drop role if exists orderfleet_app`;
    await admin`drop role if exists orderfleet_owner`;
    await admin.end();
  });

  test('P10: makes months of history, and leaves the archive to the owner', async () => {
    await makePartitions({ db: fleet.db, clock: () => Date.parse('2040-01-01T00:00:00Z') });
    await app`insert into shipment_events (shipment_id, status, occurred_at, recorded_at)
      values (gen_random_uuid(), 'lost', '2040-01-01T00:00:00Z', '2040-01-01T00:00:00Z')`;
    expect([...(await app`select tableoid::regclass::text as partition from shipment_events`)]).toEqual([
      { partition: 'shipment_events_2040_01' },
    ]);
    const before = new Date('2020-01-01T00:00:00Z');
    await expect(planArchive(urlAs('orderfleet_app'), before)).rejects.toThrow(/that migrate has/);
    expect(await planArchive(urlAs('orderfleet_owner'), before)).toEqual([]);
  });

  test('the fleet does its work as the app role: rows, quota, trackers, status, a job on a queue', async () => {
    await addStore(fleet.db, fleet.secrets, {
      ...{ name: 'shop', region: 'EU', country: 'RO', apiVersion: 'v1' },
      ...{ appKey: 'key', appSecret: 'secret', accessToken: 'token' },
    });
    await reconcileTrackers(fleet, undefined);
    await app`insert into orders (source, marketplace_order_id) values ('shopify', '#1001')`;
    await app`insert into shipments (order_id, booking_courier, booked_at, awb_number)
      select id, 'Delhivery', now(), '123' from orders`;
    const [parcel] = await app`select tracked_by from shipments`; // triggers run with the role's own rights
    expect(parcel).toEqual({ tracked_by: 'delhivery-b2c' });
    const [slot] = await app`select * from quota_take('a', 20, 1030, 40, ${[1]}, 1, 1, 50)`;
    expect(slot?.slots).toHaveLength(1);

    let ran = 0;
    const task = { id: 'probe', everyMs: 60_000, run: async () => ({ ran: ++ran }) };
    const working = runWorkers([maintenanceHandler([task])], fleet);
    try {
      await fleet.queues.add(maintenance, [{ id: 'probe-1', payload: { v: 1, task: 'probe' } }]);
      await until(() => ran === 1, { what: 'the job' });
      // it is listed by a connection of its own, perhaps after its first job
      await until(async () => (await fleet.queues.workers(maintenance)) === 1, { what: 'the worker' });
    } finally {
      await working.stop(1_000);
    }
    const overview = await readOverview(fleet);
    expect(overview.stores.map(({ name }) => name)).toEqual(['shop']);
  });

  test('it may read and write the rows of every table, and change none of them', async () => {
    const tables = await app<{ name: string; rows: boolean }[]>`
      select c.oid::regclass::text as name,
        has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
          and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete') as rows
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and n.nspname in ('public', 'bullmq')`;
    expect(tables.length).toBeGreaterThan(20);
    expect(tables.filter(({ rows }) => !rows)).toEqual([]);
    for (const statement of [
      'create table mine (id int)',
      'create schema mine',
      'truncate orders',
      'drop table orders',
      'alter table orders add column mine int',
      'create index on orders (source)',
    ])
      await expect(app.unsafe(statement), statement).rejects.toThrow(/permission denied|must be owner/);
  });

  test('nobody else may connect', async () => {
    const [row] = await admin`
      select count(*)::int as n from pg_database d, aclexplode(d.datacl) a where datname = 'orderfleet' and a.grantee = 0`;
    expect(row).toEqual({ n: 0 });
  });

  test('what later migrations create is the app’s as well', async () => {
    await owner`create table later (id int generated always as identity primary key, note text)`;
    await app`insert into later (note) values ('x')`;
    await expect(app`drop table later`).rejects.toThrow(/must be owner/);
    await owner`drop table later`;
  });
});

const statements = (sql: string) =>
  sql
    .split(';')
    .map((one) => one.trim())
    .filter(Boolean);
