import { rmSync, writeFileSync } from 'node:fs';
import { runningFleetFile, runningFleetPid } from '../config/index.ts';
import { settings } from '../config/settings.ts';
import { UserError } from '../lib/errors.ts';
import { trackingSettings } from '../tracking/index.ts';

/**
 * Settings that commands in other terminals share with this fleet, including couriers' credentials: workers that are
 * started by hand serve all of its queues. Without settings of a single process.
 */
const SHARED = Object.keys({ ...settings.shape, ...trackingSettings }).filter(
  (name) => !['PORT', 'METRICS_PORT', 'LOG_LEVEL'].includes(name),
);

/**
 * Locks the home directory for this process's fleet, until `leaveHome`.
 * @throws UserError when another fleet runs there.
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
    // our own pid: left by a killed container, where the process had the same one
    if (other && other !== process.pid)
      throw new UserError(
        `A fleet is already running in this directory (process ${other}). Stop it first, or set ORDERFLEET_HOME.`,
      );
    leaveHome();
  }
}

/** Lets other commands find the fleet. */
export const publishSettings = (env: Record<string, string | undefined>): void => write(env, 'w');

export const leaveHome = (): void => rmSync(runningFleetFile(), { force: true });

function write(env: Record<string, string | undefined>, flag: 'w' | 'wx'): void {
  const lines = SHARED.flatMap((name) => (env[name] ? [`${name}=${quoted(env[name])}\n`] : []));
  writeFileSync(runningFleetFile(), `ORDERFLEET_PID=${process.pid}\n${lines.join('')}`, {
    mode: 0o600,
    flag,
  });
}

/** As in an env file: in quotes that the value does not contain, literal ones first. */
const quoted = (value: string) => {
  const quote = ["'", '`', '"'].find((sign) => !value.includes(sign)) ?? "'";
  return `${quote}${value}${quote}`;
};
