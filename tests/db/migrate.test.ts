import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { describe, expect, it, onTestFinished } from 'vitest';
import { migrate, packageRoot } from '../../src/db/migrate.ts';
import { createEmptyDatabase } from '../support/database.ts';

const MIGRATIONS = readdirSync(join(packageRoot(), 'drizzle')).filter((file) => file.endsWith('.sql'));

async function emptyDatabase() {
  const database = await createEmptyDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  onTestFinished(async () => {
    await sql.end();
    await database.drop();
  });
  return { url: database.url, sql };
}
const applied = async (sql: postgres.Sql) =>
  (await sql`select created_at from drizzle.__drizzle_migrations order by id`).length;

/** Everything that the migrations made, as text. */
const shape = (sql: postgres.Sql) => sql`
  select table_name, column_name, data_type, is_nullable, column_default
  from information_schema.columns where table_schema = 'public' order by 1, 2`;

describe('migrations', () => {
  it('bring an empty database up to date: every file, the contract’s tables', async () => {
    const { url, sql } = await emptyDatabase();
    await migrate(url);
    expect(await applied(sql)).toBe(MIGRATIONS.length);
    const tables = (
      await sql`select table_name from information_schema.tables where table_schema = 'public'`
    ).map((row) => row.table_name);
    expect(tables).toEqual(
      expect.arrayContaining([
        'temu_stores',
        'temu_sync_windows',
        'temu_order_inbox',
        'orders',
        'temu_orders',
        'products_in_order',
        'order_item_lines',
        'order_errors',
        'temu_products',
        'notices',
      ]),
    );
  });

  it('R6: run a second time, they change nothing and keep the rows', async () => {
    const { url, sql } = await emptyDatabase();
    await migrate(url);
    await sql`insert into orders (source, marketplace_order_id) values ('shopify', '1')`;
    const before = await shape(sql);
    await migrate(url);
    expect(await shape(sql)).toEqual(before);
    expect(await applied(sql)).toBe(MIGRATIONS.length);
    expect(await sql`select status, order_status from orders`).toEqual([
      { status: 'Pending', order_status: 4 },
    ]);
  });

  it('R6: run by several processes at once, each file is applied once and none fails', async () => {
    const { url, sql } = await emptyDatabase();
    await Promise.all(Array.from({ length: 5 }, () => migrate(url)));
    expect(await applied(sql)).toBe(MIGRATIONS.length);
  });

  it('leave no lock and no connection behind', async () => {
    const { url, sql } = await emptyDatabase();
    await migrate(url);
    expect(
      await sql`select 1 from pg_locks where locktype = 'advisory' and database = (
      select oid from pg_database where datname = current_database())`,
    ).toEqual([]);
    expect(
      await sql`select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
      and backend_type = 'client backend'`,
    ).toEqual([]);
  });

  it('fail with the server’s own words when the database is not there', async () => {
    const { url } = await emptyDatabase();
    await expect(migrate(`${url}_not_there`)).rejects.toThrow(/does not exist/);
  });
});
