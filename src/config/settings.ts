import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseDatabaseUrl } from '../addresses/database.ts';
import { parseRedisUrl } from '../addresses/redis.ts';

/**
 * Every setting (O7): its name, format, default and description. docs/settings.md and the error lines use these
 * texts. Couriers declare their own in their files (C15), with the same kinds of fields.
 */

export const url = (protocols: string[]) =>
  z.string().refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
    error: `a URL starting with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });
/** The address of a store: parsed here, so that a wrong one is reported at startup and not by a driver (R12). */
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
    throw new Error(`${what} to be a readable file, not ${JSON.stringify(file)} (${code})`);
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

const partsOf = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
/** A comma-separated list. */
const several = <T>(one: z.ZodType<T, string>, error: string) =>
  z.string().transform((text, context) => {
    const parsed = partsOf(text).map((part) => one.safeParse(part));
    if (parsed.every(({ success }) => success)) return parsed.map(({ data }) => data as T);
    context.addIssue({ code: 'custom', message: error });
    return z.NEVER;
  });
const keys = several(key, '32-byte base64 keys, separated by commas');

export const token = z.string().min(16, { error: 'at least 16 characters' });
const password = z.string().min(8, { error: 'at least 8 characters' });
const channel = z
  .string()
  .regex(/^\S+$/, {
    error: 'a channel id like C0123456789 (in Slack: at the end of the channel details)',
  })
  .optional();
/**
 * A bare address: a dot-atom (RFC 5321) at a host name, in any script. Not z.email(), since `ops@mailhost` is an
 * address inside a company. Names, brackets, quotes, lists and `mailto:` are rejected: a server would refuse each
 * mail to them.
 */
const mailAddress = z
  .string()
  .max(254, { error: 'an email address' })
  .regex(
    /^(?!\.)(?!.*\.[.@])[\p{L}\p{M}\p{N}.!#$%&'*+/=?^_`{|}~-]+@[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}.-]*[\p{L}\p{M}\p{N}])?$/u,
    { error: 'an email address' },
  );
// duplicates count once
const mailAddresses = several(mailAddress, 'email addresses, separated by commas').transform((all) => [
  ...new Map(all.map((one) => [one.toLowerCase(), one])).values(),
]);

/** `10.1.2.3`, or a network like `10.1.0.0/16`; /0 would be everybody. */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const most = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  if (most === 0 || address.includes('%') || more.length > 0) return false;
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= most);
}
const networks = several(
  z.string().refine(isNetwork),
  'addresses or networks such as 10.1.2.3 and 10.1.0.0/16, separated by commas',
);

export const settings = z.object({
  DATABASE_URL: address((text) => parseDatabaseUrl(text).tls.files)
    .describe(
      'Postgres (15 or newer) for all data; parameters as in libpq (sslmode, sslrootcert, …): docs/deploy.md',
    )
    .meta({ examples: ['postgres://orderfleet:secret@localhost:5432/orderfleet'] }),
  PGSSLROOTCERT: z
    .string()
    .refine((file) => file === 'system' || existsSync(file), { error: 'an existing file, or system' })
    .optional()
    .describe(
      'CA certificates for Postgres (PEM), if DATABASE_URL has no sslrootcert; system: those that Node trusts',
    ),
  REDIS_URL: address((text) => parseRedisUrl(text).tls?.files ?? {})
    .optional()
    .describe(
      'Redis for the queues (maxmemory-policy noeviction, appendonly yes); without it they are stored in Postgres, schema bullmq. Also rediss://, redis+sentinel://host:26379/mymaster and redis+cluster://host1,host2: docs/deploy.md',
    ),
  CREDENTIALS_KEY: key.describe('key that encrypts store secrets and courier tokens'),
  CREDENTIALS_KEYS_OLD: keys
    .default([])
    .describe(
      'old CREDENTIALS_KEYs, separated by commas: still used to decrypt, never to encrypt (store rotate re-encrypts)',
    ),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('minimum log level'),
  SHUTDOWN_GRACE: count(1, 600)
    .default(20)
    .describe(
      'seconds that a worker has to finish its jobs after SIGTERM; keep it below the platform’s grace period',
    ),
  TEMU_EU_URL: url(['http:', 'https:'])
    .default('https://openapi-b-eu.temu.com/openapi/router')
    .describe('Temu’s router for European stores'),
  TEMU_US_URL: url(['http:', 'https:'])
    .default('https://openapi-b-us.temu.com/openapi/router')
    .describe('Temu’s router for stores in the United States'),
  TEMU_GLOBAL_URL: url(['http:', 'https:'])
    .default('https://openapi-b-global.temu.com/openapi/router')
    .describe('Temu’s router for all other stores'),
  TEMU_QPS: count(1, 5000)
    .default(20)
    .describe('requests per second that Temu allows per app key; raise it only if Temu has raised yours'),
  // the lease of a push and the time until "not there" is trusted are half a minute longer than the maximum (A6)
  TEMU_TIMEOUT: count(1, 30).default(15).describe('timeout of a call to Temu, in seconds'),
  PORT: count(0, 65_535).default(8080).describe('port of the web process; 0: any free port'),
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe('address that processes listen on; 0.0.0.0: all interfaces, as in a container'),
  PUBLIC_URL: url(['http:', 'https:'])
    .optional()
    .describe(
      'public URL of the web process, e.g. https://fleet.example.com; its host is also sent to mail servers (EHLO)',
    ),
  METRICS_PORT: count(0, 65_535)
    .default(0)
    .describe(
      'port of /metrics, /healthz and /readyz of the other processes, on HOST; 0: any free port, see their log',
    ),
  METRICS_TOKEN: token.optional().describe('bearer token that /metrics requires; empty: none'),
  DASHBOARD_USER: z.string().optional().describe('dashboard user with full access'),
  DASHBOARD_PASSWORD: password
    .optional()
    .describe('password of DASHBOARD_USER; without both, HOST must be a loopback address'),
  DASHBOARD_READER: z.string().optional().describe('dashboard user with read-only access'),
  DASHBOARD_READER_PASSWORD: password.optional().describe('password of DASHBOARD_READER'),
  TRUSTED_PROXIES: networks
    .default([])
    .describe(
      'proxies in front of web whose X-Forwarded-For is trusted: addresses or networks, separated by commas (127.0.0.1,10.1.0.0/16); empty: none. List only addresses that no one but the proxy uses, or clients can fake their address',
    ),
  EVENTS_TOKEN: token
    .optional()
    .describe('bearer token of POST /events/awb-created; without it the endpoint is disabled'),
  OTEL_EXPORTER_OTLP_ENDPOINT: url(['http:', 'https:'])
    .optional()
    .describe('OpenTelemetry collector (OTLP over HTTP, e.g. http://localhost:4318); empty: no traces'),
  PERSONAL_DATA_DAYS: count(1, 3650)
    .default(30)
    .describe('days after an order is finished until its buyer’s name, phone, email and address are erased'),
  ARCHIVE_MONTHS: count(4, 1200)
    .default(24)
    .describe(
      'full months of history and finished orders that `orderfleet archive` leaves in the database without --before; nothing is archived unless it is called',
    ),
  BUFFER_PERIOD: count(1, 3650).default(31).describe('days that a parcel is tracked after booking'),
  TRACKING_STATUS: z
    .string()
    .regex(/^\s*\d+(\s*,\s*\d+)*\s*$/, { error: 'codes of order_statuses, separated by commas: 4,5,6' })
    .transform((text) => text.split(',').map(Number))
    .optional()
    .describe(
      'codes of order_statuses whose parcels are tracked: 4,5,6,…; written to that table, which applies if this is empty',
    ),
  TRACKERS: z
    .string()
    .transform((text) => partsOf(text.toLowerCase()))
    .optional()
    .describe('enabled trackers, separated by commas, or none; empty: all with credentials'),
  SLACK_TOKEN: z.string().optional().describe('Slack bot token (xoxb-…) with the scope chat:write'),
  SLACK_API_URL: url(['http:', 'https:']).default('https://slack.com/api/').describe('Slack’s Web API'),
  BOOKING_CANCELED_CHANNEL_ID: channel.describe('Slack channel for cancelled bookings'),
  LOST_DESTROY_SLACK_CHANNEL_ID: channel.describe('Slack channel for lost and destroyed parcels'),
  B2B_DELIVERED_CHANNEL_ID: channel.describe('Slack channel for B2B parcels delivered on their booking day'),
  ALERTS_SLACK_CHANNEL_ID: channel.describe(
    'Slack channel for alerts; empty: by email, and without email only `orderfleet status` shows them',
  ),
  SMTP_URL: url(['smtp:', 'smtps:'])
    .optional()
    .describe(
      'mail server, with user and password if required: smtps://user:password@mail.example:465; ?name=fleet.example.com sets the EHLO name, which strict relays check; default: the host of PUBLIC_URL, of this machine, or of the sender',
    ),
  EMAIL_SENDER: mailAddress.optional().describe('sender address of emails'),
  EMAIL_PASSWORD: z
    .string()
    .optional()
    .describe('password of EMAIL_SENDER at the mail server; without SMTP_URL, at Gmail'),
  EMAIL_RECIPIENTS: mailAddresses
    .default([])
    .describe('recipients of emails, separated by commas; empty: no emails'),
  REPORTS: z
    .enum(['each', 'hourly', 'daily', 'off'])
    .default('each')
    .describe('emails about tracking runs: after each run, hourly, daily (6:00 UTC) or off'),
});

/** What a setting must look like, as its schema's error describes it. */
export function formOf(field: z.ZodType, value = '?'): string {
  const issue = field.safeParse(value).error?.issues[0];
  return issue?.code === 'invalid_value'
    ? `one of ${issue.values.map(String).join(', ')}`
    : (issue?.message ?? 'another value');
}
