import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Outages } from '../lib/outages.ts';
import { minutes, seconds } from './define.ts';
import type { Pausable } from './holds.ts';

/**
 * On Postgres the lock of a job is a time by its worker's clock (BullMQ 6.7). A worker whose clock is ahead takes
 * running jobs from healthy ones, and delays everybody's check for those that a dead worker left; one whose clock is
 * behind loses its own. Locks hold for 20 s and are renewed every 10 s: with 5 s of skew they are still judged
 * correctly.
 *
 * On Redis no guard is needed: locks and the check for stalled jobs use Redis' own clock. Delayed jobs come early or
 * late by the difference, which rows' own due times bound (job-id.ts), and `doctor` reports it.
 */
export const MOST_SKEW_MS = seconds(5);

export interface ClockTimes {
  /** Between two comparisons. */
  everyMs: number;
  /** The same until the first has succeeded: nothing is taken before it. */
  firstMs: number;
}

const TIMES: ClockTimes = { everyMs: minutes(1), firstMs: seconds(1) };

export interface ClockGuard {
  /** Why nothing is taken, for `/readyz`; undefined when the clocks agree. */
  says(): string | undefined;
  stop(): void;
}

interface Deps {
  /** The time by the clock of the queues' store, epoch milliseconds. */
  storeTime(): Promise<number>;
  log: Log;
  outages: Outages;
  clock?: () => number;
}

/**
 * Pauses workers until the clocks are first compared, and while this machine's is too far from that of the queues'
 * store.
 */
export function guardClock(
  workers: readonly Pausable[],
  { storeTime, log, outages, clock = () => Date.now() }: Deps,
  { everyMs, firstMs }: ClockTimes = TIMES,
): ClockGuard {
  let trouble: string | undefined = 'the clock was not yet compared with the database’s';
  let compared = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  function compareClocks(aheadMs: number | undefined): void {
    const wasOff = compared && trouble !== undefined;
    compared = true;
    if (aheadMs === undefined) {
      trouble = undefined;
      for (const worker of workers) void worker.resume();
      if (wasOff) log.info('the clock agrees with the database again: taking jobs');
      return;
    }
    const size = `${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
    trouble = `the clock is ${size} the database’s: no jobs are taken`;
    for (const worker of workers) void worker.pause(true);
    log.error({ aheadMs: Math.round(aheadMs), mostMs: MOST_SKEW_MS }, `${trouble}; set it by NTP`);
  }

  async function look(): Promise<void> {
    try {
      const sentAt = clock();
      const theirs = await storeTime();
      const readAt = clock();
      const aheadMs = (sentAt + readAt) / 2 - theirs;
      // the response may be older or newer by half the round trip
      const surelyMs = Math.abs(aheadMs) - Math.abs(readAt - sentAt) / 2;
      if (!stopped) compareClocks(surelyMs > MOST_SKEW_MS ? aheadMs : undefined);
    } catch (error) {
      outages.note('clock of the queues', messageOf(error));
    }
    if (!stopped) timer = setTimeout(look, compared ? everyMs : firstMs).unref();
  }

  for (const worker of workers) void worker.pause(true);
  void look();
  return {
    says: () => trouble,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
