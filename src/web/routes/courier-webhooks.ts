import { type Context, Hono } from 'hono';
import type { Fleet } from '../../fleet/index.ts';
import { constantTimeEqual } from '../../lib/constant-time.ts';
import { messageOf } from '../../lib/errors.ts';
import { isInfrastructureFault } from '../../lib/infrastructure.ts';
import { withTimeout } from '../../lib/with-timeout.ts';
import { applyWebhook, type CourierWebhook, courierWebhooks } from '../../tracking/index.ts';
import { createAuthThrottle } from '../middleware/auth-throttle.ts';
import { limitBody } from '../middleware/body-limit.ts';
import { jsonOf } from '../request.ts';
import { sendAgain } from './send-again.ts';

/** A webhook with one scan has up to 2,000 bytes; a list of fifty parcels fits as well. */
const MAX_PUSH_BYTES = 256 * 1024;
/** Takes some milliseconds as a rule; after this long the courier gets 503 to send it again. */
const FAIL_AFTER_MS = 5_000;
/** Most concurrent webhooks per process: more mean that Postgres hangs, and they must not pile up. */
const AT_ONCE = 200;

/**
 * POST /webhooks/<courier> (C14): couriers' webhooks. Responds after applying one: 200 with counts, also for parcels that
 * are not ours, which a retry would not change, and for a courier's test call; 503 when it could not be applied and should
 * be sent again.
 */
export function webhooks(fleet: Fleet): Hono {
  const { config, trackers, queues, log } = fleet;
  const addresses = courierWebhooks(config, trackers);
  const wrongSecret = createAuthThrottle(fleet);
  let inWork = 0;
  const app = new Hono();

  app.use('/webhooks/:courier', async (c, next) => {
    const address = addresses.get(c.req.param('courier'));
    if (c.req.method !== 'POST' || !address)
      return c.json({ error: `no courier webhook at ${c.req.method} ${c.req.path}` }, 404);
    if (!address.secret)
      return c.json({ error: `${address.setting} is not set: this webhook is disabled` }, 503);
    if (hasSecret(c, address, address.secret)) return await next();
    const status = wrongSecret(c, address.name);
    if (status === 401) log.warn({ courier: address.name }, 'rejected a webhook with a wrong secret');
    return c.json(
      { error: `send the value of ${address.setting} as ${address.headers.join(' or ')}` },
      status,
    );
  });
  app.use('/webhooks/:courier', limitBody(MAX_PUSH_BYTES));

  app.post('/webhooks/:courier', async (c) => {
    const address = addresses.get(c.req.param('courier')) as CourierWebhook;
    const body = (await c.req.arrayBuffer()).byteLength === 0 ? null : await jsonOf(c);
    if (body === undefined) return c.json({ error: 'the body is not valid UTF-8 JSON' }, 400);
    if (address.isTest(body)) {
      log.info({ courier: address.name }, 'the courier sent a test');
      return c.json({ test: true, scans: 0 });
    }
    if (inWork >= AT_ONCE) return sendAgain(c, 'too many requests in progress: send it again');
    const startedAt = performance.now();
    inWork++;
    const applying = applyWebhook(fleet, address, body, FAIL_AFTER_MS).finally(() => inWork--);
    try {
      const counts = await withTimeout(FAIL_AFTER_MS, applying);
      if (!counts) return c.json({ error: 'no parcel with a number and a status found in it' }, 400);
      log.info(
        { courier: address.name, ...counts, ms: Math.round(performance.now() - startedAt) },
        'webhook',
      );
      return c.json(counts);
    } catch (error) {
      if (isInfrastructureFault(error)) queues.outages.note(`POST ${c.req.path}`, error);
      else log.error({ courier: address.name, err: messageOf(error) }, 'a webhook could not be applied');
      return sendAgain(c, 'it could not be applied: send it again');
    }
  });
  return app;
}

/** In constant time. */
const hasSecret = (c: Context, { headers }: CourierWebhook, secret: string): boolean =>
  headers.map((name) => constantTimeEqual(bare(c.req.header(name) ?? ''), bare(secret))).includes(true);

/** Without the scheme of an Authorization header, which the setting may contain as well. */
const bare = (value: string) => value.replace(/^(bearer|token) +/i, '').trim();
