import type { Config } from '../../config/index.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Before the working day in India and in Europe. */
const DAILY_AT_MS = 6 * HOUR_MS;

/** When a run's report is due: immediately, at the next full hour, or at the next 6:00 UTC. */
export function digestTime(createdAt: Date, reports: Config['REPORTS']): Date {
  const at = createdAt.getTime();
  if (reports === 'hourly') return new Date((Math.floor(at / HOUR_MS) + 1) * HOUR_MS);
  if (reports === 'daily')
    return new Date((Math.floor((at - DAILY_AT_MS) / DAY_MS) + 1) * DAY_MS + DAILY_AT_MS);
  return createdAt;
}
