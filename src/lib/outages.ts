import { messageOf } from './errors.ts';
import type { Log } from './log.ts';

/**
 * Logs outages of a store (R10): the first error at once, then one line a minute with counts, and one when it is over.
 * Report such errors here instead of logging each.
 */
export interface Outages {
  /** @param where the component, e.g. `queue temu-orders`: few and fixed, since errors are counted by it */
  note(where: string, error: unknown): void;
  close(): void;
}

/** Interval of the log lines; the outage is over after this long without an error. */
const EVERY_MS = 60_000;

export function createOutages(log: Log, everyMs = EVERY_MS): Outages {
  let faults = new Map<string, number>();
  let last = '';
  let since = 0;
  let timer: NodeJS.Timeout | undefined;

  function tell(): void {
    if (faults.size > 0) {
      log.warn(
        { faults: Object.fromEntries(faults), err: last },
        'Postgres or Redis is failing or unreachable',
      );
      faults = new Map();
      timer?.refresh();
      return;
    }
    clearInterval(timer);
    timer = undefined;
    log.info(
      { seconds: Math.round((Date.now() - since) / 1000) },
      'Postgres and Redis have been fine for a minute',
    );
  }

  return {
    note(where, error) {
      last = messageOf(error);
      faults.set(where, (faults.get(where) ?? 0) + 1);
      if (timer) return;
      since = Date.now();
      timer = setInterval(tell, everyMs);
      timer.unref();
      tell();
    },
    close() {
      clearInterval(timer);
      timer = undefined;
      if (faults.size > 0)
        log.warn({ faults: Object.fromEntries(faults), err: last }, 'Postgres or Redis failed');
    },
  };
}
