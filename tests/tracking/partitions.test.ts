import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { makePartitions } from '../../src/tracking/partitions.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { held } from '../support/held.ts';

let database: TestDatabase;
let db: Db;
beforeAll(async () => {
  database = await createTestDatabase();
  db = createDb(database.url);
});
afterAll(async () => {
  await closeDb(db);
  await database.drop();
});

const PARCEL = '00000000-0000-4000-8000-000000000001';
const make = (at: string) => makePartitions({ db, clock: () => Date.parse(at) });
const record = (at: string) => database.sql`
  insert into shipment_events (shipment_id, status, occurred_at, recorded_at) values (${PARCEL}, 'in_transit', ${at}, ${at})`;
const where = async () =>
  (
    await database.sql<{ partition: string; at: string }[]>`
      select tableoid::regclass::text as partition, recorded_at::text as at from shipment_events order by recorded_at`
  ).map(({ partition, at }) => `${partition.replace('shipment_events_', '')} ${at.slice(0, 10)}`);
const partitions = async () =>
  (
    await database.sql<{ name: string }[]>`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = 'shipment_events'::regclass order by 1`
  ).map(({ name }) => name.replace('shipment_events_', ''));

beforeEach(() => database.sql`delete from shipment_events`);

describe('P10: the months of history', () => {
  test('are made by the migration, which leaves one index for the key and one for the time in each', async () => {
    const before = await partitions();
    // what is recorded until the month after next goes where history was before it had months
    expect(before.filter((name) => /^\d{4}_\d\d$/.test(name))).toHaveLength(2);
    expect(before).toEqual(expect.arrayContaining(['default', 'first']));
    const indexes = await database.sql`
      select count(*)::int as indexes, count(*) filter (where indisprimary)::int as keys
      from pg_index join pg_inherits on inhrelid = indrelid where inhparent = 'shipment_events'::regclass group by indrelid`;
    expect([...indexes]).toEqual(before.map(() => ({ indexes: 2, keys: 1 })));
  });

  test('are made ahead, this one and three more, each once', async () => {
    const before = await partitions();
    expect(await make('2031-11-15T00:00:00Z')).toBe(4);
    const made = ['2031_11', '2031_12', '2032_01', '2032_02'];
    expect((await partitions()).filter((name) => !before.includes(name))).toEqual(made);
    expect(await make('2031-11-30T23:59:59Z')).toBe(0);
    expect(await make('2031-12-01T00:00:00Z')).toBe(1);
  });

  test('begin and end by UTC', async () => {
    await make('2033-01-15T00:00:00Z');
    await record('2033-01-31T23:59:59.999Z');
    await record('2033-02-01T00:00:00Z');
    expect(await where()).toEqual(['2033_01 2033-01-31', '2033_02 2033-02-01']);
  });

  test('may be missing: the change is recorded, and moves into its own month later', async () => {
    await record('2035-05-31T23:00:00Z');
    await record('2035-06-01T00:00:00Z');
    await record('1999-12-24T00:00:00Z'); // by a clock that is wrong; it was before the first month
    await record('2041-01-01T00:00:00Z');
    expect(await where()).toEqual([
      'first 1999-12-24',
      'default 2035-05-31',
      'default 2035-06-01',
      'default 2041-01-01',
    ]);
    expect(await make('2035-06-01T00:00:00Z')).toBe(6);
    expect(await where()).toEqual([
      'first 1999-12-24',
      '2035_05 2035-05-31',
      '2035_06 2035-06-01',
      '2041_01 2041-01-01',
    ]);
  });

  test('are made by one of two schedulers, while changes are recorded', async () => {
    const times = Array.from({ length: 200 }, (_, n) =>
      new Date(Date.UTC(2051, n % 6, 1, 0, 0, n)).toISOString(),
    );
    const calls = Array.from({ length: 6 }, () => make('2051-01-01T00:00:00Z'));
    await Promise.all(times.map(record));
    const made = await Promise.all(calls);
    await make('2051-01-01T00:00:00Z');
    expect(Math.max(...made)).toBeGreaterThan(0);
    const found = await where();
    expect(found).toHaveLength(200);
    expect(found.filter((one) => one.startsWith('default'))).toEqual([]);
  });

  test('wait for whoever reads all of them, but not so long that others wait behind', async () => {
    const { sql } = database;
    await sql.begin(
      held(async (reader) => {
        await reader`select from shipment_events`;
        const began = performance.now();
        const call = make('2061-01-01T00:00:00Z');
        await record('2061-01-01T00:00:00Z'); // waits behind the call, which gives up
        expect(performance.now() - began).toBeLessThan(5_000);
        expect(await call).toBe(0);
      }),
    );
    expect(await where()).toEqual(['default 2061-01-01']);
    expect(await make('2061-01-01T00:00:00Z')).toBe(4);
    expect(await where()).toEqual(['2061_01 2061-01-01']);
  });
});
