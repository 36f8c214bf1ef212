import { and, eq, lt, or, sql } from 'drizzle-orm';
import { trackers } from '../../db/schema/index.ts';
import type { TrackingDeps } from '../deps.ts';
import type { Tracker } from '../registry.ts';
import type { Cooldown } from './cooldown.ts';

const DAY_MS = 86_400_000;

/**
 * C10: counts a request that is about to leave against the courier's daily limit, over all processes.
 * @returns the cooldown until midnight GMT when the limit is used up: the request must not leave
 */
export async function countToday(
  { db, clock }: TrackingDeps,
  { name, dailyLimit }: Tracker,
): Promise<Cooldown | undefined> {
  if (dailyLimit === undefined) return undefined;
  const now = clock();
  const today = new Date(now).toISOString().slice(0, 10);
  const { requestsOn, requestsThatDay } = trackers;
  const isToday = sql`${requestsOn} is not distinct from ${sql.param(today, requestsOn)}`;
  const { count } = await db
    .update(trackers)
    .set({
      requestsOn: today,
      requestsThatDay: sql`case when ${isToday} then ${requestsThatDay} + 1 else 1 end`,
    })
    .where(and(eq(trackers.name, name), or(sql`not (${isToday})`, lt(requestsThatDay, dailyLimit))));
  if (count > 0) return undefined;
  return {
    kind: 'limit',
    why: `the daily limit of ${dailyLimit} requests is used up`,
    ms: DAY_MS - (now % DAY_MS),
  };
}
