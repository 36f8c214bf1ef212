import type { Pausable } from './holds.ts';

/**
 * Keeps a worker from asking a store that refuses again and again (R10): after each fault it takes nothing for a while,
 * ever longer until a job goes through. BullMQ itself waits after lost connections alone.
 */
export interface Brake {
  /** True while it takes nothing. */
  readonly on: boolean;
  /** A fault of the infrastructure was met. Those met while it waits already, by jobs in work, are the same one. */
  hold(): void;
  /** A job went through. */
  ease(): void;
  stop(): void;
}

export interface BrakeTimes {
  firstMs: number;
  /** Recovery takes so much longer at most. */
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
    void worker.resume(); // it throws nothing: what goes wrong is an `error` event, and a fault anew
  }

  return {
    get on() {
      return timer !== undefined;
    },
    hold() {
      if (timer || stopped) return;
      // a queue without jobs has nothing that could go through: time without a fault says as much
      if (performance.now() - resumedAt > 2 * mostMs) pauseMs = 0;
      pauseMs = pauseMs === 0 ? firstMs : Math.min(mostMs, 2 * pauseMs);
      void worker.pause(true);
      // up to a fifth later, so that not all processes come back in one moment
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
