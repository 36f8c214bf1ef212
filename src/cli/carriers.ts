import { Command } from 'commander';
import { UserError } from '../errors.ts';
import { companiesOf, normalCarrier } from '../temu/awb/index.ts';
import { openStore, storeByName } from '../temu/stores.ts';
import { type JsonOption, withFleet } from './context.ts';
import { print, table } from './output.ts';

interface StoreOption extends JsonOption {
  store: string;
}

const list = () =>
  new Command('list')
    .description('Temu’s carriers for a store, and what is pinned')
    .requiredOption('--store <name>', 'the store')
    .option('--fresh', 'ask Temu instead of using the day’s list')
    .option('--json', 'print one JSON document')
    .action((options: StoreOption & { fresh?: boolean }) =>
      withFleet(async (fleet) => {
        const store = openStore(await storeByName(fleet.db, options.store), fleet.secrets);
        const companies = await companiesOf(fleet, store, { fresh: options.fresh ?? false });
        if (!companies.ok) {
          console.error(`Temu does not give its carriers: ${companies.failure.message}`);
          process.exitCode = 1;
          return;
        }
        const pins = await fleet.db.$client<{ carrier: string; providerId: string }[]>`
          select carrier, provider_id as "providerId" from carrier_pins where store_id = ${store.id} order by carrier`;
        const pinsOf = (id: string) =>
          pins.filter(({ providerId }) => providerId === id).map(({ carrier }) => carrier);
        print(options, { companies: companies.value, pins }, () =>
          table(
            ['id', 'name', 'brand', 'found as', 'pinned for'],
            companies.value.map(({ id, name, brand }) => [
              id,
              name,
              brand,
              normalCarrier(name),
              pinsOf(id).join(', ') || null,
            ]),
          ),
        );
      }),
    );

const pin = () =>
  new Command('pin')
    .description('settle by hand which of Temu’s carriers a name means; parked AWBs of it are tried again')
    .argument('<carrier>', 'the name that the shipping app uses, e.g. fancourier')
    .argument('<id>', 'Temu’s provider id, see: carriers list')
    .requiredOption('--store <name>', 'the store')
    .option('--json', 'print one JSON document')
    .action((carrier: string, id: string, options: StoreOption) =>
      withFleet(async (fleet) => {
        const { db, secrets, clock } = fleet;
        const store = await storeByName(db, options.store);
        if (!/^\d+$/.test(id))
          throw new UserError(
            `A provider id is a number; "${id}" is not. See: orderfleet carriers list --store "${store.name}"`,
          );
        const name = normalCarrier(carrier);
        if (!name) throw new UserError(`"${carrier}" is no carrier's name`);
        // a wrong id is a wrong parcel
        const companies = await companiesOf(fleet, openStore(store, secrets));
        if (companies.ok && !companies.value.some((one) => one.id === id))
          throw new UserError(
            `Temu has no carrier ${id} for "${store.name}". See: orderfleet carriers list --store "${store.name}" --fresh`,
          );
        if (!companies.ok)
          console.error(`Not checked, Temu does not give its carriers: ${companies.failure.message}`);
        const now = new Date(clock());
        await db.$client`
          insert into carrier_pins (store_id, carrier, provider_id, pinned_at) values (${store.id}, ${name}, ${id}, ${now})
          on conflict (store_id, carrier) do update set provider_id = excluded.provider_id, pinned_at = excluded.pinned_at`;
        const again = await db.$client`
          update temu_pushes p set state = 'pending', due_at = ${now}, offered_at = null
          from orders o where o.id = p.order_id and o.store_id = ${store.id} and p.state = 'parked'
            and p.unmatched_carrier = ${name} returning 1`;
        print(
          options,
          { store: store.name, carrier: name, providerId: id, retried: again.length },
          () =>
            `${name} means ${id} for "${store.name}". ${again.length} parked AWB${again.length === 1 ? ' is' : 's are'} tried again.`,
        );
      }),
    );

const unpin = () =>
  new Command('unpin')
    .description('take a pin back')
    .argument('<carrier>')
    .requiredOption('--store <name>', 'the store')
    .option('--json', 'print one JSON document')
    .action((carrier: string, options: StoreOption) =>
      withFleet(async ({ db }) => {
        const store = await storeByName(db, options.store);
        const gone = await db.$client`
          delete from carrier_pins where store_id = ${store.id} and carrier = ${normalCarrier(carrier)} returning 1`;
        if (gone.length === 0) throw new UserError(`"${carrier}" is not pinned for "${store.name}"`);
        print(
          options,
          { store: store.name, carrier: normalCarrier(carrier), pinned: false },
          () => 'The pin is gone.',
        );
      }),
    );

export const carriersCommand = () => {
  const command = new Command('carriers');
  for (const one of [list, pin, unpin]) command.addCommand(one());
  return command.addHelpText(
    'after',
    `
Examples:
  orderfleet carriers list --store my-shop
  orderfleet carriers pin dpd 978211745 --store my-shop
  orderfleet carriers unpin dpd --store my-shop`,
  );
};
