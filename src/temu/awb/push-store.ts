import { eq, type SQL, sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { arrayOf, assignments, isAnyOf, name } from '../../db/query.ts';
import { orders, temuOrders, temuPushes } from '../../db/schema/index.ts';
import { ClaimLost, finish, release, retry, UNCLAIMED } from '../../leases/claim.ts';
import { writeEach } from '../../leases/each.ts';
import { togetherOf } from '../../lib/together.ts';
import { notify } from '../../notices/index.ts';
import { backoffMs } from '../../queue/define.ts';
import { type AwbDeps, type Claim, type HeldPushes, heldPushes, inOrder } from './claim.ts';
import { WAITING } from './enqueue.ts';
import { orderOf } from './notices.ts';
import { awbPush } from './queues.ts';

/** Our own bug: shown on the order, retried with backoff, and bounded by the push's attempts (R3). */
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
  deps: AwbDeps,
  by: Claim,
  ids: readonly string[],
  outcome: Settlement,
): Promise<void> {
  if (outcome.state === 'sent') {
    if (await settleSent(deps, heldPushes(by, ids))) return;
    throw new ClaimLost();
  }
  const { db, clock } = deps;
  const now = new Date(clock());
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

/** A5 of the orders whose pushes were written, locked in the order in which the sync locks them (orders/save.ts). */
const noteSent = (written: SQL) => {
  const { orderId } = temuOrders;
  const set = assignments(temuOrders, {
    trackingSentToTemu: true,
    trackingSentAt: sql.placeholder('now'),
    trackingSendError: null,
  });
  const id = name(orderId);
  return sql`
    update ${temuOrders} set ${set}
    from (
      select given.${id} from unnest(${arrayOf(orderId, sql.placeholder('ofOrders'))}) with ordinality as given(${id}, place)
      where given.${id} in (select ${name(temuPushes.orderId)} from ${written}) order by place offset 0) as given
      cross join lateral (
        select ${orderId} from ${temuOrders} where ${orderId} = given.${id} offset 0 for update) as sent
    where ${orderId} = sent.${id}`;
};

/** Columns that explain why a push was not sent. */
const NO_ERROR = { error: null, unmatchedCarrier: null, parkedOrderTime: null };

const syncKey = ({ storeId, orderNumber }: Claim) => `${storeId} ${orderNumber}`;

/** Of several orders at once, those whose response comes while others are being written (P6). */
const settleSent = togetherOf<AwbDeps, HeldPushes, boolean>(async ({ db, clock }, group) => {
  const now = new Date(clock());
  const ofOrders = group.map(({ claim }) => claim).sort((a, b) => (syncKey(a) < syncKey(b) ? -1 : 1));
  const sent = await writeEach(
    db,
    inOrder(group),
    { ...UNCLAIMED, ...NO_ERROR, state: 'sent', sentAt: now, toldAt: null },
    { also: noteSent, values: { now, ofOrders: ofOrders.map(({ orderId }) => orderId) } },
  );
  return group.map((one) => sent.has(one));
});

/** No attempt was made. */
const isFree = (outcome: Exclude<Settlement, { state: 'sent' }>) =>
  outcome.state === 'pending' && !outcome.spent;

/** When the order changed last, or now: from then on a push that waits for a change is parked. */
const ORDER_TIME = sql`(
  select coalesce(${orders.orderModifiedAt}, ${sql.placeholder('now')}::timestamptz) from ${orders} where ${orders.id} = ${temuPushes.orderId})`;

async function write(
  tx: Tx,
  by: Claim,
  ids: readonly string[],
  outcome: Exclude<Settlement, { state: 'sent' }>,
  now: Date,
): Promise<void> {
  const keepsSentMark =
    outcome.state === 'unknown' || (outcome.state === 'parked' && outcome.maybeDelivered === true);
  const set = {
    state: outcome.state,
    error: outcome.error,
    sentAt: null,
    ...(keepsSentMark ? {} : { toldAt: null }),
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

/** Whether operators have not been notified of this yet. */
async function isNews(tx: Tx, ids: readonly string[], { error }: { error: string }): Promise<boolean> {
  const before = await tx
    .select({ error: temuPushes.error })
    .from(temuPushes)
    .where(isAnyOf(temuPushes.id, ids))
    .for('update');
  return before.some((push) => push.error !== error);
}
