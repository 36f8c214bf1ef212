import { enqueueDue } from '../../leases/enqueue.ts';
import type { JobContext, Outcome } from '../../queue/handle.ts';
import { createPlaces } from '../places.ts';
import { type AwbDeps, claimPushes, ofOrder, releasePushes } from './ledger.ts';
import { pushes } from './offer.ts';
import { pushClaimed } from './push.ts';
import { awbCreated } from './queues.ts';
import { inTrouble } from './turns.ts';

/** How long the direct way waits for the quota: less than A9 allows from the event to the request. */
const PATIENCE_MS = 50;
/** Once it had no room for a store, the store's events go to the queue for so long without trying. */
const CROWDED_MS = 250;
/**
 * Calls may hang: the direct way leaves some places of awb-created to recording alone (A2). A store whose calls do is in
 * trouble after seconds, and all others then have the queue, where it has not all of the places (T17).
 */
const MOST_AT_ONCE = awbCreated.concurrency - 4;
/** So long an event waits for one of them; the queue is the longer way, also for the machine. */
const WAIT_FOR_PLACE_MS = 100;
const DIRECT = 'the direct way';

/**
 * The direct way (A9): tells Temu in the job that recorded the event, while the quota has room, the store answers and
 * nobody else has the order; else the push is made a job, which waits in the order of the deadlines (A8).
 */
export function createDirectPush(deps: AwbDeps) {
  const crowdedUntil = new Map<string, number>();
  const places = createPlaces(MOST_AT_ONCE, WAIT_FOR_PLACE_MS);

  async function enter(storeId: string): Promise<boolean> {
    const crowded = performance.now() < (crowdedUntil.get(storeId) ?? 0);
    return !crowded && !inTrouble(deps, storeId) && (await places.enter(DIRECT));
  }

  return async (orderId: string, { signal }: JobContext): Promise<Outcome> => {
    const claim = await claimPushes(deps, orderId, false);
    if (!claim || !(await enter(claim.storeId))) {
      if (claim) await releasePushes(deps, claim);
      await enqueueDue(deps, pushes, { where: ofOrder(orderId) });
      return { outcome: 'queued' };
    }
    try {
      const crowded = () => crowdedUntil.set(claim.storeId, performance.now() + CROWDED_MS);
      return await pushClaimed(deps, claim, signal, { patienceMs: PATIENCE_MS, crowded });
    } finally {
      places.leave(DIRECT);
    }
  };
}
