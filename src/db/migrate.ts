import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { UserError } from '../errors.ts';
import { packageRoot } from '../package-root.ts';
import { closeDb, createDb, type Sql } from './client.ts';
import { PATIENT } from './connections.ts';

/** Postgres 15 is the floor: `NULLS NOT DISTINCT` came with it. */
const MINIMUM_SERVER_VERSION = 150000;

export interface MigrateOptions {
  /** Drizzle's folder: the files and meta/_journal.json, which has their order. */
  folder: string;
  /** A table is waited for so long: everybody who comes after us waits behind us meanwhile. */
  lockMs: number;
  /** Between two tries, in which those go on. */
  pauseMs: number;
  tries: number;
}

/** Six minutes for each file; one of them the fleet may have to wait. */
const PATIENCE = { lockMs: 2_000, pauseMs: 10_000, tries: 30 };

/** Between two looks whether another process has come to its end. */
const LOOK_MS = 100;

/**
 * Brings the tables up to date, safe under load and from several processes at once (R6): one migrates, the others wait and
 * find nothing to do. Each file is a transaction of its own, so that no table stays locked while later files run, and
 * one that cannot have its tables in a moment lets the fleet go on and tries again.
 *
 * A file that says `concurrently` runs statement by statement without a transaction, as Postgres wants it, and from its
 * beginning again if it was cut off: `drop index concurrently if exists a` comes before `create index concurrently a`, since
 * what was cut off leaves an index behind that is never used.
 * @throws UserError when the server is older than 15, or somebody keeps a table for minutes
 */
export async function migrate(databaseUrl: string, options: Partial<MigrateOptions> = {}): Promise<void> {
  const { folder = join(packageRoot(), 'drizzle'), ...patience } = { ...PATIENCE, ...options };
  const db = createDb(databaseUrl, { max: 1, name: 'migrate', watch: PATIENT });
  const sql = db.$client;
  try {
    const [server] = await sql`select current_setting('server_version_num')::int as number, version()`;
    if (server && server.number < MINIMUM_SERVER_VERSION) {
      throw new UserError(`Postgres 15 or newer is needed; DATABASE_URL is ${server.version}`);
    }
    // asked again and again: an index that is built concurrently waits for every statement, also one that waits for a lock
    while (!(await takeTurn(sql))) await sleep(LOOK_MS);
    for (const file of await pending(sql, folder)) await apply(sql, file, patience);
  } finally {
    await closeDb(db); // a session's advisory locks end with it
  }
}

async function takeTurn(sql: Sql): Promise<boolean> {
  const [turn] = await sql`select pg_try_advisory_lock(hashtext('orderfleet migrations')) as ours`;
  return turn?.ours;
}

interface MigrationFile {
  statements: string[];
  hash: string;
  /** Drizzle's name of the file: when it was made, epoch milliseconds. */
  madeAt: number;
}

/** The files that are newer than the last one in Drizzle's own table, in which its other tools look as well. */
async function pending(sql: Sql, folder: string): Promise<MigrationFile[]> {
  await sql`create schema if not exists drizzle`;
  await sql`create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`;
  const [last] = await sql`select max(created_at)::float8 as "madeAt" from drizzle.__drizzle_migrations`;
  return readMigrationFiles({ migrationsFolder: folder })
    .map((file) => ({ statements: file.sql, hash: file.hash, madeAt: file.folderMillis }))
    .filter(({ madeAt }) => madeAt > (last?.madeAt ?? 0));
}

/** Postgres: a lock was not to be had in time; two sessions waited for each other. */
const LOCKED = ['55P03', '40P01'];

async function apply(
  sql: Sql,
  { statements, hash, madeAt }: MigrationFile,
  { lockMs, pauseMs, tries }: Omit<MigrateOptions, 'folder'>,
): Promise<void> {
  let statement = '';
  const run = async (on: Pick<Sql, 'unsafe'>) => {
    for (statement of statements) await on.unsafe(statement);
    await on.unsafe('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [
      hash,
      madeAt,
    ]);
  };
  if (statements.some((one) => /\bconcurrently\b/i.test(one.replace(/--.*$/gm, '')))) return await run(sql);
  for (let left = tries - 1; ; left--) {
    try {
      await sql.begin(async (transaction) => {
        await transaction`select set_config('lock_timeout', ${`${lockMs}`}, true)`;
        await run(transaction);
      });
      return;
    } catch (error) {
      if (!LOCKED.includes((error as { code?: string }).code ?? '')) throw error;
      if (left <= 0) throw new UserError(kept(statement));
    }
    await sleep(pauseMs);
  }
}

const kept = (statement: string) =>
  `Another session keeps a table that a migration needs: ${statement.trim().replace(/\s+/g, ' ').slice(0, 80)}
Nothing of that file was done, and migrate can be run again. Who it is, the longest first:
  select pid, now() - xact_start as since, application_name, left(query, 80) from pg_stat_activity
  where xact_start is not null order by xact_start`;
