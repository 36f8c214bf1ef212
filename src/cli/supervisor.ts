import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../lib/errors.ts';
import { codeRoot, FROM_SOURCE } from '../lib/package-root.ts';

export interface Supervisor {
  /** Resolves when every worker runs. @throws UserError with where to look when one exits before that. */
  started(signal: AbortSignal): Promise<void>;
  summary(): string;
  /** SIGTERM to all, SIGKILL after `ms`. @returns the names of those that had to be killed */
  stop(ms: number): Promise<string[]>;
}

interface Worker {
  name: string;
  child: ChildProcess | undefined;
  running: boolean;
  restarts: number;
}

/** Delay before restarting a worker, doubled each time up to 30 s. */
const RESTART_MS = 1_000;
const LONGEST_RESTART_MS = 30_000;

/**
 * Runs worker processes and restarts them. Each has its own process group, so that Ctrl-C reaches only this process, which
 * then stops them in order; an IPC channel tells each when this process has died.
 */
export function supervise(
  names: readonly string[],
  options: { env: Record<string, string | undefined>; logs: string },
): Supervisor {
  mkdirSync(options.logs, { recursive: true });
  let stopping = false;
  const workers: Worker[] = names.map((name) => ({ name, child: undefined, running: false, restarts: 0 }));
  let endedEarly: UserError | undefined;

  function start(worker: Worker) {
    const log = openSync(join(options.logs, `${worker.name}.log`), 'a');
    const child = spawn(process.execPath, [...loader(), entryOf(worker.name)], {
      env: options.env,
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    worker.child = child;
    child.on('message', () => {
      worker.running = true;
    });
    child.once('exit', (code, signal) => {
      worker.child = undefined;
      const early = !worker.running && worker.restarts === 0;
      worker.running = false;
      if (stopping) return;
      if (early)
        endedEarly = new UserError(
          `The ${worker.name} worker exited at startup (${signal ?? code}): see ${join(options.logs, `${worker.name}.log`)}`,
        );
      const wait = Math.min(LONGEST_RESTART_MS, RESTART_MS * 2 ** worker.restarts++);
      setTimeout(() => !stopping && start(worker), wait).unref();
    });
  }
  for (const worker of workers) start(worker);

  return {
    async started(signal) {
      while (!signal.aborted && !workers.every((worker) => worker.running)) {
        if (endedEarly) throw endedEarly;
        await sleep(50, undefined, { signal }).catch(() => {});
      }
    },
    summary: () =>
      workers
        .map((worker) => `${worker.name} ${worker.running ? 'running' : 'starting'}${restarted(worker)}`)
        .join(' · '),
    async stop(ms) {
      stopping = true;
      const killed: string[] = [];
      await Promise.all(
        workers.map(async ({ name, child }) => {
          if (!child) return;
          const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
          child.kill('SIGTERM');
          const timer = setTimeout(() => {
            killed.push(name);
            child.kill('SIGKILL');
          }, ms);
          await ended;
          clearTimeout(timer);
        }),
      );
      return killed;
    },
  };
}

const restarted = ({ restarts }: Worker) =>
  restarts === 0 ? '' : ` (restarted ${restarts === 1 ? 'once' : `${restarts} times`})`;

const loader = () => (FROM_SOURCE ? ['--import', import.meta.resolve('tsx')] : []);
const entryOf = (name: string) => join(codeRoot(), 'workers', `${name}${FROM_SOURCE ? '.ts' : '.js'}`);
