import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseDatabaseUrl } from './addresses/database.ts';
import { parseRedisUrl } from './addresses/redis.ts';

/**
 * Every setting (O7): its name, form, default, and what it is. docs/settings.md and the error lines say it in these words.
 * Couriers declare their own in their files (C15), of the same kinds of fields.
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

const partsOf = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
/** Several of a kind, separated by commas. */
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
// one that is named twice is one
const mailAddresses = several(mailAddress, 'mail addresses, separated by commas').transform((all) => [
  ...new Map(all.map((one) => [one.toLowerCase(), one])).values(),
]);

/** `10.1.2.3`, or a network as `10.1.0.0/16`; /0 would be everybody. */
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
    .describe(
      'Redis for the queues (noeviction, AOF); redis+sentinel:// and redis+cluster:// name Sentinels and clusters (docs/deploy.md); without it they live in Postgres, schema bullmq',
    ),
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
    .transform((text) => partsOf(text.toLowerCase()))
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

/** What a setting must look like, in the words that its schema has for a value that does not. */
export function formOf(field: z.ZodType, value = '?'): string {
  const issue = field.safeParse(value).error?.issues[0];
  return issue?.code === 'invalid_value'
    ? `one of ${issue.values.map(String).join(', ')}`
    : (issue?.message ?? 'another value');
}
