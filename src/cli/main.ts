#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../db/migrate.ts';
import { awbCommand } from './awb.ts';
import { carriersCommand } from './carriers.ts';
import { explainCommand } from './explain.ts';
import { remedyOf } from './faults.ts';
import { migrateCommand } from './migrate.ts';
import { shipmentsCommand } from './shipments.ts';
import { statusCommand } from './status.ts';
import { storeCommand } from './store.ts';
import { syncCommand } from './sync.ts';
import { trackCommand } from './track.ts';
import { upCommand } from './up.ts';
import { webhooksCommand } from './webhooks.ts';
import { wordsCommand } from './words.ts';

const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string;
};

const program = new Command('orderfleet')
  .description('A fleet of queue-driven workers for sellers on Temu.')
  .version(version)
  .addHelpText(
    'after',
    `
Exit codes: 0 done · 1 something failed · 2 wrong usage, wrong environment, or nothing to connect to

Settings come from the environment and from .env (see .env.example). While "orderfleet up" runs in this directory on
its own embedded database, the other commands find it by themselves.

Examples:
  orderfleet up
  orderfleet store add --name my-shop --region EU --country RO --app-key K --app-secret S --access-token T
  orderfleet sync --store my-shop --wait
  orderfleet track delhivery-b2c --wait
  orderfleet status
  orderfleet explain PO-076-13925293151271879`,
  );
for (const command of [
  upCommand,
  migrateCommand,
  storeCommand,
  syncCommand,
  awbCommand,
  carriersCommand,
  trackCommand,
  shipmentsCommand,
  wordsCommand,
  webhooksCommand,
  statusCommand,
  explainCommand,
])
  program.addCommand(command());
settle(program);

/** Wrong usage ends with 2. Commander hands neither setting down to a command that was made elsewhere. */
function settle(command: Command): void {
  command
    .showHelpAfterError('(--help shows how)')
    .exitOverride((ending) => process.exit(ending.exitCode === 0 ? 0 : 2));
  for (const one of command.commands) settle(one);
}

try {
  await program.parseAsync();
} catch (error) {
  const remedy = remedyOf(error);
  process.exitCode = remedy ? 2 : 1;
  console.error(remedy ?? error);
}
