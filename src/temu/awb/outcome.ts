import { enqueueDue } from '../../leases/enqueue.ts';
import type { Failure } from '../../lib/errors.ts';
import { backoffMs, minutes, seconds } from '../../queue/define.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { Store } from '../client.ts';
import { pauseRefusedStore } from '../stores.ts';
import type { CarrierMatch } from './carriers.ts';
import { type AwbDeps, type Claim, type ClaimedPush, ofOrder, releasePushes } from './claim.ts';
import { pushes } from './enqueue.ts';
import { compare } from './plan.ts';
import { type Settlement, settlePushes } from './push-store.ts';
import { awbPush } from './queues.ts';
import { type AwbOrder, readBack } from './read-order.ts';

/** Without a ship-by date, transient failures are retried this long. */
const WITHOUT_DEADLINE_MS = 7 * 24 * 3_600_000;
/** With one, even an order that is already late gets this long: an hour's outage must not park all late orders. */
const AT_LEAST_MS = 6 * 3_600_000;

/** The fast path (A9): in the job that recorded the event, while the rate limit has slots. */
export interface FastPath {
  /** How long it may wait for a slot; then it goes to the queue, earliest deadline first (A8). */
  patienceMs: number;
  /** Called when the rate limit had no slot. */
  crowded(): void;
}

/** One claimed order. */
export interface Work {
  deps: AwbDeps;
  claim: Claim;
  store: Store;
  order: AwbOrder;
  signal: AbortSignal;
  /** undefined: from the queue, where it waits for the rate limit as long as it takes. */
  fastPath: FastPath | undefined;
}

export const parked = (error: string, untilOrderChanges = false) => ({
  state: 'parked' as const,
  error,
  untilOrderChanges,
});

/** A4: until somebody pins the carrier. */
export const unmatched = ({ error, carrier }: CarrierMatch & { ok: false }) => ({
  ...parked(error),
  unmatchedCarrier: carrier,
});

export async function settle(
  work: Work,
  pushes: readonly ClaimedPush[],
  outcome: Settlement,
): Promise<Outcome> {
  await settlePushes(
    work.deps,
    work.claim,
    pushes.map(({ id }) => id),
    outcome,
  );
  const why = 'error' in outcome ? outcome.error : null;
  return {
    outcome: outcome.state,
    order: work.order.sn,
    awbs: pushes.map((push) => push.awbNumber).join(' '),
    why,
  };
}

/** Due later: what may have reached Temu stays unknown, the rest stays pending. */
export async function postpone(
  work: Work,
  pushes: readonly ClaimedPush[],
  { ms, error, spent }: { ms: number; error: string | null; spent: boolean },
): Promise<Outcome> {
  const dueAt = new Date(work.deps.clock() + ms);
  const unknown = pushes.filter(({ toldAt }) => toldAt !== null);
  const unsent = pushes.filter(({ toldAt }) => toldAt === null);
  if (unknown.length > 0)
    await settle(work, unknown, { state: 'unknown', error: error ?? 'the response was lost', dueAt });
  if (unsent.length > 0) await settle(work, unsent, { state: 'pending', error, dueAt, spent });
  return { outcome: 'later', order: work.order.sn, inMs: ms, why: error };
}

/** "The current package cannot be edited": Temu does not allow this re-booking. */
const NOT_EDITABLE = 120015529;

/** One action for each kind of failure (T16, A7). */
export async function onFailure(
  work: Work,
  pushes: readonly ClaimedPush[],
  failure: Failure,
): Promise<Outcome> {
  const text = failure.message;
  const attempts = Math.max(...pushes.map((push) => push.attempts));
  switch (failure.kind) {
    case 'credentials':
    case 'bug':
      await pauseRefusedStore(work.deps.db, work.store, failure); // paused first, or the push would be sent again at once
      await postpone(work, pushes, { ms: 0, error: text, spent: false });
      return { outcome: 'store paused', why: text };
    case 'throttled':
      if (work.fastPath) return await giveToQueue(work, work.fastPath);
      return await postpone(work, pushes, { ms: seconds(15), error: text, spent: false });
    case 'notReady':
      return await postpone(work, pushes, { ms: minutes(2), error: text, spent: true });
    case 'unknownOutcome':
      return await settle(work, pushes, {
        state: 'unknown',
        error: `the response was lost (${text}): checking with Temu before resending`,
        dueAt: nextLook(work, attempts),
      });
    case 'transient':
    case 'malformed':
      if (work.deps.clock() > deadlineOf(work, pushes))
        return await settle(work, pushes, {
          ...parked(`not sent to Temu before the deadline: ${text}`),
          maybeDelivered: pushes.some(({ toldAt }) => toldAt !== null),
        });
      return await postpone(work, pushes, {
        ms: backoffMs(awbPush.backoff, attempts),
        error: text,
        spent: true,
      });
    case 'alreadyDone':
      return await settleAlreadyDone(work, pushes, text);
    case 'sellerMustAct':
      return await settle(work, pushes, parked(text, true));
    case 'scope':
      return await settle(
        work,
        pushes,
        parked(
          `${text}; ask your Temu contact to enable this API, authorise the app again, then: orderfleet awb retry`,
        ),
      );
    case 'rejected':
      return await settle(
        work,
        pushes,
        failure.code === NOT_EDITABLE ? parked(text) : { state: 'rejected', error: text },
      );
  }
}

/** Soon after the first lost response, then backing off (A7). */
const nextLook = ({ deps }: Work, attempts: number) =>
  new Date(
    deps.clock() +
      backoffMs({ baseMs: deps.timings.firstLookMs, maxMs: awbPush.backoff.maxMs }, attempts, () => 0),
  );

/** A7: until when transient failures are retried. */
function deadlineOf({ order }: Work, pushes: readonly ClaimedPush[]): number {
  const created = Math.min(...pushes.map(({ createdAt }) => createdAt.getTime()));
  if (!order.shipBy) return created + WITHOUT_DEADLINE_MS;
  return Math.max(order.shipBy.getTime(), created + AT_LEAST_MS);
}

/** "Already shipped", "number used": sent if Temu has our number for this order, else a conflict (A6). */
async function settleAlreadyDone(work: Work, pushes: readonly ClaimedPush[], text: string): Promise<Outcome> {
  const known = await readBack(work.deps, work.store, work.order, work.signal);
  if (!known.ok)
    return await settle(work, pushes, {
      state: 'unknown',
      error: text,
      dueAt: new Date(work.deps.clock() + work.deps.timings.firstLookMs),
    });
  let last: Outcome = { outcome: 'nothing to do' };
  for (const push of pushes) {
    const found = compare(push.awbNumber, known.value, work.order.sent);
    last = await settle(
      work,
      [push],
      found.is === 'sent'
        ? { state: 'sent' }
        : parked(`${text}${found.is === 'conflict' ? `; ${found.reason}` : ''}`, true),
    );
  }
  return last;
}

/** The fast path (A9) is for spare rate limit; without any, the earliest deadline goes first. */
async function giveToQueue(work: Work, fastPath: FastPath): Promise<Outcome> {
  fastPath.crowded();
  await releasePushes(work.deps, work.claim);
  await enqueueDue(work.deps, pushes, { where: ofOrder(work.claim.orderId) });
  return { outcome: 'queued', order: work.order.sn };
}
