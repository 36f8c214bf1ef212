import { type Handler, handle } from '../../queue/handle.ts';
import type { OrdersDeps } from '../deps.ts';
import { AWB_TIMINGS, type AwbTimings } from './claim.ts';
import { withStoreFairness } from './fairness.ts';
import { createFastPath } from './fast-path.ts';
import { ingestEvent } from './ingest-event.ts';
import { createPush } from './push.ts';
import { awbCreated, awbPush } from './queues.ts';
import { outcomeOf } from './recorded.ts';

export { normalCarrier } from './carriers.ts';
export { listCarriers } from './logistics.ts';
export { awbCreated, awbPush } from './queues.ts';
export { type PushState, pushByHand, pushStates, RETRY_AT_ONCE, retryPushes } from './retry.ts';
export { awbTasks, awbWorks } from './tasks.ts';
export { type PushTimeline, pushTimelines } from './timeline.ts';

/** The handlers of the AWB queues. */
export function awbHandlers(base: OrdersDeps, timings: AwbTimings = AWB_TIMINGS): Handler[] {
  const deps = { ...base, timings };
  const pushNow = createFastPath(deps);
  return [
    handle(awbCreated, async (event, context) => {
      const recorded = await ingestEvent(deps, event);
      return recorded.is === 'due' ? await pushNow(recorded.orderId, context) : outcomeOf(recorded);
    }),
    handle(awbPush, withStoreFairness(deps, createPush(deps))),
  ];
}
