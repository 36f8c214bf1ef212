import { type SQL, sql } from 'drizzle-orm';
import type { RowOf } from '../../db/query.ts';
import { orders, shipments, temuPushes } from '../../db/schema/index.ts';
import { ClaimLost, type Claim as Lease, release } from '../../leases/claim.ts';
import { defineClaims } from '../../leases/define-claims.ts';
import { claimEach, type Held, writeEach } from '../../leases/each.ts';
import { countAlike, togetherOf } from '../../lib/together.ts';
import type { OrdersDeps } from '../deps.ts';
import { pushes, WAITING } from './enqueue.ts';

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
  orderId,
  awbNumber: sql<string>`${shipments.awbNumber}`,
  carrier: shipments.carrier,
  bookingCourier: sql<string>`${shipments.bookingCourier}`,
  items: shipments.items,
  attempts: temuPushes.attempts,
  /** Set when an earlier attempt may have reached Temu. */
  toldAt: temuPushes.toldAt,
  createdAt: temuPushes.createdAt,
  storeId: sql<string>`coalesce(${orders.storeId}::text, '')`,
  orderNumber: orders.marketplaceOrderId,
};
export type ClaimedPush = RowOf<typeof PUSH>;

/** A worker's lease on the due pushes of an order. */
export interface Claim extends Lease<ClaimedPush> {
  orderId: string;
  /** '' while the order belongs to no store. */
  storeId: string;
  /** Temu's. */
  orderNumber: string;
  pushes: ClaimedPush[];
}

export const ofOrder = (id: unknown): SQL => sql`${orderId} = ${id}`;

export const ORDERS_PUSHES = defineClaims(pushes, {
  where: ofOrder(sql.placeholder('orderId')),
  fields: PUSH,
  each: [orderId],
  beside: [
    { table: shipments, on: sql`${shipments.id} = ${shipmentId}` },
    { table: orders, on: sql`${orders.id} = ${orderId}` },
  ],
  set: { state: 'sending' },
});

interface Wanted {
  orderId: string;
  redelivered: boolean;
}

/** Pushes of several orders are always locked in the order of their orders' ids. */
const byOrder = (a: { orderId: string }, b: { orderId: string }) => (a.orderId < b.orderId ? -1 : 1);

const claimTogether = togetherOf<AwbDeps, Wanted, Claim | undefined>(
  async (deps, group) => {
    const { leaseMs } = deps.timings;
    const { redelivered } = group[0] as Wanted;
    const wanted = [...new Set(group.map(({ orderId }) => orderId))].map((orderId) => ({ orderId }));
    const leases = await claimEach(deps, ORDERS_PUSHES, wanted.sort(byOrder), { leaseMs, redelivered });
    const claims = new Map(
      leases.map((lease) => {
        const { orderId, storeId, orderNumber } = lease.rows[0] as ClaimedPush;
        return [orderId, { ...lease, orderId, storeId, orderNumber, pushes: lease.rows }];
      }),
    );
    return group.map(({ orderId }) => {
      const claim = claims.get(orderId);
      claims.delete(orderId); // another job of the same order gets none
      return claim;
    });
  },
  { count: (waiting) => countAlike(waiting, ({ redelivered }) => redelivered) },
);

/**
 * Claims all open pushes of an order once one of them is due (A6): one worker at a time per order, since its parcels
 * may have to go in one call. A dead worker's pushes are claimable once its lease has run out, or at once by its
 * redelivered job. Orders that come together are claimed together (P6).
 */
export const claimPushes = (
  deps: AwbDeps,
  orderId: string,
  redelivered: boolean,
): Promise<Claim | undefined> => claimTogether(deps, { orderId, redelivered });

/** Some pushes of a claim. */
export interface HeldPushes extends Held {
  claim: Claim;
}

export const heldPushes = (claim: Claim, ids: readonly string[]): HeldPushes => ({
  claim,
  rows: claim.pushes.filter(({ id }) => ids.includes(id)).sort((a, b) => (a.id < b.id ? -1 : 1)),
});

/** In the order in which their rows are locked. */
export const inOrder = <H extends HeldPushes>(group: readonly H[]): H[] =>
  [...group].sort((a, b) => byOrder(a.claim, b.claim));

const fence = togetherOf<AwbDeps, HeldPushes, boolean>(async ({ db, clock, timings }, group) => {
  const now = clock();
  const set = { toldAt: new Date(now), dueAt: new Date(now + timings.leaseMs) };
  const written = await writeEach(db, inOrder(group), set);
  return group.map((one) => written.has(one));
});

/**
 * The fence before a request with an effect leaves: from here on it may have reached Temu, whatever happens to us. Those of
 * requests that leave together are written together (P6).
 * @throws ClaimLost
 */
export async function markSending(deps: AwbDeps, by: Claim, ids: readonly string[]): Promise<void> {
  if (!(await fence(deps, heldPushes(by, ids)))) throw new ClaimLost();
}

/** Interrupted: what may have reached Temu is verified, the rest is due again; no attempt is consumed. */
export async function releasePushes(deps: AwbDeps, by: Claim): Promise<void> {
  await release(deps, by, { set: { state: WAITING } });
}
