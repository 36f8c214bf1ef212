import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { Config } from '../config/index.ts';
import { count } from '../config/settings.ts';
import { UserError } from '../lib/errors.ts';
import { codeRoot } from '../lib/package-root.ts';
import type { Connection, Courier, Limit } from './toolkit/courier.ts';

/**
 * Every file of `couriers/` is a courier (C15), so that adding one touches nothing else. They are loaded once, when the
 * process starts.
 */
const HERE = join(codeRoot(), 'src/tracking/couriers');
export const couriers: readonly Courier[] = await Promise.all(
  readdirSync(HERE)
    .filter((file) => /^[a-z0-9-]+\.[jt]s$/.test(file))
    .sort()
    .map(async (file) => (await import(pathToFileURL(join(HERE, file)).href)).default as Courier),
);

/** Why a tracker is off, as shown to operators. */
const OFF = { notChosen: 'not in TRACKERS', noCredentials: 'no credentials' } as const;
export type Off = keyof typeof OFF;

export const whyOff = ({ off }: Pick<Tracker, 'off'>): string | undefined => off && OFF[off];

/** A courier as configured in this process. */
export interface Tracker {
  name: string;
  courier: Courier;
  /** undefined: switched off, `off` says why. */
  connection: Connection | undefined;
  off: Off | undefined;
  limit: Limit | undefined;
  /** Requests a day. */
  dailyLimit: number | undefined;
  atOnce: number;
  /** From the start of one run to the start of the next. */
  everyMs: number;
  /** A digest of the credentials, to detect changes. */
  credentials: string;
}

const variable = ({ name }: Courier, what: 'LIMIT' | 'EVERY' | 'DAILY_LIMIT') =>
  `${name.toUpperCase().replaceAll('-', '_')}_${what}`;

const limit = z
  .string()
  .regex(/^(off|[1-9]\d{0,5}\/(?=[\d.]*[1-9])\d{1,5}(\.\d{1,3})?)$/, {
    error: 'requests/seconds, as 7/3 for seven in any three seconds, or off',
  })
  .transform((text): Limit | 'off' => {
    const [max, seconds] = text.split('/').map(Number);
    return text === 'off' ? 'off' : { max: max as number, seconds: seconds as number };
  });

/** The environment's variables of all couriers (O7). */
export const trackingSettings: z.ZodRawShape = Object.fromEntries(
  couriers.flatMap((courier) => [
    ...Object.entries(courier.settings),
    [
      variable(courier, 'LIMIT'),
      limit
        .optional()
        .describe(`${courier.title}: requests/seconds that may leave, instead of its own limit`),
    ],
    ...(courier.dailyLimit === undefined
      ? []
      : [
          [
            variable(courier, 'DAILY_LIMIT'),
            count(1, 100_000_000)
              .optional()
              .describe(`${courier.title}: requests a day, from midnight GMT (${courier.dailyLimit})`),
          ] as const,
        ]),
    [
      variable(courier, 'EVERY'),
      count(10, 86_400)
        .optional()
        .describe(
          `${courier.title}: seconds from one round of its parcels to the next (${courier.everyMs / 1000})`,
        ),
    ],
  ]),
);

/** The environment's variables that switch a courier on, where each has a value. */
export const credentialSettings = ({ settings }: Courier): string[] =>
  Object.keys(settings).filter((variable) =>
    /(?<!WEBHOOK_)(TOKEN|KEY|USER|EMAIL|PASSWORD|CLIENT_ID|CLIENT_SECRET)/.test(variable),
  );

/** Of couriers without a key and a login: the secret is in each request's body. */
const secretsInBody = (connection: Connection | undefined): string[] => {
  if (!connection || connection.access.key || connection.access.login) return [];
  const { body } = connection.request([]);
  return body === undefined ? [] : [body];
};

const digestOf = (connection: Connection | undefined): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        connection?.access.key,
        connection?.access.login?.request,
        ...secretsInBody(connection),
      ]),
    )
    .digest('hex')
    .slice(0, 16);

/** @throws UserError when TRACKERS names one that does not exist, or one without credentials. */
export function createTrackers(config: Config): Tracker[] {
  const wanted = config.TRACKERS?.filter((name) => name !== 'none');
  const unknown = wanted?.filter((name) => !couriers.some((courier) => courier.name === name)) ?? [];
  if (unknown.length > 0)
    throw new UserError(
      `TRACKERS contains "${unknown.join(', ')}"; expected: ${couriers.map(({ name }) => name).join(', ')}`,
    );
  const given = config.read(trackingSettings);
  return couriers.map((courier) => {
    const own = config.read(courier.settings);
    const connection = courier.connect(own);
    const chosen = !wanted || wanted.includes(courier.name);
    if (wanted && chosen && !connection)
      throw new UserError(
        `TRACKERS enables ${courier.name}, which has no credentials: set ${Object.keys(courier.settings).join(', ')}`,
      );
    const every = given[variable(courier, 'EVERY')] as number | undefined;
    const set = given[variable(courier, 'LIMIT')] as Limit | 'off' | undefined;
    return {
      name: courier.name,
      courier,
      connection: chosen ? connection : undefined,
      off: !chosen ? 'notChosen' : connection ? undefined : 'noCredentials',
      limit: set === 'off' ? undefined : (set ?? courier.limit?.(own)),
      dailyLimit: (given[variable(courier, 'DAILY_LIMIT')] as number | undefined) ?? courier.dailyLimit,
      atOnce: courier.atOnce(own),
      everyMs: (every ?? courier.everyMs / 1000) * 1000,
      credentials: digestOf(connection),
    };
  });
}
