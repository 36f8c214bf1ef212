import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate as drizzleMigrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';
import { describe, expect, it, onTestFinished } from 'vitest';
import { closeDb, createDb } from '../../src/db/client.ts';
import { migrate } from '../../src/db/migrate.ts';
import { UserError } from '../../src/lib/errors.ts';
import { packageRoot } from '../../src/lib/package-root.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

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

/** A folder of migrations as Drizzle keeps them; writing it again changes the files. */
function migrationsFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'meta'));
  return {
    folder,
    write(...files: string[]) {
      const entries = files.map((_, idx) => ({ idx, when: idx + 1, tag: `${idx}`, breakpoints: true }));
      writeFileSync(join(folder, 'meta/_journal.json'), JSON.stringify({ entries }));
      for (const [idx, text] of files.entries()) writeFileSync(join(folder, `${idx}.sql`), text);
    },
  };
}

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

  it('go on where Drizzle’s own migrator has been', async () => {
    const { url, sql } = await emptyDatabase();
    const { folder, write } = migrationsFolder();
    // it runs all in one transaction, where nothing can be built concurrently
    const texts = MIGRATIONS.map((file) => readFileSync(join(packageRoot(), 'drizzle', file), 'utf8'));
    const able = texts.map((text) => text.replace(/\bconcurrently\b/gi, ''));
    write(...able, 'create table of_the_last_file (n int)');
    const db = createDb(url, { max: 1 });
    await drizzleMigrate(db, { migrationsFolder: folder });
    await closeDb(db);
    const rows = () => sql`select * from drizzle.__drizzle_migrations order by id`;
    const before = await rows();
    expect(before.length).toBe(able.length + 1);
    await migrate(url, { folder });
    expect(await rows()).toEqual(before);
    await sql`delete from drizzle.__drizzle_migrations where id = ${before.at(-1)?.id}`;
    await expect(migrate(url, { folder })).rejects.toThrow(/already exists/); // the last file, and none of the others
  });

  it('R6: each file stands alone: those before one that fails are done, and the next run goes on with it', async () => {
    const { url, sql } = await emptyDatabase();
    const { folder, write } = migrationsFolder();
    write('create table a (n int)', 'create table b (n int);--> statement-breakpoint\nselect 1 / 0');
    await expect(migrate(url, { folder })).rejects.toThrow('division by zero');
    expect(await sql`select to_regclass('a') is not null as a, to_regclass('b') is null as b`).toEqual([
      { a: true, b: true },
    ]);
    write('create table a (n int)', 'create table b (n int)');
    await migrate(url, { folder });
    expect(await applied(sql)).toBe(2);
  });

  it('R6: a table that somebody keeps is waited for without holding up the others, and not for ever', async () => {
    const { url, sql } = await emptyDatabase();
    const reader = postgres(url, { max: 1, onnotice: () => {} });
    onTestFinished(() => reader.end());
    const { folder, write } = migrationsFolder();
    const file = 'create table a (n int)';
    write(file);
    await migrate(url, { folder });
    write(file, 'alter table a add column m int');
    let letGo: (() => void) | undefined;
    const kept = sql.begin(async (transaction) => {
      await transaction`select * from a`;
      await new Promise<void>((resolve) => {
        letGo = resolve;
      });
    });
    onTestFinished(() => letGo?.());
    await until(() => letGo);

    const soon = migrate(url, { folder, lockMs: 20, pauseMs: 20, tries: 3 });
    await expect(soon).rejects.toThrow(UserError);
    await expect(soon).rejects.toThrow(/Another session locks a table .*: alter table a add column m int\n/);

    const done = migrate(url, { folder, lockMs: 50, pauseMs: 50, tries: 1_000 });
    const waits = () => reader`
      select 1 from pg_stat_activity where datname = current_database() and application_name = 'orderfleet migrate'
        and wait_event_type = 'Lock'`;
    await until(async () => (await waits()).length > 0);
    await reader`select * from a`; // waits behind the migration, which gives up soon
    letGo?.();
    await Promise.all([kept, done]);
    expect(await reader`select m from a`).toEqual([]);
    expect(await applied(reader)).toBe(2);
  });

  it('R6: an index is built concurrently, by one of several, and again where it was cut off', async () => {
    const { url, sql } = await emptyDatabase();
    const { folder, write } = migrationsFolder();
    await sql`create table a (n int)`;
    await sql`insert into a values (1), (1)`;
    await expect(sql`create unique index concurrently a_n on a (n)`).rejects.toThrow(/could not create/);
    const valid = () => sql`select indisvalid as valid from pg_index where indexrelid = 'a_n'::regclass`;
    expect(await valid()).toEqual([{ valid: false }]);
    write(`-- P3
      drop index concurrently if exists a_n;--> statement-breakpoint
      create index concurrently a_n on a (n)`);
    await Promise.all([1, 2, 3].map(() => migrate(url, { folder })));
    expect(await valid()).toEqual([{ valid: true }]);
    expect(await applied(sql)).toBe(1);
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
