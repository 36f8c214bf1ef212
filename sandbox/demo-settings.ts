import type { z } from 'zod';
import { couriers } from '../src/tracking/registry.ts';
import { standIns } from './couriers/catalogue.ts';

/** Variables of one service, and its name in the output of `npm start`. */
interface Service {
  name: string;
  has(variable: string): boolean;
}

/** Required variables of a courier; those with a default are optional. */
const credentialsOf = (name: string): string[] => {
  const shape = (couriers.find((courier) => courier.name === name)?.settings ?? {}) as Record<
    string,
    z.ZodType
  >;
  const others = couriers.filter((courier) => courier.name !== name);
  return Object.entries(shape).flatMap(([variable, field]) => {
    const shared = others.some(({ settings }) => variable in settings);
    return shared || field.safeParse(undefined).data !== undefined ? [] : [variable];
  });
};

const SERVICES: readonly Service[] = [
  ...standIns.map(({ name, env }) => {
    const variables = new Set([...Object.keys(env), ...credentialsOf(name)]);
    return { name: name.split('-')[0] as string, has: (variable: string) => variables.has(variable) };
  }),
  { name: 'slack', has: (variable) => /^SLACK_|_CHANNEL_ID$/.test(variable) },
  { name: 'smtp', has: (variable) => /^(SMTP|EMAIL)_/.test(variable) },
];

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The stand-ins' variables, without those of services that are already configured: one variable that is set disables the
 * stand-in of its service. Simulated couriers are checked every minute, in which their parcels live twenty.
 */
export function playedBy(offered: Readonly<Record<string, string>>, env: Env): Record<string, string> {
  const taken = Object.keys(env).filter((name) => env[name]);
  const real = (name: string) =>
    taken.includes(name) || SERVICES.some((service) => service.has(name) && taken.some(service.has));
  const played = Object.fromEntries(Object.entries(offered).filter(([name]) => !real(name)));
  const rounds = standIns.flatMap(({ name, env: leads }) => {
    const every = `${name.toUpperCase().replaceAll('-', '_')}_EVERY`;
    return Object.keys(leads).some((variable) => variable in played) ? [[every, env[every] || '60']] : [];
  });
  return { ...played, ...Object.fromEntries(rounds) };
}

/** The simulated services, each once: `DELHIVERY`, `SLACK`. */
export const servicesOf = (played: Readonly<Record<string, string>>): string[] => [
  ...new Set(
    SERVICES.filter(({ has }) => Object.keys(played).some(has)).map(({ name }) => name.toUpperCase()),
  ),
];
