import { randomBytes } from 'node:crypto';
import postgres, { type Sql } from 'postgres';
import { inject } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { migrateQueues } from '../../src/queue/backend.ts';
import { openSql } from './sql.ts';

export interface TestDatabase {
  url: string;
  /** For the test's own statements. */
  sql: Sql;
  /** Removes the database, and ends what is still connected to it. */
  drop(): Promise<void>;
}

const TEMPLATE = 'orderfleet_template';
/** Any number will do, as long as it is this one: whoever holds it may build the template. */
const TEMPLATE_LOCK = 20_261_122;

/** A fresh, migrated database: a copy of a template that the first caller of the run builds. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await asAdmin(async (sql) => {
    await buildTemplateOnce(sql);
    // copying files costs a checkpoint, which is cheap without fsync: 30 ms against 110 ms by way of the log
    await sql.unsafe(`create database ${name} template ${TEMPLATE} strategy file_copy`);
  });
  return dropping(name);
}

/** A database with nothing in it, for tests of the migrations themselves. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const name = `empty_${randomBytes(8).toString('hex')}`;
  await asAdmin((sql) => sql.unsafe(`create database ${name}`));
  return dropping(name);
}

function dropping(name: string): TestDatabase {
  const url = urlOf(name);
  const sql = openSql(url);
  return {
    url,
    sql,
    async drop() {
      await sql.end({ timeout: 0 });
      await asAdmin((admin) => admin.unsafe(`drop database if exists ${name} with (force)`));
    },
  };
}

async function buildTemplateOnce(sql: Sql): Promise<void> {
  const built = async () => (await sql`select 1 from pg_database where datname = ${TEMPLATE}`).length > 0;
  if (await built()) return;
  await sql`select pg_advisory_lock(${TEMPLATE_LOCK})`;
  try {
    if (await built()) return;
    const draft = `${TEMPLATE}_draft`;
    await sql.unsafe(`drop database if exists ${draft} with (force)`);
    await sql.unsafe(`create database ${draft}`);
    await migrate(urlOf(draft));
    await migrateQueues(urlOf(draft));
    // whatever the migration left connected would make every copy fail: say so here instead
    await sql.unsafe(`alter database ${draft} with allow_connections false`);
    await sql.unsafe(`alter database ${draft} rename to ${TEMPLATE}`);
  } finally {
    await sql`select pg_advisory_unlock(${TEMPLATE_LOCK})`;
  }
}

async function asAdmin(work: (sql: Sql) => PromiseLike<unknown>): Promise<void> {
  // one connection: the advisory lock belongs to it
  const sql = postgres(inject('serverUrl'), { max: 1, onnotice: () => undefined });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}

function urlOf(database: string): string {
  const url = new URL(inject('serverUrl'));
  url.pathname = `/${database}`;
  return url.href;
}
