import { parseArgs } from 'node:util';
import { COURIERS } from './couriers/catalogue.ts';
import type { CourierName } from './couriers/model.ts';
import { recordedParcels } from './couriers/recorded.ts';
import type { CourierLimit } from './couriers/window.ts';
import { demoShops } from './demo-shops.ts';
import { HELP } from './help.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from './server.ts';
import { generateOrders } from './temu/generator.ts';
import type { Shop } from './temu/model.ts';
import { recordedOrders } from './temu/recorded.ts';

const OPTIONS = {
  port: { type: 'string', default: '4010' },
  seed: { type: 'string', default: '1' },
  orders: { type: 'string', default: '300' },
  days: { type: 'string', default: '30' },
  parcels: { type: 'string', default: '100' },
  limit: { type: 'string', multiple: true, default: [] as string[] },
  webhooks: { type: 'string' },
  'smtp-port': { type: 'string' },
  live: { type: 'boolean', default: false },
  'ships-by-api': { type: 'boolean', default: false },
  speed: { type: 'string', default: '1' },
  qps: { type: 'string', default: '20' },
  latency: { type: 'string', default: '0' },
  'clock-offset': { type: 'string', default: '0' },
  state: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

type NumberOption = Exclude<
  keyof typeof OPTIONS,
  'live' | 'ships-by-api' | 'help' | 'state' | 'limit' | 'webhooks'
>;

interface Settings {
  help: boolean;
  parcels: number;
  webhooks: string | undefined;
  limits: [CourierName, CourierLimit | null][];
  orders: number;
  days: number;
  shipsByApi: boolean;
  sandbox: SandboxOptions;
}

/** Parses the command line. Throws with a one-line message. */
function readSettings(args: string[]): Settings {
  const { values } = parseArgs({ args, options: OPTIONS, allowPositionals: false });
  const number = (name: NumberOption, min: number, otherwise = ''): number => {
    const given = values[name] ?? otherwise;
    const value = Number(given);
    if (given.trim() !== '' && Number.isFinite(value) && value >= min) return value;
    throw new Error(`--${name} is "${given}"; expected a number of at least ${min}`);
  };
  const port = number('port', 0);
  return {
    help: values.help,
    parcels: number('parcels', 0),
    webhooks: readAddress(values.webhooks),
    limits: values.limit.map(readLimit),
    orders: number('orders', 0),
    days: number('days', 0.01),
    shipsByApi: values['ships-by-api'],
    sandbox: {
      port,
      smtp: { port: number('smtp-port', 0, String(port === 0 ? 0 : port + 1)) },
      seed: number('seed', 0),
      speed: number('speed', 0.001),
      qps: number('qps', 1),
      latencyMs: number('latency', 0),
      serverTimeOffsetMs: number('clock-offset', Number.NEGATIVE_INFINITY),
      live: values.live,
      ...(values.state !== undefined && { stateFile: values.state }),
    },
  };
}

function readAddress(text: string | undefined): string | undefined {
  if (text === undefined || (/^https?:/.test(text) && URL.canParse(text))) return text;
  throw new Error(`--webhooks is "${text}"; expected a URL such as http://localhost:8080/webhooks`);
}

/** `delhivery-b2c=750/300`, `velocity=none`. */
function readLimit(text: string): [CourierName, CourierLimit | null] {
  const [, name, max, perSeconds] = /^([a-z0-9-]+)=(?:none|(\d+)\/(\d+(?:\.\d+)?))$/.exec(text) ?? [];
  const known = COURIERS.find((courier) => courier === name);
  if (!known || Number(perSeconds) === 0)
    throw new Error(
      `--limit is "${text}"; expected API=MAX/SECONDS or API=none, with API one of ${COURIERS.join(', ')}`,
    );
  return [known, max === undefined ? null : { max: Number(max), perSeconds: Number(perSeconds) }];
}

/** Parcels for every courier, unless a state file already contained some. */
function furnishCouriers({ couriers }: Sandbox, { parcels, limits, sandbox: { seed = 1 } }: Settings): void {
  for (const [name, limit] of limits) couriers.api[name].settings.limit = limit;
  if (couriers.parcels.size() > 0) return;
  for (const api of COURIERS) couriers.parcels.addMany({ api, count: parcels, seed });
  couriers.parcels.put(recordedParcels());
}

/** Demo shops with orders, unless a state file already contained shops. */
function furnish({ world }: Sandbox, { orders, days, sandbox: { seed = 1 } }: Settings): boolean {
  if (world.shops().length > 0) return false;
  const now = world.clock.now();
  for (const spec of demoShops()) {
    const shop = world.addShop(spec);
    world.addOrders(shop, generateOrders({ seed, count: orders, shop, now, days }));
  }
  const first = world.shops()[0] as Shop;
  world.addOrders(first, recordedOrders({ shop: first, updatedAt: Math.floor(now / 1000) - 3600 }));
  return true;
}

function greeting(sandbox: Sandbox, fresh: boolean, settings: Settings): string {
  const { url, world, couriers } = sandbox;
  const variables = Object.entries(sandbox.env()).map(([name, value]) => `  ${name}=${value}`);
  const shops = world
    .shops()
    .map((shop) =>
      [
        `  ${shop.name}  (${shop.region}, ${shop.country}, ${world.orders(shop).length} orders)`,
        `    npm run fleet -- store add --name ${shop.name} --region ${shop.region} --country ${shop.country} \\`,
        `      --app-key ${shop.appKey} --app-secret ${shop.appSecret} --access-token ${shop.accessToken}`,
      ].join('\n'),
    );
  const { live, speed, qps, stateFile } = settings.sandbox;
  return `Sandbox for Temu at ${url}   (${live ? `live, ${speed} times as fast` : 'static'}; ${qps} requests/s per app key)
${variables.join('\n')}

Parcels: ${COURIERS.map((api) => `${api} ${couriers.parcels.size(api)}`).join(', ')}
Webhook receiver: ${url}/hooks/ANY-NAME
Inspect: ${url}/_sandbox/mails  ${url}/_sandbox/slack  ${url}/_sandbox/hooks

Shops${fresh ? '' : ` (from ${stateFile})`}, with fake credentials, and how to add them as stores:
${shops.join('\n')}

Control: curl ${url}/_sandbox/stats    (also shops, orders, faults, ledger, effects, ship, change, expected, parcels,
  couriers, env, clock, reset)
`;
}

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2));
  if (settings.help) return void process.stdout.write(HELP);
  const sandbox = await startSandbox(settings.sandbox);
  const fresh = furnish(sandbox, settings);
  // The command line overrides the state file.
  for (const shop of sandbox.world.shops()) sandbox.world.setShipsItself(shop, !settings.shipsByApi);
  furnishCouriers(sandbox, settings);
  if (settings.webhooks !== undefined) sandbox.couriers.webhooks.start(settings.webhooks);
  process.stdout.write(greeting(sandbox, fresh, settings));

  const stop = (): void => {
    sandbox.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(`sandbox: ${(error as Error).message}`);
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('disconnect', stop); // the parent has exited
  process.once('SIGINT', stop);
}

main().catch((error: unknown) => {
  console.error(`sandbox: ${(error as Error).message}\nTry --help.`);
  process.exitCode = 2;
});
