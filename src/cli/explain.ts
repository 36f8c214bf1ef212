import { Command } from 'commander';
import { type ParcelStory, parcelStories } from '../temu/awb/index.ts';
import { type OrderStory, orderStories } from '../temu/orders/story.ts';
import { type JsonOption, withFleet } from './context.ts';
import { bold, print, red, table } from './output.ts';

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

export const explainCommand = () =>
  new Command('explain')
    .description('the whole story of an order or a parcel, with the reasons')
    .argument('<number>', 'an order number, e.g. PO-076-13925293151271879, or an AWB number')
    .option('--json', 'print one JSON document')
    .action((given: string, options: JsonOption) =>
      withFleet(async ({ db }) => {
        const number = given.trim();
        const parcels = await parcelStories(db, number);
        const numbers = new Set([number, ...parcels.flatMap(({ order }) => (order ? [order] : []))]);
        const orders = (await Promise.all([...numbers].map((one) => orderStories(db, one)))).flat();
        if (orders.length === 0 && parcels.length === 0) {
          print(
            options,
            { orders, parcels },
            () =>
              `Neither an order nor an AWB ${number} is known. Is its store added and synced (orderfleet status)?`,
          );
          process.exitCode = 1;
          return;
        }
        print(options, { orders, parcels }, () =>
          [...orders.map(tell), ...parcels.map(tellParcel)].join('\n\n'),
        );
      }),
    );
