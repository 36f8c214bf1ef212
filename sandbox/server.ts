import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createControl } from './control.ts';
import { createEffects, type Effects } from './effects.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { loadState, saveState, saveStateSync } from './state.ts';
import { type ApiTable, orderApis } from './temu/apis.ts';
import { createFaults, type Faults } from './temu/faults.ts';
import { createLife, type Life } from './temu/life.ts';
import { send } from './temu/misbehave.ts';
import type { HostName } from './temu/model.ts';
import { createQuota } from './temu/quota.ts';
import { createTemuRouter } from './temu/router.ts';
import { shippingApis } from './temu/shipment.ts';
import { createWorld, type SandboxClock, type World } from './temu/world.ts';

export interface SandboxOptions {
  /** 0 (default): any free port. */
  port?: number;
  /** Default 127.0.0.1: the control surface has no login. */
  host?: string;
  seed?: number;
  /** Requests a second per app key; Temu's is 20. */
  qps?: number;
  /** How much faster life goes than in reality; default 1. */
  speed?: number;
  /** Orders keep arriving and living; default false. */
  live?: boolean;
  /** Mean real time between two new orders of a shop when live, divided by speed; default a minute. */
  arrivalEveryMs?: number;
  /** Time before each answer of Temu's; default 0. */
  latencyMs?: number;
  /** Loaded on start, saved every 10 s and on close. */
  stateFile?: string;
  /** How far Temu's clock is off. */
  serverTimeOffsetMs?: number;
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export interface Sandbox {
  /** http://127.0.0.1:PORT */
  url: string;
  /** Full router URLs, as TEMU_EU_URL, TEMU_US_URL and TEMU_GLOBAL_URL take them. */
  routers: { eu: string; us: string; global: string };
  world: World;
  faults: Faults;
  ledger: Ledger;
  /** Every number that Temu was told, how often, and what became of it. */
  effects: Effects;
  life: Life;
  /** API types and their handlers: other files add theirs here. */
  apis: ApiTable;
  /** Serves everything under a path prefix ("/couriers") by a handler of its own. */
  mount(prefix: string, handler: RequestHandler): void;
  close(): Promise<void>;
}

const SAVE_EVERY_MS = 10_000;
const HOSTS: readonly HostName[] = ['eu', 'us', 'global'];

/** Starts the stand-in for Temu on loopback. Throws when the port is taken or the state file is not one. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { port = 0, host = '127.0.0.1', seed = 1, qps = 20, speed = 1, latencyMs = 0, stateFile } = options;
  const clock: SandboxClock = {
    offsetMs: options.serverTimeOffsetMs ?? 0,
    now: () => Date.now() + clock.offsetMs,
  };
  const world = createWorld(clock);
  const parts = {
    world,
    effects: createEffects(),
    life: createLife({ world, seed, speed, arrivalEveryMs: options.arrivalEveryMs ?? 60_000 }),
  };
  if (stateFile !== undefined) loadState(stateFile, parts);
  const faults = createFaults(seed);
  const ledger = createLedger();
  const apis: ApiTable = { ...orderApis, ...shippingApis };
  const temu = createTemuRouter({ ...parts, faults, ledger, quota: createQuota(qps), apis, latencyMs });

  const routes = new Map<string, RequestHandler>();
  for (const name of HOSTS)
    routes.set(`/${name}/openapi/router`, (request, response) => temu(name, request, response));
  const control = createControl({ ...parts, faults, ledger, qps });
  routes.set('/_sandbox', control);

  const server = createServer((request, response) => dispatch(routes, request, response));
  const bound = await listen(server, port, host);
  if (options.live) parts.life.start();
  const saving = stateFile === undefined ? undefined : keepSaving(stateFile, parts);

  const url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
  const router = (name: HostName): string => `${url}/${name}/openapi/router`;
  return {
    ...parts,
    url,
    routers: { eu: router('eu'), us: router('us'), global: router('global') },
    faults,
    ledger,
    apis,
    mount: (prefix, handler) => void routes.set(prefix, handler),
    close: async () => {
      parts.life.stop();
      await closed(server);
      await saving?.stop();
    },
  };
}

function dispatch(
  routes: ReadonlyMap<string, RequestHandler>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = (request.url ?? '/').split('?')[0] as string;
  const handler = routes.get(path) ?? [...routes].find(([prefix]) => path.startsWith(`${prefix}/`))?.[1];
  if (!handler) {
    send(response, 404, 'text/plain', `Nothing is served at ${path}\n`);
    return;
  }
  Promise.resolve()
    .then(() => handler(request, response))
    .catch((error: unknown) => {
      console.error('sandbox: a request failed', error);
      if (response.headersSent) response.destroy();
      else send(response, 500, 'text/plain', 'the sandbox failed; its log says why\n');
    });
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    // Hanging time-outs and idle keep-alive connections would hold the close for minutes.
    server.closeAllConnections();
  });
}

function keepSaving(
  file: string,
  parts: Pick<Sandbox, 'world' | 'life' | 'effects'>,
): { stop(): Promise<void> } {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= saveState(file, parts)
      .catch((error: unknown) => console.error(`sandbox: ${file} could not be saved`, error))
      .finally(() => {
        running = undefined;
      });
  }, SAVE_EVERY_MS).unref();
  return {
    stop: async () => {
      clearInterval(timer);
      // Else a save in slices could put older state over the last one.
      await running;
      saveStateSync(file, parts);
    },
  };
}
