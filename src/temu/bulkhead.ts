import { E_TIMEOUT, Semaphore, withTimeout } from 'async-mutex';

/** Resolves with a function that releases the slot, or undefined when none came free in time. */
type Acquire = () => Promise<(() => void) | undefined>;

/**
 * Slots for work that may hang, so that it does not take them all (T17).
 *
 * @param most slots
 * @param waitMs how long work waits for one; meanwhile it occupies a slot of those left to others
 */
export function createBulkhead(most: number, waitMs: number): Acquire {
  const slots = withTimeout(new Semaphore(most), waitMs);
  return async () => {
    try {
      const [, release] = await slots.acquire();
      return release;
    } catch (error) {
      if (error === E_TIMEOUT) return undefined;
      throw error;
    }
  };
}

/** One bulkhead per store, kept while somebody has a slot in it or waits for one. */
export function createStoreBulkheads(
  most: number,
  waitMs: number,
): { acquire(storeId: string): ReturnType<Acquire>; readonly size: number } {
  const stores = new Map<string, { acquire: Acquire; users: number }>();
  return {
    async acquire(storeId) {
      const store = stores.get(storeId) ?? { acquire: createBulkhead(most, waitMs), users: 0 };
      stores.set(storeId, store);
      store.users++;
      const forget = () => {
        if (--store.users === 0) stores.delete(storeId);
      };
      const release = await store.acquire();
      if (!release) return void forget();
      return () => {
        release();
        forget();
      };
    },
    get size() {
      return stores.size;
    },
  };
}
