import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { parseDatabaseUrl, withRootCert } from './addresses/database.ts';
import { parseRedisUrl } from './addresses/redis.ts';
import { UserError } from './errors.ts';

/**
 * Every setting, from the environment alone (O7). Each entry's description is what `.env.example` and the
 * error lines say. This file is the only reader of process.env.
 */
export const url = (protocols: string[]) =>
  z.string().refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
    error: `an address starting with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });
/** An address of a store: read once here, so that what it wants is said at the start and not by a driver (R12). */
const address = (filesOf: (text: string) => Record<string, string>) =>
  z.string().superRefine((text, context) => {
    try {
      for (const [what, file] of Object.entries(filesOf(text))) mustBeReadable(file, what);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  });
function mustBeReadable(file: string, what: string): void {
  try {
    readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${what} to be a file that can be read, not ${JSON.stringify(file)} (${code})`);
  }
}
export const count = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, { error: `a whole number from ${min} to ${max}` })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: `a whole number from ${min} to ${max}` });
const key = z
  .string()
  .refine((value) => /^[A-Za-z0-9+/]{43}=$/.test(value), {
    error: '32 random bytes in base64 (44 characters): make one with `openssl rand -base64 32`',
  })
  .transform((value) => Buffer.from(value, 'base64'));
const keys = z.string().transform((text, context) => {
  const parsed = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => key.safeParse(part));
  if (parsed.every((one) => one.success)) return parsed.map((one) => one.data);
  context.addIssue({ code: 'custom', message: '32-byte base64 keys, separated by commas' });
  return z.NEVER;
});

export const token = z.string().min(16, { error: 'at least 16 characters' });
const password = z.string().min(8, { error: 'at least 8 characters' });
const channel = z
  .string()
  .regex(/^\S+$/, {
    error: 'a channel’s id like C0123456789 (in Slack: at the end of the channel’s details)',
  })
  .optional();
/**
 * A bare address: a dot-atom (RFC 5321) at a host name, in any script. Not z.email(), since `ops@mailhost` is an address
 * inside a company. Names, brackets, quotes, lists and `mailto:` are none: a server would refuse each mail for them.
 */
const mailAddress = z
  .string()
  .max(254, { error: 'a mail address' })
  .regex(
    /^(?!\.)(?!.*\.[.@])[\p{L}\p{M}\p{N}.!#$%&'*+/=?^_`{|}~-]+@[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}.-]*[\p{L}\p{M}\p{N}])?$/u,
    { error: 'a mail address' },
  );
const mailAddresses = z.string().transform((text, context) => {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  // one that is named twice is one
  if (parts.every((part) => mailAddress.safeParse(part).success))
    return [...new Map(parts.map((part) => [part.toLowerCase(), part])).values()];
  context.addIssue({ code: 'custom', message: 'mail addresses, separated by commas' });
  return z.NEVER;
});

/** `10.1.2.3`, or a network as `10.1.0.0/16`; /0 would be everybody. */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const most = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  if (most === 0 || address.includes('%') || more.length > 0) return false;
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= most);
}
const networks = z.string().transform((text, context) => {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  if (parts.every(isNetwork)) return parts;
  context.addIssue({
    code: 'custom',
    message: 'addresses or networks such as 10.1.2.3 and 10.1.0.0/16, separated by commas',
  });
  return z.NEVER;
});

export const settings = z.object({
  DATABASE_URL: address((text) => parseDatabaseUrl(text).tls.files).describe(
    'Postgres (15 or newer) that holds everything; sslmode and the other parameters as in libpq',
  ),
  PGSSLROOTCERT: z
    .string()
    .refine((file) => file === 'system' || existsSync(file), { error: 'a file that is there, or system' })
    .optional()
    .describe(
      'certificates that sign that of Postgres, in PEM, where DATABASE_URL has no sslrootcert; system: what Node trusts',
    ),
  REDIS_URL: address((text) => parseRedisUrl(text).tls?.files ?? {})
    .optional()
    .describe('Redis for the queues (noeviction, AOF); without it they live in Postgres, schema bullmq'),
  CREDENTIALS_KEY: key.describe('encrypts the secrets of stores and couriers: 32 bytes, base64'),
  CREDENTIALS_KEYS_OLD: keys
    .default([])
    .describe('former CREDENTIALS_KEYs, separated by commas: still read, no longer written'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('least severe log line that is written'),
  SHUTDOWN_GRACE: count(1, 600)
    .default(20)
    .describe('seconds a worker may finish its jobs after SIGTERM; keep it below the platform’s own grace'),
  TEMU_EU_URL: url(['http:', 'https:'])
    .default('https://openapi-b-eu.temu.com/openapi/router')
    .describe('Temu’s router for European stores'),
  TEMU_US_URL: url(['http:', 'https:'])
    .default('https://openapi-b-us.temu.com/openapi/router')
    .describe('Temu’s router for stores in the United States'),
  TEMU_GLOBAL_URL: url(['http:', 'https:'])
    .default('https://openapi-b-global.temu.com/openapi/router')
    .describe('Temu’s router for all other stores'),
  TEMU_QPS: count(1, 5000).default(20).describe('requests a second that Temu allows per app key'),
  // the lease of a push and the time until "not there" is believed are half a minute longer than the most (A6)
  TEMU_TIMEOUT: count(1, 30).default(15).describe('seconds until a call to Temu counts as failed'),
  PORT: count(0, 65_535).default(8080).describe('port of the web process; 0: any free one'),
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe('address that processes listen on; 0.0.0.0: all, as in a container'),
  PUBLIC_URL: url(['http:', 'https:'])
    .optional()
    .describe(
      'where people reach the web process, e.g. https://fleet.example.com; mail servers are greeted by its host',
    ),
  METRICS_PORT: count(0, 65_535)
    .default(0)
    .describe('port of /metrics, /healthz and /readyz of the other processes, at HOST; 0: any free one'),
  METRICS_TOKEN: token.optional().describe('bearer token that /metrics wants; empty: none'),
  DASHBOARD_USER: z.string().optional().describe('user of the dashboard who may change things'),
  DASHBOARD_PASSWORD: password
    .optional()
    .describe('password of DASHBOARD_USER; without the two, HOST must be a loopback address'),
  DASHBOARD_READER: z.string().optional().describe('user of the dashboard who may look only'),
  DASHBOARD_READER_PASSWORD: password.optional().describe('password of DASHBOARD_READER'),
  TRUSTED_PROXIES: networks
    .default([])
    .describe(
      'proxies before web, whose X-Forwarded-For is believed: addresses or networks, separated by commas; empty: nobody’s',
    ),
  EVENTS_TOKEN: token
    .optional()
    .describe('bearer token of POST /events/awb-created; without it that address is closed'),
  OTEL_EXPORTER_OTLP_ENDPOINT: url(['http:', 'https:'])
    .optional()
    .describe('OpenTelemetry collector (OTLP over HTTP, e.g. http://localhost:4318); empty: no traces'),
  PERSONAL_DATA_DAYS: count(1, 3650)
    .default(30)
    .describe('days after an order’s end at which its buyer’s name, phone, mail and address are erased'),
  BUFFER_PERIOD: count(1, 3650).default(31).describe('days after its booking that a parcel is tracked'),
  TRACKING_STATUS: z
    .string()
    .regex(/^\s*\d+(\s*,\s*\d+)*\s*$/, { error: 'codes of order_statuses, separated by commas: 4,5,6' })
    .transform((text) => text.split(',').map(Number))
    .optional()
    .describe('codes of the order statuses whose parcels are tracked; empty: as table order_statuses says'),
  TRACKERS: z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((name) => name.trim().toLowerCase())
        .filter(Boolean),
    )
    .optional()
    .describe('trackers that are switched on, separated by commas; empty: all that have credentials'),
  SLACK_TOKEN: z.string().optional().describe('Slack bot token (xoxb-…) with the scope chat:write'),
  SLACK_API_URL: url(['http:', 'https:']).default('https://slack.com/api/').describe('Slack’s Web API'),
  BOOKING_CANCELED_CHANNEL_ID: channel.describe('Slack channel that hears of cancelled bookings'),
  LOST_DESTROY_SLACK_CHANNEL_ID: channel.describe('Slack channel that hears of lost and destroyed parcels'),
  B2B_DELIVERED_CHANNEL_ID: channel.describe(
    'Slack channel that hears of B2B parcels delivered on their day',
  ),
  ALERTS_SLACK_CHANNEL_ID: channel.describe('Slack channel for what needs a person; empty: by mail'),
  SMTP_URL: url(['smtp:', 'smtps:'])
    .optional()
    .describe(
      'mail server, with user and password if it wants them: smtps://user:password@mail.example:465; ?name=fleet.example.com is how we greet it (EHLO), which strict relays check',
    ),
  EMAIL_SENDER: mailAddress.optional().describe('mails come from here'),
  EMAIL_PASSWORD: z
    .string()
    .optional()
    .describe('password of EMAIL_SENDER at the mail server; without SMTP_URL that is Gmail’s'),
  EMAIL_RECIPIENTS: mailAddresses
    .default([])
    .describe('addresses that get the mails, separated by commas; empty: no mails'),
  REPORTS: z
    .enum(['each', 'hourly', 'daily', 'off'])
    .default('each')
    .describe('mails about tracking runs: each, hourly, daily (6:00 UTC) or off'),
});

export type Config = z.output<typeof settings> & {
  /**
   * Settings that rooms declare for themselves, as couriers do (C15), from the same environment.
   * @throws UserError like parseConfig
   */
  read<S extends z.ZodRawShape>(shape: S): z.output<z.ZodObject<S>>;
};

/** Values that are never shown, not even in an error about them: secrets, and addresses with a password in them. */
const isSecret = (name: string, value: string) =>
  /KEY|SECRET|TOKEN|PASSWORD/.test(name) || /@|password=/i.test(value);

const holds = (name: string, value: string | undefined) => {
  if (value === undefined) return 'is not set';
  if (isSecret(name, value)) return `holds a value of ${value.length} characters (not shown)`;
  return `holds ${JSON.stringify(value.slice(0, 80))}`;
};

/** What a setting must look like, in the words that its schema has for a value that does not. */
export function formOf(field: z.ZodType, value = '?'): string {
  const issue = field.safeParse(value).error?.issues[0];
  return issue?.code === 'invalid_value'
    ? `one of ${issue.values.map(String).join(', ')}`
    : (issue?.message ?? 'another value');
}

/**
 * @param more settings of rooms, so that their faults are told together with the others
 * @throws UserError with one line per fault: the variable, what it holds, what it wants.
 */
export function parseConfig(env: Record<string, string | undefined>, more: z.ZodRawShape = {}): Config {
  // An empty variable means "not set": that is what `REDIS_URL=` in an env file is meant to say.
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
    faults.set(name, `${name} ${holds(name, given[name])}; it wants ${wants}`);
  }
  throw new UserError(
    `The environment has ${faults.size} fault${faults.size === 1 ? '' : 's'}:\n${[...faults.values()].map((line) => `  ${line}`).join('\n')}`,
  );
}

/** Where a checkout or an installation keeps what it makes: the embedded database, its key, its logs. */
export function homeDirectory(): string {
  return resolve(process.env.ORDERFLEET_HOME || '.orderfleet');
}

/** The file in which a running `orderfleet up` leaves the settings of its fleet, for other commands to find. */
export const runningFleetFile = () => join(homeDirectory(), 'fleet.env');

/** The process of the `orderfleet up` that runs in this directory, if one does. */
export function runningFleetPid(): number | undefined {
  const pid = Number(readEnvFile(runningFleetFile()).ORDERFLEET_PID);
  if (!pid) return undefined;
  try {
    process.kill(pid, 0); // asks only whether it exists
    return pid;
  } catch {
    return undefined;
  }
}

/** @throws UserError when it is there and may not be read */
function readEnvFile(file: string): Record<string, string | undefined> {
  if (!existsSync(file)) return {};
  try {
    return parseEnv(readFileSync(file, 'utf8')) as Record<string, string | undefined>;
  } catch (error) {
    throw new UserError(
      `${resolve(file)} is there, but cannot be read (${(error as NodeJS.ErrnoException).code}): let this process read it, or move it away`,
    );
  }
}

/**
 * The environment, completed in this order: what is set, `.env` in the working directory, and (unless `running` is
 * false) the settings that a running `orderfleet up` of this directory made itself: its embedded database and key.
 */
export function environment(options: { running?: boolean } = {}): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = { ...process.env };
  const complete = (file: string) => {
    for (const [name, value] of Object.entries(readEnvFile(file)))
      if (env[name] === undefined || env[name] === '') env[name] = value;
  };
  complete('.env');
  // whoever names a database means that one, with its own queues and key: nothing of another fleet is mixed in
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
      `${error.message}\nNo fleet runs in this directory: start one with "npm start" or "orderfleet up", or set the variables above.`,
    );
  }
}

/** Where one reaches the web process from this machine: everywhere is no address to go to. */
export function webAddress({ HOST, PORT }: Pick<Config, 'HOST' | 'PORT'>): string {
  const host = ['0.0.0.0', '::'].includes(HOST) ? '127.0.0.1' : HOST;
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${PORT}`;
}
