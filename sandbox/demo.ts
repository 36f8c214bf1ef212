import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createClient, type OrderfleetClient } from '../src/client.ts';
import { environment, homeDirectory, loadConfig } from '../src/config.ts';
import { openFleet } from '../src/fleet.ts';
import { createLog } from '../src/log.ts';
import { addStore } from '../src/temu/stores.ts';
import { demoShops } from './demo-shops.ts';
import { type ShippingApp, startShippingApp } from './shipping-app.ts';
import type { Product, Region, ShopSpec } from './temu/model.ts';

// `npm start`: the sandbox beside `orderfleet up`, and the demo shops as stores of the fleet. The fleet knows nothing of
// it: a stand-in for the shipping app speaks to it through orderfleet/client, and it is told Temu's addresses by its ordinary settings, and whichever of them is set already stays as it is.

const VARIABLE: Record<Region, string> = { EU: 'TEMU_EU_URL', US: 'TEMU_US_URL', GLOBAL: 'TEMU_GLOBAL_URL' };
const root = join(import.meta.dirname, '..');
const TSX = ['--import', import.meta.resolve('tsx')];

const env = environment({ running: false });
const playing = (Object.keys(VARIABLE) as Region[]).filter((region) => !env[VARIABLE[region]]);

let sandbox: ChildProcess | undefined;
let up: ChildProcess | undefined;
let stopping = false;
let shipping: { app: ShippingApp; client: OrderfleetClient } | undefined;

async function stop(): Promise<void> {
  stopping = true;
  await shipping?.app.stop();
  await shipping?.client.close();
  shipping = undefined;
  if (up && up.exitCode === null) up.kill('SIGTERM');
  else sandbox?.kill('SIGTERM');
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop());

/** Starts the sandbox and returns its address. Its orders live on between starts, like the database. */
async function startSandbox(): Promise<string> {
  const home = homeDirectory();
  mkdirSync(home, { recursive: true });
  const args = [
    '--port',
    '0',
    '--orders',
    '250',
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
      if (url) resolve(url);
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

/** The seller's shipping app: makes parcels for orders that are ready and tells the fleet of each (A1). */
function startShipping(): void {
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = loadConfig();
  const client = createClient(redisUrl ? { redisUrl } : { databaseUrl });
  const stateFile = join(homeDirectory(), 'shipping-app.jsonl');
  shipping = {
    client,
    app: startShippingApp({ databaseUrl, send: client.awbCreated, everyMs: 2000, perTurn: 2, stateFile }),
  };
}

async function main(): Promise<void> {
  const url = playing.length > 0 ? await startSandbox() : undefined;
  const temu = Object.fromEntries(
    playing.map((region) => [VARIABLE[region], `${url}/${region.toLowerCase()}/openapi/router`]),
  );
  if (url) process.stdout.write(`A stand-in for Temu runs at ${url} for: ${playing.join(', ')}\n`);
  if (stopping) return await stop();
  up = spawn(process.execPath, [...TSX, join(root, 'src/cli/main.ts'), 'up', '--database', 'demo'], {
    env: { ...env, ...temu },
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  up.on('message', (message) => {
    if (message !== 'ready' || !url) return;
    addDemoStores(url)
      .then(() => {
        if (!stopping) startShipping();
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
