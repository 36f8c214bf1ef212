import { type Handler, handle } from '../../queue/handle.ts';
import type { OrdersDeps } from '../orders/deps.ts';
import { AWB_TIMINGS, type AwbTimings } from './ledger.ts';
import { createPush } from './push.ts';
import { awbCreated, awbPush } from './queues.ts';
import { recordEvent } from './record.ts';

export { normalCarrier } from './carriers.ts';
export { companiesOf } from './logistics.ts';
export { awbCreated, awbPush } from './queues.ts';
export { type PushState, pushByHand, pushStates, RETRY_AT_ONCE, retryPushes } from './retry.ts';
export { ordersAtRisk } from './risk.ts';
export { type ParcelStory, parcelStories } from './story.ts';
export { awbTasks } from './tasks.ts';

/** The handlers of the AWB queues. */
export const awbHandlers = (deps: OrdersDeps, timings: AwbTimings = AWB_TIMINGS): Handler[] => [
  handle(awbCreated, (event) => recordEvent(deps, event)),
  handle(awbPush, createPush({ ...deps, timings })),
];
