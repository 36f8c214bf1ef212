import { AsyncResource } from 'node:async_hooks';

/** What of BullMQ's worker is needed: `pause(true)` stops taking jobs without waiting for those in work. */
export interface Pausable {
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): Promise<void>;
}

/** Not in its types: how it takes a job. */
interface Taking {
  moveToActive(...args: unknown[]): Promise<unknown>;
}

/** A worker that several may hold, each for a reason of its own: it takes jobs while nobody does. */
export interface Holds {
  /** True while somebody holds it. */
  readonly on: boolean;
  /** The worker as one of its holders sees it. */
  holder(): Pausable;
}

/**
 * @param worker takes nothing from the first pause on; one that was made without `autorun` begins when the last holder
 * lets go
 */
export function createHolds(worker: Pausable): Holds {
  const holders = new Set<Pausable>();
  // paused while it waits for a job, BullMQ's worker still takes the one that comes
  const taking = worker as unknown as Taking;
  // its loop begins anew, in the context of its start: who lets go may be a job, whose trace is not that of all later ones
  const resume = AsyncResource.bind(() => worker.resume());
  const take = taking.moveToActive.bind(worker);
  taking.moveToActive = async (...args) => (holders.size > 0 ? undefined : await take(...args));
  return {
    get on() {
      return holders.size > 0;
    },
    holder() {
      const holder: Pausable = {
        async pause() {
          holders.add(holder);
          await worker.pause(true);
        },
        async resume() {
          if (holders.delete(holder) && holders.size === 0) await resume();
        },
      };
      return holder;
    },
  };
}
