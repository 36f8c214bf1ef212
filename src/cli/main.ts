#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { packageRoot } from '../package-root.ts';
import { mindNoClosedPipe } from './closed-pipe.ts';

/** Every command with what it does. Only the one that is asked for is loaded: that halves the start. */
const COMMANDS: Record<string, { does: string; load(): Promise<() => Command> }> = {
  up: {
    does: 'start everything on this machine: database (embedded unless DATABASE_URL is set), scheduler, workers',
    load: async () => (await import('./up.ts')).upCommand,
  },
  migrate: {
    does: 'bring the database up to date; safe to run again and from several places at once',
    load: async () => (await import('./migrate.ts')).migrateCommand,
  },
  store: {
    does: 'add, list, pause, resume stores and change their credentials',
    load: async () => (await import('./store.ts')).storeCommand,
  },
  sync: {
    does: 'read a store’s orders now (all stores without --store)',
    load: async () => (await import('./sync.ts')).syncCommand,
  },
  awb: {
    does: 'AWB numbers on Temu: push, retry, list',
    load: async () => (await import('./awb.ts')).awbCommand,
  },
  carriers: {
    does: 'which of Temu’s carriers a carrier’s name means',
    load: async () => (await import('./carriers.ts')).carriersCommand,
  },
  track: {
    does: 'ask a courier for its parcels now',
    load: async () => (await import('./track.ts')).trackCommand,
  },
  shipments: {
    does: 'parcels: import',
    load: async () => (await import('./shipments.ts')).shipmentsCommand,
  },
  words: {
    does: 'words of couriers that no table has: list, map, unmap',
    load: async () => (await import('./words.ts')).wordsCommand,
  },
  webhooks: {
    does: 'programs that are told of returns and changes of status',
    load: async () => (await import('./webhooks.ts')).webhooksCommand,
  },
  status: {
    does: 'how the stores, orders and queues stand, and what needs a person',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  explain: {
    does: 'the whole story of an order or a parcel, with the reasons',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  doctor: {
    does: 'look at everything the fleet needs; each finding with its remedy',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
};

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
const asked = process.argv.slice(2).find((word) => word !== 'help' && !word.startsWith('-'));
for (const [name, { does, load }] of Object.entries(COMMANDS)) {
  const command = name === asked ? (await load())() : new Command(name);
  program.addCommand(command.description(does));
}
settle(program);

/** Commander hands neither setting down to a command that was made elsewhere. */
function settle(command: Command): void {
  command.showHelpAfterError('(--help shows how)').exitOverride();
  for (const one of command.commands) settle(one);
}

mindNoClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = await told(error);
}

/** Says what went wrong, where Commander has not. @returns the exit code; wrong usage is 2 */
async function told(error: unknown): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const { remedyOf } = await import('./faults.ts');
  const remedy = remedyOf(error);
  console.error(remedy ?? error);
  return remedy ? 2 : 1;
}
