import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import getPort from 'get-port';
import { createClient, type OrderfleetClient } from '../src/client.ts';
import { environment, homeDirectory, loadConfig } from '../src/config.ts';
import { openFleet } from '../src/fleet.ts';
import { createLog } from '../src/log.ts';
import { addStore } from '../src/temu/stores.ts';
import { demoShops } from './demo-shops.ts';
import { type OtherChannels, startOtherChannels } from './other-channels.ts';
import { type ShippingApp, startShippingApp } from './shipping-app.ts';
import type { Product, Region, ShopSpec } from './temu/model.ts';

// `npm start`: the sandbox beside `orderfleet up`, and the demo shops as stores of the fleet. The fleet knows nothing of
// it: a stand-in for the shipping app speaks to it through orderfleet/client, one for the other sales channels writes
// parcels into its tables, and it is told all addresses by its ordinary settings. What is set already stays as it is: so
// real accounts replace the stand-ins one by one.

const VARIABLE: Record<Region, string> = { EU: 'TEMU_EU_URL', US: 'TEMU_US_URL', GLOBAL: 'TEMU_GLOBAL_URL' };
/** Variables that belong together: when one of a group is set, the stand-in leaves the whole group alone. */
const GROUPS = [
  /^DELHIVERY_(URL|AUTH_TOKEN_B2C|WEBHOOK_TOKEN)$/,
  /^DELHIVERY_B2B_/,
  /^DELHIVERY_(FALLBACK_URL|ORIGIN)$/,
].concat([/^SHIPROCKET_/, /^VELOCITY_/, /^(SLACK_|.*_CHANNEL_ID$)/, /^(SMTP_|EMAIL_)/]);
/** Trackers, and what leads each to the stand-in: a round of parcels a minute there, in which they live twenty. */
const ROUNDS = {
  DELHIVERY_B2C: 'DELHIVERY_URL',
  DELHIVERY_B2B: 'DELHIVERY_B2B_URL',
  SHIPROCKET: 'SHIPROCKET_URL',
  VELOCITY: 'VELOCITY_URL',
  DELHIVERY_FALLBACK: 'DELHIVERY_FALLBACK_URL',
};
const root = join(import.meta.dirname, '..');
const TSX = ['--import', import.meta.resolve('tsx')];

const env = environment({ running: false });
const playing = (Object.keys(VARIABLE) as Region[]).filter((region) => !env[VARIABLE[region]]);

let sandbox: ChildProcess | undefined;
let up: ChildProcess | undefined;
let stopping = false;
let shipping: { app: ShippingApp; client: OrderfleetClient } | undefined;
let channels: OtherChannels | undefined;

async function stop(): Promise<void> {
  stopping = true;
  await shipping?.app.stop();
  await shipping?.client.close();
  shipping = undefined;
  await channels?.stop();
  channels = undefined;
  if (up && up.exitCode === null) up.kill('SIGTERM');
  else sandbox?.kill('SIGTERM');
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop());

interface StandIn {
  url: string;
  /** The fleet's variables that lead to it. */
  env: Record<string, string>;
}

/**
 * Starts the sandbox. Its orders and parcels live on between starts, like the database.
 * @param webhooks where its couriers tell of parcels on their own
 */
async function startSandbox(webhooks: string): Promise<StandIn> {
  const home = homeDirectory();
  mkdirSync(home, { recursive: true });
  const args = [
    '--port',
    '0',
    '--orders',
    '250',
    '--parcels',
    '60',
    '--smtp-port',
    '0',
    '--webhooks',
    webhooks,
    '--live',
    '--speed',
    '20',
    '--state',
    join(home, 'sandbox.json'),
  ];
  sandbox = spawn(process.execPath, [...TSX, join(root, 'sandbox/main.ts'), ...args], {
    detached: true, // Ctrl-C is for this process, which stops the fleet before the sandbox
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'], // the channel tells it when this process has died
  });
  return await new Promise((resolve, reject) => {
    let printed = '';
    sandbox?.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk;
      const url = /Sandbox for Temu at (\S+)/.exec(printed)?.[1];
      if (!url || !printed.includes('Control:')) return;
      const lines = [...printed.matchAll(/^ +([A-Z][A-Z0-9_]+)=(\S+)$/gm)];
      resolve({ url, env: Object.fromEntries(lines.map(([, name, value]) => [name, value])) });
    });
    sandbox?.once('exit', (code, signal) =>
      reject(new Error(`the sandbox ended (${signal ?? code})\n${printed}`)),
    );
  });
}

/** Adds the demo shops that the sandbox serves, with the mapping of their SKUs; a second start finds them there. */
async function addDemoStores(url: string): Promise<void> {
  const fleet = openFleet(loadConfig(), 'demo', { log: createLog({ level: 'error', name: 'demo' }) });
  try {
    for (const shop of demoShops().filter(({ region }) => playing.includes(region)))
      await addDemoStore(fleet, shop, url);
  } finally {
    await fleet.close();
  }
}

async function addDemoStore(
  { db, secrets }: ReturnType<typeof openFleet>,
  shop: ShopSpec,
  url: string,
): Promise<void> {
  const [known] = await db.$client`select 1 from temu_stores where name = ${shop.name}`;
  if (known) return;
  const products = (await (await fetch(`${url}/_sandbox/products?shop=${shop.name}`)).json()) as Product[];
  const id = await addStore(db, secrets, { ...shop, apiVersion: 'v1' });
  await db.$client`
    insert into temu_products (store_id, temu_sku_id, sku)
    select ${id}, * from unnest(${products.map((one) => one.temu_sku_id)}::text[], ${products.map((one) => one.sku)}::text[])`;
}

/**
 * The seller's other programs: a shipping app that makes parcels for orders that are ready and tells the fleet of each
 * (A1), and sales channels whose parcels couriers have already.
 */
function startOthers(url: string): void {
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = loadConfig();
  const client = createClient(redisUrl ? { redisUrl } : { databaseUrl });
  const stateFile = join(homeDirectory(), 'shipping-app.jsonl');
  shipping = {
    client,
    app: startShippingApp({ databaseUrl, send: client.awbCreated, everyMs: 2000, perTurn: 2, stateFile }),
  };
  channels = startOtherChannels({ databaseUrl, url, everyMs: 5000 });
}

/** The stand-in's variables without those of services that are set up already. */
function playedBy(standIn: StandIn): Record<string, string> {
  const taken = Object.keys(env).filter((name) => env[name]);
  const real = (name: string) =>
    taken.includes(name) ||
    GROUPS.some((group) => group.test(name) && taken.some((other) => group.test(other)));
  const played = Object.fromEntries(Object.entries(standIn.env).filter(([name]) => !real(name)));
  for (const [tracker, url] of Object.entries(ROUNDS))
    if (url in played) played[`${tracker}_EVERY`] = env[`${tracker}_EVERY`] || '60';
  return played;
}

async function main(): Promise<void> {
  // chosen here, as "up" would: the couriers must know where the web process listens
  const port = env.PORT || String(await getPort({ port: 8080, host: env.HOST || '127.0.0.1' }));
  const host = !env.HOST || ['0.0.0.0', '::'].includes(env.HOST) ? '127.0.0.1' : env.HOST;
  const standIn = await startSandbox(`http://${host.includes(':') ? `[${host}]` : host}:${port}/webhooks`);
  const { url } = standIn;
  const played = playedBy(standIn);
  const services = ['Temu', 'DELHIVERY', 'SHIPROCKET', 'VELOCITY', 'SLACK', 'SMTP'].filter(
    (name) => name === 'Temu' || Object.keys(played).some((variable) => variable.startsWith(name)),
  );
  process.stdout.write(`Stand-ins run at ${url} for: ${services.join(', ')}\n`);
  process.stdout.write(`  mails it was sent: ${url}/_sandbox/mails   Slack: ${url}/_sandbox/slack\n`);
  if (stopping) return await stop();
  up = spawn(process.execPath, [...TSX, join(root, 'src/cli/main.ts'), 'up', '--database', 'demo'], {
    env: { ...env, ...played, PORT: port },
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  up.on('message', (message) => {
    if (message !== 'ready') return;
    addDemoStores(url)
      .then(() => {
        if (!stopping) startOthers(url);
      })
      .catch((error) => {
        console.error('The demo stores could not be added:', error);
        process.exitCode = 1;
        void stop();
      });
  });
  up.once('exit', (code) => {
    process.exitCode = code ?? 1;
    up = undefined;
    void stop(); // the fleet is gone, so the sandbox and the shipping app go too
    if (process.channel) process.disconnect();
  });
}

await main();
