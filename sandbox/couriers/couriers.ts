import type { RequestHandler } from '../server.ts';
import type { SandboxClock } from '../temu/world.ts';
import { type B2bSettings, createDelhiveryB2b } from './delhivery-b2b.ts';
import { type B2cSettings, createDelhiveryB2c } from './delhivery-b2c.ts';
import { createDelhiveryFallback, type FallbackSettings } from './delhivery-fallback.ts';
import { type CourierApi, type CourierDesk, createDesk, type DeskSettings } from './desk.ts';
import { COURIERS, type CourierName } from './model.ts';
import { createParcels, type Parcels } from './parcels.ts';
import { createShiprocket, type ShiprocketSettings } from './shiprocket.ts';
import type { AccountSettings } from './tokens.ts';
import { createVelocity, type VelocitySettings } from './velocity.ts';
import { type CourierWebhooks, createCourierWebhooks } from './webhooks.ts';

type WithAccount<S> = Partial<S> & { account?: Partial<AccountSettings> };

/** How each API is set at the start; the rest is as in reality. */
export interface CourierOptions {
  'delhivery-b2c'?: Partial<B2cSettings>;
  'delhivery-b2b'?: WithAccount<B2bSettings>;
  shiprocket?: WithAccount<ShiprocketSettings>;
  velocity?: WithAccount<VelocitySettings>;
  'delhivery-fallback'?: Partial<FallbackSettings>;
}

export interface Couriers {
  parcels: Parcels;
  /** What couriers tell on their own; nothing until it is started. */
  webhooks: CourierWebhooks;
  /** By tracker: settings, faults, ledger, logins. */
  api: {
    'delhivery-b2c': CourierDesk<B2cSettings>;
    'delhivery-b2b': CourierDesk<B2bSettings>;
    shiprocket: CourierDesk<ShiprocketSettings>;
    velocity: CourierDesk<VelocitySettings>;
    'delhivery-fallback': CourierDesk<FallbackSettings>;
  };
  /** The fleet's environment variables that lead here: addresses and credentials as they are at this moment. */
  env(): Record<string, string>;
  /** Parcels, faults, ledgers and the arrivals that limits count are forgotten; settings stay. */
  reset(): void;
}

export interface CouriersContext {
  clock: SandboxClock;
  seed: number;
  speed: number;
  options: CourierOptions;
  mount(prefix: string, handler: RequestHandler): void;
  /** The server's address, once it listens. */
  url(): string;
}

/** The five tracking APIs with their parcels, each under its prefix of the sandbox's server. */
export function createCouriers({ clock, seed, speed, options, mount, url }: CouriersContext): Couriers {
  const parcels = createParcels(clock, speed);
  const webhooks = createCourierWebhooks(clock, parcels);
  const open = <S extends DeskSettings>(api: CourierApi<S>): CourierDesk<S> => {
    const { desk, handler } = createDesk(api, seed);
    mount(api.prefix, handler);
    return desk;
  };
  const api: Couriers['api'] = {
    'delhivery-b2c': open(createDelhiveryB2c(clock, parcels, options['delhivery-b2c'])),
    'delhivery-b2b': open(createDelhiveryB2b(clock, parcels, options['delhivery-b2b'])),
    shiprocket: open(createShiprocket(clock, parcels, options.shiprocket)),
    velocity: open(createVelocity(clock, parcels, options.velocity)),
    'delhivery-fallback': open(createDelhiveryFallback(clock, parcels, options['delhivery-fallback'])),
  };
  const login = (name: CourierName): AccountSettings => {
    const account = (api[name] as CourierDesk).account;
    if (!account) throw new Error(`${name} has no login`);
    return account.settings;
  };
  return {
    parcels,
    webhooks,
    api,
    env: () => ({
      DELHIVERY_URL: `${url()}/couriers/delhivery/api/v1/packages/json/`,
      DELHIVERY_AUTH_TOKEN_B2C: api['delhivery-b2c'].settings.key,
      DELHIVERY_B2B_URL: `${url()}/couriers/delhivery-b2b`,
      DELHIVERY_B2B_USERNAME: login('delhivery-b2b').user,
      DELHIVERY_B2B_PASSWORD: login('delhivery-b2b').password,
      DELHIVERY_FALLBACK_URL: `${url()}/couriers/delhivery-fallback/v3/unified-tracking`,
      DELHIVERY_ORIGIN: api['delhivery-fallback'].settings.origin,
      SHIPROCKET_URL: `${url()}/couriers/shiprocket/v1/external`,
      SHIPROCKET_EMAIL: login('shiprocket').user,
      SHIPROCKET_PASSWORD: login('shiprocket').password,
      VELOCITY_URL: `${url()}/couriers/velocity/custom/api/v1`,
      VELOCITY_USERNAME: login('velocity').user,
      VELOCITY_PASSWORD: login('velocity').password,
      DELHIVERY_WEBHOOK_TOKEN: webhooks.secrets.delhivery,
      SHIPROCKET_WEBHOOK_TOKEN: webhooks.secrets.shiprocket,
    }),
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
