import { Command, InvalidArgumentError, Option } from 'commander';
import countries from 'i18n-iso-countries';
import type { TemuHost } from '../temu/client.ts';
import { storeOverviews } from '../temu/overview.ts';
import { addStore, pauseStore, resumeStore, rotateStore, storeByName } from '../temu/stores.ts';
import { type JsonOption, withFleet } from './context.ts';
import { print } from './output.ts';
import { storesTable } from './status.ts';

const country = (text: string) => {
  const code = text.toUpperCase();
  if (code.length !== 2 || !countries.isValid(code))
    throw new InvalidArgumentError('two letters (ISO 3166-1), e.g. RO, DE, GB or US.');
  return code;
};
const filled = (text: string) => {
  if (!text.trim()) throw new InvalidArgumentError('it is empty.');
  return text.trim();
};

interface AddOptions extends JsonOption {
  name: string;
  region: TemuHost;
  country: string;
  appKey: string;
  appSecret: string;
  accessToken: string;
  warehouse?: string;
  api: 'v1' | 'v2';
}

const add = () =>
  new Command('add')
    .description('add a store; its orders of the last 90 days come in at once')
    .requiredOption('--name <name>', 'what you call it', filled)
    .addOption(
      new Option('--region <region>', 'which of Temu’s hosts serves it')
        .choices(['EU', 'US', 'GLOBAL'])
        .makeOptionMandatory(),
    )
    .requiredOption('--country <code>', 'country of the seller’s account, two letters', country)
    .requiredOption('--app-key <key>', 'from Temu’s partner portal', filled)
    .requiredOption('--app-secret <secret>', 'from Temu’s partner portal; stored encrypted', filled)
    .requiredOption('--access-token <token>', 'from the store’s seller centre; stored encrypted', filled)
    .option('--warehouse <id>', 'warehouse id for shipments, WH-…; default: Temu’s default warehouse', filled)
    .addOption(
      new Option('--api <version>', 'version of Temu’s order calls').choices(['v1', 'v2']).default('v1'),
    )
    .option('--json', 'print one JSON document')
    .action((options: AddOptions) =>
      withFleet(async ({ db, secrets }) => {
        const id = await addStore(db, secrets, {
          ...options,
          warehouseId: options.warehouse,
          apiVersion: options.api,
        });
        print(
          options,
          { id, name: options.name },
          () => `Store "${options.name}" is added. Its orders come in from now on: orderfleet status`,
        );
      }),
    );

const list = () =>
  new Command('list')
    .description('the stores and how they stand')
    .option('--json', 'print one JSON document')
    .action((options: JsonOption) =>
      withFleet(async ({ db }) => {
        const stores = await storeOverviews(db);
        print(options, stores, () => storesTable(stores));
      }),
    );

const pause = () =>
  new Command('pause')
    .description('stop reading a store until it is resumed')
    .argument('<name>')
    .option('--reason <text>', 'shown by status', 'paused by hand')
    .option('--json', 'print one JSON document')
    .action((name: string, options: JsonOption & { reason: string }) =>
      withFleet(async ({ db }) => {
        await pauseStore(db, name, options.reason);
        print(
          options,
          { name, active: false },
          () => `Store "${name}" is paused. To go on: orderfleet store resume "${name}"`,
        );
      }),
    );

const resume = () =>
  new Command('resume')
    .description('let a paused store go on; what it missed comes in')
    .argument('<name>')
    .option('--json', 'print one JSON document')
    .action((name: string, options: JsonOption) =>
      withFleet(async ({ db }) => {
        await resumeStore(db, name);
        print(options, { name, active: true }, () => `Store "${name}" goes on.`);
      }),
    );

interface RotateOptions extends JsonOption {
  appKey?: string;
  appSecret?: string;
  accessToken?: string;
}

const rotate = () =>
  new Command('rotate')
    .description('give a store new credentials (those named), seal them with the current key, and resume it')
    .argument('<name>')
    .option('--app-key <key>', 'new app key', filled)
    .option('--app-secret <secret>', 'new app secret', filled)
    .option('--access-token <token>', 'new access token', filled)
    .option('--json', 'print one JSON document')
    .action((name: string, { json, ...given }: RotateOptions) =>
      withFleet(async ({ db, secrets }) => {
        await rotateStore(db, secrets, name, given);
        const { id } = await storeByName(db, name);
        print(
          { json },
          { id, name, active: true },
          () => `Store "${name}" has its new credentials and goes on.`,
        );
      }),
    );

export const storeCommand = () => {
  const command = new Command('store').description(
    'add, list, pause, resume stores and change their credentials',
  );
  for (const one of [add, list, pause, resume, rotate]) command.addCommand(one());
  return command;
};
