import { seconds } from '../../queue/define.ts';
import { type JobContext, type Outcome, Wait } from '../../queue/handle.ts';
import { createPlaces } from '../places.ts';
import type { AwbDeps } from './ledger.ts';
import { awbPush } from './queues.ts';

/** Calls of one store in this process that hang for seconds: from this many on the store is in trouble (T17). */
const HANGING = 5;
/** A job of such a store looks again after this long: as long as a call may hang by default. */
const STEP_ASIDE_MS = seconds(15);
/** Where there are several stores, one has this many of the queue's places at most, … */
const MOST_PLACES = Math.floor(awbPush.concurrency * 0.8);
/** … and its further jobs wait this long for one of them before they step aside, … */
const WAIT_FOR_PLACE_MS = 250;
/** … for so long. */
const LET_OTHERS_PASS_MS = 1_000;

/** The store of an order, by its id ('' without one), and whether there are others to leave room for. */
async function storeOf({ db }: AwbDeps, orderId: string): Promise<{ id: string; oneOfSeveral: boolean }> {
  const [row] = await db.$client<{ id: string; oneOfSeveral: boolean }[]>`
    select coalesce(store_id::text, '') as id, (select count(*) > 1 from temu_stores where active) as "oneOfSeveral"
    from orders where id = ${orderId}`;
  return row ?? { id: '', oneOfSeveral: false };
}

export const inTrouble = ({ temu }: AwbDeps, storeId: string) => temu.hanging(storeId) >= HANGING;

/**
 * T17: jobs of a store that does not answer, or that has most places of awb-push already, step aside before they claim
 * anything. The job itself comes back, with its priority, so that it is before all later deadlines again (A8).
 */
export function inTurn(
  deps: AwbDeps,
  push: (job: { orderId: string }, context: JobContext) => Promise<Outcome>,
): typeof push {
  const places = createPlaces(MOST_PLACES, WAIT_FOR_PLACE_MS);
  return async (job, context) => {
    const store = await storeOf(deps, job.orderId);
    if (!store.oneOfSeveral) return await push(job, context);
    if (inTrouble(deps, store.id)) throw new Wait(STEP_ASIDE_MS, 'stepped aside: the store does not answer');
    if (!(await places.enter(store.id))) throw new Wait(LET_OTHERS_PASS_MS, 'stepped aside for other stores');
    try {
      return await push(job, context);
    } finally {
      places.leave(store.id);
    }
  };
}
