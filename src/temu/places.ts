/** How many of a queue's places the work of one store may take, so that a store in trouble leaves room (T17). */
export interface Places {
  /** Resolves true with a place, or false when none came free in time. */
  enter(storeId: string): Promise<boolean>;
  leave(storeId: string): void;
}

/**
 * @param most places of one store
 * @param waitMs how long work waits for a place of its store; it holds one of the places left to others meanwhile
 */
export function createPlaces(most: number, waitMs: number): Places {
  const taken = new Map<string, number>();
  const waiting = new Map<string, ((free: boolean) => void)[]>();
  const takenBy = (storeId: string) => taken.get(storeId) ?? 0;

  return {
    async enter(storeId) {
      if (takenBy(storeId) < most) {
        taken.set(storeId, takenBy(storeId) + 1);
        return true;
      }
      return await new Promise<boolean>((resolve) => {
        const queue = waiting.get(storeId) ?? [];
        waiting.set(storeId, queue);
        const settle = (free: boolean) => {
          clearTimeout(timer);
          resolve(free);
        };
        const timer = setTimeout(() => {
          queue.splice(queue.indexOf(settle), 1);
          resolve(false);
        }, waitMs);
        queue.push(settle);
      });
    },
    leave(storeId) {
      const next = waiting.get(storeId)?.shift();
      if (next)
        next(true); // the place goes on to the next one
      else taken.set(storeId, takenBy(storeId) - 1);
    },
  };
}
