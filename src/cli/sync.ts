import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import logUpdate from 'log-update';
import { UserError } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import { enqueueDue } from '../leases/enqueue.ts';
import { inboxOrders, openWindows, replaySetAside, temuOrders, temuPages } from '../temu/orders/index.ts';
import { storeOverviews } from '../temu/overview.ts';
import { storeByName } from '../temu/stores.ts';
import { type JsonOption, withQueues } from './context.ts';
import { green, print, red } from './output.ts';

interface SyncOptions extends JsonOption {
  store?: string;
  wait?: boolean;
  failed?: boolean;
}

interface SyncState {
  store: string;
  active: boolean;
  window: 'open' | 'complete';
  expected: number | null;
  stored: number;
  waiting: number;
  failed: number;
  incomplete: number;
  problem: string | null;
}

/** @param failed count what was set aside at any time, not only since the window was opened */
async function readState({ db }: Fleet, windowIds: readonly string[], failed: boolean): Promise<SyncState[]> {
  return await db.$client<SyncState[]>`
    select s.name as store, s.active, w.state as window, w.expected, w.stored,
      count(i.*) filter (where i.state = 'pending')::int as waiting,
      count(i.*) filter (where i.state = 'failed' and (${failed} or i.received_at >= w.created_at))::int as failed,
      count(i.*) filter (where i.state = 'incomplete')::int as incomplete,
      case when s.active then w.error else s.paused_reason end as problem
    from temu_sync_windows w join temu_stores s on s.id = w.store_id
      left join temu_order_inbox i on i.store_id = s.id and i.state <> 'stored'
    where w.id = any(${windowIds as string[]}::uuid[])
    group by s.name, s.active, s.paused_reason, w.state, w.created_at, w.expected, w.stored, w.error order by s.name`;
}

/** Nothing more comes of it by itself soon: all done, store paused, or the window failed and waits for its next try. */
const isSettled = (state: SyncState) =>
  !state.active || state.problem !== null || (state.window === 'complete' && state.waiting === 0);

const line = (state: SyncState) =>
  `${state.store}: ${state.window === 'complete' ? `window read, ${state.stored} of ${state.expected} orders` : 'reading the window'}, ${state.waiting} still to be enriched${state.incomplete ? `, ${state.incomplete} incomplete` : ''}${state.failed ? `, ${red(`${state.failed} failed`)}` : ''}${state.problem ? `  ${red(state.problem)}` : ''}`;

export const syncCommand = () =>
  new Command('sync')
    .option('--store <name>', 'only this one')
    .option('--failed', 'try orders again that were set aside, when what stood in their way is mended')
    .option('--wait', 'show progress; ends 0 when all is settled, 1 when something failed')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Reads what has changed since an hour before the last sync; a store's first one reads 90 days.

Examples:
  orderfleet sync
  orderfleet sync --store my-shop --wait
  orderfleet sync --failed --wait`,
    )
    .action((options: SyncOptions) =>
      withQueues(async (fleet) => {
        const stores = await storeOverviews(fleet.db);
        const wanted = options.store ? [await storeByName(fleet.db, options.store)] : null;
        if (stores.length === 0) throw new UserError('There is no store yet: orderfleet store add --help');
        const paused = stores.filter((store) => !store.active && (!wanted || wanted[0]?.name === store.name));
        for (const store of paused)
          console.error(`Store "${store.name}" is paused and not read: ${store.pausedReason}`);
        const ids = await fleet.db.$client<{ id: string }[]>`
          select id from temu_stores where active ${wanted ? fleet.db.$client`and name = ${wanted[0]?.name ?? ''}` : fleet.db.$client``}`;
        const windows = await openWindows(
          fleet,
          ids.map((row) => row.id),
        );
        const again = options.failed
          ? await replaySetAside(
              fleet,
              ids.map((row) => row.id),
            )
          : 0;
        if (again > 0) await enqueueDue(fleet, inboxOrders);
        if (!options.wait) {
          print(
            options,
            { started: windows.length, ...(options.failed ? { again } : {}) },
            () =>
              `${windows.length} sync${windows.length === 1 ? '' : 's'} started${options.failed ? `, ${again} ${again === 1 ? 'order' : 'orders'} tried again` : ''}: orderfleet status`,
          );
          if (paused.length > 0) process.exitCode = 1;
          return;
        }
        const states = await follow(fleet, windows, options);
        const good = paused.length === 0 && states.every((state) => !state.problem && state.failed === 0);
        print(options, states, () =>
          good ? green('All orders are settled.') : red('Not all is well: orderfleet status'),
        );
        if (!good) process.exitCode = 1;
      }),
    );

/** Looks twice a second until all is settled. */
async function follow(fleet: Fleet, windows: readonly string[], options: SyncOptions): Promise<SyncState[]> {
  for (const queue of [temuPages, temuOrders])
    if ((await fleet.queues.workers(queue)) === 0)
      console.error(
        `No worker takes jobs of ${queue.name}: start one with orderfleet up, or npm run worker -- temu`,
      );
  for (;;) {
    const states = await readState(fleet, windows, options.failed ?? false);
    if (!options.json && process.stdout.isTTY) logUpdate(states.map(line).join('\n'));
    if (states.every(isSettled)) {
      if (!options.json) {
        if (process.stdout.isTTY) logUpdate.clear();
        process.stdout.write(`${states.map(line).join('\n')}\n`);
      }
      return states;
    }
    await sleep(500);
  }
}
