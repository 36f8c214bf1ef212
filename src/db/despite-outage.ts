import { setTimeout as sleep } from 'node:timers/promises';
import { isInfrastructureFault } from '../infrastructure.ts';

/** Milliseconds between tries, then always the last: shorter than what is left of any lease when Postgres comes back. */
const PAUSES_MS = [100, 500, 1_000, 2_000];
/** By then a lease has run out, and the row is another worker's. */
const GIVE_UP_MS = 120_000;

/**
 * R10: writes what became of claimed work, or gives it back, also while Postgres refuses for a minute: else the lease runs
 * out, the claim counts as an attempt, and what has had its effect is done again. The write must be one that may be
 * repeated, fenced by its claim.
 * @param signal the job's: once it is aborted there is no further try
 * @throws the last fault; any other error at once
 */
export async function despiteOutage<T>(write: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  for (let tries = 0; ; tries++) {
    try {
      return await write();
    } catch (error) {
      if (!isInfrastructureFault(error) || signal?.aborted || performance.now() > giveUpAt) throw error;
      const pause = PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)];
      await sleep(pause, undefined, signal ? { signal } : {}).catch(() => {});
    }
  }
}
