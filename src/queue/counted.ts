import type { Worker } from 'bullmq';

/** Where nothing was heard of the cut, or Postgres was away. */
const NAME_EVERY_MS = 5_000;

/**
 * Keeps a worker among those that are counted. On Postgres they are counted by the name of the connection by which each
 * hears of new jobs. BullMQ makes that one anew after a cut, and names it, only when the worker has nothing to do: one
 * that is busy would be missing, and `doctor` would say that none runs.
 */
export function keepCounted(worker: Worker, everyMs = NAME_EVERY_MS): void {
  let naming = false;
  async function name(): Promise<void> {
    if (naming || worker.closing) return;
    naming = true;
    try {
      await worker.backend.waitUntilReady();
      if (!worker.closing) await worker.backend.setName(worker.name);
    } catch {
      // Postgres is away: who needs it says so; the name comes with the next look
    } finally {
      naming = false;
    }
  }
  const timer = setInterval(() => void name(), everyMs).unref();
  worker.on('error', () => void name()); // a cut is one
  worker.once('closing', () => clearInterval(timer));
}
