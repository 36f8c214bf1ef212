import type { Work } from '../leases/define.ts';
import { sweepTasks } from '../leases/sweep.ts';
import { minutes, seconds } from '../queue/define.ts';
import type { Task } from '../queue/maintenance.ts';
import type { TrackingBase } from './deps.ts';
import { batchesOf } from './engine/claim.ts';
import { endOrphanedRuns, expireParcels, pruneRuns, startDueRuns } from './engine/trackers.ts';
import { remapStatuses } from './mappings/remap.ts';
import { makePartitions } from './partitions.ts';

/** Each tracker's batches have their own queue. */
export const trackingWorks = ({ trackers }: Pick<TrackingBase, 'trackers'>): readonly Work[] =>
  trackers.map(batchesOf);

/** What the scheduler does for tracking. */
export const trackingTasks = (base: TrackingBase): Task[] => [
  {
    id: 'tracking-start-runs', // C1; five seconds are negligible in a run of eight minutes
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
    run: async () => ({ replayed: await remapStatuses(base) }),
  },
  {
    id: 'tracking-tidy',
    everyMs: minutes(60),
    run: async () => ({
      ended: await expireParcels(base),
      forgotten: await pruneRuns(base),
      partitions: await makePartitions(base), // P10
    }),
  },
];
