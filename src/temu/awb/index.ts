import { type Handler, handle } from '../../queue/handle.ts';
import type { OrdersDeps } from '../orders/deps.ts';
import { createDirectPush } from './direct.ts';
import { AWB_TIMINGS, type AwbTimings } from './ledger.ts';
import { createPush } from './push.ts';
import { awbCreated, awbPush } from './queues.ts';
import { outcomeOf, record } from './record.ts';
import { inTurn } from './turns.ts';

export { normalCarrier } from './carriers.ts';
export { companiesOf } from './logistics.ts';
export { awbCreated, awbPush } from './queues.ts';
export { type PushState, pushByHand, pushStates, RETRY_AT_ONCE, retryPushes } from './retry.ts';
export {
  awbRisk,
  type OrderAtRisk,
  ordersAtRisk,
  TIME_LEFT_STEPS,
  unsentByTimeLeft,
} from './risk.ts';
export { type ParcelStory, parcelStories } from './story.ts';
export { awbTasks, awbWorks } from './tasks.ts';

/** The handlers of the AWB queues. */
export function awbHandlers(base: OrdersDeps, timings: AwbTimings = AWB_TIMINGS): Handler[] {
  const deps = { ...base, timings };
  const pushNow = createDirectPush(deps);
  return [
    handle(awbCreated, async (event, context) => {
      const recorded = await record(deps, event);
      return recorded.is === 'due' ? await pushNow(recorded.orderId, context) : outcomeOf(recorded);
    }),
    handle(awbPush, inTurn(deps, createPush(deps))),
  ];
}
