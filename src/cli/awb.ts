import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { Fleet } from '../fleet/index.ts';
import { UserError } from '../lib/errors.ts';
import { cleanNumber } from '../lib/numbers.ts';
import { ordersAtRisk } from '../orders/at-risk.ts';
import {
  awbPush,
  type PushState,
  pushByHand,
  pushStates,
  RETRY_AT_ONCE,
  retryPushes,
} from '../temu/awb/index.ts';
import { type JsonOption, withFleet, withQueues } from './context.ts';
import { green, print, red, relative, table, yellow } from './output.ts';

/** Final states; `unknown` is not: it is resolved by querying Temu within seconds. */
const AT_REST = new Set<PushState['state']>(['sent', 'rejected', 'parked', 'replaced']);
/** Longer than a call, its timeout and the first query after a lost response. */
const WATCH_MS = 45_000;

const paint = (state: PushState['state']) =>
  state === 'sent' ? green(state) : AT_REST.has(state) ? red(state) : yellow(state);

const listed = (pushes: readonly PushState[]) =>
  table(
    ['order', 'AWB', 'state', 'reason'],
    pushes.map((push) => [push.order, push.awbNumber, paint(push.state), push.error]),
  );

/** Waits until the pushes are final, or until that usually would be the case. */
async function follow(fleet: Fleet, ids: readonly string[]): Promise<PushState[]> {
  if ((await fleet.queues.workers(awbPush)) === 0)
    console.error(
      `No worker is running for ${awbPush.name}: start one with orderfleet up, or npm run worker -- awb`,
    );
  const until = Date.now() + WATCH_MS;
  for (;;) {
    const states = await pushStates(fleet, ids);
    const resting = states.every(({ state, later }) => AT_REST.has(state) || later);
    if (resting || Date.now() > until) return states;
    await sleep(300);
  }
}

function report(
  options: JsonOption,
  states: readonly PushState[],
  text: (sent: number) => string,
  warning?: string,
): void {
  const sent = states.filter(({ state }) => state === 'sent').length;
  const failed = states.length - sent;
  const pushes = states.map(({ later: _, ...state }) => state);
  print(
    options,
    { retried: states.length, succeeded: sent, failed, pushes, ...(warning && { warning }) },
    () =>
      [
        ...(states.length > 0 ? [listed(states), ''] : []),
        ...(warning ? [yellow(`${warning}.`)] : []),
        text(sent),
      ].join('\n'),
  );
  if (failed > 0) process.exitCode = 1;
}

const push = () =>
  new Command('push')
    .description('send an order’s AWB number to Temu, as the shipping app would')
    .argument('<order>', 'the marketplace’s order number')
    .argument('<awb>', 'the AWB number')
    .option('--carrier <name>', 'the carrier', 'fancourier')
    .option('--json', 'print one JSON document')
    .action((order: string, awb: string, options: JsonOption & { carrier: string }) =>
      withQueues(async (fleet) => {
        const ids = await pushByHand(fleet, order.trim(), awb.trim(), options.carrier);
        report(
          options,
          await follow(fleet, ids),
          (sent) =>
            ids.length === 0
              ? 'Recorded. The order is not from Temu, so nothing is sent.'
              : sent > 0
                ? 'Sent to Temu.'
                : 'Not sent to Temu yet: see the reason above.',
          fleet.numberWarning(options.carrier, cleanNumber(awb)),
        );
      }),
    );

const retry = () =>
  new Command('retry')
    .description(
      `retry AWBs that are not on Temu: those of one order, or with --failed up to ${RETRY_AT_ONCE} with an error`,
    )
    .argument('[order]', 'the marketplace’s order number')
    .option('--failed', `all with an error, earliest deadline first, ${RETRY_AT_ONCE} per call`)
    .option('--json', 'print one JSON document')
    .action((order: string | undefined, options: JsonOption & { failed?: boolean }) =>
      withQueues(async (fleet) => {
        if (order === undefined && !options.failed)
          throw new UserError('Give an order number, or --failed for all with an error.');
        const ids = await retryPushes(
          fleet,
          order === undefined ? { failed: true } : { order: order.trim() },
        );
        report(
          options,
          await follow(fleet, ids),
          (sent) => `Retried ${ids.length}: ${sent} succeeded, ${ids.length - sent} failed.`,
        );
      }),
    );

const list = () =>
  new Command('list')
    .description(
      'orders that must ship within two hours or are overdue, and whose tracking number is not on Temu',
    )
    .option('--at-risk', 'only orders at risk (default)')
    .option('--json', 'print one JSON document')
    .action((options: JsonOption) =>
      withFleet(async (fleet) => {
        const orders = await ordersAtRisk(fleet.db, fleet.clock());
        print(options, orders, () =>
          orders.length === 0
            ? 'No orders at risk.'
            : table(
                ['ship by', 'order', 'store', 'AWB', 'state', 'reason'],
                orders.map((one) => [
                  relative(one.shipBy),
                  one.order,
                  one.store,
                  one.awbNumber,
                  one.push ?? 'no AWB',
                  one.error,
                ]),
              ),
        );
      }),
    );

export const awbCommand = () => {
  const command = new Command('awb');
  for (const one of [push, retry, list]) command.addCommand(one());
  return command.addHelpText(
    'after',
    `
Examples:
  orderfleet awb push PO-076-13925293151271879 2071234567890 --carrier sameday
  orderfleet awb retry PO-076-13925293151271879
  orderfleet awb retry --failed
  orderfleet awb list --at-risk`,
  );
};
