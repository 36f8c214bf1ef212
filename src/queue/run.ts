import type { Worker } from 'bullmq';
import type { Log } from '../log.ts';
import { seconds } from './define.ts';
import { type Handler, retryDelay, SHUTDOWN } from './handle.ts';
import type { Queues } from './queues.ts';

export interface LockTimes {
  lockMs: number;
  stalledLookMs: number;
}

/**
 * A killed worker's job is another's after the lock runs out plus at most one look for stalled ones: 30 s at most.
 * A handler renews its lock while it runs, so long jobs need no long lock.
 */
const LOCK_TIMES: LockTimes = { lockMs: seconds(20), stalledLookMs: seconds(10) };
/**
 * Being killed is nobody's fault: two deploys must not fail a job (default 1). Work that itself kills its worker is
 * bounded by the attempts that its row counts when it is taken.
 */
const MAX_STALLED = 20;

export interface RunningWorkers {
  /** Stage one: take nothing new, let jobs finish for `graceMs`; stage two: abort them and hand them back. */
  stop(graceMs: number): Promise<void>;
  /** Stage two at once. */
  hurry(): void;
}

/** Starts one BullMQ worker per handler. */
export function runWorkers(
  handlers: readonly Handler[],
  deps: { queues: Queues; log: Log },
  times: LockTimes = LOCK_TIMES,
): RunningWorkers {
  const workers = handlers.map((handler) => startWorker(handler, deps, times));
  let stopping: Promise<void> | undefined;

  async function stop(graceMs: number) {
    const finished = Promise.all(workers.map((worker) => worker.close()));
    const late = setTimeout(hurry, graceMs);
    await finished.finally(() => clearTimeout(late));
  }

  function hurry() {
    deps.log.warn('handing unfinished jobs back');
    for (const worker of workers) worker.cancelAllJobs(SHUTDOWN);
  }

  return {
    hurry,
    stop(graceMs) {
      stopping ??= stop(graceMs);
      return stopping;
    },
  };
}

function startWorker(
  handler: Handler,
  { queues, log }: { queues: Queues; log: Log },
  times: LockTimes,
): Worker {
  const { definition } = handler;
  const worker = queues.backend.worker(
    definition.name,
    // exactly three parameters: with fewer BullMQ makes no AbortSignal
    (job, token, signal) => handler.process(job, token ?? '', signal ?? new AbortController().signal, log),
    {
      concurrency: definition.concurrency,
      lockDuration: times.lockMs,
      stalledInterval: times.stalledLookMs,
      maxStalledCount: MAX_STALLED,
      settings: { backoffStrategy: retryDelay(definition) },
    },
  );
  worker.on('error', (error) => log.warn({ queue: definition.name, err: error.message }, 'worker'));
  worker.on('stalled', (jobId) =>
    log.warn({ queue: definition.name, job: jobId }, 'a worker died over this job'),
  );
  return worker;
}
