import { createHash } from 'node:crypto';
import { ne, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../../db/client.ts';
import { isAnyOf, type RowOf, rows } from '../../db/query.ts';
import { orders, temuOrderInbox } from '../../db/schema/index.ts';
import { type Claim, finish, release, retry } from '../../leases/claim.ts';
import { defineWork } from '../../leases/define.ts';
import { defineClaims } from '../../leases/define-claims.ts';
import { claimEach } from '../../leases/each.ts';
import { enqueueDue, enqueueLater } from '../../leases/enqueue.ts';
import { dueJobId } from '../../leases/job-id.ts';
import { alike } from '../../lib/alike.ts';
import { type Failure, FailureError } from '../../lib/errors.ts';
import { countAlike, together } from '../../lib/together.ts';
import { seconds } from '../../queue/define.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { OrdersBase, OrdersDeps } from '../deps.ts';
import { hasActiveStore, severalStores } from '../stores.ts';
import { temuOrders } from './queues.ts';
import { ENQUEUE_AGAIN_MS } from './schedule-windows.ts';

/** The lease of a worker on an order (R2: under two minutes with the sweep). */
const LEASE_MS = 75_000;
/** An order that stepped aside comes after a thousand orders of each other store, else it would be first again. */
const STEPPED_ASIDE_PRIORITY = 200;
/** A row's position in its store's backlog, in fives, is its job, and that job's priority. BullMQ allows up to 2^21. */
const PER_JOB = 5;
const LAST_PRIORITY = 2_000_000;

const { storeId, parentOrderSn } = temuOrderInbox;

/**
 * Orders of the inbox: pending, or stored without a part that is fetched again. The further back in its own store's
 * backlog, the lower the job's priority: a store with ten new orders does not wait behind another's ten thousand, nor
 * behind orders that wait for a missing part (T17, T13).
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
        const placed = due.map((row) => {
          const place = (ahead.get(row.storeId) ?? 0) + 1;
          ahead.set(row.storeId, place);
          return { ...row, no: Math.floor(place / PER_JOB) };
        });
        return alike(placed, ({ storeId, no }) => `${storeId} ${no}`).map(([, [first, ...others]]) => {
          const { storeId, parentOrderSn, dueMs, no } = first;
          const more = others.map((row) => row.parentOrderSn);
          return {
            id: jobId(storeId, [parentOrderSn, ...more], dueMs, now.getTime()),
            priority: Math.min(LAST_PRIORITY, 1 + no),
            payload: { v: 1 as const, storeId, parentOrderSn, ...(more.length > 0 ? { more } : {}) },
          };
        });
      };
    },
    sweepMs: seconds(15),
    againMs: ENQUEUE_AGAIN_MS,
    chunk: 1_000,
    most: 50_000, // the sweep runs again in 15 seconds
  },
});

/** Makes jobs of a store's orders that never had one, such as those of a page just read. */
export const enqueueFresh = (deps: OrdersBase, store: string): Promise<number> =>
  enqueueDue(deps, inboxOrders, {
    where: sql`${storeId} = ${store} and ${temuOrderInbox.offeredAt} is null`,
  });

/** How many orders of each store still wait and have had a job before: counted once per store. */
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
      where ${temuOrderInbox.state} = 'pending' and ${ne(temuOrderInbox.offeredAt, now)}
        and ${isAnyOf(storeId, fresh)} group by ${storeId}`,
  );
  for (const id of fresh) ahead.set(id, counted.find((row) => row.id === id)?.waiting ?? 0);
}

/**
 * Temu's numbers may hold a ":", which a job's id may not. Another job that begins with the same order has another id:
 * else its further orders would have none.
 */
function jobId(store: string, [sn = '', ...more]: string[], dueMs: string | number, nowMs: number): string {
  const others =
    more.length > 0 ? `-${createHash('sha256').update(more.join()).digest('hex').slice(0, 16)}` : '';
  return dueJobId(`${store}-${sn.replaceAll(':', '_')}${others}`, dueMs, nowMs);
}

const ORDER = {
  storeId,
  parentOrderSn,
  payload: sql<string>`${temuOrderInbox.payload}::text`,
  attempts: temuOrderInbox.attempts,
  incompleteSince: temuOrderInbox.incompleteSince,
  error: temuOrderInbox.error,
  severalStores,
  /** T18: the buyer was erased, and is not fetched again. */
  forgotten: sql<boolean>`exists (select from ${orders} where ${orders.source} = 'temu' and ${orders.storeId} = ${storeId}
    and ${orders.marketplaceOrderId} = ${parentOrderSn} and ${orders.personalDataErasedAt} is not null)`,
};

/** A worker's lease on an order of the inbox. A newer copy from Temu revokes it (T4). */
export type ClaimedOrder = RowOf<typeof ORDER> & { claim: Claim };

const whichOrder = (storeId_: unknown, sn: unknown): SQL =>
  sql`${storeId} = ${storeId_} and ${parentOrderSn} = ${sn}`;
export const ONE_ORDER = defineClaims(inboxOrders, {
  where: whichOrder(sql.placeholder('storeId'), sql.placeholder('parentOrderSn')),
  fields: ORDER,
  each: [storeId, parentOrderSn],
});

export type OrderKey = Pick<ClaimedOrder, 'storeId' | 'parentOrderSn'>;
const keyOf = ({ storeId, parentOrderSn }: OrderKey) => `${storeId} ${parentOrderSn}`;

/**
 * Claims a due order, or at once one that a dead worker's job redelivers. Counts an attempt.
 * @returns undefined when it is not to be had
 */
export type ClaimOrder = (job: OrderKey, redelivered: boolean) => Promise<ClaimedOrder | undefined>;

/** Orders whose jobs come together are claimed together (P7). */
export function createClaimer(deps: OrdersDeps): ClaimOrder {
  const claimOne = together<{ job: OrderKey; redelivered: boolean }, ClaimedOrder | undefined>(
    async (group) => {
      const { redelivered } = group[0] as (typeof group)[number];
      const keys = group.map(({ job }) => job).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
      const claims = await claimEach(deps, ONE_ORDER, keys, { leaseMs: LEASE_MS, redelivered });
      const claimed = new Map(
        claims.flatMap((claim) => claim.rows.map((row) => [keyOf(row), { ...row, claim }] as const)),
      );
      return group.map(({ job }) => {
        const order = claimed.get(keyOf(job));
        claimed.delete(keyOf(job)); // another job of the same order gets none
        return order;
      });
    },
    { count: (waiting) => countAlike(waiting, ({ redelivered }) => redelivered) },
  );
  return (job, redelivered) => claimOne({ job, redelivered });
}

/**
 * Due again after `ms`; the attempt does not count. A short wait gets its job at once; what is due now is left to the
 * sweep.
 */
export async function releaseOrder(deps: OrdersDeps, row: ClaimedOrder, ms: number): Promise<void> {
  const dueAt = new Date(deps.clock() + ms);
  const kept = await release(deps, row.claim, {
    dueAt,
    set: { offeredAt: ms > 0 ? dueAt : null },
  });
  if (kept > 0 && ms > 0) await enqueueAt(deps, row, dueAt, STEPPED_ASIDE_PRIORITY);
}

/** Due again after `ms`; the attempt counts. */
export async function retryOrder(
  deps: OrdersDeps,
  row: ClaimedOrder,
  ms: number,
  { message: error }: Pick<Failure, 'message'>,
): Promise<Outcome> {
  const dueAt = new Date(deps.clock() + ms);
  const kept = await retry(deps, row.claim, { dueAt, error, set: { offeredAt: dueAt } });
  if (kept > 0) await enqueueAt(deps, row, dueAt, 1);
  return { outcome: 'will retry', attempt: row.attempts, inMs: ms, why: error };
}

const enqueueAt = (deps: OrdersDeps, row: ClaimedOrder, dueAt: Date, priority: number) =>
  enqueueLater(deps, inboxOrders, {
    where: whichOrder(row.storeId, row.parentOrderSn),
    dueAt,
    job: {
      id: jobId(row.storeId, [row.parentOrderSn], dueAt.getTime(), deps.clock()),
      delayMs: dueAt.getTime() - deps.clock(),
      priority,
      payload: { v: 1 as const, storeId: row.storeId, parentOrderSn: row.parentOrderSn },
    },
  });

/**
 * R3: it fails alone and visibly; a newer copy from Temu, or `sync --failed`, brings it back.
 * @throws FailureError always; ClaimLost when a newer copy has arrived
 */
export async function quarantine(deps: OrdersDeps, row: ClaimedOrder, why: string): Promise<never> {
  await finish(deps, row.claim, 'failed', { set: { error: why } });
  throw new FailureError({ kind: 'rejected', message: `${row.parentOrderSn}: ${why}` });
}
