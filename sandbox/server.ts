import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createControl } from './control.ts';
import { type CourierOptions, type Couriers, createCouriers } from './couriers/couriers.ts';
import { createEffects, type Effects } from './effects.ts';
import { createHooks, type Hooks } from './hooks.ts';
import type { RequestHandler } from './http.ts';
import { createRequestLog, type RequestLog } from './request-log.ts';
import { createSlack, type Slack } from './slack.ts';
import { type Smtp, type SmtpOptions, startSmtp } from './smtp.ts';
import { loadState, saveState, saveStateSync } from './state.ts';
import { type ApiTable, orderApis } from './temu/apis.ts';
import { createFaults, type Faults } from './temu/faults.ts';
import { send } from './temu/inject-fault.ts';
import { createLife, type Life } from './temu/life.ts';
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
  /** Speed-up of simulated time; default 1. */
  speed?: number;
  /** Orders keep arriving and changing; default false. */
  live?: boolean;
  /** Mean real time between two new orders of a shop when live, divided by speed; default a minute. */
  arrivalEveryMs?: number;
  /** Latency of Temu's responses; default 0. */
  latencyMs?: number;
  /** Loaded on start, saved every 10 s and on close. */
  stateFile?: string;
  /** Offset of Temu's clock. */
  serverTimeOffsetMs?: number;
  /** Settings of the couriers' APIs; default: as in reality. */
  couriers?: CourierOptions;
  /** An SMTP server on a port of its own; default: none. */
  smtp?: boolean | SmtpOptions;
}

export interface Sandbox {
  /** http://127.0.0.1:PORT */
  url: string;
  /** Full router URLs, as TEMU_EU_URL, TEMU_US_URL and TEMU_GLOBAL_URL take them. */
  routers: { eu: string; us: string; global: string };
  world: World;
  faults: Faults;
  ledger: RequestLog;
  /** Every tracking number sent to Temu, how often, and the outcomes. */
  effects: Effects;
  life: Life;
  /** The tracking APIs of couriers and their parcels. */
  couriers: Couriers;
  slack: Slack;
  /** Receives webhooks at any /hooks/NAME. */
  hooks: Hooks;
  /** Null unless requested. */
  smtp: Smtp | null;
  /** The fleet's environment variables for all of it: Temu, couriers, Slack and, when it runs, SMTP. */
  env(): Record<string, string>;
  /** API types and their handlers: other files add theirs here. */
  apis: ApiTable;
  /** Registers a handler for a path prefix ("/couriers"). */
  mount(prefix: string, handler: RequestHandler): void;
  close(): Promise<void>;
}

const SAVE_EVERY_MS = 10_000;
/** Temu's limit, per app key. */
const QPS = 20;
/** As nginx has it. Node's 5 s may close connections just as a slow machine reuses them, which loses the response. */
const KEEP_ALIVE_MS = 75_000;
const HOSTS: readonly HostName[] = ['eu', 'us', 'global'];

/** Starts the stand-ins on loopback. Throws when a port is taken or the state file is not one. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { port = 0, host = '127.0.0.1', stateFile } = options;
  const routes = new Map<string, RequestHandler>();
  const mount = (prefix: string, handler: RequestHandler): void => void routes.set(prefix, handler);
  let url = '';
  const parts = createParts(options, mount, () => url);
  if (stateFile !== undefined) loadState(stateFile, parts);
  const smtp = options.smtp ? await startSmtp(options.smtp === true ? {} : options.smtp) : null;
  const env = (): Record<string, string> => environment(url, parts, smtp);
  mount('/_sandbox', createControl({ ...parts, smtp, env, qps: options.qps ?? QPS }));

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) =>
    dispatch(routes, request, response),
  );
  const bound = await listen(server, port, host).catch(async (error: unknown) => {
    await smtp?.close();
    throw error;
  });
  url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
  if (options.live) parts.life.start();
  const saving = stateFile === undefined ? undefined : keepSaving(stateFile, parts);
  return {
    ...parts,
    url,
    routers: { eu: router(url, 'eu'), us: router(url, 'us'), global: router(url, 'global') },
    smtp,
    env,
    mount,
    close: async () => {
      parts.life.stop();
      await Promise.all([closed(server), smtp?.close(), parts.couriers.webhooks.stop()]);
      await saving?.stop();
    },
  };
}

type Parts = ReturnType<typeof createParts>;

/** All parts with state, mounted at their paths. */
function createParts(
  options: SandboxOptions,
  mount: (prefix: string, handler: RequestHandler) => void,
  url: () => string,
) {
  const { seed = 1, speed = 1, latencyMs = 0 } = options;
  const clock: SandboxClock = {
    offsetMs: options.serverTimeOffsetMs ?? 0,
    now: () => Date.now() + clock.offsetMs,
  };
  const world = createWorld(clock);
  const effects = createEffects();
  const life = createLife({ world, seed, speed, arrivalEveryMs: options.arrivalEveryMs ?? 60_000 });
  const faults = createFaults(seed);
  const ledger = createRequestLog();
  const apis: ApiTable = { ...orderApis, ...shippingApis };
  const quota = createQuota(options.qps ?? QPS);
  const temu = createTemuRouter({ world, effects, faults, ledger, quota, apis, latencyMs });
  for (const name of HOSTS)
    mount(`/${name}/openapi/router`, (request, response) => temu(name, request, response));
  const couriers = createCouriers({ clock, seed, speed, options: options.couriers ?? {}, mount, url });
  const slack = createSlack(clock, seed, mount);
  const hooks = createHooks(clock, seed, mount, url);
  return { world, effects, life, faults, ledger, apis, couriers, slack, hooks };
}

function router(url: string, name: HostName): string {
  return `${url}/${name}/openapi/router`;
}

function environment(url: string, { couriers, slack }: Parts, smtp: Smtp | null): Record<string, string> {
  return {
    TEMU_EU_URL: router(url, 'eu'),
    TEMU_US_URL: router(url, 'us'),
    TEMU_GLOBAL_URL: router(url, 'global'),
    ...couriers.env(),
    SLACK_API_URL: `${url}/slack/api/`,
    SLACK_TOKEN: slack.settings.token,
    LOST_DESTROY_SLACK_CHANNEL_ID: 'C0DEMOLOST',
    BOOKING_CANCELED_CHANNEL_ID: 'C0DEMOCANCELLED',
    B2B_DELIVERED_CHANNEL_ID: 'C0DEMOB2B',
    ...(smtp && {
      SMTP_URL: smtp.url,
      EMAIL_SENDER: 'reports@orderfleet.example',
      EMAIL_RECIPIENTS: 'operations@orderfleet.example',
    }),
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
      else send(response, 500, 'text/plain', 'the sandbox failed; see its log\n');
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
    // Hanging faults and idle keep-alive connections would delay the close for minutes.
    server.closeAllConnections();
  });
}

function keepSaving(
  file: string,
  parts: Pick<Sandbox, 'world' | 'life' | 'effects' | 'couriers'>,
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
      // Otherwise a pending incremental save could overwrite the final one.
      await running;
      saveStateSync(file, parts);
    },
  };
}
