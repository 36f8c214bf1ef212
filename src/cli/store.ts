import { Command, InvalidArgumentError, Option } from 'commander';
import countries from 'i18n-iso-countries/index.js';
import { UserError } from '../lib/errors.ts';
import type { TemuHost } from '../temu/client.ts';
import { probeNow } from '../temu/orders/index.ts';
import { storeOverviews } from '../temu/overview.ts';
import { addStore, changeStore, pauseStore, resumeStore, rotateStore, storeByName } from '../temu/stores.ts';
import { type JsonOption, withFleet } from './context.ts';
import { print } from './output.ts';
import { storesTable } from './status.ts';

const country = (text: string) => {
  const code = text.toUpperCase();
  if (code.length !== 2 || !countries.isValid(code))
    throw new InvalidArgumentError('expected two letters (ISO 3166-1), e.g. RO, DE, GB or US.');
  return code;
};
const filled = (text: string) => {
  if (!text.trim()) throw new InvalidArgumentError('must not be empty.');
  return text.trim();
};

const REGIONS = ['EU', 'US', 'GLOBAL'];
const API_VERSIONS = ['v1', 'v2'];

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
    .description('add a store and sync its orders of the last 90 days')
    .requiredOption('--name <name>', 'your name for it', filled)
    .addOption(
      new Option('--region <region>', 'Temu host that serves it').choices(REGIONS).makeOptionMandatory(),
    )
    .requiredOption('--country <code>', 'country of the seller’s account, two letters', country)
    .requiredOption('--app-key <key>', 'from Temu’s partner portal', filled)
    .requiredOption('--app-secret <secret>', 'from Temu’s partner portal; stored encrypted', filled)
    .requiredOption('--access-token <token>', 'from the store’s seller centre; stored encrypted', filled)
    .option(
      '--warehouse <id>',
      'warehouse id for shipments, WH-…; default: the default warehouse on Temu',
      filled,
    )
    .addOption(
      new Option('--api <version>', 'version of Temu’s order API').choices(API_VERSIONS).default('v1'),
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  orderfleet store add --name my-shop --region EU --country RO --app-key K --app-secret S --access-token T
  orderfleet store add --name us --region US --country US --api v2 --app-key K --app-secret S --access-token T`,
    )
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
          () => `Store "${options.name}" added. Its orders are being synced: orderfleet status`,
        );
      }),
    );

const list = () =>
  new Command('list')
    .description('list the stores with their status')
    .option('--json', 'print one JSON document')
    .addHelpText('after', "\nExample:\n  orderfleet store list --json | jq '.[] | select(.active | not)'")
    .action((options: JsonOption) =>
      withFleet(async ({ db }) => {
        const stores = await storeOverviews(db);
        print(options, stores, () => storesTable(stores));
      }),
    );

const pause = () =>
  new Command('pause')
    .description('pause a store until it is resumed')
    .argument('<name>')
    .option('--reason <text>', 'shown by status', 'paused by hand')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  orderfleet store pause my-shop --reason "holidays until 7 January"')
    .action((name: string, options: JsonOption & { reason: string }) =>
      withFleet(async ({ db }) => {
        await pauseStore(db, name, options.reason);
        print(
          options,
          { name, active: false },
          () => `Store "${name}" paused. To resume: orderfleet store resume "${name}"`,
        );
      }),
    );

const resume = () =>
  new Command('resume')
    .description('resume a paused store; orders that it missed are synced')
    .argument('<name>')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  orderfleet store resume my-shop')
    .action((name: string, options: JsonOption) =>
      withFleet(async ({ db }) => {
        await resumeStore(db, name);
        print(options, { name, active: true }, () => `Store "${name}" resumed.`);
      }),
    );

interface RotateOptions extends JsonOption {
  appKey?: string;
  appSecret?: string;
  accessToken?: string;
}

const rotate = () =>
  new Command('rotate')
    .description(
      'replace the credentials given and resume the store; encrypts all of them with the current key',
    )
    .argument('<name>')
    .option('--app-key <key>', 'new app key', filled)
    .option('--app-secret <secret>', 'new app secret', filled)
    .option('--access-token <token>', 'new access token', filled)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  orderfleet store rotate my-shop --access-token T     Temu has issued a new token
  orderfleet store rotate my-shop                      CREDENTIALS_KEY has changed: encrypt with the new one`,
    )
    .action((name: string, { json, ...given }: RotateOptions) =>
      withFleet(async (fleet) => {
        const { db, secrets } = fleet;
        await rotateStore(db, secrets, name, given);
        const { id, active } = await storeByName(db, name);
        const fresh = Object.keys(given).length > 0;
        // a new token may have scopes that the old one lacked
        if (fresh) await probeNow(fleet, id);
        print({ json }, { id, name, active }, () =>
          fresh
            ? `Credentials of store "${name}" replaced; store resumed.`
            : `Credentials of store "${name}" encrypted with the current key.`,
        );
      }),
    );

interface ChangeOptions extends JsonOption {
  region?: TemuHost;
  country?: string;
  warehouse?: string;
  api?: 'v1' | 'v2';
}

const change = () =>
  new Command('change')
    .description('change a store’s settings and resume it; for credentials use rotate')
    .argument('<name>')
    .addOption(new Option('--region <region>', 'Temu host that serves it').choices(REGIONS))
    .option('--country <code>', 'country of the seller’s account, two letters', country)
    .option('--warehouse <id>', 'warehouse id for shipments, WH-…', filled)
    .addOption(new Option('--api <version>', 'version of Temu’s order API').choices(API_VERSIONS))
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  orderfleet store change my-shop --region GLOBAL
  orderfleet store change my-shop --warehouse WH-07123456789 --api v2`,
    )
    .action((name: string, { json, warehouse, api, ...given }: ChangeOptions) =>
      withFleet(async ({ db }) => {
        const wanted = {
          ...given,
          ...(warehouse === undefined ? {} : { warehouseId: warehouse }),
          ...(api === undefined ? {} : { apiVersion: api }),
        };
        if (Object.keys(wanted).length === 0)
          throw new UserError('Nothing to change: set --region, --country, --warehouse or --api.');
        await changeStore(db, name, wanted);
        print({ json }, { name, ...wanted }, () => `Store "${name}" changed and resumed.`);
      }),
    );

export const storeCommand = () => {
  const command = new Command('store').addHelpText(
    'after',
    `
Examples:
  orderfleet store add --name my-shop --region EU --country RO --app-key K --app-secret S --access-token T
  orderfleet store list
  orderfleet store rotate my-shop --access-token T`,
  );
  for (const one of [add, list, pause, resume, rotate, change]) command.addCommand(one());
  return command;
};
