/** What a stand-in was sent, kept in order. */
export interface Kept<T> {
  /** Oldest first. */
  list(): readonly T[];
  /** Waits until the list satisfies; throws after `timeoutMs` (10 s) saying how many there were. */
  until(satisfied: (list: readonly T[]) => boolean, timeoutMs?: number): Promise<readonly T[]>;
  /** Waits until so many that match have come, and returns those. */
  wait(count: number, matches?: (one: T) => boolean, timeoutMs?: number): Promise<T[]>;
  clear(): void;
}

export interface Keeper<T> extends Kept<T> {
  add(one: T): void;
}

const WAIT_MS = 10_000;

/** Keeps the newest `capacity` of them. */
export function createKeeper<T>(what: string, capacity = 20_000): Keeper<T> {
  let kept: T[] = [];
  const waiting = new Set<() => void>();
  const until = (satisfied: (list: readonly T[]) => boolean, timeoutMs = WAIT_MS): Promise<readonly T[]> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!satisfied(kept)) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve([...kept]);
      };
      const timer = setTimeout(() => {
        waiting.delete(look);
        reject(new Error(`waited ${timeoutMs} ms for ${what}; there are ${kept.length}`));
      }, timeoutMs);
      waiting.add(look);
      look();
    });
  return {
    list: () => kept,
    until,
    wait: async (count, matches = () => true, timeoutMs = WAIT_MS) =>
      (await until((list) => list.filter(matches).length >= count, timeoutMs)).filter(matches),
    clear: () => {
      kept = [];
    },
    add: (one) => {
      kept.push(one);
      if (kept.length > capacity) kept.shift();
      for (const look of [...waiting]) look();
    },
  };
}
