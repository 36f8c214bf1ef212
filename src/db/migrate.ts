import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { UserError } from '../lib/errors.ts';
import { packageRoot } from '../lib/package-root.ts';
import { closeDb, createDb, type Db, type Sql } from './client.ts';
import { PATIENT } from './connections.ts';
import { rows } from './query.ts';

/** At least Postgres 15, for `NULLS NOT DISTINCT`. */
const MINIMUM_SERVER_VERSION = 150000;

const FOLDER = join(packageRoot(), 'drizzle');

export interface MigrateOptions {
  /** Drizzle's folder: the files and meta/_journal.json, which has their order. */
  folder: string;
  /** How long to wait for a table's lock: everybody after us queues behind us meanwhile. */
  lockMs: number;
  /** Between two tries, while the others continue. */
  pauseMs: number;
  tries: number;
}

/** Six minutes for each file, one of which the fleet may have to wait. */
const PATIENCE = { lockMs: 2_000, pauseMs: 10_000, tries: 30 };

/** Between two checks whether another process has finished. */
const LOOK_MS = 100;

/**
 * Brings the tables up to date, safe under load and from several processes at once (R6): one migrates, the others
 * wait and find nothing to do. Each file is a transaction of its own, so that no table stays locked while later files
 * run; one that does not get its locks quickly lets the fleet continue and tries again.
 *
 * A file that contains `concurrently` runs statement by statement without a transaction, as Postgres requires, and
 * from its start again if it was cut off: `drop index concurrently if exists a` comes before `create index
 * concurrently a`, since an interrupted one leaves an index that is never used.
 * @throws UserError when the server is older than 15, or another session keeps a table locked for minutes
 */
export async function migrate(databaseUrl: string, options: Partial<MigrateOptions> = {}): Promise<void> {
  const { folder = FOLDER, ...patience } = { ...PATIENCE, ...options };
  const db = createDb(databaseUrl, { max: 1, name: 'migrate', watch: PATIENT });
  const sql = db.$client;
  try {
    const [server] = await sql`select current_setting('server_version_num')::int as number, version()`;
    if (server && server.number < MINIMUM_SERVER_VERSION) {
      throw new UserError(`Postgres 15 or newer is required; DATABASE_URL points to ${server.version}`);
    }
    // polled: an index that is built concurrently waits for every statement, even one that waits for a lock
    while (!(await tryLock(sql))) await sleep(LOOK_MS);
    for (const file of await pending(sql, folder)) await apply(sql, file, patience);
  } finally {
    await closeDb(db); // a session's advisory locks end with it
  }
}

async function tryLock(sql: Sql): Promise<boolean> {
  const [lock] = await sql`select pg_try_advisory_lock(hashtext('orderfleet migrations')) as ours`;
  return lock?.ours;
}

interface MigrationFile {
  statements: string[];
  hash: string;
  /** Drizzle's name of the file: when it was made, epoch milliseconds. */
  madeAt: number;
}

/** The files newer than the last one in Drizzle's own table, which its other tools read as well. */
async function pending(sql: Sql, folder: string): Promise<MigrationFile[]> {
  await sql`create schema if not exists drizzle`;
  await sql`create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`;
  const [last] = await sql`select max(created_at)::float8 as "madeAt" from drizzle.__drizzle_migrations`;
  return migrationFiles(folder).filter(({ madeAt }) => madeAt > (last?.madeAt ?? 0));
}

export const migrationFiles = (folder = FOLDER): MigrationFile[] =>
  readMigrationFiles({ migrationsFolder: folder }).map((file) => ({
    ...{ statements: file.sql, hash: file.hash, madeAt: file.folderMillis },
  }));

/** When the files that a database has applied were made; undefined: none was ever applied. */
export async function appliedMigrations(db: Db): Promise<number[] | undefined> {
  const [there] = await rows(
    db,
    { yes: sql<boolean>`to_regclass('drizzle.__drizzle_migrations') is not null` },
    (list) => sql`select ${list}`,
  );
  if (!there?.yes) return undefined;
  const fields = { madeAt: sql<number>`created_at::float8` };
  const applied = await rows(db, fields, (list) => sql`select ${list} from drizzle.__drizzle_migrations`);
  return applied.map(({ madeAt }) => madeAt);
}

/** Postgres: lock timeout; deadlock. */
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
      if (left <= 0) throw new UserError(lockedTable(statement));
    }
    await sleep(pauseMs);
  }
}

const lockedTable = (statement: string) =>
  `Another session locks a table that a migration needs: ${statement.trim().replace(/\s+/g, ' ').slice(0, 80)}
That migration was not applied; migrate can be run again. Open transactions, the longest first:
  select pid, now() - xact_start as since, application_name, left(query, 80) from pg_stat_activity
  where xact_start is not null order by xact_start`;
