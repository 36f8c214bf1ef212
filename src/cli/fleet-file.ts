import { rmSync, writeFileSync } from 'node:fs';
import { runningFleetFile, runningFleetPid } from '../config.ts';
import { UserError } from '../errors.ts';
import { settings } from '../settings.ts';
import { trackingSettings } from '../tracking/index.ts';

/**
 * Settings that other terminals need to be of this fleet, its couriers' credentials too: workers that are added by hand
 * work on all of its queues. What is one process' own is not among them.
 */
const SHARED = Object.keys({ ...settings.shape, ...trackingSettings }).filter(
  (name) => !['PORT', 'METRICS_PORT', 'LOG_LEVEL'].includes(name),
);

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
  const lines = SHARED.flatMap((name) => (env[name] ? [`${name}=${quoted(env[name])}\n`] : []));
  writeFileSync(runningFleetFile(), `ORDERFLEET_PID=${process.pid}\n${lines.join('')}`, {
    mode: 0o600,
    flag,
  });
}

/** As an env file has it: in a quote that the value does not contain, the one that takes all literally first. */
const quoted = (value: string) => {
  const quote = ["'", '`', '"'].find((sign) => !value.includes(sign)) ?? "'";
  return `${quote}${value}${quote}`;
};
