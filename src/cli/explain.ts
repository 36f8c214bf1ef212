import { Command } from 'commander';
import { readTimelines, visibleTimelines } from '../ops/explain.ts';
import type { OrderTimeline } from '../orders/timeline.ts';
import type { PushTimeline } from '../temu/awb/index.ts';
import type { TrackingTimeline } from '../tracking/index.ts';
import { type JsonOption, withFleet } from './context.ts';
import { bold, print, red, relative, table, utc, yellow } from './output.ts';

const LABEL_WIDTH = 12;
const factLine = (label: string, value: string) => `  ${label.padEnd(LABEL_WIDTH)} ${value}`;

const factText = (value: OrderTimeline['facts'][string]) =>
  value instanceof Date ? `${utc(value)} (${relative(value)})` : (value ?? '–');

const orderText = (order: OrderTimeline) =>
  [
    `${bold(order.marketplaceOrderId)}  ${order.store ? `store "${order.store}"` : 'no store'}  ${bold(order.status)}`,
    order.because,
    '',
    ...Object.entries(order.facts).map(([label, value]) => factLine(label, factText(value))),
    ...(order.products.length > 0
      ? [
          '',
          table(
            ['quantity', 'price', 'SKU', 'Temu SKU', 'title'],
            order.products.map((one) => [
              one.quantity,
              one.price,
              one.sku,
              one.temuSkuId,
              one.title?.slice(0, 50) ?? null,
            ]),
          ),
        ]
      : []),
    ...(order.openErrors.length > 0 ? ['', ...order.openErrors.map((error) => red(error))] : []),
    '',
    ...order.events.map((event) => `  ${utc(event.at)}  ${event.what}`),
  ].join('\n');

const parcelText = (parcel: PushTimeline) =>
  `${bold(`AWB ${parcel.awbNumber ?? '(none)'}`)}  ${parcel.order ? `order ${parcel.order}` : 'order unknown'}  ${parcel.carrier ?? ''}
${parcel.because}`;

const SIBLINGS: Record<TrackingTimeline['siblings'][number]['is'], string> = {
  split: 'another parcel of this order:',
  after: 'rebooked as',
  before: 'previously booked as',
  return: 'goes back as',
  redirection: 'redirected as',
  'return-of': 'the return of',
  'redirection-of': 'redirected from',
};

const trackingText = (parcel: TrackingTimeline) => {
  const number = [
    ...(parcel.awbNumber ? [`AWB ${parcel.awbNumber}`] : []),
    ...(parcel.lrNumber ? [`LR ${parcel.lrNumber}`] : []),
  ].join(', ');
  const facts: [string, string | null][] = [
    ['booked', `${utc(parcel.bookedAt)} with ${parcel.bookingCourier}`],
    [
      'raw status',
      parcel.courierStatus &&
        `${parcel.courierStatus}${parcel.statusAt ? ` since ${utc(parcel.statusAt)}` : ''}`,
    ],
    ['last checked', parcel.lastAskedAt ? relative(parcel.lastAskedAt) : 'never'],
    ['next run', parcel.nextRunAt && relative(parcel.nextRunAt)],
    [
      'unmapped',
      parcel.unmapped &&
        yellow(`"${parcel.unmapped.word}"${parcel.unmapped.at ? `, dated ${utc(parcel.unmapped.at)}` : ''}`),
    ],
  ];
  return [
    `${bold(`Tracking of ${number}`)}  order ${parcel.order} from ${parcel.source}  ${bold(parcel.status)}`,
    parcel.because,
    ...facts.flatMap(([name, value]) => (value ? [factLine(name, value)] : [])),
    ...parcel.siblings.map((one) => `  ${SIBLINGS[one.is]} ${one.number}, ${one.status}`),
    ...(parcel.events.length > 0
      ? [
          table(
            ['time', 'status', 'raw status', 'received'],
            parcel.events.map((event) => [
              utc(event.occurredAt),
              event.status,
              event.courierStatus,
              utc(event.recordedAt),
            ]),
          ),
        ]
      : ['  no status change yet']),
  ].join('\n');
};

export const explainCommand = () =>
  new Command('explain')
    .argument('<number>', 'an order number, e.g. PO-076-13925293151271879, an AWB or an LR number')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
For an order: its status, the reason, and its history. For a parcel: whether its number is on Temu, and which tracker
follows it or why none does. Exits 1 when the number is unknown.

Examples:
  orderfleet explain PO-076-13925293151271879
  orderfleet explain 2071234567890`,
    )
    .action((given: string, options: JsonOption) =>
      withFleet(async (fleet) => {
        const number = given.trim();
        const timelines = await readTimelines(fleet, number);
        if (Object.values(timelines).every((list) => list.length === 0)) {
          print(
            options,
            timelines,
            () =>
              `No order or parcel found for ${number}. Check that its store is added and synced (orderfleet status), or its file imported (orderfleet shipments import).`,
          );
          process.exitCode = 1;
          return;
        }
        print(options, timelines, () => {
          const { orders, parcels, tracking, warnings } = visibleTimelines(timelines);
          return [
            ...warnings.map(yellow),
            ...orders.map(orderText),
            ...parcels.map(parcelText),
            ...tracking.map(trackingText),
          ].join('\n\n');
        });
      }),
    );
