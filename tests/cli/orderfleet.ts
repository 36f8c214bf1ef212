/** The command line as a person meets it: real processes, in a directory without an `.env`. */
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished } from 'vitest';
import { type RunningProcess, startProcess } from '../support/process.ts';
import { type Ran, runWarm } from './warm.ts';

/** How long a start may take on a busy machine: from nothing it is initdb, migrations and the worker processes. */
export const STARTED = { timeoutMs: 60_000 };

/** A directory without an `.env`, so that no settings but the test's own are found. */
const BARE = import.meta.dirname;

export function startOrderfleet(args: string[], env: Record<string, string>): RunningProcess {
  return startProcess('src/cli/main.ts', { args, env, cwd: BARE });
}

const shown = new Set<string>();

/**
 * Runs a command to its end: the first of each name in a file as the process that a person starts, the others in a
 * process that has the code loaded.
 */
export async function orderfleet(args: string[], env: Record<string, string>): Promise<Ran> {
  const [name = ''] = args;
  if (shown.has(name)) return await runWarm(args, env, BARE);
  shown.add(name);
  return await orderfleetProcess(args, env);
}

/** Runs a command to its end, as a process of its own. */
export async function orderfleetProcess(args: string[], env: Record<string, string>): Promise<Ran> {
  const process = startOrderfleet(args, env);
  const { code } = await process.exited;
  return { code, stdout: process.stdout(), output: process.output() };
}

/** A temporary ORDERFLEET_HOME; what is left of its fleet at the end of the test is ended and removed. */
export async function temporaryHome(): Promise<string> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'orderfleet-home-'));
  await chmod(home, 0o711); // as root, Postgres runs as another account, which has to pass through
  onTestFinished(async () => {
    const elsewhere = await readFile(path.join(home, 'postgres/data-path'), 'utf8').catch(() => undefined);
    const data = path.join(elsewhere?.trim() ?? path.join(home, 'postgres'), 'data');
    const pid = Number.parseInt(
      await readFile(path.join(data, 'postmaster.pid'), 'utf8').catch(() => ''),
      10,
    );
    if (pid > 0 && (await listProcesses()).some((one) => one.pid === pid)) process.kill(pid, 'SIGQUIT');
    if (elsewhere) await rm(elsewhere.trim(), { recursive: true, force: true });
    await rm(home, { recursive: true, force: true, maxRetries: 10 });
  });
  return home;
}

interface Process {
  pid: number;
  parent: number;
  command: string;
}

/** Everything that runs on this machine; a zombie does not. */
async function listProcesses(): Promise<Process[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'pid=,ppid=,stat=,command=']);
  return stdout.split('\n').flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (!pid || !parent || !command || state?.startsWith('Z')) return [];
    return [{ pid: Number(pid), parent: Number(parent), command }];
  });
}

/** A process and all that descend from it. */
export async function family(pid: number): Promise<Process[]> {
  const all = await listProcesses();
  const below = (parent: number): Process[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)]);
  return [...all.filter((one) => one.pid === pid), ...below(pid)];
}

export async function stillRunning(processes: readonly Process[]): Promise<Process[]> {
  const all = await listProcesses();
  return processes.filter(({ pid, command }) =>
    all.some((one) => one.pid === pid && one.command === command),
  );
}

export const postmasters = (all: readonly Process[]) =>
  all.filter(({ command }) => /bin\/postgres /.test(command));
export const workers = (all: readonly Process[]) =>
  all.filter(({ command }) => /workers\/\w+\.[jt]s/.test(command));

/** One database, and one worker of each of these kinds. */
export function expectWhole(all: readonly Process[]): void {
  expect(postmasters(all)).toHaveLength(1);
  for (const name of ['scheduler', 'temu'])
    expect(workers(all).filter(({ command }) => new RegExp(`/${name}\\.[jt]s`).test(command))).toHaveLength(
      1,
    );
}

/** What a failed test leaves must not stay: the process alone is killed by startProcess. */
export function endedWithItsFamily(started: RunningProcess): RunningProcess {
  onTestFinished(async () => {
    for (const { pid } of (await family(started.pid)).filter(({ pid }) => pid !== started.pid))
      spawn('kill', ['-KILL', String(pid)], { stdio: 'ignore' });
  });
  return started;
}
