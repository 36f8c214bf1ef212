import { type Handler, handle } from '../../queue/handle.ts';
import type { OrdersDeps } from '../deps.ts';
import { createEnrichment } from './enrich.ts';
import { temuOrders, temuPages } from './queues.ts';
import { syncWindow } from './sync-window.ts';

export { probeNow } from './api-breaker.ts';
export { replayQuarantined } from './inbox.ts';
export { inboxOrders } from './inbox-orders.ts';
export { temuOrders, temuPages } from './queues.ts';
export { openWindows } from './schedule-windows.ts';
export { orderTasks, orderWorks } from './tasks.ts';

/** The handlers of Temu's order queues. */
export const orderHandlers = (deps: OrdersDeps): Handler[] => [
  handle(temuPages, (job, context) => syncWindow(deps, job, context)),
  handle(temuOrders, createEnrichment(deps)),
];
