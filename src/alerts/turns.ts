import { backoffMs, minutes, seconds } from '../queue/define.ts';

/**
 * Destinations in trouble, in this process's memory: for a while nothing is tried there, so that one that hangs or
 * refuses costs a call now and then and not a place for every notice. What is lost with the process is one more call.
 */
export interface Rests {
  /** Until when nothing is tried there; undefined: it is fine, or to be tried again. */
  until(key: string): number | undefined;
  /** True from its first failure to its next success: it is tried with one call at first. */
  doubted(key: string): boolean;
  /** @param askedMs how long it wants to be left alone, when it said so. @returns until when it rests, epoch ms */
  failed(key: string, askedMs?: number): number;
  ok(key: string): void;
}

const REST = { baseMs: seconds(15), maxMs: minutes(5) };
/** Destinations are few; endpoints that come and go must not add up all the same. */
const MOST_REMEMBERED = 1_000;

export function createRests(clock: () => number): Rests {
  const known = new Map<string, { failures: number; until: number }>();
  return {
    until(key) {
      const rest = known.get(key);
      return rest && rest.until > clock() ? rest.until : undefined;
    },
    doubted: (key) => known.has(key),
    failed(key, askedMs) {
      const before = known.get(key);
      // calls that failed together are one failure
      if (before && before.until > clock() && askedMs === undefined) return before.until;
      const failures = (before?.failures ?? 0) + 1;
      const until = clock() + (askedMs ?? backoffMs(REST, failures));
      known.delete(key); // the newest is last
      known.set(key, { failures, until });
      const [oldest] = known.keys();
      if (known.size > MOST_REMEMBERED && oldest !== undefined) known.delete(oldest);
      return until;
    },
    ok: (key) => void known.delete(key),
  };
}

/**
 * One at a time per key in this process. Whoever comes while another is at it leaves at once, and that one goes round
 * again: so a slow destination has one place of the queue, and what came due meanwhile is not forgotten.
 */
export function createTurns(clock: () => number, budgetMs: number) {
  const atWork = new Map<string, { again: boolean }>();
  return async <T>(key: string, round: (until: number) => Promise<T>): Promise<T | undefined> => {
    const other = atWork.get(key);
    if (other) {
      other.again = true;
      return undefined;
    }
    const mine = { again: false };
    atWork.set(key, mine);
    const until = clock() + budgetMs;
    try {
      for (;;) {
        mine.again = false;
        const result = await round(until);
        if (!mine.again || clock() >= until) return result;
      }
    } finally {
      atWork.delete(key);
    }
  };
}
