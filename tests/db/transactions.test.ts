import { setTimeout as sleep } from 'node:timers/promises';
import { sql as raw } from 'drizzle-orm';
import postgres, { type Sql, type TransactionSql } from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { createSessions } from '../../src/db/sessions.ts';
import { createHttp } from '../../src/lib/http.ts';
import { watchTransactions } from '../../src/lib/in-transaction.ts';
import { createLog } from '../../src/lib/log.ts';
import { defineQueue } from '../../src/queue/define.ts';
import { createQueues } from '../../src/queue/queues.ts';
import { createQuota } from '../../src/quota/index.ts';
import { openLedger } from '../../src/quota/ledger.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createGate } from '../support/gate.ts';
import { startProcess } from '../support/process.ts';
import { startProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let admin: Sql;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = postgres(database.url, { max: 1, onnotice: () => undefined });
  await admin`create table kept (what text)`;
  // one transaction at a time: the next one has the connection of the one before
  db = createDb(database.url, { max: 2, name: 'cut' });
});
beforeEach(() => admin`truncate kept`);
afterAll(async () => {
  await closeDb(db);
  await admin.end();
  await database?.drop();
});

const kept = async () => (await admin`select what from kept order by what`).map(({ what }) => what);
const keep = (sql: TransactionSql, what: string) => sql`insert into kept values (${what})`;

/** A transaction that waits for something else when its connection is cut. */
async function cutTransaction(goOn: (sql: TransactionSql) => Promise<unknown>) {
  const answered = createGate();
  let over: unknown;
  const result = db.$client.begin(async (sql) => {
    await keep(sql, 'lost 1');
    const [{ pid } = {}] = await sql`select pg_backend_pid() as pid`;
    await admin`select pg_terminate_backend(${pid})`;
    await answered.opened;
    over = await goOn(sql).catch((error) => error);
    if (over instanceof Error) throw over;
  });
  await expect(result).rejects.toThrow(/CONNECTION_CLOSED|terminat/);
  return { goesOn: answered.open, over: () => over };
}

describe('R2: a transaction whose connection was cut while its callback waited', () => {
  test.each([
    ['goes on writing', (sql: TransactionSql) => keep(sql, 'lost 2'), /CONNECTION_CLOSED/],
    [
      'goes on writing in a savepoint',
      (sql: TransactionSql) => sql.savepoint((one) => keep(one, 'lost 2')),
      /CLOSED/,
    ],
    ['returns', () => Promise.resolve('its COMMIT'), undefined],
    ['throws', () => Promise.reject(new Error('its ROLLBACK')), /its ROLLBACK/],
  ])('%s: nothing of it is stored, and the next one is complete', async (_, goOn, refused) => {
    const lost = await cutTransaction(goOn);
    await db.$client.begin(async (sql) => {
      await keep(sql, 'next 1');
      lost.goesOn();
      await until(() => lost.over());
      if (refused) expect(String(lost.over())).toMatch(refused);
      await sleep(20); // whatever the driver would send now
      await keep(sql, 'next 2');
    });
    expect(await kept()).toEqual(['next 1', 'next 2']);
  });

  test('when the next one throws, nothing of either is stored', async () => {
    const lost = await cutTransaction((sql) => keep(sql, 'lost 2'));
    const next = db.$client.begin(async (sql) => {
      await keep(sql, 'next 1');
      lost.goesOn();
      await until(() => lost.over());
      throw new Error('undone');
    });
    await expect(next).rejects.toThrow('undone');
    expect(await kept()).toEqual([]);
  });
});

test('R2: statements that wait in a transaction whose connection is cut fail, all of them', async () => {
  const together = db.$client.begin(async (sql) => {
    const [{ pid } = {}] = await sql`select pg_backend_pid() as pid`;
    const all = ['a', 'b', 'c'].map((what) => sql`select pg_sleep(60), ${what}::text`);
    void sleep(20).then(() => admin`select pg_terminate_backend(${pid})`);
    return await Promise.allSettled(all).then((every) => {
      expect(every.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
      throw new Error('all have failed');
    });
  });
  await expect(together).rejects.toThrow(/CONNECTION_CLOSED|terminat/);
});

test('a statement that is made after its transaction has ended is refused', async () => {
  let late: TransactionSql | undefined;
  await db.$client.begin(async (sql) => {
    late = sql;
    await keep(sql, 'in time');
  });
  await expect(keep(late as TransactionSql, 'late')).rejects.toThrow(/transaction that has ended/);
  expect(await kept()).toEqual(['in time']);
});

test('a savepoint is rolled back alone, through the driver and through Drizzle', async () => {
  await db.$client.begin(async (sql) => {
    await keep(sql, 'driver');
    await expect(
      sql.savepoint('named', async (one) => {
        await keep(one, 'undone');
        await one`select 1 / 0`;
      }),
    ).rejects.toThrow('division by zero');
    await sql.savepoint((one) => keep(one, 'driver, inner'));
  });
  await db.transaction(async (tx) => {
    await tx.execute(raw`insert into kept values ('drizzle')`);
    await tx
      .transaction(async (inner) => {
        await inner.execute(raw`insert into kept values ('undone')`);
        inner.rollback();
      })
      .catch(() => {});
  });
  expect(await kept()).toEqual(['driver', 'driver, inner', 'drizzle']);
});

test('R2: under bursts of cuts, every 10 ms, nothing hangs, nothing is uncaught, and what was reported as stored is stored', {
  timeout: 60_000,
}, async () => {
  const child = startProcess('tests/support/statements-worker.ts', { args: [database.url, '8'] });
  await child.waitForLine(/^started$/);
  let cuts = 0;
  const cutting = setInterval(async () => {
    if (performance.now() % 800 > 400) return;
    const cut = await admin`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'orderfleet cut' and datname = current_database()`;
    cuts += cut.length;
  }, 10);
  const [line] = await child.waitForLine(/^\{.*\}$/).finally(() => clearInterval(cutting));
  expect(await child.exited).toEqual({ code: 0, signal: null });
  const { failed, hanging, stored } = JSON.parse(line);
  expect(cuts).toBeGreaterThan(50);
  expect(failed).toBeGreaterThan(50);
  expect(hanging).toBe(0);
  const rows = await admin<{ id: number; what: string[] }[]>`
    select id, array_agg(what order by what) as what from cut_rows group by id`;
  const whole = (what: string[]) => ['statement', 'first of two,second of two'].includes(what.join());
  expect(rows.filter(({ what }) => !whole(what))).toEqual([]);
  const there = new Set(rows.map(({ id }) => id));
  expect(stored.length).toBeGreaterThan(0);
  expect(stored.filter((id: number) => !there.has(id))).toEqual([]);
});

describe('nothing but its own statements is awaited inside a transaction', () => {
  const breaches = watchTransactions();
  const http = createHttp();
  const queue = defineQueue({
    worker: 'scheduler',
    ...{ name: 'maintenance', payload: z.object({}), concurrency: 1, attempts: 1, timeoutMs: 1 },
    backoff: { baseMs: 1, maxMs: 1 },
  });

  test.each<[string, () => PromiseLike<unknown>]>([
    ['a statement of the pool', () => db.$client`select 1`],
    ['a statement of the pool', () => db.execute(raw`select 1`)],
    ['a transaction', () => db.$client.begin((sql) => sql`select 1`)],
    ['a request', () => http.request({ url: 'http://127.0.0.1:1', method: 'GET', timeoutMs: 10 })],
    [
      'a slot of the quota',
      async () => {
        const ledger = openLedger(database.url);
        const law = { max: 1, perMs: 1, toleranceMs: 0, shares: [{ name: 'all', part: 1 }] };
        await createQuota(ledger, law).take('a', 'all').finally(ledger.close);
      },
    ],
    [
      'the queues',
      async () => {
        const queues = createQueues({
          databaseUrl: database.url,
          log: createLog({ level: 'silent', name: 'test' }),
        });
        await queues.add(queue, [{ id: 'a', payload: {} }]).finally(queues.close);
      },
    ],
  ])('%s', async (what, wait) => {
    const waiting = db.$client.begin(async (sql) => {
      await keep(sql, 'undone');
      await wait();
    });
    // through Drizzle it is the cause
    await expect(waiting.catch((error) => Promise.reject(error.cause ?? error))).rejects.toThrow(
      `${what} inside a transaction`,
    );
    expect(breaches()).not.toEqual([]);
    expect(await kept()).toEqual([]);
  });

  test('fragments may come from the pool, and what is left running is free once the transaction has ended', async () => {
    let later: Promise<unknown> = Promise.resolve();
    const over = createGate();
    await db.$client.begin(async (sql) => {
      await sql`select ${db.$client`1`}`;
      later = over.opened.then(() => db.$client`select 1`);
    });
    over.open();
    await later;
    expect(breaches()).toEqual([]);
  });
});

test('R2: a statement made between a socket’s error and its close gets another connection', async () => {
  const proxy = await startProxy(database.url);
  const options = { max: 1, idle_timeout: 0, max_lifetime: null, fetch_types: false };
  // sockets of Node: those that we make otherwise (wire.ts) close as soon as they fail
  const driver = postgres(proxy.through(database.url), options);
  const sql = createSessions(driver, { max: 1, idleMs: 60_000, readOnlyMs: 60_000, openMs: 5_000 });
  const next = [() => sql`select 1 as one`, () => sql.begin((tx) => tx`select 1 as one`)];
  for (const lost of [() => sql`select pg_sleep(60)`, () => sql.begin((tx) => tx`select pg_sleep(60)`)])
    for (const goOn of next) {
      const after = lost().catch(goOn);
      await until(
        async () =>
          (await admin`select from pg_stat_activity where query like 'select pg_sleep(60)%'`).length > 0,
      );
      proxy.cut();
      expect(await after).toEqual([{ one: 1 }]);
    }
  await sql.end();
  await proxy.close();
});
