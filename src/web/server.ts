import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { messageOf } from '../errors.ts';
import type { Fleet, Server } from '../fleet.ts';
import { accountsOf, createSessions, loggedInOnly, sameOriginOnly } from './access.ts';
import { assets } from './assets.ts';
import { board } from './board.ts';
import type { WebEnv } from './env.ts';
import { headers } from './headers.ts';
import { healthRoutes } from './health.ts';
import { inbound } from './inbound.ts';
import { limitBody } from './limit.ts';
import { login } from './login.tsx';
import { pages } from './pages.tsx';
import { problem } from './problem.tsx';
import { webhooks } from './webhooks.ts';

/** Forms are a few hundred bytes, a courier's webhook some hundred kilobytes; what takes less has its own limit. */
const MAX_BODY_BYTES = 1024 * 1024;

/**
 * Everything the fleet answers over HTTP (O3). What has secrets of its own comes first; whatever is left is the
 * dashboard, for people who are logged in.
 * @throws UserError when the users are not set as they must be (see accountsOf)
 */
export function createApp(fleet: Fleet): Hono {
  const { config, log, clock } = fleet;
  const accounts = accountsOf(config);
  const sessions = createSessions(accounts, config.CREDENTIALS_KEY, clock);
  const app = new Hono();
  app.use(headers);
  app.use(limitBody(MAX_BODY_BYTES));
  app.route('/', healthRoutes(fleet));
  app.route('/', inbound(fleet));
  app.route('/', webhooks(fleet));
  app.route('/', assets());
  app.route('/', login(fleet, accounts, sessions));

  const dashboard = new Hono<WebEnv>();
  dashboard.use(sameOriginOnly, loggedInOnly(accounts, sessions));
  dashboard.route('/queues', board(fleet));
  dashboard.route('/', pages(fleet));
  app.route('/', dashboard);

  app.notFound((c) => problem(c, 404, `There is nothing at ${c.req.method} ${c.req.path}.`));
  app.onError((error, c) => {
    log.error({ path: c.req.path, err: messageOf(error) }, 'request failed');
    return problem(c, 500, 'Something went wrong here; the log of the web process says what.');
  });
  return app;
}

/** A request is small and comes at once: who sends it slowly holds a connection for nothing. In milliseconds. */
const TIMES = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 5_000 };
/** Longer than the minute for which load balancers keep idle connections, so that they never use one we close. */
const KEEP_ALIVE_MS = 65_000;

/**
 * Takes nothing new and lets requests in work finish. Node closes the connections that are idle now; those that become
 * so later would stay for KEEP_ALIVE_MS, and one whose request never ends for ever.
 */
async function stopListening(server: HttpServer, graceMs: number): Promise<void> {
  const idle = setInterval(() => server.closeIdleConnections(), 100);
  const late = setTimeout(() => server.closeAllConnections(), graceMs);
  await new Promise((resolve) => server.close(resolve));
  clearInterval(idle);
  clearTimeout(late);
}

/** The HTTP side of the fleet; listens when started, and lets requests in work finish when stopped. */
export const serveWeb = (fleet: Fleet): Server => ({
  async start() {
    const { config, log } = fleet;
    const { fetch } = createApp(fleet);
    const server = await new Promise<ReturnType<typeof serve>>((resolve, reject) => {
      const serverOptions = { ...TIMES, keepAliveTimeout: KEEP_ALIVE_MS };
      const starting = serve({ fetch, port: config.PORT, hostname: config.HOST, serverOptions }, () =>
        resolve(starting),
      );
      starting.once('error', reject);
    });
    const { port } = server.address() as AddressInfo;
    log.info({ host: config.HOST, port }, 'listening');
    return () => stopListening(server as HttpServer, config.SHUTDOWN_GRACE * 1000);
  },
});
