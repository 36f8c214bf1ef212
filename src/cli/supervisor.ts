import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { UserError } from '../errors.ts';

export interface Supervisor {
  /** Resolves when every worker runs. @throws UserError with where to look when one ends before that. */
  started(signal: AbortSignal): Promise<void>;
  summary(): string;
  /** SIGTERM to all, SIGKILL to what is left after `ms`. @returns the names of those that had to be killed */
  stop(ms: number): Promise<string[]>;
}

interface Worker {
  name: string;
  child: ChildProcess | undefined;
  running: boolean;
  restarts: number;
}

/** A worker that ended is started again after this long, doubled each time up to half a minute. */
const RESTART_MS = 1_000;
const LONGEST_RESTART_MS = 30_000;

/**
 * Runs worker processes and keeps them running. Each is in a process group of its own, so that Ctrl-C reaches this
 * process alone, which then stops them in order; a channel to each tells it when this process has died.
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
          `The ${worker.name} worker ended at once (${signal ?? code}): see ${join(options.logs, `${worker.name}.log`)}`,
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
        .map(
          (worker) =>
            `${worker.name} ${worker.running ? 'runs' : 'is starting'}${worker.restarts ? ` (restarted ${worker.restarts} times)` : ''}`,
        )
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

/** From a checkout the TypeScript runs through tsx; a build runs as it is. */
const fromSource = import.meta.filename.endsWith('.ts');
const loader = () => (fromSource ? ['--import', import.meta.resolve('tsx')] : []);
const entryOf = (name: string) =>
  fileURLToPath(new URL(`../../workers/${name}${fromSource ? '.ts' : '.js'}`, import.meta.url));
