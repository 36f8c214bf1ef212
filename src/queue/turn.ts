import { type Outcome, Wait } from './handle.ts';

/** A row's turn: how the job is named that takes it, and what becomes of a job that comes before its row's time. */

const HOUR_MS = 3_600_000;

/**
 * A job's id. The time at which its row is due is part of it, so that a kept, ended job never swallows the row's next turn;
 * and the hour, so that whatever used an id up, the row comes back.
 * @param what names the row; without ":"
 */
export const turnId = (what: string, dueMs: string | number, nowMs: number): string =>
  `${what}-${dueMs}-${Math.floor(nowMs / HOUR_MS)}`;

/**
 * Clocks of two machines differ by less than this: a job that comes that early is early, not needless. Were it to end,
 * its id would be used up, and its row could not be offered again within the hour.
 */
export const EARLY_MS = 60_000;
export const MOMENT_MS = 100;

/**
 * For a job whose row was not there to be claimed.
 * @param row while it is open. `held`: in a worker's hands, when its lease lies beyond the time of its offer; else it
 * waits for the very turn that the job was made for
 * @throws Wait when that turn is yet to come
 */
export function waitIfEarly(row: { dueAt: Date; held: boolean } | undefined, nowMs: number): Outcome {
  const earlyMs = row && !row.held ? row.dueAt.getTime() - nowMs : Number.POSITIVE_INFINITY;
  // not early at all: it came due between two looks, or was handed back this very moment
  if (earlyMs <= EARLY_MS) throw new Wait(Math.max(MOMENT_MS, earlyMs), 'due in a moment');
  return { outcome: 'nothing to do' };
}

/**
 * Makes jobs of rows that are marked as offered. Where the queue refuses them the mark is taken back, so that the next sweep
 * offers them, and not the one that looks for jobs which were lost (R2: within a minute).
 * @throws what `add` throws
 */
export async function offer(add: () => Promise<void>, takeBack: () => Promise<unknown>): Promise<void> {
  try {
    await add();
  } catch (error) {
    await takeBack().catch(() => {}); // with Postgres away, too, they are offered again as if their jobs were lost
    throw error;
  }
}
