import { eq, type SQL, sql } from 'drizzle-orm';
import type { Db, Tx } from '../../db/client.ts';
import { assignments, isAnyOf, type RowOf } from '../../db/query.ts';
import { orders, shipments, temuOrders, temuPushes } from '../../db/schema/index.ts';
import {
  type Also,
  ClaimLost,
  claim,
  defineClaims,
  finish,
  type Claim as Lease,
  release,
  renew,
  retry,
} from '../../leases/claim.ts';
import { notify } from '../../notices/index.ts';
import { backoffMs } from '../../queue/define.ts';
import type { OrdersDeps } from '../deps.ts';
import { pushes, WAITING } from './enqueue.ts';
import { orderOf } from './notices.ts';
import { awbPush } from './queues.ts';

export interface AwbTimings {
  /**
   * How long a worker has an order's pushes to itself, renewed when a request leaves. Half a minute above the longest
   * configurable call timeout, since clocks of two machines differ by seconds; and above an outage of a minute plus
   * the seconds to write the outcome (despite-outage.ts), else that is taken for a dead worker and costs an attempt
   * (R10). With the sweep interval, below the two minutes of R2.
   */
  leaseMs: number;
  /** After a lost response Temu is queried this soon: most requests with a lost response did succeed. */
  firstLookMs: number;
  /**
   * "Not there" is trusted only this long after the request left: until then Temu may still be processing it, and
   * resending could push twice. Half a minute above the longest configurable call timeout.
   */
  believeMissingMs: number;
}

export const AWB_TIMINGS: AwbTimings = { leaseMs: 90_000, firstLookMs: 5_000, believeMissingMs: 60_000 };

/** What the handlers of this module need. */
export interface AwbDeps extends OrdersDeps {
  timings: AwbTimings;
}

const { shipmentId, orderId } = temuPushes;

const PUSH = {
  id: temuPushes.id,
  awbNumber: sql<string>`${shipments.awbNumber}`,
  carrier: shipments.carrier,
  bookingCourier: sql<string>`${shipments.bookingCourier}`,
  items: shipments.items,
  attempts: temuPushes.attempts,
  /** Set when an earlier attempt may have reached Temu. */
  toldAt: temuPushes.toldAt,
  createdAt: temuPushes.createdAt,
  storeId: sql<string>`(select coalesce(${orders.storeId}::text, '') from ${orders} where ${orders.id} = ${orderId})`,
};
export type ClaimedPush = RowOf<typeof PUSH>;

/** A worker's lease on the due pushes of an order. */
export interface Claim extends Lease<ClaimedPush> {
  orderId: string;
  /** '' while the order belongs to no store. */
  storeId: string;
  pushes: ClaimedPush[];
}

export const ofOrder = (id: unknown): SQL => sql`${orderId} = ${id}`;

export const ORDERS_PUSHES = defineClaims(pushes, {
  where: ofOrder(sql.placeholder('orderId')),
  fields: PUSH,
  beside: { table: shipments, on: sql`${shipments.id} = ${shipmentId}` },
  set: { state: 'sending' },
});

/**
 * Claims all open pushes of an order once one of them is due (A6): one worker at a time per order, since its parcels
 * may have to go in one call. A dead worker's pushes are claimable once its lease has run out, or at once by its
 * redelivered job.
 */
export async function claimPushes(
  deps: AwbDeps,
  orderId: string,
  redelivered: boolean,
): Promise<Claim | undefined> {
  const { leaseMs } = deps.timings;
  const lease = await claim(deps, ORDERS_PUSHES, { orderId }, { leaseMs, redelivered });
  const [first] = lease?.rows ?? [];
  return lease && first && { ...lease, orderId, storeId: first.storeId, pushes: lease.rows };
}

/**
 * The fence before a request with an effect leaves: from here on it may have reached Temu, whatever happens to us.
 * @throws ClaimLost
 */
export async function markSending(deps: AwbDeps, by: Claim, ids: readonly string[]): Promise<void> {
  const set = { toldAt: new Date(deps.clock()) };
  const held = await renew(deps, by, deps.timings.leaseMs, { only: ids, set });
  if (held !== ids.length) throw new ClaimLost();
}

/** Interrupted: what may have reached Temu is verified, the rest is due again; no attempt is consumed. */
export async function releasePushes(deps: AwbDeps, by: Claim): Promise<void> {
  await release(deps, by, { set: { state: WAITING } });
}

/** Our own bug: shown on the order, retried with backoff, and bounded by the push's attempts (R3). */
export async function postponePushes({ db, clock }: AwbDeps, by: Claim, error: string): Promise<void> {
  const attempts = Math.max(...by.pushes.map((push) => push.attempts));
  const dueAt = new Date(clock() + backoffMs(awbPush.backoff, attempts));
  await db.transaction(async (tx) => {
    if ((await retry({ db: tx }, by, { dueAt, error, set: { state: WAITING } })) > 0)
      await noteSendError(tx, by.orderId, error);
  });
}

const noteSent: Also = (held) => sql`
  update ${temuOrders} set ${assignments(temuOrders, {
    trackingSentToTemu: true,
    trackingSentAt: sql.placeholder('now'),
    trackingSendError: null,
  })}
  where ${temuOrders.orderId} = ${sql.placeholder('orderId')} and ${held}`;

const noteSendError = (tx: Tx, orderId: string, error: string) =>
  tx.update(temuOrders).set({ trackingSendError: error }).where(eq(temuOrders.orderId, orderId));

export type Settlement =
  | { state: 'sent' }
  | { state: 'rejected' | 'replaced'; error: string }
  /**
   * `maybeDelivered`: whether it reached Temu could not be verified; a retry verifies before it sends. `unmatchedCarrier`:
   * the name to pin (A4).
   */
  | {
      state: 'parked';
      error: string;
      untilOrderChanges: boolean;
      maybeDelivered?: boolean;
      unmatchedCarrier?: string;
    }
  /** Sent, response lost: verified at dueAt. */
  | { state: 'unknown'; error: string; dueAt: Date }
  /** Not sent: retried at dueAt; with `spent` false the attempt does not count. */
  | { state: 'pending'; error: string | null; dueAt: Date; spent: boolean };

/** Shown beside the state. */
export const replacedReason = (by: string) => `replaced by ${by} before it was sent to Temu`;

/**
 * Writes the outcome of claimed pushes and the order's columns of A5, in one transaction.
 * @throws ClaimLost when another worker has them now: its outcome counts, not ours
 */
export async function settlePushes(
  { db, clock }: AwbDeps,
  by: Claim,
  ids: readonly string[],
  outcome: Settlement,
): Promise<void> {
  const now = new Date(clock());
  if (outcome.state === 'sent') return await write(db, by, ids, outcome, now, noteSent);
  await db.transaction(async (tx) => {
    const refused = outcome.state === 'parked' || outcome.state === 'rejected' ? outcome : undefined;
    const news = refused && (await isNews(tx, ids, refused));
    await write(tx, by, ids, outcome, now);
    if (outcome.error !== null && outcome.state !== 'replaced' && !isFree(outcome))
      await noteSendError(tx, by.orderId, outcome.error);
    if (refused && news)
      await notify(tx, 'awb-not-sent', {
        ...(await orderOf(tx, by.orderId)),
        ...{ once: `${ids[0]}-${now.getTime()}`, why: refused.error },
      });
  });
}

/** No attempt was made. */
const isFree = (outcome: Settlement) => outcome.state === 'pending' && !outcome.spent;

/** When the order changed last, or now: from then on a push that waits for a change is parked. */
const ORDER_TIME = sql`(
  select coalesce(${orders.orderModifiedAt}, ${sql.placeholder('now')}::timestamptz) from ${orders} where ${orders.id} = ${orderId})`;

async function write(
  tx: Db | Tx,
  by: Claim,
  ids: readonly string[],
  outcome: Settlement,
  now: Date,
  also?: Also,
): Promise<void> {
  const keepsSentMark =
    outcome.state === 'unknown' || (outcome.state === 'parked' && outcome.maybeDelivered === true);
  const set = {
    state: outcome.state,
    error: outcome.state === 'sent' ? null : outcome.error,
    sentAt: outcome.state === 'sent' ? now : null,
    ...(keepsSentMark ? {} : { toldAt: null }),
    unmatchedCarrier: outcome.state === 'parked' ? (outcome.unmatchedCarrier ?? null) : null,
    parkedOrderTime: outcome.state === 'parked' && outcome.untilOrderChanges ? ORDER_TIME : null,
  };
  if (outcome.state !== 'pending' && outcome.state !== 'unknown')
    return await finish({ db: tx }, by, outcome.state, {
      ...{ only: ids, set, values: { now } },
      ...(also ? { also } : {}),
    });
  const later = isFree(outcome) ? release : retry;
  const held = await later({ db: tx, clock: () => now.getTime() }, by, {
    dueAt: outcome.dueAt,
    only: ids,
    set,
  });
  if (held !== ids.length) throw new ClaimLost();
}

/** Whether operators have not been notified of this yet. */
async function isNews(tx: Tx, ids: readonly string[], { error }: { error: string }): Promise<boolean> {
  const before = await tx
    .select({ error: temuPushes.error })
    .from(temuPushes)
    .where(isAnyOf(temuPushes.id, ids))
    .for('update');
  return before.some((push) => push.error !== error);
}
