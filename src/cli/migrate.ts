import { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { migrate } from '../db/migrate.ts';
import { migrateQueues } from '../queue/backend.ts';
import type { JsonOption } from './context.ts';
import { print } from './output.ts';

/** Tables first, then the queues' own schema: also on Redis, so that one may change over without another step. */
export async function migrateAll(databaseUrl: string): Promise<void> {
  await migrate(databaseUrl);
  await migrateQueues(databaseUrl);
}

export const migrateCommand = () =>
  new Command('migrate')
    .description('bring the database up to date; safe to run again and from several places at once')
    .option('--json', 'print one JSON document')
    .action(async (options: JsonOption) => {
      await migrateAll(loadConfig().DATABASE_URL);
      print(options, { migrated: true }, () => 'The database is up to date.');
    });
