/** What a stand-in received, in order. */
export interface Recording<T> {
  /** Oldest first. */
  list(): readonly T[];
  /** Waits until the list satisfies the condition; throws after `timeoutMs` (10 s) with the number of entries. */
  until(satisfied: (list: readonly T[]) => boolean, timeoutMs?: number): Promise<readonly T[]>;
  /** Waits for `count` matching entries, and returns all that match. */
  wait(count: number, matches?: (one: T) => boolean, timeoutMs?: number): Promise<T[]>;
  clear(): void;
}

export interface Recorder<T> extends Recording<T> {
  add(one: T): void;
}

const WAIT_MS = 10_000;

/** Keeps the newest `capacity` entries. */
export function createRecorder<T>(what: string, capacity = 20_000): Recorder<T> {
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
