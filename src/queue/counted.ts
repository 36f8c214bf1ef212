import type { Worker } from 'bullmq';

/** Covers cuts that went unnoticed, and times with Postgres away. */
const NAME_EVERY_MS = 5_000;

/**
 * Keeps a worker in BullMQ's count of workers. On Postgres they are counted by the name of the connection on which
 * each listens for jobs. After a cut BullMQ reopens and names it only when the worker is idle: a busy one would be
 * missing, and `doctor` would report that none runs.
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
      // Postgres is away, which others report; the name is set by the next check
    } finally {
      naming = false;
    }
  }
  const timer = setInterval(() => void name(), everyMs).unref();
  worker.on('error', () => void name()); // a cut is one
  worker.once('closing', () => clearInterval(timer));
}
