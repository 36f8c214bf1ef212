import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { withRootCert } from '../addresses/database.ts';
import { UserError } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { formOf, settings } from './settings.ts';

/** The settings of this process, read from its environment: this file is the only reader of process.env. */

export type Config = z.output<typeof settings> & {
  /**
   * Settings that modules declare themselves, as couriers do (C15), from the same environment.
   * @throws UserError like parseConfig
   */
  read<S extends z.ZodRawShape>(shape: S): z.output<z.ZodObject<S>>;
};

/** Values that are never shown, not even in an error about them: secrets, and addresses with a password. */
const isSecret = (name: string, value: string) =>
  /KEY|SECRET|TOKEN|PASSWORD/.test(name) || /@|password=/i.test(value);

const holds = (name: string, value: string | undefined) => {
  if (value === undefined) return 'is not set';
  if (isSecret(name, value)) return `is a value of ${plural(value.length, 'character')} (not shown)`;
  return `is ${JSON.stringify(value.slice(0, 80))}`;
};

/**
 * @param more settings of modules, so that their errors are reported together with the others
 * @throws UserError with one line per error: the variable, its value, what was expected.
 */
export function parseConfig(env: Record<string, string | undefined>, more: z.ZodRawShape = {}): Config {
  // An empty variable means "not set": that is the intention of `REDIS_URL=` in an env file.
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  parse(given, { ...settings.shape, ...more });
  const config = settings.parse(given);
  return {
    ...config,
    DATABASE_URL: withRootCert(config.DATABASE_URL, config.PGSSLROOTCERT),
    read: (shape) => parse(given, shape),
  };
}

/** @throws UserError */
function parse<S extends z.ZodRawShape>(
  given: Record<string, string | undefined>,
  shape: S,
): z.output<z.ZodObject<S>> {
  const parsed = z.object(shape).safeParse(given);
  if (parsed.success) return parsed.data;
  const faults = new Map<string, string>();
  for (const issue of parsed.error.issues) {
    const name = String(issue.path[0]);
    const field = shape[name] as z.ZodType;
    const wants =
      given[name] === undefined ? `${formOf(field)} (${field.description})` : formOf(field, given[name]);
    faults.set(name, `${name} ${holds(name, given[name])}; expected ${wants}`);
  }
  throw new UserError(
    `${plural(faults.size, 'configuration error')}:\n${[...faults.values()].map((line) => `  ${line}`).join('\n')}`,
  );
}

/** Where a checkout or an installation keeps its data: the embedded database, its key, its logs. */
export function homeDirectory(): string {
  return resolve(process.env.ORDERFLEET_HOME || '.orderfleet');
}

/** The file in which a running `orderfleet up` stores the settings of its fleet, for other commands to find. */
export const runningFleetFile = () => join(homeDirectory(), 'fleet.env');

/** The process id of the `orderfleet up` that runs in this directory, if any. */
export function runningFleetPid(): number | undefined {
  const pid = Number(readEnvFile(runningFleetFile()).ORDERFLEET_PID);
  if (!pid) return undefined;
  try {
    process.kill(pid, 0); // only checks whether it exists
    return pid;
  } catch {
    return undefined;
  }
}

/** @throws UserError when it exists and is not readable */
function readEnvFile(file: string): Record<string, string | undefined> {
  if (!existsSync(file)) return {};
  try {
    return parseEnv(readFileSync(file, 'utf8')) as Record<string, string | undefined>;
  } catch (error) {
    throw new UserError(
      `${resolve(file)} cannot be read (${(error as NodeJS.ErrnoException).code}): make it readable for this process, or move it away`,
    );
  }
}

/**
 * The environment, completed in this order: what is set, `.env` in the working directory, and (unless `running` is
 * false) the settings of a running `orderfleet up` of this directory: its embedded database and key.
 */
export function environment(options: { running?: boolean } = {}): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = { ...process.env };
  const complete = (file: string) => {
    for (const [name, value] of Object.entries(readEnvFile(file)))
      if (env[name] === undefined || env[name] === '') env[name] = value;
  };
  complete('.env');
  // an explicit database comes with its own queues and key: settings of two fleets are never mixed
  if (options.running !== false && !env.DATABASE_URL && runningFleetPid()) complete(runningFleetFile());
  return env;
}

/** @throws UserError when a setting is wrong or missing (see parseConfig). */
export function loadConfig(more: z.ZodRawShape = {}): Config {
  const env = environment();
  try {
    return parseConfig(env, more);
  } catch (error) {
    if (!(error instanceof UserError) || env.DATABASE_URL) throw error;
    throw new UserError(
      `${error.message}\nNo fleet is running in this directory: start one with "npm start" or "orderfleet up", or set the variables above.`,
    );
  }
}

/** The URL of the web process on this machine: a wildcard address cannot be opened. */
export function webAddress({ HOST, PORT }: Pick<Config, 'HOST' | 'PORT'>): string {
  const host = ['0.0.0.0', '::'].includes(HOST) ? '127.0.0.1' : HOST;
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${PORT}`;
}
