import { and, eq, sql } from 'drizzle-orm';
import { despiteOutage } from '../../db/despite-outage.ts';
import type { RowOf } from '../../db/query.ts';
import { temuApiPauses, temuStores, temuSyncWindows } from '../../db/schema/index.ts';
import {
  type Claim,
  ClaimLost,
  claim,
  explainUnclaimed,
  finish,
  release,
  renew,
  retry,
} from '../../leases/claim.ts';
import { defineClaims } from '../../leases/define-claims.ts';
import { FailureError, type Result } from '../../lib/errors.ts';
import { isInfrastructureFault } from '../../lib/infrastructure.ts';
import { notify } from '../../notices/index.ts';
import { backoffMs } from '../../queue/define.ts';
import { type JobContext, type Outcome, TimeUp } from '../../queue/handle.ts';
import { type Store, withRetries } from '../client.ts';
import type { OrdersDeps } from '../deps.ts';
import { activeStore, pauseRefusedStore } from '../stores.ts';
import { API_PAUSE_MS, pauseApi } from './api-breaker.ts';
import { storeInInbox, toInboxRow } from './inbox.ts';
import { enqueueFresh } from './inbox-orders.ts';
import { temuPages } from './queues.ts';
import { type ListPage, listPage, parseResponse } from './responses.ts';
import { windows } from './schedule-windows.ts';

/** T3; Temu allows no more. */
export const PAGE_SIZE = 100;
/** A window is read at most this often; then a gap between Temu's total and what was read is reported and accepted. */
const ROUNDS = 3;
/** The lease of a window while it is read; each page renews it. */
const LEASE_MS = 90_000;
/** A window that failed is retried after this long, doubling up to the maximum. */
const RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 15 * 60_000;

/** Reads page `number`: Temu's total at that moment, and its orders. */
export type ReadPage = (number: number) => Promise<ListPage>;

export interface WindowRead {
  /** The last total that Temu returned for the window. */
  expected: number;
  /** Distinct orders that were read. */
  seen: number;
}

/**
 * T3: reads a closed window of a list that shifts while it is read. An order that changes leaves the window, and
 * everything behind it moves up one place, towards page 1. Reading forwards would miss what moves from page 2 to page
 * 1 after page 1 was read. So page 1 is read for the total, then the pages from the last to the first: whatever
 * moves, moves to a page that is still to be read. Page 1 is read again at the end, for the same reason.
 * The read then checks itself: Temu's total on that last page must not exceed the orders seen, and page 1 may have no
 * new head; otherwise (an order entered late, clocks differ) the window is read again.
 */
export async function readWindow(
  read: ReadPage,
  store: (items: readonly unknown[]) => Promise<void>,
  keyOf: (item: unknown) => string,
): Promise<WindowRead> {
  const seen = new Set<string>();
  const take = async (page: ListPage) => {
    await store(page.pageItems);
    for (const item of page.pageItems) seen.add(keyOf(item));
    return page.totalItemNum;
  };

  let first = await read(1);
  for (let round = 1; ; round++) {
    const pages = Math.ceil(first.totalItemNum / PAGE_SIZE);
    let last = first;
    let expected = first.totalItemNum;
    if (pages <= 1) expected = await take(first);
    else
      for (let number = pages; number >= 1; number--) {
        last = await read(number);
        expected = await take(last);
      }
    const whole = seen.size >= expected && !hasNewHead(first.pageItems.map(keyOf), last.pageItems.map(keyOf));
    if (whole || round === ROUNDS) return { expected, seen: seen.size };
    first = await read(1);
  }
}

/**
 * A late entry stands above the orders that were on page 1 before; one that only moved up stands below them. In
 * Temu's total, an order that left cancels out one that entered, which hides that a third one was pushed behind a
 * page already read.
 */
const hasNewHead = (before: readonly string[], after: readonly string[]): boolean => {
  const known = new Set(before);
  const lastKnown = after.findLastIndex((key) => known.has(key));
  return after.slice(0, Math.max(0, lastKnown)).some((key) => !known.has(key));
};

/** Handler of temu-pages. */
export async function syncWindow(
  deps: OrdersDeps,
  { windowId }: { windowId: string },
  context: JobContext,
): Promise<Outcome> {
  const { redelivered } = context;
  const claimed = await claim(deps, ONE_WINDOW, { windowId }, { leaseMs: LEASE_MS, redelivered });
  const [window] = claimed?.rows ?? [];
  if (!claimed || !window) return await explainUnclaimed(deps, ONE_WINDOW, { windowId });
  const store = await activeStore(deps.db, deps.secrets, window.storeId);
  if (!store) {
    await release(deps, claimed);
    return { outcome: 'store paused' };
  }
  const work: WindowWork = { deps, claimed, window, store, signal: context.signal };

  try {
    const read = await readWindow(
      (number) => readListPage(work, number),
      async (items) => {
        await storeInInbox(deps, store.id, items.map(toInboxRow));
        await enqueueFresh(deps, store.id);
      },
      (item) => toInboxRow(item).parentOrderSn,
    );
    await complete(work, read);
    return { outcome: 'complete', store: store.name, expected: read.expected, stored: read.seen };
  } catch (error) {
    if (error instanceof ClaimLost) return { outcome: 'taken over by another worker' };
    if (error instanceof FailureError) return await onFailure(work, error);
    await interrupted(work, error);
    throw error;
  }
}

const WINDOW = {
  id: temuSyncWindows.id,
  storeId: temuSyncWindows.storeId,
  start: temuSyncWindows.windowStart,
  end: temuSyncWindows.windowEnd,
  attempts: temuSyncWindows.attempts,
};
type Window = RowOf<typeof WINDOW>;
const ONE_WINDOW = defineClaims(windows, {
  where: sql`${temuSyncWindows.id} = ${sql.placeholder('windowId')}`,
  fields: WINDOW,
  set: { error: null },
});

/** A worker's lease on a window. */
interface WindowWork {
  deps: OrdersDeps;
  claimed: Claim<Window>;
  window: Window;
  store: Store;
  signal: AbortSignal;
}

/** Due again at once, for the next worker, who reads it from its start; later if its time was up. */
async function interrupted({ deps, claimed, signal }: WindowWork, error: unknown): Promise<void> {
  if (signal.reason instanceof TimeUp)
    await retry(deps, claimed, {
      dueAt: new Date(deps.clock() + RETRY_MS),
      error: signal.reason.message,
    });
  else if (signal.aborted) await release(deps, claimed);
  // the job comes back in seconds, the lease would keep it out for a minute and a half
  else if (isInfrastructureFault(error))
    await despiteOutage(() => release(deps, claimed), signal).catch(() => {});
}

async function readListPage(
  { deps, claimed, window, store, signal }: WindowWork,
  number: number,
): Promise<ListPage> {
  const seconds = (time: Date) => Math.floor(time.getTime() / 1000);
  const page: Result<ListPage> = await withRetries(
    temuPages.attempts,
    (tries) => backoffMs(temuPages.backoff, tries),
    signal,
    async () => {
      // five tries of a failing page take longer than the lease
      if ((await renew(deps, claimed, LEASE_MS)) === 0) throw new ClaimLost();
      return parseResponse(
        'orderList',
        listPage,
        await deps.temu.call(
          store,
          'orderList',
          {
            pageSize: PAGE_SIZE,
            pageNumber: number,
            updateAtStart: seconds(window.start),
            updateAtEnd: seconds(window.end),
          },
          { share: 'pages', signal },
        ),
      );
    },
  );
  if (!page.ok) throw new FailureError(page.failure);
  return page.value;
}

/** T2: only now, with every page stored, does the store's last sync time advance. */
async function complete({ deps, claimed, window, store }: WindowWork, read: WindowRead): Promise<void> {
  const gap = read.expected - read.seen;
  const finishedAt = new Date(deps.clock());
  await deps.db.transaction(async (tx) => {
    await finish({ db: tx }, claimed, 'complete', {
      set: { expected: read.expected, stored: read.seen, error: null, finishedAt },
    });
    await tx
      .delete(temuApiPauses)
      .where(and(eq(temuApiPauses.storeId, window.storeId), eq(temuApiPauses.api, 'orderList')));
    await tx
      .update(temuStores)
      .set({
        lastSyncedAt: sql`greatest(${temuStores.lastSyncedAt}, ${sql.param(window.end, temuStores.lastSyncedAt)})`,
      })
      .where(eq(temuStores.id, window.storeId));
    if (gap > 0)
      await notify(tx, 'sync-gap', {
        ...{ storeId: store.id, store: store.name, windowId: window.id, from: window.start, to: window.end },
        ...{ expected: read.expected, seen: read.seen, reads: ROUNDS },
      });
  });
}

/** A window that could not be read stays open and is retried: giving up would miss orders. */
async function onFailure(
  { deps, claimed, window, store }: WindowWork,
  error: FailureError,
): Promise<Outcome> {
  const { failure } = error;
  const again = (ms: number) =>
    retry(deps, claimed, { dueAt: new Date(deps.clock() + ms), error: failure.message });
  switch (failure.kind) {
    case 'credentials':
    case 'bug':
      // paused first: whoever looks meanwhile sees the reason and its remedy
      await pauseRefusedStore(deps.db, store, failure);
      await again(0);
      return { outcome: 'store paused', store: store.name, why: failure.message };
    case 'scope': // AWBs of known orders still work (T16)
      await pauseApi(deps, store, 'orderList', failure);
      await again(API_PAUSE_MS);
      return { outcome: 'order access refused', store: store.name, why: failure.message };
    case 'throttled':
      await release(deps, claimed, { dueAt: new Date(deps.clock() + RETRY_MS / 2) });
      return { outcome: 'throttled', store: store.name };
    default: {
      const ms = Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** Math.max(0, window.attempts - 1));
      await again(ms);
      return { outcome: 'will retry', store: store.name, why: failure.message, againInMs: ms };
    }
  }
}
