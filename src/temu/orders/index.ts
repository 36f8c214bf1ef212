import { type Handler, handle } from '../../queue/handle.ts';
import type { OrdersDeps } from './deps.ts';
import { createEnrichment } from './enrich.ts';
import { syncWindow } from './page.ts';
import { temuOrders, temuPages } from './queues.ts';

export { askPausedApisAgain } from './api-pauses.ts';
export { replaySetAside } from './inbox.ts';
export { inboxOrders } from './inbox-orders.ts';
export { temuOrders, temuPages } from './queues.ts';
export { orderTasks, orderWorks } from './tasks.ts';
export { openWindows } from './window.ts';

/** The handlers of Temu's order queues. */
export const orderHandlers = (deps: OrdersDeps): Handler[] => [
  handle(temuPages, (job, context) => syncWindow(deps, job, context)),
  handle(temuOrders, createEnrichment(deps)),
];
