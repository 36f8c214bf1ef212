import { despiteOutage } from '../../db/despite-outage.ts';
import { FailureError, type Result } from '../../errors.ts';
import { isInfrastructureFault } from '../../infrastructure.ts';
import { backoffMs } from '../../queue/define.ts';
import { type JobContext, type Outcome, TimeUp } from '../../queue/handle.ts';
import { waitIfEarly } from '../../queue/turn.ts';
import { type Store, withRetries } from '../client.ts';
import { activeStore, pauseRefusedStore } from '../stores.ts';
import { type ListPage, listPage, readAnswer } from './answers.ts';
import { API_PAUSE_MS, pauseApi } from './api-pauses.ts';
import type { OrdersDeps } from './deps.ts';
import { offerOrders, storeInInbox, toInboxRow } from './inbox.ts';
import { temuPages } from './queues.ts';

/** T3; Temu allows no more. */
export const PAGE_SIZE = 100;
/** The window is read this often at most before a gap between Temu's total and what came is reported and let be. */
const ROUNDS = 3;
/** While it reads, a window is not offered to others; each page renews it. */
const LEASE_MS = 90_000;
/** A window that failed is tried again after this long, doubling up to the longest. */
const RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 15 * 60_000;

/** Reads page `number`: Temu's total at that moment, and what it gave. */
export type ReadPage = (number: number) => Promise<ListPage>;

export interface WindowRead {
  /** Temu's last word on how many orders are in the window. */
  expected: number;
  /** Distinct orders that came. */
  seen: number;
}

/**
 * T3: reads a closed window of a list that shifts while it is read. An order that changes leaves the window, and
 * everything behind it moves up one place, towards page 1. Reading forwards, what moves from page 2 to page 1 after
 * page 1 was read is never seen. So page 1 is asked for the total, then the pages are read from the last to the first:
 * whatever moves, moves to a page that is still to be read. Page 1 is read again at the end, for the same reason.
 * The end then proves itself: Temu's total on that last page must not exceed the orders seen, and nobody new may stand at
 * the head; else (an order entered late, a clock differs) the window is read again.
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
 * Who entered late stands above those that stood on page 1 before; who only moved up stands below them. An order that left
 * meanwhile makes up for one that entered in Temu's total, and hides that a third one was pushed behind a page read already.
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
  const claimed = await claim(deps, windowId, context.redelivered);
  if (!claimed) return await whyNot(deps, windowId);
  const store = await activeStore(deps.db, deps.secrets, claimed.storeId);
  if (!store) return { outcome: 'store paused' };

  try {
    const read = await readWindow(
      (number) => readListPage(deps, store, claimed, number, context.signal),
      async (items) => {
        await storeInInbox(deps, store.id, items.map(toInboxRow));
        await offerOrders(deps, { storeId: store.id });
      },
      (item) => toInboxRow(item).parentOrderSn,
    );
    await complete(deps, claimed, store, read);
    return { outcome: 'complete', store: store.name, expected: read.expected, stored: read.seen };
  } catch (error) {
    if (context.signal.reason instanceof TimeUp) {
      await postpone(deps, windowId, RETRY_MS, context.signal.reason.message);
      throw error;
    }
    if (context.signal.aborted) {
      await postpone(deps, windowId, 0, null); // given back: the next worker reads the window from its start
      throw error;
    }
    if (!(error instanceof FailureError)) {
      // the job comes back in seconds, the lease would keep it out for a minute and a half
      if (isInfrastructureFault(error))
        await despiteOutage(() => postpone(deps, windowId, 0, null), context.signal).catch(() => {});
      throw error;
    }
    return await stop(deps, claimed, store, error);
  }
}

interface ClaimedWindow {
  id: string;
  storeId: string;
  start: Date;
  end: Date;
  attempts: number;
}

async function claim(
  { db, clock }: OrdersDeps,
  id: string,
  redelivered: boolean,
): Promise<ClaimedWindow | undefined> {
  const now = new Date(clock());
  const [row] = await db.$client<ClaimedWindow[]>`
    update temu_sync_windows set attempts = attempts + 1, error = null, due_at = ${new Date(clock() + LEASE_MS)}
    where id = ${id} and state = 'open' and (${redelivered} or due_at <= ${now})
    returning id, store_id as "storeId", window_start as start, window_end as end, attempts`;
  return row;
}

/** For a job whose window was not there to be claimed. @throws Wait when its turn is yet to come */
async function whyNot({ db, clock }: OrdersDeps, id: string): Promise<Outcome> {
  const [row] = await db.$client<{ dueAt: Date; held: boolean }[]>`
    select due_at as "dueAt", coalesce(offered_at < due_at, false) as held from temu_sync_windows
    where id = ${id} and state = 'open'`;
  return waitIfEarly(row, clock());
}

async function readListPage(
  deps: OrdersDeps,
  store: Store,
  window: ClaimedWindow,
  number: number,
  signal: AbortSignal,
): Promise<ListPage> {
  const seconds = (time: Date) => Math.floor(time.getTime() / 1000);
  const page: Result<ListPage> = await withRetries(
    temuPages.attempts,
    (tries) => backoffMs(temuPages.backoff, tries),
    signal,
    async () => {
      // five tries of a page that does not come take longer than the lease
      await renew(deps, window.id);
      return readAnswer(
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

const renew = ({ db, clock }: OrdersDeps, id: string) =>
  db.$client`update temu_sync_windows set due_at = ${new Date(clock() + LEASE_MS)} where id = ${id} and state = 'open'`;

/** T2: only now, with every page stored, does the store's mark move. */
async function complete(
  deps: OrdersDeps,
  window: ClaimedWindow,
  store: Store,
  read: WindowRead,
): Promise<void> {
  const gap = read.expected - read.seen;
  await deps.db.$client.begin(async (sql) => {
    await sql`
      update temu_sync_windows set state = 'complete', expected = ${read.expected}, stored = ${read.seen}, error = null,
        finished_at = ${new Date(deps.clock())}
      where id = ${window.id} and state = 'open'`;
    await sql`delete from temu_api_pauses where store_id = ${window.storeId} and api = 'orderList'`;
    await sql`
      update temu_stores set last_synced_at = greatest(last_synced_at, ${window.end}) where id = ${window.storeId}`;
    if (gap > 0)
      await sql`
        insert into notices (kind, key, subject, payload) values ('sync-gap', ${`sync-gap-${window.id}`}, ${store.id}, ${sql.json(
          {
            store: store.name,
            text: `Temu counts ${read.expected} orders from ${window.start.toISOString()} to ${window.end.toISOString()}, but gave ${read.seen} in ${ROUNDS} reads`,
          },
        )}) on conflict (key) do nothing`;
  });
}

async function postpone(
  { db, clock }: OrdersDeps,
  id: string,
  ms: number,
  error: string | null,
): Promise<void> {
  await db.$client`
    update temu_sync_windows set due_at = ${new Date(clock() + ms)}, error = coalesce(${error}, error),
      attempts = case when ${error === null} then greatest(attempts - 1, 0) else attempts end
    where id = ${id} and state = 'open'`;
}

/** A window that could not be read stays open and is tried again: orders must not be missed for giving up. */
async function stop(
  deps: OrdersDeps,
  window: ClaimedWindow,
  store: Store,
  error: FailureError,
): Promise<Outcome> {
  const { failure } = error;
  switch (failure.kind) {
    case 'credentials':
    case 'bug':
      // paused first: whoever looks meanwhile sees the reason with its remedy
      await pauseRefusedStore(deps.db, store, failure);
      await postpone(deps, window.id, 0, failure.message);
      return { outcome: 'store paused', store: store.name, why: failure.message };
    case 'scope': // AWB numbers of orders that are known go on (T16)
      await pauseApi(deps, store, 'orderList', failure);
      await postpone(deps, window.id, API_PAUSE_MS, failure.message);
      return { outcome: 'its orders may not be read', store: store.name, why: failure.message };
    case 'throttled':
      await postpone(deps, window.id, RETRY_MS / 2, null);
      return { outcome: 'throttled', store: store.name };
    default: {
      const ms = Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** Math.max(0, window.attempts - 1));
      await postpone(deps, window.id, ms, failure.message);
      return { outcome: 'failed for now', store: store.name, why: failure.message, againInMs: ms };
    }
  }
}
