import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../../db/client.ts';
import { type RowOf, rows } from '../../db/query.ts';
import { orders, temuOrderInbox, temuStores } from '../../db/schema/index.ts';
import { type Failure, FailureError } from '../../errors.ts';
import { type Claim, claim, defineClaims, finish, release, retry } from '../../leases/claim.ts';
import { defineWork } from '../../leases/define.ts';
import { enqueueDue, enqueueLater } from '../../leases/enqueue.ts';
import { dueJobId } from '../../leases/job-id.ts';
import { seconds } from '../../queue/define.ts';
import type { Outcome } from '../../queue/handle.ts';
import { hasActiveStore } from '../stores.ts';
import type { OrdersBase, OrdersDeps } from './deps.ts';
import { temuOrders } from './queues.ts';
import { ENQUEUE_AGAIN_MS } from './window.ts';

/** While a worker has an order, nobody else takes it for this long (R2: under two minutes with the sweep). */
const LEASE_MS = 75_000;
/** What stepped aside comes after a thousand orders of each other store, else it would be first again. */
const STEPPED_ASIDE_PRIORITY = 100;
/** A row's place in its store's backlog, in tens, is its job's priority. BullMQ takes up to 2^21. */
const PER_PRIORITY = 10;
const LAST_PRIORITY = 2_000_000;

const { storeId, parentOrderSn } = temuOrderInbox;

/**
 * Orders of the inbox: pending, or stored without a part that is asked for again. The further back a row stands in its own
 * store's backlog, the later its job's turn: a store with ten new orders does not wait behind another's ten thousand, nor
 * does an order that waits for a missing part (T17, T13).
 */
export const inboxOrders = defineWork({
  table: temuOrderInbox,
  key: [storeId, parentOrderSn],
  open: ['pending', 'incomplete'],
  ready: () => hasActiveStore(storeId),
  enqueue: {
    queue: temuOrders,
    fields: { storeId, parentOrderSn },
    jobs({ db, now }) {
      const ahead = new Map<string, number>();
      return async (due) => {
        await countAhead(db, ahead, [...new Set(due.map((row) => row.storeId))], now);
        return due.map(({ storeId, parentOrderSn, dueMs }) => {
          const place = (ahead.get(storeId) ?? 0) + 1;
          ahead.set(storeId, place);
          return {
            id: jobId(storeId, parentOrderSn, dueMs, now.getTime()),
            priority: Math.min(LAST_PRIORITY, 1 + Math.floor(place / PER_PRIORITY)),
            payload: { v: 1 as const, storeId, parentOrderSn },
          };
        });
      };
    },
    sweepMs: seconds(15),
    againMs: ENQUEUE_AGAIN_MS,
    chunk: 1_000,
    most: 50_000, // the sweep comes again in 15 seconds
  },
});

/** Makes jobs of a store's orders that never had one: of what a page has just brought. */
export const enqueueFresh = (deps: OrdersBase, store: string): Promise<number> =>
  enqueueDue(deps, inboxOrders, {
    where: sql`${storeId} = ${store} and ${temuOrderInbox.offeredAt} is null`,
  });

/** How many orders of each store have had a job before and wait still: once for each store that comes up. */
async function countAhead(
  db: Db,
  ahead: Map<string, number>,
  stores: readonly string[],
  now: Date,
): Promise<void> {
  const fresh = stores.filter((id) => !ahead.has(id));
  if (fresh.length === 0) return;
  const counted = await rows(
    db,
    { id: storeId, waiting: sql<number>`count(*)::int` },
    (read) => sql`
      select ${read} from ${temuOrderInbox}
      where ${temuOrderInbox.state} = 'pending' and ${temuOrderInbox.offeredAt} <> ${now}
        and ${storeId} = any(${sql.param(fresh)}::uuid[]) group by ${storeId}`,
  );
  for (const id of fresh) ahead.set(id, counted.find((row) => row.id === id)?.waiting ?? 0);
}

/** Temu's numbers may hold a ":", which a job's id may not. */
const jobId = (store: string, sn: string, dueMs: string | number, nowMs: number) =>
  dueJobId(`${store}-${sn.replaceAll(':', '_')}`, dueMs, nowMs);

const ORDER = {
  storeId,
  sn: parentOrderSn,
  payload: sql<string>`${temuOrderInbox.payload}::text`,
  attempts: temuOrderInbox.attempts,
  incompleteSince: temuOrderInbox.incompleteSince,
  error: temuOrderInbox.error,
  severalStores: sql<boolean>`(select count(*) > 1 from ${temuStores} where ${temuStores.active})`,
  /** T18: the buyer was forgotten, and is not asked for again. */
  forgotten: sql<boolean>`exists (select from ${orders} where ${orders.source} = 'temu' and ${orders.storeId} = ${storeId}
    and ${orders.marketplaceOrderId} = ${parentOrderSn} and ${orders.personalDataErasedAt} is not null)`,
};

/** An order of the inbox in one worker's hands. A newer copy of Temu's takes it away (T4). */
export type ClaimedOrder = RowOf<typeof ORDER> & { claim: Claim };

const whichOrder = (storeId_: unknown, sn: unknown): SQL =>
  sql`${storeId} = ${storeId_} and ${parentOrderSn} = ${sn}`;
export const ONE_ORDER = defineClaims(inboxOrders, {
  where: whichOrder(sql.placeholder('storeId'), sql.placeholder('parentOrderSn')),
  fields: ORDER,
});

/** Takes a due order, or at once one that a dead worker's job brings again. Counts an attempt. */
export async function claimOrder(
  deps: OrdersDeps,
  job: { storeId: string; parentOrderSn: string },
  redelivered: boolean,
): Promise<ClaimedOrder | undefined> {
  const { storeId, parentOrderSn } = job;
  const claimed = await claim(
    deps,
    ONE_ORDER,
    { storeId, parentOrderSn },
    { leaseMs: LEASE_MS, redelivered },
  );
  const [row] = claimed?.rows ?? [];
  return claimed && row && { ...row, claim: claimed };
}

/** Due again after `ms` without a spent attempt. A short wait gets its job at once; what is due now waits for the sweep. */
export async function releaseOrder(deps: OrdersDeps, row: ClaimedOrder, ms: number): Promise<void> {
  const dueAt = new Date(deps.clock() + ms);
  const kept = await release(deps, row.claim, {
    dueAt,
    set: { offeredAt: ms > 0 ? dueAt : null },
  });
  if (kept > 0 && ms > 0) await enqueueAt(deps, row, dueAt, STEPPED_ASIDE_PRIORITY);
}

/** Due again after `ms`, and the attempt is spent. */
export async function retryOrder(
  deps: OrdersDeps,
  row: ClaimedOrder,
  ms: number,
  { message: error }: Pick<Failure, 'message'>,
): Promise<Outcome> {
  const dueAt = new Date(deps.clock() + ms);
  const kept = await retry(deps, row.claim, { dueAt, error, set: { offeredAt: dueAt } });
  if (kept > 0) await enqueueAt(deps, row, dueAt, 1);
  return { outcome: 'tried again', attempt: row.attempts, inMs: ms, why: error };
}

const enqueueAt = (deps: OrdersDeps, row: ClaimedOrder, dueAt: Date, priority: number) =>
  enqueueLater(deps, inboxOrders, {
    where: whichOrder(row.storeId, row.sn),
    dueAt,
    job: {
      id: jobId(row.storeId, row.sn, dueAt.getTime(), deps.clock()),
      delayMs: dueAt.getTime() - deps.clock(),
      priority,
      payload: { v: 1 as const, storeId: row.storeId, parentOrderSn: row.sn },
    },
  });

/**
 * R3: it fails alone and visibly; a newer copy from Temu, or `sync --failed`, brings it back.
 * @throws FailureError always; ClaimLost when a newer copy has come
 */
export async function quarantine(deps: OrdersDeps, row: ClaimedOrder, why: string): Promise<never> {
  await finish(deps, row.claim, 'failed', { set: { error: why } });
  throw new FailureError({ kind: 'rejected', message: `${row.sn}: ${why}` });
}
