import type { Pausable } from './holds.ts';

/**
 * Keeps a worker from hammering a store that refuses (R10): after each fault it takes nothing for a while, backing
 * off until a job succeeds. BullMQ itself waits after lost connections only.
 */
export interface Brake {
  /** True while it takes nothing. */
  readonly on: boolean;
  /** An infrastructure fault occurred. Further ones of jobs in progress during the pause count as the same. */
  hold(): void;
  /** A job succeeded. */
  ease(): void;
  stop(): void;
}

export interface BrakeTimes {
  firstMs: number;
  /** The longest pause: recovery takes at most this much longer. */
  mostMs: number;
}

const TIMES: BrakeTimes = { firstMs: 500, mostMs: 15_000 };

export function createBrake(worker: Pausable, { firstMs, mostMs }: BrakeTimes = TIMES): Brake {
  let pauseMs = 0;
  let resumedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function resume(): void {
    timer = undefined;
    resumedAt = performance.now();
    void worker.resume(); // it never throws: failures are `error` events, and count as new faults
  }

  return {
    get on() {
      return timer !== undefined;
    },
    hold() {
      if (timer || stopped) return;
      // a queue without jobs has none that could succeed: time without a fault counts instead
      if (performance.now() - resumedAt > 2 * mostMs) pauseMs = 0;
      pauseMs = pauseMs === 0 ? firstMs : Math.min(mostMs, 2 * pauseMs);
      void worker.pause(true);
      // up to a fifth later, so that processes do not all come back at once
      timer = setTimeout(resume, pauseMs * (1 + 0.2 * Math.random()));
    },
    ease() {
      pauseMs = 0;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
