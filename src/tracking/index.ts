import { type Handler, handle } from '../queue/handle.ts';
import { createQuota, type Quota } from '../quota/index.ts';
import type { Ledger } from '../quota/ledger.ts';
import type { TrackingDeps } from './deps.ts';
import { type BatchTimes, createBatchHandler } from './engine/batch.ts';
import { createCooldowns } from './engine/cooldown.ts';
import { queueOf } from './queues.ts';
import type { Tracker } from './registry.ts';

export type { TrackingDeps } from './deps.ts';
export { tokenContext } from './engine/credentials.ts';
export { applyWebhook, type CourierWebhook, courierWebhooks } from './engine/inbound-webhook.ts';
export { type Skipped, startRun } from './engine/runs.ts';
export { isFinal, STATUSES } from './engine/status.ts';
export { reconcileTrackers } from './engine/trackers.ts';
export {
  listUnmapped,
  mapStatus,
  trackerNamed,
  type UnmappedStatus,
  unmapStatus,
} from './mappings/status-mappings.ts';
export { numberWarning } from './number-warning.ts';
export {
  FEED_REMEDY,
  FRESHNESS_MINUTES,
  runOverviews,
  type TrackerOverview,
  type TrackingOverview,
  trackingOverview,
} from './overview.ts';
export { queueOf } from './queues.ts';
export { createTrackers, credentialSettings, type Tracker, trackingSettings, whyOff } from './registry.ts';
export { trackingTasks, trackingWorks } from './tasks.ts';
export { type TrackingTimeline, trackingTimelines } from './timeline.ts';
export { whatWouldTrack } from './untracked.ts';

/** The handlers of all trackers' queues. Without credentials they leave batches to workers that have them. */
export function trackingHandlers(deps: TrackingDeps, times?: BatchTimes): Handler[] {
  const waits = createCooldowns(deps);
  return deps.trackers.map((tracker) =>
    handle(queueOf(tracker), createBatchHandler(deps, tracker, waits, times)),
  );
}

/** The account of each rate-limited tracker. Limits are set below what couriers allow, so no tolerance is added. */
export const trackerQuotas = (ledger: Ledger, trackers: readonly Tracker[]): Map<string, Quota> =>
  new Map(
    trackers.flatMap(({ name, limit }) =>
      limit
        ? [
            [
              name,
              createQuota(ledger, {
                max: limit.max,
                perMs: limit.seconds * 1000,
                toleranceMs: 0,
                shares: [{ name: 'all', part: 1 }],
              }),
            ] as const,
          ]
        : [],
    ),
  );
