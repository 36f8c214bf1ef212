import { eq, type SQL, sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { name, names, type RowOf } from '../../db/query.ts';
import { notices, orders, shipments, temuOrders, temuPushes, temuStores } from '../../db/schema/index.ts';
import {
  ClaimLost,
  claim,
  defineClaims,
  finish,
  type Claim as Lease,
  release,
  renew,
  retry,
} from '../../leases/claim.ts';
import { backoffMs } from '../../queue/define.ts';
import type { OrdersDeps } from '../orders/deps.ts';
import { pushes } from './offer.ts';
import { awbPush } from './queues.ts';

export interface AwbTimings {
  /**
   * While a worker has an order's pushes nobody else takes them for this long, counted anew when a request leaves. Half a
   * minute above the longest time-out of a call that settings allow, since clocks of two machines differ by seconds; and
   * above an outage of a minute with the seconds to write what came of them (despite-outage.ts), else that is taken for a
   * dead worker and costs an attempt (R10). With a sweep behind it, below the two minutes of R2.
   */
  leaseMs: number;
  /** After a lost answer Temu is asked this soon: most answers are lost after the deed. */
  firstLookMs: number;
  /**
   * "Not there" is believed only this long after the request left: until then Temu may still be working on it, and
   * sending again would tell it twice. Half a minute above the longest time-out of a call that settings allow.
   */
  believeMissingMs: number;
}

export const AWB_TIMINGS: AwbTimings = { leaseMs: 90_000, firstLookMs: 5_000, believeMissingMs: 60_000 };

/** What the handlers of this room need. */
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
  /** Set when Temu may have been told by an earlier try. */
  toldAt: temuPushes.toldAt,
  createdAt: temuPushes.createdAt,
  storeId: sql<string>`(select coalesce(${orders.storeId}::text, '') from ${orders} where ${orders.id} = ${orderId})`,
};
export type ClaimedPush = RowOf<typeof PUSH>;

/** An order's due pushes in one worker's hands. */
export interface Claim extends Lease<ClaimedPush> {
  orderId: string;
  /** '' while no store has taken the order over. */
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
 * Takes all open pushes of an order once one of them is due (A6): one worker at a time per order, since its parcels may have to
 * go in one call. What a worker left is taken once its lease has run out, or at once by the redelivered job of a dead worker.
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

const oneOf = (ids: readonly string[]): SQL => sql`${temuPushes.id} = any(${sql.param(ids)}::uuid[])`;

/**
 * The fence before a request with an effect leaves: from here on Temu may have been told, whatever happens to us.
 * @throws ClaimLost
 */
export async function aboutToTell(deps: AwbDeps, by: Claim, ids: readonly string[]): Promise<void> {
  const set = { toldAt: new Date(deps.clock()) };
  const held = await renew(deps, by, deps.timings.leaseMs, { only: ids, set });
  if (held !== ids.length) throw new ClaimLost();
}

/** The state of a push that is in nobody's hands: what may have been told is asked about first. */
const WAITING = sql`case when ${temuPushes.toldAt} is null then 'pending' else 'unknown' end`;

/** Interrupted: what may have been told is asked about, the rest is due again; nothing is spent. */
export async function releasePushes(deps: AwbDeps, by: Claim): Promise<void> {
  await release(deps, by, { set: { state: WAITING } });
}

/** Our own mistake: seen on the order, tried again ever more seldom, and bounded by the push's attempts (R3). */
export async function postponePushes({ db, clock }: AwbDeps, by: Claim, error: string): Promise<void> {
  const attempts = Math.max(...by.pushes.map((push) => push.attempts));
  const dueAt = new Date(clock() + backoffMs(awbPush.backoff, attempts));
  await db.transaction(async (tx) => {
    if ((await retry({ db: tx }, by, { dueAt, error, set: { state: WAITING } })) > 0)
      await noteSendError(tx, by.orderId, error);
  });
}

const noteSendError = (tx: Tx, orderId: string, error: string) =>
  tx.update(temuOrders).set({ trackingSendError: error }).where(eq(temuOrders.orderId, orderId));

export type Settlement =
  | { state: 'sent' }
  | { state: 'rejected' | 'replaced'; error: string }
  /**
   * `maybeTold`: Temu could not be asked whether it was told; a retry asks again before it sends. `unmatchedCarrier`: the
   * name that a person is to pin (A4).
   */
  | {
      state: 'parked';
      error: string;
      untilOrderChanges: boolean;
      maybeTold?: boolean;
      unmatchedCarrier?: string;
    }
  /** Told, answer lost: asked about at dueAt. */
  | { state: 'unknown'; error: string; dueAt: Date }
  /** Not told: tried again at dueAt; `spent` false gives the attempt back. */
  | { state: 'pending'; error: string | null; dueAt: Date; spent: boolean };

/** For people, beside the state. */
export const whyReplaced = (by: string) => `replaced by ${by} before Temu was told`;

/**
 * Writes the outcome of claimed pushes and what A5 says of the order, in one transaction.
 * @throws ClaimLost when another worker holds them now: its outcome counts, not ours
 */
export async function settlePushes(
  { db, clock }: AwbDeps,
  by: Claim,
  ids: readonly string[],
  outcome: Settlement,
): Promise<void> {
  const now = new Date(clock());
  await db.transaction(async (tx) => {
    const refused = outcome.state === 'parked' || outcome.state === 'rejected' ? outcome : undefined;
    const news = refused && (await isNews(tx, ids, refused));
    await write(tx, by, ids, outcome, now);
    if (outcome.state === 'sent')
      await tx
        .update(temuOrders)
        .set({ trackingSentToTemu: true, trackingSentAt: now, trackingSendError: null })
        .where(eq(temuOrders.orderId, by.orderId));
    else if (outcome.error !== null && outcome.state !== 'replaced' && !isFree(outcome))
      await noteSendError(tx, by.orderId, outcome.error);
    if (refused && news)
      await noticeNotSent(tx, by.orderId, `awb-not-sent-${ids[0]}-${now.getTime()}`, refused);
  });
}

/** Nothing was tried. */
const isFree = (outcome: Settlement) => outcome.state === 'pending' && !outcome.spent;

/** When the order changed last, or now: a push that is parked until it changes is parked since then. */
const ORDER_TIME = sql`(
  select coalesce(${orders.orderModifiedAt}, ${sql.placeholder('now')}::timestamptz) from ${orders} where ${orders.id} = ${orderId})`;

async function write(
  tx: Tx,
  by: Claim,
  ids: readonly string[],
  outcome: Settlement,
  now: Date,
): Promise<void> {
  const keepsTold = outcome.state === 'unknown' || (outcome.state === 'parked' && outcome.maybeTold === true);
  const set = {
    state: outcome.state,
    error: outcome.state === 'sent' ? null : outcome.error,
    sentAt: outcome.state === 'sent' ? now : null,
    ...(keepsTold ? {} : { toldAt: null }),
    unmatchedCarrier: outcome.state === 'parked' ? (outcome.unmatchedCarrier ?? null) : null,
    parkedOrderTime: outcome.state === 'parked' && outcome.untilOrderChanges ? ORDER_TIME : null,
  };
  if (outcome.state !== 'pending' && outcome.state !== 'unknown')
    return await finish({ db: tx }, by, outcome.state, { only: ids, set, values: { now } });
  const later = isFree(outcome) ? release : retry;
  const held = await later({ db: tx, clock: () => now.getTime() }, by, {
    dueAt: outcome.dueAt,
    only: ids,
    set,
  });
  if (held !== ids.length) throw new ClaimLost();
}

/** Whether people have not been told of this yet. */
async function isNews(tx: Tx, ids: readonly string[], { error }: { error: string }): Promise<boolean> {
  const before = await tx
    .select({ error: temuPushes.error })
    .from(temuPushes)
    .where(oneOf(ids))
    .for('update');
  return before.some((push) => push.error !== error);
}

const noticeNotSent = (tx: Tx, id: string, key: string, { error }: { error: string }) =>
  tx.execute(sql`
    insert into ${notices} (${names([notices.kind, notices.key, notices.subject, notices.payload])})
    select 'awb-not-sent', ${key}, ${orders.id}, jsonb_build_object(
      'orderId', ${orders.id}, 'store', ${temuStores.name}, 'text',
      'the AWB of order ' || ${orders.marketplaceOrderId} || ' is not on Temu: ' || ${error}::text)
    from ${orders} left join ${temuStores} on ${temuStores.id} = ${orders.storeId} where ${orders.id} = ${id}
    on conflict (${name(notices.key)}) do nothing`);
