import { type Handler, handle } from '../queue/handle.ts';
import { createQuota, type Ledger, type Quota } from '../quota.ts';
import { type BatchTimes, createBatchHandler } from './batch.ts';
import type { Tracker } from './catalogue.ts';
import type { TrackingDeps } from './deps.ts';
import { queueOf } from './queues.ts';
import { createWaits } from './waits.ts';

export { createTrackers, type Tracker, trackingSettings, whyOff } from './catalogue.ts';
export type { TrackingDeps } from './deps.ts';
export {
  FRESHNESS_MINUTES,
  runOverviews,
  type TrackerOverview,
  type TrackingOverview,
  trackingOverview,
} from './overview.ts';
export { applyPush, type PushAddress, pushAddresses } from './push.ts';
export { queueOf } from './queues.ts';
export {
  mapWord,
  type StrangeWord,
  strangeWords,
  trackerNamed,
  unmapWord,
} from './rulings.ts';
export { type Skipped, startRun } from './runs.ts';
export { tokenContext } from './secret.ts';
export { STATUSES } from './status.ts';
export { type TrackingStory, trackingStories } from './story.ts';
export { trackingTasks, trackingWorks } from './tasks.ts';
export { reconcileTrackers } from './trackers.ts';

/** The handlers of all trackers' queues; batches of those that are off here are left to workers that have credentials. */
export function trackingHandlers(deps: TrackingDeps, times?: BatchTimes): Handler[] {
  const waits = createWaits(deps);
  return deps.trackers.map((tracker) =>
    handle(queueOf(tracker), createBatchHandler(deps, tracker, waits, times)),
  );
}

/** The account of each tracker that has a limit. Couriers' limits are used below what they allow: no more tolerance. */
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
