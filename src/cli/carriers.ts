import { Command } from 'commander';
import { and, eq, sql } from 'drizzle-orm';
import { carrierPins, orders, temuPushes } from '../db/schema/index.ts';
import { UserError } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { listCarriers, normalCarrier } from '../temu/awb/index.ts';
import { openStore, storeByName } from '../temu/stores.ts';
import { type JsonOption, withFleet } from './context.ts';
import { print, table } from './output.ts';

interface StoreOption extends JsonOption {
  store: string;
}

const list = () =>
  new Command('list')
    .description('list Temu’s carriers for a store, and the pinned ones')
    .requiredOption('--store <name>', 'the store')
    .option('--fresh', 'fetch the list from Temu instead of using today’s')
    .option('--json', 'print one JSON document')
    .action((options: StoreOption & { fresh?: boolean }) =>
      withFleet(async (fleet) => {
        const store = openStore(await storeByName(fleet.db, options.store), fleet.secrets);
        const companies = await listCarriers(fleet, store, { fresh: options.fresh ?? false });
        if (!companies.ok) {
          console.error(`Could not fetch the carriers from Temu: ${companies.failure.message}`);
          process.exitCode = 1;
          return;
        }
        const pins = await fleet.db
          .select({ carrier: carrierPins.carrier, providerId: carrierPins.providerId })
          .from(carrierPins)
          .where(eq(carrierPins.storeId, store.id))
          .orderBy(carrierPins.carrier);
        const pinsOf = (id: string) =>
          pins.filter(({ providerId }) => providerId === id).map(({ carrier }) => carrier);
        print(options, { companies: companies.value, pins }, () =>
          table(
            ['id', 'name', 'brand', 'matches', 'pinned for'],
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
    .description('set which of Temu’s carriers a name stands for, and retry AWBs that are parked for it')
    .argument('<carrier>', 'the name that the shipping app uses, e.g. fancourier')
    .argument('<id>', 'Temu’s provider id; see carriers list')
    .requiredOption('--store <name>', 'the store')
    .option('--json', 'print one JSON document')
    .action((carrier: string, id: string, options: StoreOption) =>
      withFleet(async (fleet) => {
        const { db, secrets, clock } = fleet;
        const store = await storeByName(db, options.store);
        if (!/^\d+$/.test(id))
          throw new UserError(
            `Provider id "${id}" is not a number. See: orderfleet carriers list --store "${store.name}"`,
          );
        const name = normalCarrier(carrier);
        if (!name) throw new UserError(`"${carrier}" is not a valid carrier name`);
        // a wrong id is a wrong parcel
        const companies = await listCarriers(fleet, openStore(store, secrets));
        if (companies.ok && !companies.value.some((one) => one.id === id))
          throw new UserError(
            `Temu has no carrier ${id} for "${store.name}". See: orderfleet carriers list --store "${store.name}" --fresh`,
          );
        if (!companies.ok)
          console.error(
            `Id not verified, could not fetch the carriers from Temu: ${companies.failure.message}`,
          );
        const now = new Date(clock());
        const pinned = { providerId: id, pinnedAt: now };
        await db
          .insert(carrierPins)
          .values({ storeId: store.id, carrier: name, ...pinned })
          .onConflictDoUpdate({ target: [carrierPins.storeId, carrierPins.carrier], set: pinned });
        const { count } = await db
          .update(temuPushes)
          .set({ state: 'pending', dueAt: now, offeredAt: null })
          .from(orders)
          .where(
            and(
              eq(orders.id, temuPushes.orderId),
              eq(orders.storeId, store.id),
              sql`${temuPushes.state} = 'parked'`,
              eq(temuPushes.unmatchedCarrier, name),
            ),
          );
        print(
          options,
          { store: store.name, carrier: name, providerId: id, retried: count },
          () => `${name} is pinned to ${id} for "${store.name}". Retrying ${plural(count, 'parked AWB')}.`,
        );
      }),
    );

const unpin = () =>
  new Command('unpin')
    .description('remove a pin')
    .argument('<carrier>')
    .requiredOption('--store <name>', 'the store')
    .option('--json', 'print one JSON document')
    .action((carrier: string, options: StoreOption) =>
      withFleet(async ({ db }) => {
        const store = await storeByName(db, options.store);
        const name = normalCarrier(carrier);
        const { count } = await db
          .delete(carrierPins)
          .where(and(eq(carrierPins.storeId, store.id), eq(carrierPins.carrier, name)));
        if (count === 0) throw new UserError(`"${carrier}" is not pinned for "${store.name}"`);
        print(options, { store: store.name, carrier: name, pinned: false }, () => 'Pin removed.');
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
