import { readdirSync, readFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';

/** CPU and memory of processes, from Linux's /proc; elsewhere there is none, and figures say 0. */

const TICKS_PER_SECOND = 100;
const MB = 1024 * 1024;

/** Seconds of CPU of a process so far, and those of its children that have ended. */
function secondsOf(pid: number | 'self'): { own: number; ended: number; parent: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [parent = 0, user = 0, system = 0, childUser = 0, childSystem = 0] = [1, 11, 12, 13, 14].map(
      (at) => fields[at],
    );
    return {
      own: (user + system) / TICKS_PER_SECOND,
      ended: (childUser + childSystem) / TICKS_PER_SECOND,
      parent,
    };
  } catch {
    return undefined;
  }
}

export const cpuOf = (pid: number): number => secondsOf(pid)?.own ?? 0;

/** Of a server with a process for each connection: all of them, also those that have ended. */
export function cpuOfFamily(pid: number): number {
  const head = secondsOf(pid);
  if (!head) return 0;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => secondsOf(Number(name)))
    .filter((child) => child?.parent === pid);
  return head.own + head.ended + children.reduce((sum, child) => sum + (child?.own ?? 0), 0);
}

/** This process and the commands that it ran. */
export function ownCpu(): number {
  const own = secondsOf('self');
  return own ? own.own + own.ended : 0;
}

/** Seconds of CPU of the whole machine so far. */
export function busySeconds(): number | undefined {
  try {
    const [, ...fields] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').split(/ +/);
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields.map(Number);
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}

/** Resident memory in MB. */
export function memoryOf(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return (Number(kilobytes ?? 0) * 1024) / MB;
  } catch {
    return 0;
  }
}

export interface Machine {
  cores: number;
  processor: string;
  memoryGb: number;
  system: string;
}

export const thisMachine = (): Machine => ({
  cores: cpus().length,
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  memoryGb: Math.round(totalmem() / MB / 1024),
  system: `${platform()} ${arch()}`,
});
