import type { Fleet } from '../fleet.ts';

/** A tracker's last round that has ended, where more of it failed than single parcels do in any round. */
export interface FailedRound {
  tracker: string;
  planned: number;
  failed: number;
  /** The most frequent reason. */
  why: string | null;
}

/** A round that runs says nothing yet: its failures come last, after all tries. A fifth of the parcels is too many. */
export const failedRounds = async ({ db }: Pick<Fleet, 'db'>): Promise<FailedRound[]> => [
  ...(await db.$client<FailedRound[]>`
    select t.name as tracker, r.planned, r.failed,
      (select key from jsonb_each_text(r.errors) order by value::int desc, key limit 1) as why
    from trackers t cross join lateral (
      select * from tracking_runs r where r.tracker = t.name and r.state = 'finished' order by r.started_at desc limit 1) r
    where t.enabled and r.failed * 5 > r.planned order by t.name`),
];
