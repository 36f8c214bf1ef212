import { Command } from 'commander';
import { loadConfig } from '../config/index.ts';
import { migrate } from '../db/migrate.ts';
import { NO_SESSIONS, poolingOf } from '../db/pooler.ts';
import { UserError } from '../lib/errors.ts';
import { migrateQueues } from '../queue/backend.ts';
import type { JsonOption } from './context.ts';
import { print } from './output.ts';

/** Tables first, then the queues' schema, also with Redis, so that switching needs no extra step. */
export async function migrateAll(databaseUrl: string): Promise<void> {
  // its lock would be another session's
  if ((await poolingOf(databaseUrl)) === 'transaction')
    throw new UserError(`${NO_SESSIONS.says}: ${NO_SESSIONS.remedy}`);
  await migrate(databaseUrl);
  await migrateQueues(databaseUrl);
}

export const migrateCommand = () =>
  new Command('migrate')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Requires a role that may create tables; the processes do not need one (docs/deploy.md).

Example:
  DATABASE_URL=postgres://orderfleet_owner@db/orderfleet orderfleet migrate`,
    )
    .action(async (options: JsonOption) => {
      await migrateAll(loadConfig().DATABASE_URL);
      print(options, { migrated: true }, () => 'The database is up to date.');
    });
