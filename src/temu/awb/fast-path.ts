import { LRUCache } from 'lru-cache';
import { enqueueDue } from '../../leases/enqueue.ts';
import type { JobContext, Outcome } from '../../queue/handle.ts';
import { createBulkhead } from '../bulkhead.ts';
import { type AwbDeps, claimPushes, ofOrder, releasePushes } from './claim.ts';
import { pushes } from './enqueue.ts';
import { isUnresponsive } from './fairness.ts';
import { pushClaimed } from './push.ts';
import { awbCreated } from './queues.ts';

/** How long the fast path waits for the rate limit: less than A9 allows from event to request. */
const PATIENCE_MS = 50;
/** After the rate limit had no slot for a store, its events go straight to the queue for this long. */
const CROWDED_MS = 250;
/** Crowded stores to remember; one that is forgotten costs a needless attempt. */
const MOST_CROWDED = 1_000;
/**
 * Calls may hang: the fast path leaves some slots of awb-created to recording alone (A2). A store whose calls hang
 * becomes unresponsive after seconds, and the others then have the queue, where it cannot take every slot (T17).
 */
const MOST_AT_ONCE = awbCreated.concurrency - 4;
/** How long an event waits for a slot. Short, since the queue always takes it, though at a higher cost. */
const WAIT_FOR_SLOT_MS = 100;

/**
 * The fast path (A9): pushes in the job that recorded the event, while the rate limit has a slot, the store responds
 * and no other worker has the order; otherwise the push becomes a job, ordered by deadline (A8).
 */
export function createFastPath(deps: AwbDeps) {
  const crowded = new LRUCache<string, true>({ max: MOST_CROWDED, ttl: CROWDED_MS });
  const acquire = createBulkhead(MOST_AT_ONCE, WAIT_FOR_SLOT_MS);

  const tryAcquire = async (storeId: string) =>
    crowded.has(storeId) || isUnresponsive(deps, storeId) ? undefined : await acquire();

  return async (orderId: string, { signal }: JobContext): Promise<Outcome> => {
    const claim = await claimPushes(deps, orderId, false);
    const release = claim && (await tryAcquire(claim.storeId));
    if (!release) {
      if (claim) await releasePushes(deps, claim);
      await enqueueDue(deps, pushes, { where: ofOrder(orderId) });
      return { outcome: 'queued' };
    }
    try {
      const onCrowded = () => crowded.set(claim.storeId, true);
      return await pushClaimed(deps, claim, signal, { patienceMs: PATIENCE_MS, crowded: onCrowded });
    } finally {
      release();
    }
  };
}
