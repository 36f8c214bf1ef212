import { afterAll, beforeAll, expect, test } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
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

test('arrays of all our types round-trip, with nulls, empty ones and special characters', async () => {
  const sql = db.$client;
  const at = new Date('2026-11-29T12:00:00Z');
  const texts = ['a', null, 'NULL', '', 'back\\slash', '"quoted", {braced}', 'ș€'];
  const id = crypto.randomUUID();
  const [row] = await sql`
    select ${texts as string[]}::text[] as texts, ${[]}::text[] as none, ${[1, null, -3]}::int[] as numbers,
      ${[[1, 2], [3, 4]]}::int[] as nested, ${sql.array([at], 1185)} as times, ${[id]}::uuid[] as ids, ${sql.array([true], 1000)} as yes,
      ${['1.20', '3']}::numeric[] as exact, ${[0.5]}::float8[] as floats, array['{"a": [1]}'::jsonb] as json, ${sql.array(['x'])} as inferred`;
  expect(row).toEqual({
    ...{
      texts,
      none: [],
      numbers: [1, null, -3],
      nested: [
        [1, 2],
        [3, 4],
      ],
      times: [at],
      ids: [id],
      yes: [true],
    },
    ...{ exact: ['1.20', '3'], floats: [0.5], json: [{ a: [1] }], inferred: ['x'] },
  });
});
