import { sql } from 'drizzle-orm';
import { statement } from '../../db/query.ts';
import { orders } from '../../db/schema/index.ts';
import { seconds } from '../../queue/define.ts';
import { type JobContext, type Outcome, Wait } from '../../queue/handle.ts';
import { createStoreBulkheads } from '../bulkhead.ts';
import { severalStores } from '../stores.ts';
import type { AwbDeps } from './claim.ts';
import { awbPush } from './queues.ts';

const ph = sql.placeholder;

/** With this many calls hanging for seconds in this process, a store counts as unresponsive (T17). */
const HANGING = 5;
/** A job of such a store retries after this long: the default timeout of a call. */
const STEP_ASIDE_MS = seconds(15);
/** With several stores, the most slots of the queue that one may take, … */
const MOST_SLOTS = Math.floor(awbPush.concurrency * 0.8);
/** … how long its further jobs wait for one of them before they step aside, … */
const WAIT_FOR_SLOT_MS = 250;
/** … and for how long they do. */
const LET_OTHERS_PASS_MS = 1_000;

/** The order's store id ('' without one), and whether other stores are active. */
const STORE = statement(
  { id: sql<string>`coalesce(${orders.storeId}::text, '')`, oneOfSeveral: severalStores },
  (read) => sql`select ${read} from ${orders} where ${orders.id} = ${ph('orderId')}`,
);

async function storeOf({ db }: AwbDeps, orderId: string) {
  const [row] = await STORE.run(db, { orderId });
  return row ?? { id: '', oneOfSeveral: false };
}

export const isUnresponsive = ({ temu }: AwbDeps, storeId: string) => temu.hanging(storeId) >= HANGING;

/**
 * T17: jobs of a store that does not respond, or that already has most slots of awb-push, step aside before they
 * claim anything. The job comes back with its priority, ahead of all later deadlines (A8).
 */
export function withStoreFairness(
  deps: AwbDeps,
  push: (job: { orderId: string }, context: JobContext) => Promise<Outcome>,
): typeof push {
  const bulkheads = createStoreBulkheads(MOST_SLOTS, WAIT_FOR_SLOT_MS);
  return async (job, context) => {
    const store = await storeOf(deps, job.orderId);
    if (!store.oneOfSeveral) return await push(job, context);
    if (isUnresponsive(deps, store.id))
      throw new Wait(STEP_ASIDE_MS, 'stepped aside: the store does not respond');
    const release = await bulkheads.acquire(store.id);
    if (!release) throw new Wait(LET_OTHERS_PASS_MS, 'stepped aside for other stores');
    try {
      return await push(job, context);
    } finally {
      release();
    }
  };
}
