import { rmSync, writeFileSync } from 'node:fs';
import { runningFleetFile, runningFleetPid } from '../config.ts';
import { UserError } from '../errors.ts';

/** Settings that other terminals need to find this fleet. */
const SHARED = [
  'DATABASE_URL',
  'REDIS_URL',
  'CREDENTIALS_KEY',
  'TEMU_EU_URL',
  'TEMU_US_URL',
  'TEMU_GLOBAL_URL',
  'TEMU_QPS',
];

/**
 * Takes the home directory for the fleet of this process, until `leaveHome`.
 * @throws UserError when another one runs there.
 */
export function claimHome(): void {
  for (;;) {
    try {
      write({}, 'wx');
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const other = runningFleetPid();
    // our own pid: left by a container that was killed, in which this process had the same one
    if (other && other !== process.pid)
      throw new UserError(
        `A fleet runs in this directory already (process ${other}). Stop it first, or set ORDERFLEET_HOME.`,
      );
    leaveHome();
  }
}

/** From now on other commands find the fleet. */
export const tellOthers = (env: Record<string, string | undefined>): void => write(env, 'w');

export const leaveHome = (): void => rmSync(runningFleetFile(), { force: true });

function write(env: Record<string, string | undefined>, flag: 'w' | 'wx'): void {
  const lines = SHARED.filter((name) => env[name]).map((name) => `${name}="${env[name]}"\n`);
  writeFileSync(runningFleetFile(), `ORDERFLEET_PID=${process.pid}\n${lines.join('')}`, {
    mode: 0o600,
    flag,
  });
}
