import { enqueueDue } from '../leases/enqueue.ts';
import { minutes, seconds } from '../queue/define.ts';
import type { Task } from '../queue/maintenance.ts';
import { batchesOf } from './claim.ts';
import type { TrackingBase } from './deps.ts';
import { replayWords } from './replay.ts';
import { endOldParcels, endOrphanedRuns, forgetOldRuns, startDueRuns } from './trackers.ts';

/** What the scheduler does for tracking. */
export const trackingTasks = (base: TrackingBase): Task[] => [
  {
    id: 'tracking-start-runs', // C1; five seconds are little beside eight minutes
    everyMs: seconds(5),
    run: () => startDueRuns(base),
  },
  {
    id: 'tracking-sweep', // R1: due batches without a job
    everyMs: seconds(15),
    async run() {
      let offered = 0;
      for (const tracker of base.trackers) offered += await enqueueDue(base, batchesOf(tracker));
      return { offered, orphaned: await endOrphanedRuns(base) };
    },
  },
  {
    id: 'tracking-replay-words', // C6
    everyMs: seconds(30),
    run: async () => ({ replayed: await replayWords(base) }),
  },
  {
    id: 'tracking-tidy',
    everyMs: minutes(60),
    run: async () => ({ ended: await endOldParcels(base), forgotten: await forgetOldRuns(base) }),
  },
];
