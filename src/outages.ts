import { messageOf } from './errors.ts';
import type { Log } from './log.ts';

/**
 * What a process writes while a store is away or refuses (R10): the first fault at once, then one line a minute with
 * counts, and one when it is over. Whoever meets such a fault notes it here instead of writing a line of its own.
 */
export interface Outages {
  /** @param where who met it, e.g. `queue temu-orders`: few and fixed, since they are counted by it */
  note(where: string, error: unknown): void;
  close(): void;
}

/** Between two lines; without a fault for so long it is over. */
const EVERY_MS = 60_000;

export function createOutages(log: Log, everyMs = EVERY_MS): Outages {
  let faults = new Map<string, number>();
  let last = '';
  let since = 0;
  let timer: NodeJS.Timeout | undefined;

  function tell(): void {
    if (faults.size > 0) {
      log.warn({ faults: Object.fromEntries(faults), err: last }, 'a store refuses or is away');
      faults = new Map();
      timer?.refresh();
      return;
    }
    clearInterval(timer);
    timer = undefined;
    log.info({ seconds: Math.round((Date.now() - since) / 1000) }, 'no store has refused for a minute');
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
      if (faults.size > 0) log.warn({ faults: Object.fromEntries(faults), err: last }, 'a store refused');
    },
  };
}
