import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { insertion, isAnyOf, rows, statement } from '../../src/db/query.ts';
import { recordset } from '../../src/db/recordset.ts';
import { orders, shipments, unmappedStatuses } from '../../src/db/schema/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let db: Db;
beforeAll(async () => {
  database = await createTestDatabase();
  db = createDb(database.url, { max: 2 });
});
afterAll(async () => {
  await closeDb(db);
  await database.drop();
});

const AT = new Date('2026-02-22T09:30:00.123Z');

describe('rows that are given to a statement', () => {
  const given = recordset('given', {
    number: shipments.awbNumber,
    at: shipments.statusAt,
    seen: shipments.statusSeen,
    tracked: shipments.beingTracked,
    code: orders.orderStatus,
  });
  const told = statement(
    given.fields,
    (read) => sql`select ${read} from ${given.from(sql.placeholder('rows'))} order by ${given.fields.code}`,
  );

  test('have the columns’ types, however many they are', async () => {
    const row = { number: '1"2\\3', at: AT, seen: { delivered: 4 }, tracked: true, code: 1 };
    const nothing = { number: null, at: null, seen: null, tracked: null, code: 2 };
    expect(await told.run(db, { rows: given.textOf([row, nothing]) })).toEqual([row, nothing]);
    expect(await told.run(db, { rows: given.textOf([]) })).toEqual([]);
  });

  test('may give a time as its text', async () => {
    const [row] = await told.run(db, {
      rows: given.textOf([{ number: 'A', at: AT.toISOString(), seen: {}, tracked: false, code: 1 }]),
    });
    expect(row?.at).toEqual(AT);
  });
});

test('an insert of what is selected takes values, placeholders and SQL by the names of columns', async () => {
  const source = recordset('source', { word: unmappedStatuses.word });
  const insert = insertion(unmappedStatuses, {
    tracker: 'velocity',
    word: source.fields.word,
    count: sql.placeholder('count'),
    sample: { number: '1' },
    firstSeenAt: AT,
    mappedTo: null,
  });
  const { tracker, word, count, sample, firstSeenAt, mappedTo } = unmappedStatuses;
  const written = statement(
    { tracker, word, count, sample, firstSeenAt, mappedTo },
    (read) => sql`${insert} from ${source.from(sql.placeholder('words'))} returning ${read}`,
  );
  const words = source.textOf([{ word: 'ONE' }, { word: 'TWO' }]);
  const others = { tracker: 'velocity', count: 7, sample: { number: '1' }, firstSeenAt: AT, mappedTo: null };
  expect(await written.run(db, { words, count: 7 })).toEqual([
    { ...others, word: 'ONE' },
    { ...others, word: 'TWO' },
  ]);
  expect(await rows(db, { word }, (read) => sql`select ${read} from ${unmappedStatuses}`)).toHaveLength(2);
});

test('T18: what is thrown of a statement is what Postgres says, without the parameters', async () => {
  const divided = statement(
    { of: sql<number>`1` },
    (read) => sql`select ${read} where 1 / ${sql.placeholder('by')}::int = 1`,
  );
  await expect(divided.run(db, { by: 0 })).rejects.toMatchObject({
    code: '22012',
    message: 'division by zero',
  });
});

test('P6: a statement about any number of rows is planned once, however many are given each time', async () => {
  const { id } = orders;
  const found = statement(
    { id },
    (read) => sql`select ${read} from ${orders} join ${shipments} on ${shipments.orderId} = ${id}
      where ${isAnyOf(id, sql.placeholder('ids'))} and ${shipments.bookingCourier} = 'of-this-test'`,
  );
  const one = createDb(database.url, { max: 1 });
  try {
    for (let times = 0; times < 12; times++)
      await found.run(one, { ids: Array.from({ length: 1 + (times % 3) }, () => crypto.randomUUID()) });
    const [plans] = await one.execute(sql`
      select custom_plans::int as anew, generic_plans::int as kept from pg_prepared_statements
      where statement like '%of-this-test%' and statement not like '%pg_prepared_statements%'`);
    expect(plans).toEqual({ anew: 5, kept: 7 });
  } finally {
    await closeDb(one);
  }
});
