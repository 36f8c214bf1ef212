import { type SQL, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { arrayOf, isAnyOf, json, statement } from '../../src/db/query.ts';
import { notices, quotaAccounts, webhookEndpoints } from '../../src/db/schema/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const CONNECTIONS = 3;
/** postgres.js' own pool sends a hundred statements ahead on one connection; a BEGIN that was the last of them went astray. */
const CROWDS = [1, 99, 100, 101, 200, 201];

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = createDb(database.url, { max: CONNECTIONS, name: 'crowd' });
  await db.$client`create table notes (ahead int primary key)`;
});
afterAll(async () => {
  await closeDb(db);
  await database?.drop();
});

test('R1: transactions that begin while hundreds of statements wait are complete, and none stays open', async () => {
  const sql = db.$client;
  for (const ahead of CROWDS) {
    const statements = Array.from({ length: ahead }, () => sql`select 1`.execute());
    await sql.begin(async (tx) => {
      await tx`insert into notes (ahead) values (${ahead})`;
    });
    await Promise.all(statements);
  }
  expect(await sql`select ahead from notes order by ahead`).toEqual(CROWDS.map((ahead) => ({ ahead })));
  const left = await sql`
    select state, query from pg_stat_activity where application_name = 'orderfleet crowd' and state like 'idle in transaction%'`;
  expect(left).toEqual([]);
});

test('statements and transactions together stay within the pool’s maximum of connections', async () => {
  const sql = db.$client;
  const [, , [row]] = await Promise.all([
    Promise.all(Array.from({ length: 20 }, () => sql`select pg_sleep(0.05)`)),
    Promise.all(Array.from({ length: 20 }, () => sql.begin((tx) => tx`select pg_sleep(0.05)`))),
    sql`select pg_sleep(0.1), (select count(*)::int from pg_stat_activity where application_name = 'orderfleet crowd') as count`,
  ]);
  expect(row?.count).toBe(CONNECTIONS);
});

test('arrays, times and JSON of columns round-trip, with null, empty ones and special characters', async () => {
  const at = new Date('2026-11-29T12:00:00.123Z');
  const texts = ['a', 'NULL', '', '"quoted", {braced}', 'ș€']; // Drizzle (0.45.4) reads an array's backslashes away
  const [id, none] = [crypto.randomUUID(), crypto.randomUUID()];
  const payload = { texts, at: at.toISOString(), nested: [[1], []], nothing: null };
  await db.insert(webhookEndpoints).values([
    { id, url: 'https://a.example', secret: 's', events: texts, createdAt: at },
    { id: none, url: 'https://b.example', secret: 's', events: [], createdAt: at },
  ]);
  await db.insert(notices).values({ kind: 'a', key: 'a', payload, dueAt: at });
  await db.insert(quotaAccounts).values({ account: 'a', cells: [0.5, -3, 1e-7] });
  const { events, createdAt } = webhookEndpoints;
  const endpoints = db.select({ events, createdAt }).from(webhookEndpoints);
  expect(
    await endpoints.where(isAnyOf(webhookEndpoints.id, [id, none])).orderBy(webhookEndpoints.url),
  ).toEqual([
    { events: texts, createdAt: at },
    { events: [], createdAt: at },
  ]);
  expect(await db.select({ payload: notices.payload, dueAt: notices.dueAt }).from(notices)).toEqual([
    { payload, dueAt: at },
  ]);
  expect(await db.select({ cells: quotaAccounts.cells }).from(quotaAccounts)).toEqual([
    { cells: [0.5, -3, 1e-7] },
  ]);
});

test('a statement’s arrays arrive as they are, given at once or by a placeholder', async () => {
  const texts = ['a', null, 'NULL', '', 'back\\slash', '"quoted", {braced}', 'ș€'];
  const times = [new Date('2026-11-29T12:00:00.123Z'), null];
  const { url, createdAt } = webhookEndpoints;
  const same = (one: SQL, other: SQL) =>
    sql<boolean>`${one} is not distinct from ${other} and cardinality(${one}) > 0`;
  const given = statement(
    {
      texts: json<unknown>(sql`to_jsonb(${arrayOf(url, texts)})`),
      held: json<unknown>(sql`to_jsonb(${sql.placeholder('texts')}::text[])`),
      times: same(arrayOf(createdAt, times), sql`${sql.placeholder('times')}::timestamptz[]`),
      none: sql<number>`cardinality(${arrayOf(url, [])})`,
    },
    (list) => sql`select ${list}`,
  );
  expect(await given.run(db, { texts, times })).toEqual([{ texts, held: texts, times: true, none: 0 }]);
});
