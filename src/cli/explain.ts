import { Command } from 'commander';
import { readStories, toldStories } from '../stories.ts';
import type { ParcelStory } from '../temu/awb/index.ts';
import type { OrderStory } from '../temu/orders/story.ts';
import type { TrackingStory } from '../tracking/index.ts';
import { type JsonOption, withFleet } from './context.ts';
import { bold, print, red, relative, table, yellow } from './output.ts';

const tell = (story: OrderStory) =>
  [
    `${bold(story.marketplaceOrderId)}  ${story.store ? `store "${story.store}"` : 'no store'}  ${bold(story.status)}`,
    story.because,
    '',
    ...Object.entries(story.facts).map(([name, value]) => `  ${name.padEnd(10)} ${value ?? '–'}`),
    ...(story.products.length > 0
      ? [
          '',
          table(
            ['quantity', 'price', 'SKU', 'Temu SKU', 'title'],
            story.products.map((one) => [
              one.quantity,
              one.price,
              one.sku,
              one.temuSkuId,
              one.title?.slice(0, 50) ?? null,
            ]),
          ),
        ]
      : []),
    ...(story.openErrors.length > 0 ? ['', ...story.openErrors.map((error) => red(error))] : []),
    '',
    ...story.events.map((event) => `  ${event.at.toISOString()}  ${event.what}`),
  ].join('\n');

const tellParcel = (parcel: ParcelStory) =>
  `${bold(`AWB ${parcel.awbNumber ?? '(none)'}`)}  ${parcel.order ? `order ${parcel.order}` : 'order not known'}  ${parcel.carrier ?? ''}
${parcel.because}`;

const SIBLINGS: Record<TrackingStory['siblings'][number]['is'], string> = {
  split: 'another parcel of the order',
  after: 'the order was booked again as',
  before: 'the order was booked before as',
};

const tellTracking = (story: TrackingStory) => {
  const number = [
    ...(story.awbNumber ? [`AWB ${story.awbNumber}`] : []),
    ...(story.lrNumber ? [`LR ${story.lrNumber}`] : []),
  ].join(', ');
  const facts: [string, string | null][] = [
    ['booked', `${story.bookedAt.toISOString()} with ${story.bookingCourier}`],
    [
      'courier',
      story.courierStatus &&
        `${story.courierStatus}${story.statusAt ? ` since ${story.statusAt.toISOString()}` : ''}`,
    ],
    ['last asked', story.lastAskedAt ? relative(story.lastAskedAt) : 'never'],
    ['next run', story.nextRunAt && relative(story.nextRunAt)],
    [
      'not known',
      story.unmapped &&
        yellow(
          `"${story.unmapped.word}"${story.unmapped.at ? `, said of ${story.unmapped.at.toISOString()}` : ''}`,
        ),
    ],
  ];
  return [
    `${bold(`Tracking of ${number}`)}  order ${story.order} from ${story.source}  ${bold(story.status)}`,
    story.because,
    ...facts.flatMap(([name, value]) => (value ? [`  ${name.padEnd(10)} ${value}`] : [])),
    ...story.siblings.map((one) => `  ${SIBLINGS[one.is]} ${one.number}, ${one.status}`),
    ...(story.events.length > 0
      ? [
          table(
            ['happened', 'status', 'the courier’s word', 'heard'],
            story.events.map((event) => [
              event.occurredAt.toISOString(),
              event.status,
              event.courierStatus,
              event.recordedAt.toISOString(),
            ]),
          ),
        ]
      : ['  no change of status yet']),
  ].join('\n');
};

export const explainCommand = () =>
  new Command('explain')
    .argument('<number>', 'an order number, e.g. PO-076-13925293151271879, an AWB or an LR number')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Tells of an order what it is, why, and what happened to it; of a parcel whether Temu has its number, who asks for it and
why, or why nobody. Ends 1 when the number is not known.

Examples:
  orderfleet explain PO-076-13925293151271879
  orderfleet explain 2071234567890`,
    )
    .action((given: string, options: JsonOption) =>
      withFleet(async (fleet) => {
        const number = given.trim();
        const stories = await readStories(fleet, number);
        if (Object.values(stories).every((list) => list.length === 0)) {
          print(
            options,
            stories,
            () =>
              `Neither an order nor a parcel ${number} is known. Is its store added and synced (orderfleet status), or its file imported (orderfleet shipments import)?`,
          );
          process.exitCode = 1;
          return;
        }
        print(options, stories, () => {
          const { orders, parcels, tracking } = toldStories(stories);
          return [...orders.map(tell), ...parcels.map(tellParcel), ...tracking.map(tellTracking)].join(
            '\n\n',
          );
        });
      }),
    );
