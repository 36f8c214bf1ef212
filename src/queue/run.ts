import type { Job, Worker } from 'bullmq';
import { isInfrastructureFault, isMomentary } from '../lib/infrastructure.ts';
import { type Brake, createBrake } from './brake.ts';
import { guardClock } from './clock-guard.ts';
import { seconds } from './define.ts';
import { type Handler, INFRASTRUCTURE_PAUSE_MS, type JobTools, retryDelay, SHUTDOWN } from './handle.ts';
import { createHolds, type Pausable } from './holds.ts';
import type { Queues } from './queues.ts';

export interface LockTimes {
  lockMs: number;
  stalledLookMs: number;
}

/**
 * A killed worker's job is redelivered after the lock expires plus one check for stalled ones: 30 s at most. A
 * handler renews its lock while it runs, so long jobs need no long lock.
 */
const LOCK_TIMES: LockTimes = { lockMs: seconds(20), stalledLookMs: seconds(10) };
/**
 * Being killed is not the job's fault: two deploys must not fail it (default 1). Work that itself kills its worker is
 * bounded by the attempts that its row counts when it is claimed.
 */
const MAX_STALLED = 20;
/** BullMQ keeps total counts for ever, and counts per minute for this long. */
const KEPT_MINUTES = 60;

/** The state of one queue's worker in this process. */
export interface WorkerState {
  readonly queue: string;
  /** Most jobs in progress at once. */
  readonly places: number;
  /** The timeout of a job, after which its handler is aborted. */
  readonly timeoutMs: number;
  /** Jobs in progress. */
  busy: number;
  /** When the last job was taken, epoch milliseconds; before the first, when the worker started. */
  takenAt: number;
  /** False when its loop has ended: it takes no more jobs. */
  running(): boolean;
  /** True while it takes nothing because its store refuses (R10), or its clock is off. */
  held(): boolean;
}

export interface RunningWorkers {
  readonly states: readonly WorkerState[];
  /** Why the clock keeps them from taking jobs; undefined when it does not. */
  clock(): string | undefined;
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
  const brakes = started.map(({ brake }) => brake);
  const { backend, outages } = deps.queues;
  const storeTime = backend.time;
  const guard =
    storeTime &&
    guardClock(
      started.map(({ byClock }) => byClock),
      { storeTime, log: deps.log, outages },
    );
  let stopping: Promise<void> | undefined;

  async function stop(graceMs: number) {
    guard?.stop();
    for (const brake of brakes) brake.stop();
    const finished = Promise.all(workers.map((worker) => worker.close()));
    const late = setTimeout(hurry, graceMs);
    await finished.finally(() => clearTimeout(late));
  }

  function hurry() {
    deps.log.warn('releasing unfinished jobs');
    for (const worker of workers) worker.cancelAllJobs(SHUTDOWN);
  }

  return {
    states: started.map(({ state }) => state),
    clock: () => guard?.says(),
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
): { worker: Worker; state: WorkerState; brake: Brake; byClock: Pausable } {
  const { definition } = handler;
  const { name: queue, concurrency: places, timeoutMs, limiter } = definition;
  const { outages } = queues;
  const state: WorkerState = {
    ...{ queue, places, timeoutMs, busy: 0, takenAt: Date.now() },
    // BullMQ's loop ends while it is paused and idle, and restarts
    running: () => worker.isRunning() || holds.on,
    held: () => holds.on,
  };
  const refused = (error: unknown) => {
    outages.note(`queue ${queue}`, error);
    if (!isMomentary(error)) brake.hold();
  };
  const worker = queues.backend.worker(
    queue,
    // exactly three parameters: with fewer BullMQ makes no AbortSignal
    async (job, token, signal) => {
      state.busy++;
      state.takenAt = Date.now();
      spareAttempts(job, token ?? '');
      try {
        const outcome = await handler.process(
          job,
          token ?? '',
          signal ?? new AbortController().signal,
          tools,
        );
        brake.ease();
        return outcome;
      } catch (error) {
        if (isInfrastructureFault(error)) refused(error);
        throw error;
      } finally {
        state.busy--;
      }
    },
    {
      autorun: !queues.backend.time, // else its clock is compared first
      concurrency: places,
      lockDuration: times.lockMs,
      stalledInterval: times.stalledLookMs,
      maxStalledCount: MAX_STALLED,
      metrics: { maxDataPoints: KEPT_MINUTES },
      ...(limiter ? { limiter: { max: limiter.max, duration: limiter.perMs } } : {}),
      settings: { backoffStrategy: retryDelay(definition) },
    },
  );
  queues.limit(definition).catch((error) => outages.note(`queue ${queue}`, error)); // else it applies to this worker alone
  const holds = createHolds(worker);
  const brake = createBrake(holds.holder());
  worker.on('error', (error) => {
    if (isAboutOneJob(error)) tools.log.warn({ queue, err: error.message }, 'worker');
    else refused(error);
  });
  worker.on('stalled', () =>
    outages.note(
      `queue ${queue}`,
      'a stalled job is back in the queue: its worker died, or could not report that it was done',
    ),
  );
  return { worker, state, brake, byClock: holds.holder() };
}

/** BullMQ's own errors about a job whose lock was lost, by code or by text; all others are about its store. */
const isAboutOneJob = (error: Error) =>
  ('code' in error && typeof error.code === 'number' && error.code < 0) ||
  error.message.startsWith('could not renew lock');

/**
 * R10: when the store refuses to record that a job completed, BullMQ tries to fail the job, which would count an
 * attempt, perhaps the last one. It is handed back instead; and if that is refused, too, its lock expires and it
 * counts as stalled. The work is still done once: rows know what is due.
 */
function spareAttempts(job: Job, token: string): void {
  const moveToFailed = job.moveToFailed.bind(job);
  job.moveToFailed = async (error, ...rest) => {
    if (!isInfrastructureFault(error)) return await moveToFailed(error, ...rest);
    await job.moveToDelayed(Date.now() + INFRASTRUCTURE_PAUSE_MS, token);
  };
}
