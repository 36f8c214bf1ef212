import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { migrate as runMigrations } from 'drizzle-orm/postgres-js/migrator';
import { UserError } from '../errors.ts';
import { closeDb, createDb } from './client.ts';

/** The package's own folder, from src/ as well as from dist/src/. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** Postgres 15 is the floor: `NULLS NOT DISTINCT` came with it. */
const MINIMUM_SERVER_VERSION = 150000;

/**
 * Brings the tables up to date. Safe to run from several processes at once: an advisory lock makes the others
 * wait and find nothing to do.
 * @throws UserError when the server is older than 15.
 */
export async function migrate(databaseUrl: string): Promise<void> {
  const db = createDb(databaseUrl, { max: 1, name: 'migrate' });
  try {
    const [server] = await db.$client`select current_setting('server_version_num')::int as number, version()`;
    if (server && server.number < MINIMUM_SERVER_VERSION) {
      throw new UserError(`Postgres 15 or newer is needed; DATABASE_URL is ${server.version}`);
    }
    await db.$client`select pg_advisory_lock(hashtext('orderfleet migrations'))`;
    await runMigrations(db, { migrationsFolder: join(packageRoot(), 'drizzle') });
  } finally {
    await closeDb(db); // a session's advisory locks end with it
  }
}
