import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inject, onTestFinished } from 'vitest';

/** The checkout. */
export const ROOT = path.resolve(import.meta.dirname, '../..');

interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface RunningProcess {
  pid: number;
  exited: Promise<Exit>;
  /** What it has printed so far, both streams in the order they came. */
  output(): string;
  stdout(): string;
  /** The first line, printed or yet to be printed, that matches. Fails if the process ends without it. */
  waitForLine(pattern: RegExp, options?: { timeoutMs?: number }): Promise<RegExpMatchArray>;
  /** Sends the signal (default SIGTERM) and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
}

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** What global-setup.ts has built starts in a fraction of the time; the rest runs from its source. */
const BUILT = /^(src\/|workers\/|sandbox\/main\.|tests\/support\/\w+-worker\.)/;
export const programOf = (file: string): string[] =>
  BUILT.test(file)
    ? [path.join(inject('built'), file.replace(/\.ts$/, '.js'))]
    : [...(file.endsWith('.mjs') ? [] : ['--import', TSX]), path.resolve(ROOT, file)];

/** What a child needs to run at all; settings of ours come from the test alone. */
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'LANG'];

const running = new Set<RunningProcess>();

/**
 * Runs an entry point of ours, `src/cli/main.ts` for instance, as a real process. It is killed at the end of
 * the test, or of the file if started in a hook.
 */
export function startProcess(
  file: string,
  options: { args?: string[]; env?: Record<string, string>; cwd?: string } = {},
): RunningProcess {
  const passedOn = PASSED_ON.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const child = spawn(process.execPath, [...programOf(file), ...(options.args ?? [])], {
    cwd: options.cwd ?? ROOT,
    env: { ...Object.fromEntries(passedOn), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let stdout = '';
  const waiting = new Set<() => void>();
  const heard = (chunk: string) => {
    output += chunk;
    for (const look of waiting) look();
  };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    heard(chunk);
  });
  child.stderr.setEncoding('utf8').on('data', heard);

  let ended: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    const end = (exit: Exit) => {
      ended = exit;
      running.delete(handle);
      for (const look of waiting) look();
      resolve(exit);
    };
    child.once('error', (error) => {
      heard(`${error.message}\n`);
      end({ code: null, signal: null });
    });
    // close comes after the last output, exit may come before
    child.once('close', (code, signal) => end({ code, signal }));
  });

  const handle: RunningProcess = {
    pid: child.pid ?? 0,
    exited,
    output: () => output,
    stdout: () => stdout,
    waitForLine: (pattern, { timeoutMs = 40_000 } = {}) =>
      new Promise((resolve, reject) => {
        const settle = (act: () => void) => {
          clearTimeout(timer);
          waiting.delete(look);
          act();
        };
        const fail = (why: string) =>
          settle(() =>
            reject(new Error(`${file} ${why} without a line like ${pattern}. It printed:\n${output}`)),
          );
        const look = () => {
          for (const line of output.split('\n')) {
            const match = pattern.exec(line);
            pattern.lastIndex = 0;
            if (match !== null) return settle(() => resolve(match));
          }
          if (ended !== undefined) fail(`ended (${ended.signal ?? ended.code})`);
        };
        const timer = setTimeout(() => fail(`ran ${timeoutMs} ms`), timeoutMs);
        waiting.add(look);
        look();
      }),
    kill: (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
  running.add(handle);
  reapAtEndOfTest(handle);
  return handle;
}

/** In a hook there is no test to end: what is started there is reaped at the end of the file. */
function reapAtEndOfTest(handle: RunningProcess): void {
  try {
    onTestFinished(() => reap(handle));
  } catch (error) {
    if (!/inside a test/.test(String(error))) throw error;
  }
}

const reapers = new Set<() => Promise<unknown>>();

/** To be done at the end of the test file as well, once: files share modules, so a hook in one would be the first file's. */
export const atEndOfFile = (reap: () => Promise<unknown>): void => void reapers.add(reap);

/** Kills what is still running, at the end of a test file. */
export async function reapProcesses(): Promise<void> {
  const more = [...reapers];
  reapers.clear();
  await Promise.all(more.map((reap) => reap()));
  await Promise.all([...running].map(reap));
}

async function reap(handle: RunningProcess): Promise<void> {
  if (running.has(handle)) await handle.kill('SIGKILL');
}
