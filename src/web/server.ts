import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { messageOf } from '../errors.ts';
import type { Fleet, Server } from '../fleet.ts';
import { inbound } from './inbound.ts';

/** The HTTP side of the fleet; listens when started, and lets requests in work finish when stopped. */
export const serveWeb = (fleet: Fleet): Server => {
  const { config, log } = fleet;
  const app = new Hono();
  app.use(secureHeaders());
  app.route('/', inbound(fleet));
  app.notFound((c) => c.json({ error: `nothing is here: ${c.req.method} ${c.req.path}` }, 404));
  app.onError((error, c) => {
    log.error({ path: c.req.path, err: messageOf(error) }, 'request failed');
    return c.json({ error: 'something went wrong here; it is in the log' }, 500);
  });

  return {
    async start() {
      const server = await new Promise<ReturnType<typeof serve>>((resolve, reject) => {
        const starting = serve({ fetch: app.fetch, port: config.PORT, hostname: config.HOST }, () =>
          resolve(starting),
        );
        starting.once('error', reject);
      });
      const { port } = server.address() as AddressInfo;
      log.info({ host: config.HOST, port }, 'listening');
      return async () => {
        await new Promise<void>((resolve) => server.close(() => resolve()));
      };
    },
  };
};
