import { setTimeout as sleep } from 'node:timers/promises';
import { isInfrastructureFault } from '../lib/infrastructure.ts';

/**
 * Milliseconds between tries, the last one repeated: shorter than what is left of any lease when Postgres comes back.
 */
const PAUSES_MS = [100, 500, 1_000, 2_000];
/** By then a lease has expired, and the row is another worker's. */
const GIVE_UP_MS = 120_000;

/**
 * R10: writes the outcome of claimed work, or releases it, even while Postgres refuses for a minute: otherwise the
 * lease expires, the claim counts as an attempt, and an effect is repeated. The write must be idempotent and fenced
 * by its claim.
 * @param signal the job's: once it is aborted there are no more tries
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
