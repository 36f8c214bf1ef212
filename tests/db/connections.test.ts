import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDb, type Db } from '../../src/db/client.ts';
import { isInfrastructureFault } from '../../src/lib/infrastructure.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const WATCH = { silenceMs: 400, idleMs: 200, heartbeatMs: 100, readOnlyMs: 100 };

let database: TestDatabase;
let proxy: TcpProxy;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  proxy = await startProxy(database.url);
  db = createDb(proxy.through(database.url), { max: 4, name: 'watched', watch: WATCH });
});
afterEach(async () => {
  await db.$client.end({ timeout: 0 }); // the driver waits for what was out when a connection went
  await proxy.close();
});
afterAll(() => database?.drop());

/** What a statement ended with that was out when its connection fell silent. */
const outcome = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: Error) => (isInfrastructureFault(error) ? 'infrastructure' : error.message),
  );

describe('R2: connections to Postgres that fall silent', () => {
  test('statements and transactions in flight fail as a fault of the infrastructure; the pool goes on with new connections', async () => {
    const sql = db.$client;
    await sql`create table if not exists kept (n int primary key)`;
    const out = Promise.all([
      outcome(sql`select pg_sleep(0.2), 1`),
      outcome(
        sql.begin(async (tx) => {
          await tx`insert into kept values (1)`;
          await tx`select pg_sleep(0.2)`;
        }),
      ),
    ]);
    await until(() => proxy.open() === 2);
    await sleep(100); // the statements are on their way
    proxy.silence();
    expect(await out).toEqual(['infrastructure', 'infrastructure']);
    await until(async () => (await outcome(sql`select 1`)) === 'done', { timeoutMs: 5_000 });
    // the server has let go of the row, too, though it was told as little
    await sql.begin((tx) => tx`insert into kept values (1) on conflict do nothing`);
    expect(await sql`select n from kept`).toEqual([{ n: 1 }]);
  });

  test('a pool whose connections were all idle recovers without an error once they are closed', async () => {
    const sql = db.$client;
    await Promise.all([sql`select pg_sleep(0.05)`, sql`select pg_sleep(0.05)`]);
    await until(() => proxy.open() === 2);
    proxy.silence();
    await sleep(WATCH.idleMs + 100); // their goodbyes are not heard
    expect(await outcome(sql`select 1`)).toBe('done');
  });

  test('an answer that stops half-way, and a statement sent behind an answered one, are given up', async () => {
    const sql = db.$client;
    await Promise.all([sql`select pg_sleep(0.05)`, sql`select pg_sleep(0.05)`]);
    // the first is answered, so something has come after the second was written
    const [first, second] = [sql`select 1`.execute(), outcome(sql`select pg_sleep(0.3)`)];
    await first;
    proxy.silence();
    expect(await second).toBe('infrastructure');
  });

  test('one that is being opened is given up, too; a slow statement is not', async () => {
    proxy.silence({ later: true });
    expect(await outcome(db.$client`select 1`)).toBe('infrastructure');
    proxy.heal();
    expect(await outcome(db.$client`select pg_sleep(0.3)`)).toBe('done');
  });

  test('a listener receives notifications again, after silence and after a cut', async () => {
    const heard: string[] = [];
    await db.listen('watched', (payload) => void heard.push(payload));
    const straight = postgres(database.url, { max: 1 });
    const hears = (what: string) =>
      until(
        async () => {
          await straight.notify('watched', what);
          return heard.includes(what);
        },
        { timeoutMs: 5_000 },
      );
    await hears('at first');
    proxy.silence();
    await hears('after silence');
    proxy.cut();
    await hears('after a cut');
    await straight.end();
  });

  test('a pool of one connection, as the quota has, recovers, too', async () => {
    const one = createDb(proxy.through(database.url), { max: 1, name: 'one', watch: WATCH });
    await one.$client`select 1`;
    proxy.silence();
    const tried = await outcome(one.$client`select 1`);
    expect(['infrastructure', 'done']).toContain(tried);
    await until(async () => (await outcome(one.$client`select 1`)) === 'done', { timeoutMs: 2_000 });
    await one.$client.end({ timeout: 0 });
  });
});

test('R10: connections that were opened while the database was read-only are replaced when it no longer is', async () => {
  const sql = db.$client;
  const admin = postgres(database.url, { max: 1 });
  await admin`create table written (n int)`;
  const name = new URL(database.url).pathname.slice(1);
  const write = () => outcome(sql`insert into written values (1)`);
  const inTransaction = () => outcome(sql.begin((tx) => tx`insert into written values (1)`));
  await admin.unsafe(`alter database ${name} set default_transaction_read_only = on`);
  expect(await write()).toMatch(/read-only transaction|infrastructure/);
  expect(await inTransaction()).toMatch(/read-only transaction|infrastructure/);
  await admin.unsafe(`alter database ${name} reset default_transaction_read_only`);
  // busy all the time: nothing is closed for having been idle
  for (const one of [write, inTransaction])
    await until(async () => (await one()) === 'done', { timeoutMs: 5_000 });
  await admin.end();
});
