import type { Worker } from 'bullmq';
import { seconds } from './define.ts';
import { type Handler, type JobTools, retryDelay, SHUTDOWN } from './handle.ts';
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
/** BullMQ counts what ended for ever, and minute by minute for so long. */
const KEPT_MINUTES = 60;

/** How the worker of one queue stands in this process. */
export interface WorkerState {
  readonly queue: string;
  /** Jobs in work at once at most. */
  readonly places: number;
  /** What a job may take; its handler is aborted then. */
  readonly timeoutMs: number;
  /** Jobs in work. */
  busy: number;
  /** When the last job was taken, epoch milliseconds; its start while it has taken none. */
  takenAt: number;
  /** False when its loop has ended: it takes nothing any more. */
  running(): boolean;
}

export interface RunningWorkers {
  readonly states: readonly WorkerState[];
  /** Stage one: take nothing new, let jobs finish for `graceMs`; stage two: abort them and hand them back. */
  stop(graceMs: number): Promise<void>;
  /** Stage two at once. */
  hurry(): void;
}

/** Starts one BullMQ worker per handler. */
export function runWorkers(
  handlers: readonly Handler[],
  deps: { queues: Queues } & JobTools,
  times: LockTimes = LOCK_TIMES,
): RunningWorkers {
  const started = handlers.map((handler) => startWorker(handler, deps, times));
  const workers = started.map(({ worker }) => worker);
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
    states: started.map(({ state }) => state),
    hurry,
    stop(graceMs) {
      stopping ??= stop(graceMs);
      return stopping;
    },
  };
}

function startWorker(
  handler: Handler,
  { queues, ...tools }: { queues: Queues } & JobTools,
  times: LockTimes,
): { worker: Worker; state: WorkerState } {
  const { definition } = handler;
  const { name: queue, concurrency: places, timeoutMs } = definition;
  const state: WorkerState = {
    ...{ queue, places, timeoutMs, busy: 0, takenAt: Date.now() },
    running: () => worker.isRunning(),
  };
  const worker = queues.backend.worker(
    definition.name,
    // exactly three parameters: with fewer BullMQ makes no AbortSignal
    async (job, token, signal) => {
      state.busy++;
      state.takenAt = Date.now();
      try {
        return await handler.process(job, token ?? '', signal ?? new AbortController().signal, tools);
      } finally {
        state.busy--;
      }
    },
    {
      concurrency: definition.concurrency,
      lockDuration: times.lockMs,
      stalledInterval: times.stalledLookMs,
      maxStalledCount: MAX_STALLED,
      metrics: { maxDataPoints: KEPT_MINUTES },
      settings: { backoffStrategy: retryDelay(definition) },
    },
  );
  worker.on('error', (error) => tools.log.warn({ queue: definition.name, err: error.message }, 'worker'));
  worker.on('stalled', (jobId) =>
    tools.log.warn({ queue: definition.name, job: jobId }, 'a worker died over this job'),
  );
  return { worker, state };
}
