#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Command, CommanderError } from 'commander';
import { packageRoot } from '../lib/package-root.ts';
import { mindNoClosedPipe } from './closed-pipe.ts';

/** All commands. Only the requested one is loaded, which halves the start-up time. */
const COMMANDS: Record<string, { does: string; load(): Promise<() => Command> }> = {
  up: {
    does: 'start everything on this machine: database (embedded unless DATABASE_URL is set), scheduler and workers',
    load: async () => (await import('./up.ts')).upCommand,
  },
  migrate: {
    does: 'migrate the database; safe to run again, and from several machines at once',
    load: async () => (await import('./migrate.ts')).migrateCommand,
  },
  store: {
    does: 'add, list, pause and resume stores, and change their credentials',
    load: async () => (await import('./store.ts')).storeCommand,
  },
  sync: {
    does: 'sync a store’s orders now (all stores without --store)',
    load: async () => (await import('./sync.ts')).syncCommand,
  },
  awb: {
    does: 'push AWB numbers to Temu, retry them, list orders at risk',
    load: async () => (await import('./awb.ts')).awbCommand,
  },
  carriers: {
    does: 'map carrier names to Temu’s carriers',
    load: async () => (await import('./carriers.ts')).carriersCommand,
  },
  track: {
    does: 'run a tracker now',
    load: async () => (await import('./track.ts')).trackCommand,
  },
  shipments: {
    does: 'import parcels',
    load: async () => (await import('./shipments.ts')).shipmentsCommand,
  },
  words: {
    does: 'unmapped courier statuses: list, map, unmap',
    load: async () => (await import('./words.ts')).wordsCommand,
  },
  webhooks: {
    does: 'manage webhook endpoints for returns and status changes',
    load: async () => (await import('./webhooks.ts')).webhooksCommand,
  },
  archive: {
    does: 'move old history and finished orders out of the database into files',
    load: async () => (await import('./archive.ts')).archiveCommand,
  },
  status: {
    does: 'status of stores, orders, trackers and queues, and what needs attention',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  explain: {
    does: 'history of an order or a parcel, with the reasons',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  doctor: {
    does: 'check everything the fleet needs; every finding comes with its fix',
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
Exit codes: 0 success · 1 something failed · 2 wrong usage, wrong configuration, or no connection

Settings come from the environment and from .env (see .env.example). While "orderfleet up" runs in this directory on
its embedded database, the other commands connect to it automatically.

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

/** Commander does not pass these settings on to commands from other modules. */
function settle(command: Command): void {
  command.showHelpAfterError('(see --help)').exitOverride();
  for (const one of command.commands) settle(one);
}

mindNoClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = await reported(error);
}

/** Prints the error, unless Commander has. @returns the exit code; wrong usage is 2 */
async function reported(error: unknown): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const [{ remedyOf }, { readableStack }] = await Promise.all([
    import('./remedies.ts'),
    import('../lib/stack.ts'),
  ]);
  const remedy = remedyOf(error);
  console.error(remedy ?? readableStack(inspect(error)));
  return remedy ? 2 : 1;
}
