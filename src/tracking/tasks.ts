import type { Work } from '../leases/define.ts';
import { sweepTasks } from '../leases/sweep.ts';
import { minutes, seconds } from '../queue/define.ts';
import type { Task } from '../queue/maintenance.ts';
import { batchesOf } from './claim.ts';
import type { TrackingBase } from './deps.ts';
import { replayWords } from './replay.ts';
import { endOldParcels, endOrphanedRuns, forgetOldRuns, startDueRuns } from './trackers.ts';

/** What is leased in this room: a tracker's batches have a queue of their own. */
export const trackingWorks = ({ trackers }: Pick<TrackingBase, 'trackers'>): readonly Work[] =>
  trackers.map(batchesOf);

/** What the scheduler does for tracking. */
export const trackingTasks = (base: TrackingBase): Task[] => [
  {
    id: 'tracking-start-runs', // C1; five seconds are little beside eight minutes
    everyMs: seconds(5),
    run: () => startDueRuns(base),
  },
  ...sweepTasks(base, trackingWorks(base)),
  {
    id: 'tracking-end-orphans',
    everyMs: seconds(15),
    run: async () => ({ orphaned: await endOrphanedRuns(base) }),
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
