import { execFile } from 'node:child_process';
import * as fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { UserError } from '../lib/errors.ts';
import { hasCode, POLL_MS, readIfThere } from './tools.ts';

/** A running server, according to its postmaster.pid. */
export interface Postmaster {
  pid: number;
  port: number;
  ready: boolean;
}

/** A fast shutdown writes one checkpoint; after this it is forced (the WAL keeps the data safe). */
const STOP_TIMEOUT_MS = 30_000;

const run = promisify(execFile);

/** Lines of postmaster.pid: pid, data, start, port, socket, address, memory, state. */
export async function readPostmaster(data: string): Promise<Postmaster | undefined> {
  const lines = ((await readIfThere(path.join(data, 'postmaster.pid'))) ?? '').split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/** Whether this process is alive and is the Postgres of this data directory: pids are reused. */
export async function isPostmasterOf(pid: number, data: string): Promise<boolean> {
  if (os.platform() === 'linux') {
    const status = await readIfThere(`/proc/${pid}/stat`);
    // a zombie counts as gone; its parent may not have reaped it
    if (status === undefined || /\) Z /.test(status)) return false;
    const command = ((await readIfThere(`/proc/${pid}/cmdline`)) ?? '').split('\0');
    return path.basename(command[0] ?? '') === 'postgres' && command.includes(data);
  }
  const { stdout } = await run('/bin/ps', ['-ww', '-o', 'stat=,command=', '-p', String(pid)]).catch(() => ({
    stdout: '',
  }));
  return !stdout.trimStart().startsWith('Z') && stdout.includes('postgres') && stdout.includes(data);
}

export async function stopPostmaster(data: string, pid: number): Promise<void> {
  // SIGINT is a fast shutdown, SIGQUIT an immediate one, after which the next start recovers
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (!(await isPostmasterOf(pid, data))) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (hasCode(error, 'ESRCH')) return;
      throw error;
    }
    const giveUpAt = Date.now() + STOP_TIMEOUT_MS;
    while (Date.now() < giveUpAt) {
      if (!(await isPostmasterOf(pid, data))) return;
      await sleep(POLL_MS);
    }
  }
  throw new UserError(
    `The embedded Postgres (process ${pid}, data in ${data}) does not stop. End it: kill -9 ${pid}`,
  );
}

/**
 * A server that was killed leaves its pid behind, and Postgres refuses to start while any process has that pid
 * (likely after a container restart). The pid of the parent counts as stale, so ours is written there. The file
 * itself must stay: by it Postgres detects whether backends of the killed server still run.
 */
export async function disownStalePid(data: string): Promise<void> {
  const file = path.join(data, 'postmaster.pid');
  const [pid, ...rest] = ((await readIfThere(file)) ?? '').split('\n');
  if (pid === undefined || pid === '' || (await isPostmasterOf(Number(pid), data))) return;
  await fs.writeFile(file, [String(process.pid), ...rest].join('\n'));
}
