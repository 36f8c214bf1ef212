import { EARLY_MS } from '../../queue/turn.ts';
import type { OrdersDeps } from '../orders/deps.ts';

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

export interface ClaimedPush {
  id: string;
  awbNumber: string;
  carrier: string | null;
  bookingCourier: string;
  items: { orderItemId: string; quantity: number }[] | null;
  attempts: number;
  /** Set when Temu may have been told by an earlier try. */
  toldAt: Date | null;
  createdAt: Date;
}

/** An order's due pushes in one worker's hands. Every write through it is refused once another has claimed them. */
export interface Claim {
  orderId: string;
  /** '' while no store has taken the order over. */
  storeId: string;
  token: string;
  pushes: ClaimedPush[];
}

/**
 * Takes all due pushes of an order (A6). A push that a worker left as `sending` is taken once its lease has run out,
 * or at once by the redelivered job of a dead worker. Counts an attempt when taken, so that work which kills its worker
 * is bounded.
 */
export async function claimPushes(
  { db, clock, timings }: AwbDeps,
  orderId: string,
  redelivered: boolean,
): Promise<Claim | undefined> {
  const now = new Date(clock());
  const token = crypto.randomUUID();
  // one worker at a time per order: its parcels may have to go in one call
  const pushes = await db.$client<(ClaimedPush & { storeId: string })[]>`
    with open as materialized (
      select id, state, due_at from temu_pushes
      where order_id = ${orderId} and state in ('pending', 'sending', 'unknown') order by id for update),
    fit as (
      select ${redelivered} or (bool_or(due_at <= ${now}) and not bool_or(state = 'sending' and due_at > ${now})) as yes from open)
    update temu_pushes p set state = 'sending', claim = ${token}, attempts = attempts + 1,
      due_at = ${new Date(clock() + timings.leaseMs)}
    from open, fit, shipments s
    where fit.yes and p.id = open.id and s.id = p.shipment_id
    returning p.id, s.awb_number as "awbNumber", s.carrier, s.booking_courier as "bookingCourier", s.items,
      p.attempts, p.told_at as "toldAt", p.created_at as "createdAt",
      (select coalesce(store_id::text, '') from orders where id = ${orderId}) as "storeId"`;
  const [first] = pushes;
  return first && { orderId, storeId: first.storeId, token, pushes: [...pushes] };
}

/**
 * What a job that could claim nothing has to wait for: pushes that came while another worker has the order, or that are
 * offered and due in a moment, as a dead worker's are at the end of its lease. Were the job to end here, its id would be
 * used up and they would lie until the next hour.
 * @returns milliseconds, or undefined when nothing is left to do
 */
export async function waitForClaim({ db, clock }: AwbDeps, orderId: string): Promise<number | undefined> {
  const nowMs = clock();
  const [next] = await db.$client<{ dueAt: Date }[]>`
    select due_at as "dueAt" from temu_pushes
    where order_id = ${orderId} and state in ('pending', 'sending', 'unknown')
      and (offered_at >= due_at and due_at <= ${new Date(nowMs + EARLY_MS)}
        or state <> 'sending' and due_at <= ${new Date(nowMs)})
    order by due_at limit 1`;
  return next && Math.max(500, next.dueAt.getTime() - nowMs);
}

/** Thrown when another worker has taken over: nothing may be sent or written any more. */
export class ClaimLost extends Error {
  override name = 'ClaimLost';
  constructor() {
    super('another worker has taken this order over');
  }
}

/**
 * The fence before a request with an effect leaves: from here on Temu may have been told, whatever happens to us.
 * @throws ClaimLost
 */
export async function aboutToTell(
  { db, clock, timings }: AwbDeps,
  claim: Claim,
  ids: readonly string[],
): Promise<void> {
  const now = new Date(clock());
  const held = await db.$client`
    update temu_pushes set told_at = ${now}, due_at = ${new Date(clock() + timings.leaseMs)}
    where id = any(${ids as string[]}::uuid[]) and claim = ${claim.token} and state = 'sending' returning 1`;
  if (held.length !== ids.length) throw new ClaimLost();
}

export type Settlement =
  | { state: 'sent' }
  | { state: 'rejected'; error: string }
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

/**
 * Writes the outcome of claimed pushes and what A5 says of the order, in one transaction.
 * @throws ClaimLost when another worker holds them now: its outcome counts, not ours
 */
export async function settlePushes(
  { db, clock }: AwbDeps,
  claim: Claim,
  ids: readonly string[],
  outcome: Settlement,
): Promise<void> {
  const now = new Date(clock());
  const due = 'dueAt' in outcome ? outcome.dueAt : null;
  const error = outcome.state === 'sent' ? null : outcome.error;
  const unmatched = outcome.state === 'parked' ? (outcome.unmatchedCarrier ?? null) : null;
  const keepsTold = outcome.state === 'unknown' || (outcome.state === 'parked' && outcome.maybeTold === true);
  await db.$client.begin(async (sql) => {
    const held = await sql<{ id: string; news: boolean }[]>`
      with before as (select id, error from temu_pushes where id = any(${ids as string[]}::uuid[]) for update)
      update temu_pushes p set state = ${outcome.state}, error = ${error}, claim = null,
        sent_at = ${outcome.state === 'sent' ? now : null},
        told_at = case when ${keepsTold} then p.told_at end,
        attempts = greatest(0, attempts - ${outcome.state === 'pending' && !outcome.spent ? 1 : 0}),
        due_at = coalesce(${due}, p.due_at), offered_at = null, unmatched_carrier = ${unmatched},
        parked_order_time = ${
          outcome.state === 'parked' && outcome.untilOrderChanges
            ? sql`(select coalesce(order_modified_at, ${now}) from orders where id = p.order_id)`
            : null
        }
      from before
      where p.id = before.id and p.claim = ${claim.token} and p.state = 'sending'
      returning p.id, before.error is distinct from ${error} as news`;
    if (held.length !== ids.length) throw new ClaimLost();
    if (outcome.state === 'sent')
      await sql`
        update temu_orders set tracking_sent_to_temu = true, tracking_sent_at = ${now}, tracking_send_error = null
        where order_id = ${claim.orderId}`;
    else if (error !== null && !(outcome.state === 'pending' && !outcome.spent))
      await sql`update temu_orders set tracking_send_error = ${error} where order_id = ${claim.orderId}`;
    if ((outcome.state === 'parked' || outcome.state === 'rejected') && held.some(({ news }) => news))
      await sql`
        insert into notices (kind, key, subject, payload)
        select 'awb-not-sent', ${`awb-not-sent-${ids[0]}-${now.getTime()}`}, o.id, jsonb_build_object(
          'orderId', o.id, 'store', s.name, 'text',
          'the AWB of order ' || o.marketplace_order_id || ' is not on Temu: ' || ${error}::text)
        from orders o left join temu_stores s on s.id = o.store_id where o.id = ${claim.orderId}
        on conflict (key) do nothing`;
  });
}
