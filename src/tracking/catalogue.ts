import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { UserError } from '../errors.ts';
import { count } from '../settings.ts';
import type { Connection, Courier, Limit } from './courier.ts';

/**
 * Every file of `couriers/` is a courier (C15), so that adding one touches nothing else. They are loaded here once,
 * by name, when the process starts.
 */
const HERE = join(import.meta.dirname, 'couriers');
export const couriers: readonly Courier[] = await Promise.all(
  readdirSync(HERE)
    .filter((file) => /^[a-z0-9-]+\.[jt]s$/.test(file))
    .sort()
    .map(async (file) => (await import(pathToFileURL(join(HERE, file)).href)).default as Courier),
);

/** Why a tracker is switched off, with what people read. */
const OFF = { notChosen: 'not in TRACKERS', noCredentials: 'no credentials' } as const;
export type Off = keyof typeof OFF;

export const whyOff = ({ off }: Pick<Tracker, 'off'>): string | undefined => off && OFF[off];

/** A courier as this process may use it. */
export interface Tracker {
  name: string;
  courier: Courier;
  /** undefined: switched off, `off` says why. */
  connection: Connection | undefined;
  off: Off | undefined;
  limit: Limit | undefined;
  atOnce: number;
  /** From the start of one run to the start of the next. */
  everyMs: number;
  /** A digest of what authenticates: tells other credentials from the same ones. */
  credentials: string;
}

const variable = ({ name }: Courier, what: 'LIMIT' | 'EVERY') =>
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

const digestOf = (connection: Connection | undefined): string =>
  createHash('sha256')
    .update(JSON.stringify([connection?.access.key, connection?.access.login?.request]))
    .digest('hex')
    .slice(0, 16);

/** @throws UserError when TRACKERS names one that does not exist, or one without credentials. */
export function createTrackers(config: Config): Tracker[] {
  const wanted = config.TRACKERS?.filter((name) => name !== 'none');
  const strangers = wanted?.filter((name) => !couriers.some((courier) => courier.name === name)) ?? [];
  if (strangers.length > 0)
    throw new UserError(
      `TRACKERS holds "${strangers.join(', ')}"; there are ${couriers.map(({ name }) => name).join(', ')}`,
    );
  const given = config.read(trackingSettings);
  return couriers.map((courier) => {
    const own = config.read(courier.settings);
    const connection = courier.connect(own);
    const chosen = !wanted || wanted.includes(courier.name);
    if (wanted && chosen && !connection)
      throw new UserError(
        `TRACKERS switches on ${courier.name}, which has no credentials: ${Object.keys(courier.settings).join(', ')}`,
      );
    const every = given[variable(courier, 'EVERY')] as number | undefined;
    const set = given[variable(courier, 'LIMIT')] as Limit | 'off' | undefined;
    return {
      name: courier.name,
      courier,
      connection: chosen ? connection : undefined,
      off: !chosen ? 'notChosen' : connection ? undefined : 'noCredentials',
      limit: set === 'off' ? undefined : (set ?? courier.limit?.(own)),
      atOnce: courier.atOnce(own),
      everyMs: (every ?? courier.everyMs / 1000) * 1000,
      credentials: digestOf(connection),
    };
  });
}
