import { type ChildProcess, spawn } from 'node:child_process';
import { cpuOf, memoryOf } from './machine.ts';

export interface Child {
  pid: number;
  /** From its start until it said that it is ready, milliseconds. */
  startedInMs: number;
  /** Sends a message and resolves with the next one that comes back. */
  ask<T>(message: unknown): Promise<T>;
  /** Asks it to end (SIGTERM). @returns milliseconds until it had */
  stop(): Promise<number>;
  cpu(): number;
  memoryMb(): number;
}

const children = new Set<ChildProcess>();

/** Ends what is still running, before the servers that it uses. */
export async function endChildren(): Promise<void> {
  const ended = [...children].map((child) => new Promise((resolve) => child.once('exit', resolve)));
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  await Promise.all(ended);
}

/** What a child needs to run at all; our shell's settings are not meant for it. */
export const environment = (env: Record<string, string>): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: process.env.HOME ?? '',
  ...env,
});

/** Starts a program that reports its readiness by a first message. @param args of Node */
export async function startChild(
  args: readonly string[],
  { env = {}, cwd }: { env?: Record<string, string>; cwd?: string } = {},
): Promise<Child> {
  const at = performance.now();
  const child = spawn(process.execPath, args, {
    env: environment(env),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    ...(cwd ? { cwd } : {}),
  });
  children.add(child);
  const name = args.at(-1) ?? '';
  let stopping = false;
  const ended = new Promise<void>((resolve) =>
    child.once('exit', (code, signal) => {
      if (children.delete(child) && !stopping)
        console.error(`${args.join(' ')} ended with ${signal ?? `code ${code}`}`);
      resolve();
    }),
  );
  const next = <T>() =>
    new Promise<T>((resolve, reject) => {
      child.once('message', resolve as (message: unknown) => void);
      void ended.then(() => reject(new Error(`${name} ended before it answered`)));
    });
  await next();
  const pid = child.pid ?? 0;
  return {
    pid,
    startedInMs: performance.now() - at,
    ask: (message) => {
      const answer = next<never>();
      child.send(message as object);
      return answer;
    },
    async stop() {
      stopping = true;
      const asked = performance.now();
      child.kill('SIGTERM');
      await ended;
      return performance.now() - asked;
    },
    cpu: () => cpuOf(pid),
    memoryMb: () => memoryOf(pid),
  };
}

/** A program of bench/ itself, from its source. */
export const startProgram = (file: string, args: readonly string[] = []): Promise<Child> =>
  startChild(['--import', import.meta.resolve('tsx'), `${import.meta.dirname}/../${file}`, ...args]);

/** In such a program: says that it is ready, and answers its parent's messages one after the other. */
export function answerParent<M>(answer: (message: M) => unknown): void {
  process.on('message', async (message) => process.send?.((await answer(message as M)) ?? {}));
  process.once('SIGTERM', () => process.exit(0));
  process.once('disconnect', () => process.exit(0));
  process.send?.('ready');
}
