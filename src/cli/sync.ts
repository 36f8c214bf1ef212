import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { and, eq, type SQL, sql } from 'drizzle-orm';
import logUpdate from 'log-update';
import { isAnyOf } from '../db/query.ts';
import { temuOrderInbox, temuStores, temuSyncWindows } from '../db/schema/index.ts';
import type { Fleet } from '../fleet/index.ts';
import { enqueueDue } from '../leases/enqueue.ts';
import { UserError } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { inboxOrders, openWindows, replayQuarantined, temuOrders, temuPages } from '../temu/orders/index.ts';
import { storeOverviews } from '../temu/overview.ts';
import { storeByName } from '../temu/stores.ts';
import { type JsonOption, withQueues } from './context.ts';
import { green, print, red } from './output.ts';

interface SyncOptions extends JsonOption {
  store?: string;
  wait?: boolean;
  failed?: boolean;
}

type SyncState = Awaited<ReturnType<typeof readState>>[number];

/** @param failed count all quarantined orders, not only those since the window was opened */
async function readState({ db }: Fleet, windowIds: readonly string[], failed: boolean) {
  const { state, receivedAt } = temuOrderInbox;
  const counted = (which: SQL) => sql<number>`count(*) filter (where ${which})::int`;
  const window = temuSyncWindows;
  return await db
    .select({
      store: temuStores.name,
      active: temuStores.active,
      window: window.state,
      expected: window.expected,
      stored: window.stored,
      waiting: counted(sql`${state} = 'pending'`),
      failed: counted(
        failed ? sql`${state} = 'failed'` : sql`${state} = 'failed' and ${receivedAt} >= ${window.createdAt}`,
      ),
      incomplete: counted(sql`${state} = 'incomplete'`),
      problem: sql<
        string | null
      >`case when ${temuStores.active} then ${window.error} else ${temuStores.pausedReason} end`,
    })
    .from(window)
    .innerJoin(temuStores, eq(temuStores.id, window.storeId))
    .leftJoin(temuOrderInbox, and(eq(temuOrderInbox.storeId, temuStores.id), sql`${state} <> 'stored'`))
    .where(isAnyOf(window.id, windowIds))
    .groupBy(window.id, temuStores.id)
    .orderBy(temuStores.name);
}

/** Nothing more to wait for: all done, store paused, or the window failed and waits for its next attempt. */
const isSettled = (state: SyncState) =>
  !state.active || state.problem !== null || (state.window === 'complete' && state.waiting === 0);

const line = (state: SyncState) =>
  `${state.store}: ${state.window === 'complete' ? `synced, ${state.stored} of ${state.expected} orders` : 'syncing'}, ${state.waiting} to enrich${state.incomplete ? `, ${state.incomplete} incomplete` : ''}${state.failed ? `, ${red(`${state.failed} failed`)}` : ''}${state.problem ? `  ${red(state.problem)}` : ''}`;

export const syncCommand = () =>
  new Command('sync')
    .option('--store <name>', 'only this store')
    .option('--failed', 'retry quarantined orders after their cause is fixed')
    .option('--wait', 'wait and show progress; exits 0 when all orders are done, 1 when something failed')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Reads what has changed since an hour before the last sync; a store's first sync reads 90 days.

Examples:
  orderfleet sync
  orderfleet sync --store my-shop --wait
  orderfleet sync --failed --wait`,
    )
    .action((options: SyncOptions) =>
      withQueues(async (fleet) => {
        const stores = await storeOverviews(fleet.db);
        const wanted = options.store ? await storeByName(fleet.db, options.store) : undefined;
        if (stores.length === 0) throw new UserError('No store yet. Add one: orderfleet store add --help');
        const paused = stores.filter((store) => !store.active && (!wanted || wanted.name === store.name));
        for (const store of paused)
          console.error(`Store "${store.name}" is paused and not synced: ${store.pausedReason}`);
        const on = await fleet.db
          .select({ id: temuStores.id })
          .from(temuStores)
          .where(and(temuStores.active, wanted ? eq(temuStores.id, wanted.id) : undefined));
        const ids = on.map(({ id }) => id);
        const windows = await openWindows(fleet, ids);
        const again = options.failed ? await replayQuarantined(fleet, ids) : 0;
        if (again > 0) await enqueueDue(fleet, inboxOrders);
        if (!options.wait) {
          print(
            options,
            { started: windows.length, ...(options.failed ? { again } : {}) },
            () =>
              `Started ${plural(windows.length, 'sync')}${options.failed ? `, retrying ${plural(again, 'order')}` : ''}. To follow: orderfleet status`,
          );
          if (paused.length > 0) process.exitCode = 1;
          return;
        }
        const states = await follow(fleet, windows, options);
        const good = paused.length === 0 && states.every((state) => !state.problem && state.failed === 0);
        print(options, states, () =>
          good ? green('All orders are up to date.') : red('Finished with problems: orderfleet status'),
        );
        if (!good) process.exitCode = 1;
      }),
    );

/** Polls twice a second until all is done. */
async function follow(fleet: Fleet, windows: readonly string[], options: SyncOptions): Promise<SyncState[]> {
  for (const queue of [temuPages, temuOrders])
    if ((await fleet.queues.workers(queue)) === 0)
      console.error(
        `No worker is running for ${queue.name}: start one with orderfleet up, or npm run worker -- temu`,
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
