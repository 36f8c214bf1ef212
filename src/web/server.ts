import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { Fleet, Server } from '../fleet/index.ts';
import { messageOf } from '../lib/errors.ts';
import { assets } from './assets/index.ts';
import type { WebEnv } from './context.ts';
import { accountsOf, createSessions, loggedInOnly, sameOriginOnly } from './middleware/access.ts';
import { limitBody } from './middleware/body-limit.ts';
import { headers } from './middleware/headers.ts';
import { problem } from './pages/error-page.tsx';
import { board } from './routes/bull-board.ts';
import { webhooks } from './routes/courier-webhooks.ts';
import { pages } from './routes/dashboard.tsx';
import { inbound } from './routes/events.ts';
import { healthRoutes } from './routes/health.ts';
import { login } from './routes/login.tsx';

/** A courier's webhook has some hundred kilobytes; routes that take less have limits of their own. */
const MAX_BODY_BYTES = 1024 * 1024;

/**
 * All HTTP routes (O3). Routes with secrets of their own come first; the rest is the dashboard, behind the login.
 * @throws UserError for wrongly configured users (see accountsOf)
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

  app.notFound((c) => problem(c, 404, `Nothing found at ${c.req.method} ${c.req.path}.`));
  app.onError((error, c) => {
    log.error({ path: c.req.path, err: messageOf(error) }, 'request failed');
    return problem(c, 500, 'An unexpected error occurred. See the log of the web process.');
  });
  return app;
}

/** Requests are small; slow senders are disconnected. In milliseconds. */
const TIMES = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 5_000 };
/** Longer than the minute for which load balancers keep idle connections, so that they never reuse one we closed. */
const KEEP_ALIVE_MS = 65_000;

/**
 * Accepts nothing new and lets requests finish. Node closes connections that are idle now; those that become idle later
 * would stay for KEEP_ALIVE_MS, and a request that never ends for ever.
 */
async function stopListening(server: HttpServer, graceMs: number): Promise<void> {
  const idle = setInterval(() => server.closeIdleConnections(), 100);
  const late = setTimeout(() => server.closeAllConnections(), graceMs);
  await new Promise((resolve) => server.close(resolve));
  clearInterval(idle);
  clearTimeout(late);
}

/** The web process's HTTP server; on stop it lets requests finish. */
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
