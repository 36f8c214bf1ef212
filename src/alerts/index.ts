import { type Handler, handle } from '../queue/handle.ts';
import { createDelivery } from './deliver.ts';
import { ALERT_TIMINGS, type AlertsDeps, type AlertTimings } from './deps.ts';
import { notices } from './queues.ts';

export { type DeliveryOverview, deliveryOverview, type OpenNotice, openNotices } from './overview.ts';
export { notices } from './queues.ts';
export { WEBHOOK_EVENTS, type WebhookEvent } from './routes.ts';
export { alertTasks, alertWorks } from './tasks.ts';
export { callEndpoint } from './webhooks/call.ts';
export {
  addEndpoint,
  endpointContext,
  endpointOf,
  failedDeliveries,
  isWebhookEvent,
  listEndpoints,
  normalAddress,
  removeEndpoint,
  resealEndpoint,
  resumeEndpoint,
  retryDeliveries,
} from './webhooks/endpoints.ts';

/** The handler of the notices' queue. */
export const alertHandlers = (deps: AlertsDeps, timings: AlertTimings = ALERT_TIMINGS): Handler[] => [
  handle(notices, createDelivery(deps, timings)),
];
