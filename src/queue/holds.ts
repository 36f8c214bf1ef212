import { AsyncResource } from 'node:async_hooks';

/** What is needed of BullMQ's worker: `pause(true)` stops taking jobs without waiting for those in progress. */
export interface Pausable {
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): Promise<void>;
}

/** Not in its types: how it takes a job, and how it runs something within a span. */
interface Inner {
  moveToActive(...args: unknown[]): Promise<unknown>;
  trace(
    kind: unknown,
    operation: string,
    destination: string,
    work: Work,
    ...more: unknown[]
  ): Promise<unknown>;
}
type Work = (...span: unknown[]) => Promise<unknown>;

/** A worker that several may pause, each for its own reason: it takes jobs while none does. */
export interface Holds {
  /** True while anybody pauses it. */
  readonly on: boolean;
  /** The worker as seen by one of those who pause it. */
  holder(): Pausable;
}

/**
 * @param worker takes nothing from the first pause on; one created without `autorun` starts when the last pause ends
 */
export function createHolds(worker: Pausable): Holds {
  const holders = new Set<Pausable>();
  // paused while it waits for a job, BullMQ's worker still takes the next one
  const inner = worker as unknown as Inner;
  // its loop restarts in the context of whoever resumes it, a job for instance, and within a span of its own (BullMQ
  // 6.7): all later jobs would be in one trace (O4)
  const resume = AsyncResource.bind(() => worker.resume());
  const trace = inner.trace.bind(worker);
  inner.trace = (kind, operation, destination, work, ...more) =>
    operation === 'resume' ? work() : trace(kind, operation, destination, work, ...more);
  const take = inner.moveToActive.bind(worker);
  inner.moveToActive = async (...args) => (holders.size > 0 ? undefined : await take(...args));
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
