import { Command } from 'commander';
import { mapWord, STATUSES, type StrangeWord, strangeWords, unmapWord } from '../tracking/index.ts';
import { type JsonOption, withFleet } from './context.ts';
import { green, print, relative, table, yellow } from './output.ts';

const told = (sample: StrangeWord['sample']) =>
  Object.values(sample)
    .filter((value) => value !== null)
    .join(' · ');

const list = () =>
  new Command('list')
    .description('words of couriers that no table has, with what is settled about them')
    .option('--json', 'print one JSON document')
    .action((options: JsonOption) =>
      withFleet(async ({ db }) => {
        const words = await strangeWords(db);
        print(options, words, () =>
          words.length === 0
            ? 'Every word that couriers have said is known.'
            : [
                table(
                  ['tracker', 'word', 'parcels', 'now', 'first seen', 'last seen', 'means', 'for example'],
                  words.map((one) => [
                    one.tracker,
                    one.word,
                    one.count,
                    one.showing,
                    relative(one.firstSeenAt),
                    relative(one.lastSeenAt),
                    one.means === null ? yellow('open') : green(one.means),
                    told(one.sample),
                  ]),
                ),
                ...(words.some(({ means }) => means === null)
                  ? ['\nSettle one: orderfleet words map TRACKER WORD STATUS']
                  : []),
              ].join('\n'),
        );
      }),
    );

const parcelsText = (count: number) => `${count} parcel${count === 1 ? '' : 's'}`;

const map = () =>
  new Command('map')
    .description('settle what a word means, and apply it to the parcels that show it')
    .argument('<tracker>', 'as words list shows it')
    .argument('<word>', 'as words list shows it')
    .argument('<status>', `${STATUSES.join(', ')}; or unchanged: the word changes nothing`)
    .option('--json', 'print one JSON document')
    .action((name: string, given: string, status: string, options: JsonOption) =>
      withFleet(async (fleet) => {
        const mapped = await mapWord(fleet, name, given, status);
        const { tracker, word, means, before, parcels } = mapped;
        print(options, mapped, () =>
          [
            `"${word}" of ${tracker} means ${means} from now on${before && before !== means ? ` (it meant ${before})` : ''}.`,
            parcels > 0
              ? `Applied to ${parcelsText(parcels)} that showed it.`
              : 'No parcel shows it at the moment.',
          ].join('\n'),
        );
      }),
    );

const unmap = () =>
  new Command('unmap')
    .description('take back what was settled about a word; parcels keep the status they got by it')
    .argument('<tracker>')
    .argument('<word>')
    .option('--json', 'print one JSON document')
    .action((name: string, given: string, options: JsonOption) =>
      withFleet(async (fleet) => {
        const { tracker, word, before } = await unmapWord(fleet, name, given);
        print(
          options,
          { tracker, word, means: null, before },
          () =>
            `"${word}" of ${tracker} is open again (it meant ${before}). Parcels keep what they got by it.`,
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
