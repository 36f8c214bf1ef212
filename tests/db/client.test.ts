import { afterAll, beforeAll, expect, test } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const CONNECTIONS = 3;
/** postgres.js sends so many statements ahead on one connection; a BEGIN that was the last of them went astray. */
const AHEAD = 100;

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

test('R1: transactions that begin while hundreds of statements wait are whole, and none stays open', async () => {
  const sql = db.$client;
  const edges = Array.from({ length: CONNECTIONS }, (_, index) => (index + 1) * AHEAD);
  const crowds = edges.flatMap((edge) => [-1, 0, 1, 2].map((more) => edge + more));
  for (const ahead of crowds) {
    const statements = Array.from({ length: ahead }, () => sql`select 1`.execute());
    await sql.begin(async (tx) => {
      await tx`insert into notes (ahead) values (${ahead})`;
    });
    await Promise.all(statements);
  }
  expect(await sql`select ahead from notes order by ahead`).toEqual(crowds.map((ahead) => ({ ahead })));
  const left = await sql`
    select state, query from pg_stat_activity where application_name = 'orderfleet crowd' and state like 'idle in transaction%'`;
  expect(left).toEqual([]);
});

test('statements and transactions together have no more connections than they may', async () => {
  const sql = db.$client;
  const [, , [row]] = await Promise.all([
    Promise.all(Array.from({ length: 20 }, () => sql`select pg_sleep(0.05)`)),
    Promise.all(Array.from({ length: 20 }, () => sql.begin((tx) => tx`select pg_sleep(0.05)`))),
    sql`select pg_sleep(0.1), (select count(*)::int from pg_stat_activity where application_name = 'orderfleet crowd') as count`,
  ]);
  expect(row?.count).toBe(CONNECTIONS);
});
