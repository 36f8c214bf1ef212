import { createPostgresBackend, type Worker } from 'bullmq';

/** What BullMQ's backend and its connection remember of having become ready; not in its types. */
interface Memory {
  readyPromise?: Promise<void> | undefined;
  waitUntilReady(): Promise<void>;
}

/**
 * BullMQ's Postgres backend, with a second chance (R2): BullMQ 6.7 remembers for ever that its first connection failed.
 * A queue that was opened while Postgres was away would never work again, and a worker would ask for its next job
 * and hear of that one failure without ever letting the process do anything else.
 */
export const patientBackend: typeof createPostgresBackend = (...args) => {
  const backend = createPostgresBackend(...args);
  forgetFailures((backend as unknown as { connection: Memory }).connection);
  forgetFailures(backend as unknown as Memory);
  return backend;
};

function forgetFailures(one: Memory): void {
  const ready = one.waitUntilReady.bind(one);
  one.waitUntilReady = async () => {
    const told = ready();
    const remembered = one.readyPromise;
    try {
      await told;
    } catch (error) {
      if (one.readyPromise === remembered) one.readyPromise = undefined;
      throw error;
    }
  };
}

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
