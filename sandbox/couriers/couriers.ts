import type { SandboxClock } from '../temu/world.ts';
import { COURIERS, standInOf, standIns } from './catalogue.ts';
import { type CourierDesk, createDesk } from './desk.ts';
import type { CourierName, SettingsOfApis } from './model.ts';
import { openApi } from './open.ts';
import { createParcels, type Parcels } from './parcels.ts';
import type { Mount } from './stand-in.ts';
import type { AccountSettings } from './tokens.ts';
import { type CourierWebhooks, createCourierWebhooks } from './webhooks.ts';

/** Initial settings of each API; the rest is as in reality. */
export type CourierOptions = {
  [N in CourierName]?: Partial<SettingsOfApis[N]> & { account?: Partial<AccountSettings> };
};

export interface Couriers {
  parcels: Parcels;
  /** The couriers' webhooks; off until started. */
  webhooks: CourierWebhooks;
  /** By tracker: settings, faults, ledger, logins. */
  api: { [N in CourierName]: CourierDesk<SettingsOfApis[N]> };
  /** The fleet's environment variables for this sandbox: current URLs and credentials. */
  env(): Record<string, string>;
  /** Clears parcels, faults, ledgers and the arrivals that limits count; settings stay. */
  reset(): void;
}

export interface CouriersContext {
  clock: SandboxClock;
  seed: number;
  speed: number;
  options: CourierOptions;
  mount: Mount;
  /** The server's address, once it listens. */
  url(): string;
}

/** The tracking APIs with their parcels, each under its prefix of the sandbox's server. */
export function createCouriers({ clock, seed, speed, options, mount, url }: CouriersContext): Couriers {
  const parcels = createParcels(clock, speed);
  const webhooks = createCourierWebhooks(clock, parcels);
  const desks = standIns.map((standIn) => {
    const { desk, handler } = createDesk(
      openApi(standIn, { clock, parcels }, options[standIn.name]),
      seed,
      clock,
    );
    mount(standIn.prefix, handler);
    return [standIn.name, desk] as const;
  });
  const api = Object.fromEntries(desks) as Couriers['api'];
  const envOf = (name: CourierName): [string, string][] => {
    const { prefix, env } = standInOf(name);
    const { settings, account } = api[name];
    const here = { url: `${url()}${prefix}`, settings, account: account?.settings };
    return Object.entries(env).map(([variable, make]) => [variable, make(here)]);
  };
  return {
    parcels,
    webhooks,
    api,
    env: () => Object.fromEntries(COURIERS.flatMap(envOf)),
    reset: () => {
      parcels.clear();
      webhooks.sent.clear();
      for (const name of COURIERS) {
        api[name].faults.clear();
        api[name].ledger.reset();
        api[name].resetWindow();
      }
    },
  };
}
