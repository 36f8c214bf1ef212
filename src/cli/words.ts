import { Command } from 'commander';
import { plural } from '../lib/plural.ts';
import { listUnmapped, mapStatus, STATUSES, type UnmappedStatus, unmapStatus } from '../tracking/index.ts';
import { type JsonOption, withFleet } from './context.ts';
import { green, print, relative, table, yellow } from './output.ts';

const example = (sample: UnmappedStatus['sample']) =>
  Object.values(sample)
    .filter((value) => value !== null)
    .join(' · ');

const list = () =>
  new Command('list')
    .description('list unmapped courier statuses, and the ones mapped by hand')
    .option('--json', 'print one JSON document')
    .action((options: JsonOption) =>
      withFleet(async ({ db }) => {
        const words = await listUnmapped(db);
        print(options, words, () =>
          words.length === 0
            ? 'No unmapped courier statuses.'
            : [
                table(
                  ['tracker', 'raw status', 'parcels', 'now', 'first seen', 'last seen', 'status', 'example'],
                  words.map((one) => [
                    one.tracker,
                    one.word,
                    one.count,
                    one.showing,
                    relative(one.firstSeenAt),
                    relative(one.lastSeenAt),
                    one.means === null ? yellow('unmapped') : green(one.means),
                    example(one.sample),
                  ]),
                ),
                ...(words.some(({ means }) => means === null)
                  ? ['\nTo map one: orderfleet words map TRACKER WORD STATUS']
                  : []),
              ].join('\n'),
        );
      }),
    );

const map = () =>
  new Command('map')
    .description('map a raw status to a status, and apply it to the parcels that have it')
    .argument('<tracker>', 'as words list shows it')
    .argument('<word>', 'raw status, as words list shows it')
    .argument('<status>', `${STATUSES.join(', ')}; or unchanged to ignore it`)
    .option('--json', 'print one JSON document')
    .action((name: string, given: string, status: string, options: JsonOption) =>
      withFleet(async (fleet) => {
        const mapped = await mapStatus(fleet, name, given, status);
        const { tracker, word, means, before, parcels } = mapped;
        print(options, mapped, () =>
          [
            `"${word}" of ${tracker} is now mapped to ${means}${before && before !== means ? ` (was ${before})` : ''}.`,
            parcels > 0 ? `Applied to ${plural(parcels, 'parcel')}.` : 'No parcel has it right now.',
          ].join('\n'),
        );
      }),
    );

const unmap = () =>
  new Command('unmap')
    .description('remove a mapping; parcels keep their status')
    .argument('<tracker>')
    .argument('<word>')
    .option('--json', 'print one JSON document')
    .action((name: string, given: string, options: JsonOption) =>
      withFleet(async (fleet) => {
        const { tracker, word, before } = await unmapStatus(fleet, name, given);
        print(
          options,
          { tracker, word, means: null, before },
          () => `"${word}" of ${tracker} is unmapped again (was ${before}). Parcels keep their status.`,
        );
      }),
    );

export const wordsCommand = () =>
  new Command('words')
    .addCommand(list(), { isDefault: true })
    .addCommand(map())
    .addCommand(unmap())
    .addHelpText(
      'after',
      `
Examples:
  orderfleet words
  orderfleet words map velocity OUT_FOR_DRONE out_for_delivery
  orderfleet words map shiprocket LABEL_PRINTED unchanged`,
    );
