import type { Failure } from '../../errors.ts';
import { enqueueDue } from '../../leases/enqueue.ts';
import { backoffMs, minutes, seconds } from '../../queue/define.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { Store } from '../client.ts';
import { pauseRefusedStore } from '../stores.ts';
import type { CarrierMatch } from './carriers.ts';
import {
  type AwbDeps,
  type Claim,
  type ClaimedPush,
  ofOrder,
  releasePushes,
  type Settlement,
  settlePushes,
} from './ledger.ts';
import { pushes } from './offer.ts';
import { compare } from './plan.ts';
import { awbPush } from './queues.ts';
import { type AwbOrder, readBack } from './read.ts';

/** Without a ship-by date transient failures are retried this long. */
const WITHOUT_DEADLINE_MS = 7 * 24 * 3_600_000;
/** With one, also an order that is late already has this long: an hour's trouble must not park all late orders. */
const AT_LEAST_MS = 6 * 3_600_000;

/** The direct way (A9): in the job that recorded the event, for as long as the quota has room. */
export interface Direct {
  /** It may wait for its turn this long; then it goes to the queue, where the earliest deadline is first (A8). */
  patienceMs: number;
  /** Called when the quota had no room. */
  crowded(): void;
}

/** One order in one worker's hands. */
export interface Work {
  deps: AwbDeps;
  claim: Claim;
  store: Store;
  order: AwbOrder;
  signal: AbortSignal;
  /** undefined: from the queue, where it waits for the quota as long as it takes. */
  direct: Direct | undefined;
}

export const parked = (error: string, untilOrderChanges = false) => ({
  state: 'parked' as const,
  error,
  untilOrderChanges,
});

/** A4: until a person has pinned the carrier. */
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

/** Later again: what may have been told stays unknown, the rest stays to be told. */
export async function postpone(
  work: Work,
  pushes: readonly ClaimedPush[],
  { ms, error, spent }: { ms: number; error: string | null; spent: boolean },
): Promise<Outcome> {
  const dueAt = new Date(work.deps.clock() + ms);
  const told = pushes.filter(({ toldAt }) => toldAt !== null);
  const untold = pushes.filter(({ toldAt }) => toldAt === null);
  if (told.length > 0)
    await settle(work, told, { state: 'unknown', error: error ?? 'the answer was lost', dueAt });
  if (untold.length > 0) await settle(work, untold, { state: 'pending', error, dueAt, spent });
  return { outcome: 'later', order: work.order.sn, inMs: ms, why: error };
}

/** "The current package cannot be edited": a re-booking that Temu does not allow. */
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
      await pauseRefusedStore(work.deps.db, work.store, failure); // first, or the push would be told again at once
      await postpone(work, pushes, { ms: 0, error: text, spent: false });
      return { outcome: 'store paused', why: text };
    case 'throttled':
      if (work.direct) return await giveToQueue(work, work.direct);
      return await postpone(work, pushes, { ms: seconds(15), error: text, spent: false });
    case 'notReady':
      return await postpone(work, pushes, { ms: minutes(2), error: text, spent: true });
    case 'unknownOutcome':
      return await settle(work, pushes, {
        state: 'unknown',
        error: `the answer was lost (${text}): Temu is asked before anything is sent again`,
        dueAt: nextLook(work, attempts),
      });
    case 'transient':
    case 'malformed':
      if (work.deps.clock() > deadlineOf(work, pushes))
        return await settle(work, pushes, {
          ...parked(`Temu could not be told before the deadline: ${text}`),
          maybeTold: pushes.some(({ toldAt }) => toldAt !== null),
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
          `${text}; ask Temu's business contact to open this API, authorise the app again, then: orderfleet awb retry`,
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

/** Soon after the first lost answer; a call whose answers are lost again and again is repeated ever more seldom (A7). */
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

/** "Already shipped", "number used": true when Temu has our number for this order, else a conflict (A6). */
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

/** The direct way (A9) is for a quota with room; where there is none, the earliest deadline goes first. */
async function giveToQueue(work: Work, direct: Direct): Promise<Outcome> {
  direct.crowded();
  await releasePushes(work.deps, work.claim);
  await enqueueDue(work.deps, pushes, { where: ofOrder(work.claim.orderId) });
  return { outcome: 'queued', order: work.order.sn };
}
