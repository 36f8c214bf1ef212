import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { eq } from 'drizzle-orm';
import getPort from 'get-port';
import { createClient, type OrderfleetClient } from '../src/client/index.ts';
import { environment, homeDirectory, loadConfig } from '../src/config/index.ts';
import { temuProducts, temuStores } from '../src/db/schema/index.ts';
import { openFleet } from '../src/fleet/index.ts';
import { createLog } from '../src/lib/log.ts';
import { codeRoot } from '../src/lib/package-root.ts';
import { addStore } from '../src/temu/stores.ts';
import { standIns } from './couriers/catalogue.ts';
import { playedBy, servicesOf } from './demo-settings.ts';
import { demoShops } from './demo-shops.ts';
import { type OtherChannels, startOtherChannels } from './other-channels.ts';
import { type ReadyOrder, type ShippingApp, startShippingApp } from './shipping-app.ts';
import type { Product, Region, ShopSpec } from './temu/model.ts';

// `npm start`: the sandbox beside `orderfleet up`, with the demo shops as stores. The fleet does not know about it: a
// stand-in for the shipping app uses orderfleet/client, one for the other sales channels writes parcels into the tables,
// and all URLs are passed as ordinary settings. Settings that exist are kept, so real accounts replace stand-ins one by one.

const VARIABLE: Record<Region, string> = { EU: 'TEMU_EU_URL', US: 'TEMU_US_URL', GLOBAL: 'TEMU_GLOBAL_URL' };
/** This runs from a build alone (scripts/start.mjs). */
const program = (name: string) => join(codeRoot(), `${name}.js`);

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
 * Starts the sandbox. Its orders and parcels are kept between starts, like the database.
 * @param webhooks URL for its couriers' webhooks
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
  sandbox = spawn(process.execPath, [program('sandbox/main'), ...args], {
    detached: true, // Ctrl-C is for this process, which stops the fleet before the sandbox
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'], // the IPC channel closes when this process dies
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

/** Adds the sandbox's demo shops with the mapping of their SKUs, unless they exist. */
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
  const [known] = await db
    .select({ id: temuStores.id })
    .from(temuStores)
    .where(eq(temuStores.name, shop.name));
  if (known) return;
  const products = (await (await fetch(`${url}/_sandbox/products?shop=${shop.name}`)).json()) as Product[];
  const id = await addStore(db, secrets, { ...shop, apiVersion: 'v1' });
  await db
    .insert(temuProducts)
    .values(products.map(({ temu_sku_id: temuSkuId, sku }) => ({ storeId: id, temuSkuId, sku })));
}

/** A carrier's parcel that the sandbox plays as well: the number it gives is the one that it tracks. */
const labelsOf =
  (url: string) =>
  async (carrier: string, { number }: ReadyOrder): Promise<string | undefined> => {
    const api = standIns.find(
      ({ booking }) => booking.courier === carrier && booking.source === 'temu',
    )?.name;
    if (!api) return undefined;
    const body = JSON.stringify({ api, count: 1, days: 0, seed: Date.now(), references: [number] });
    const response = await fetch(`${url}/_sandbox/parcels`, { method: 'POST', body });
    const { parcels } = (await response.json()) as { parcels: { number: string }[] };
    return parcels[0]?.number;
  };

/**
 * The seller's other programs: a shipping app that creates parcels for orders that are ready and sends their events (A1),
 * and sales channels whose parcels are already with couriers.
 */
function startOthers(url: string): void {
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = loadConfig();
  const client = createClient(redisUrl ? { redisUrl } : { databaseUrl });
  const stateFile = join(homeDirectory(), 'shipping-app.jsonl');
  shipping = {
    client,
    app: startShippingApp({
      ...{ databaseUrl, send: client.awbCreated, everyMs: 2000, perTurn: 2, stateFile },
      label: labelsOf(url),
    }),
  };
  channels = startOtherChannels({ databaseUrl, url, everyMs: 5000 });
}

async function main(): Promise<void> {
  // chosen here, as "up" would: the couriers must know where the web process listens
  const port = env.PORT || String(await getPort({ port: 8080, host: env.HOST || '127.0.0.1' }));
  const host = !env.HOST || ['0.0.0.0', '::'].includes(env.HOST) ? '127.0.0.1' : env.HOST;
  const standIn = await startSandbox(`http://${host.includes(':') ? `[${host}]` : host}:${port}/webhooks`);
  const { url } = standIn;
  const played = playedBy(standIn.env, env);
  process.stdout.write(`Sandbox at ${url} for: ${['Temu', ...servicesOf(played)].join(', ')}\n`);
  process.stdout.write(`  emails: ${url}/_sandbox/mails   Slack: ${url}/_sandbox/slack\n`);
  if (stopping) return await stop();
  up = spawn(process.execPath, [program('src/cli/main'), 'up', '--database', 'demo'], {
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
    void stop(); // the fleet has exited, so the sandbox and the shipping app stop, too
    if (process.channel) process.disconnect();
  });
}

await main();
