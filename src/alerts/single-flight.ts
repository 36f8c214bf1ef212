/**
 * One run at a time per key in this process. A caller that finds one running returns at once and makes it run again: so
 * a slow destination takes one worker slot, and what came due meanwhile is not missed.
 */
export function createSingleFlight(clock: () => number, budgetMs: number) {
  const running = new Map<string, { again: boolean }>();
  return async <T>(key: string, run: (until: number) => Promise<T>): Promise<T | undefined> => {
    const other = running.get(key);
    if (other) {
      other.again = true;
      return undefined;
    }
    const mine = { again: false };
    running.set(key, mine);
    const until = clock() + budgetMs;
    try {
      for (;;) {
        mine.again = false;
        const result = await run(until);
        if (!mine.again || clock() >= until) return result;
      }
    } finally {
      running.delete(key);
    }
  };
}
