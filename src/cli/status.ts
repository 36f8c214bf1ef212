import { Command } from 'commander';
import type { DeliveryOverview } from '../alerts/index.ts';
import { storeFaults } from '../doctor/index.ts';
import { readOverview } from '../ops/overview.ts';
import type { StoreOverview } from '../temu/overview.ts';
import { type JsonOption, withQueues } from './context.ts';
import { bold, dim, print, red, relative, table, yellow } from './output.ts';
import { countsLine, trackersTable, wordsLine } from './trackers.ts';

/** How many orders a store has: `1204`, or `10030+` where not all were counted. */
export const ordersOf = ({ orders, more }: StoreOverview): string =>
  `${Object.values(orders).reduce((total, count) => total + count, 0)}${more.length > 0 ? '+' : ''}`;

export function storesTable(stores: readonly StoreOverview[]): string {
  if (stores.length === 0) return 'No store yet. Add one: orderfleet store add --help';
  const rows = stores.map((store) => [
    store.name,
    store.region,
    store.active ? (store.reading ? 'syncing' : 'active') : red('paused'),
    store.lastSyncedAt ? relative(store.lastSyncedAt) : 'never',
    store.lastWindow ? `${store.lastWindow.stored} of ${store.lastWindow.expected}` : '–',
    ordersOf(store),
    store.inbox.waiting,
    store.inbox.incomplete ? yellow(String(store.inbox.incomplete)) : 0,
    store.inbox.failed ? red(String(store.inbox.failed)) : 0,
  ]);
  const head = [
    'store',
    'region',
    'state',
    'synced up to',
    'last window',
    'orders',
    'waiting',
    'incomplete',
    'failed',
  ];
  const paused = stores.flatMap((store) => [
    ...(store.pausedReason ? [`${red(`"${store.name}" is paused`)}: ${store.pausedReason}`] : []),
    ...(store.reading?.error
      ? [`${yellow(`"${store.name}" cannot be synced right now`)}: ${store.reading.error}`]
      : []),
    ...Object.entries(store.pausedApis).map(
      ([api, reason]) =>
        `${yellow(`"${store.name}" has no access to ${api}`)}: ${reason}; retried every hour`,
    ),
  ]);
  return [table(head, rows), ...paused].join('\n');
}

/** Orders by status of all stores, in one line. */
export function ordersLine(stores: readonly StoreOverview[]): string {
  const total = new Map<string, number>();
  for (const store of stores)
    for (const [status, count] of Object.entries(store.orders))
      total.set(status, (total.get(status) ?? 0) + count);
  const more = new Set<string>(stores.flatMap((store) => store.more));
  const parts = [...total]
    .sort((a, b) => b[1] - a[1])
    .map(([status, count]) => `${status} ${count}${more.has(status) ? '+' : ''}`);
  return parts.join(' · ') || 'none yet';
}

/** Delivery of the notices of the last day, in one line or a few. */
function deliveryLines({ sent, waiting, failed, nowhere }: DeliveryOverview): string[] {
  const counts = [`${sent} sent`, `${waiting} waiting`, failed > 0 ? red(`${failed} failed`) : '0 failed'];
  return [
    `\n${bold('Messages, last 24 h')}  ${counts.join(' · ')}`,
    ...Object.entries(nowhere).map(([why, count]) => `  ${yellow(`${count} not sent`)}: ${why}`),
  ];
}

/** Milliseconds for checking Postgres and Redis, in parallel with the rest. */
const STORE_LOOK_MS = 8_000;

export const statusCommand = () =>
  new Command('status')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Exit codes: 0 success · 1 Postgres or Redis is not usable: the error and its fix come first · 2 wrong configuration, or
Postgres does not answer

Examples:
  orderfleet status
  orderfleet status --json | jq '.needsAPerson[].text'`,
    )
    .action((options: JsonOption) =>
      withQueues(async (fleet) => {
        const [overview, faults] = await Promise.all([
          readOverview(fleet),
          storeFaults(fleet, STORE_LOOK_MS),
        ]);
        const status = { ...overview, storeFaults: faults };
        if (faults.length > 0) process.exitCode = 1;
        print(options, status, () =>
          [
            ...faults.map(
              ({ store, says, remedy }) =>
                `${red(`✗ ${store}`)}: ${says}${remedy ? `\n    ${dim('→')} ${remedy}` : ''}\n`,
            ),
            storesTable(status.stores),
            `\n${bold('Orders')}  ${ordersLine(status.stores)}`,
            `\n${bold('Trackers')}`,
            trackersTable(status.tracking.trackers),
            `\n${bold('Tracked parcels')}  ${countsLine(status.tracking.parcels.followed)}`,
            `${bold('Status changes, last 24 h')}  ${countsLine(status.tracking.parcels.changes)}`,
            ...wordsLine(status.tracking.openWords),
            `\n${bold('Queues')} ${dim(`(${fleet.queues.backend.kind})`)}`,
            table(
              ['queue', 'waiting', 'active', 'delayed', 'failed'],
              status.queues.map((queue) => [
                queue.paused ? `${queue.queue} (paused)` : queue.queue,
                queue.waiting,
                queue.active,
                queue.delayed,
                queue.failed,
              ]),
            ),
            ...status.silent.map(({ queue, why }) => `${red(`${queue} does not answer`)}: ${why}`),
            ...(status.orderErrors.length > 0
              ? [
                  `\n${bold('Open order errors')}`,
                  table(
                    ['orders', 'type', 'message'],
                    status.orderErrors.map((error) => [error.orders, error.type, error.message.slice(0, 90)]),
                  ),
                ]
              : []),
            ...deliveryLines(status.delivery),
            `\n${bold('Needs attention')}`,
            ...(status.needsAPerson.length > 0
              ? status.needsAPerson.map((notice) => `  ${relative(notice.since)}: ${notice.text}`)
              : ['  nothing']),
          ].join('\n'),
        );
      }),
    );
