import { type Context, Hono } from 'hono';
import { messageOf } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import { isInfrastructureFault } from '../infrastructure.ts';
import { sameText } from '../same-text.ts';
import { applyPush, type PushAddress, pushAddresses } from '../tracking/index.ts';
import { within } from '../within.ts';
import { limitBody } from './limit.ts';
import { jsonOf } from './request.ts';
import { sendAgain } from './send-again.ts';
import { createWrongSecrets } from './wrong-secrets.ts';

/** A push of one scan has two thousand bytes at most; a list of fifty parcels fits as well. */
const MAX_PUSH_BYTES = 256 * 1024;
/** A push takes some milliseconds. With no end by then the courier is told to send again, if it still listens. */
const FAIL_AFTER_MS = 5_000;
/** Pushes in work at once, per process: more of them mean that Postgres hangs, and they must not pile up. */
const AT_ONCE = 200;

/**
 * POST /webhooks/<courier> (C14): what couriers send on their own. Answers when it is applied: 200 with counts, also for
 * parcels that are not ours, which sending again would not change, and when a courier only tries the address; 503 when it
 * could not be applied and should be sent again.
 */
export function webhooks(fleet: Fleet): Hono {
  const { config, trackers, queues, log } = fleet;
  const addresses = pushAddresses(config, trackers);
  const wrongSecret = createWrongSecrets(fleet);
  let inWork = 0;
  const app = new Hono();

  app.use('/webhooks/:courier', async (c, next) => {
    const address = addresses.get(c.req.param('courier'));
    if (c.req.method !== 'POST' || !address)
      return c.json({ error: `no courier sends here: ${c.req.method} ${c.req.path}` }, 404);
    if (!address.secret)
      return c.json({ error: `${address.setting} is not set, so nothing is taken here` }, 503);
    if (hasSecret(c, address, address.secret)) return await next();
    const status = wrongSecret(c, address.name);
    if (status === 401) log.warn({ courier: address.name }, 'a push with a wrong secret was refused');
    return c.json(
      { error: `send the value of ${address.setting} as ${address.headers.join(' or ')}` },
      status,
    );
  });
  app.use('/webhooks/:courier', limitBody(MAX_PUSH_BYTES));

  app.post('/webhooks/:courier', async (c) => {
    const address = addresses.get(c.req.param('courier')) as PushAddress;
    const body = (await c.req.arrayBuffer()).byteLength === 0 ? null : await jsonOf(c);
    if (body === undefined) return c.json({ error: 'the body is not JSON in UTF-8' }, 400);
    if (address.isTest(body)) {
      log.info({ courier: address.name }, 'the courier tried the address');
      return c.json({ test: true, scans: 0 });
    }
    if (inWork >= AT_ONCE) return sendAgain(c, 'too much to do: send it again');
    const startedAt = performance.now();
    inWork++;
    const applying = applyPush(fleet, address, body, FAIL_AFTER_MS).finally(() => inWork--);
    try {
      const counts = await within(FAIL_AFTER_MS, applying);
      if (!counts) return c.json({ error: 'no parcel with a number and a status can be read in it' }, 400);
      log.info({ courier: address.name, ...counts, ms: Math.round(performance.now() - startedAt) }, 'push');
      return c.json(counts);
    } catch (error) {
      if (isInfrastructureFault(error)) queues.outages.note(`POST ${c.req.path}`, error);
      else log.error({ courier: address.name, err: messageOf(error) }, 'a push could not be applied');
      return sendAgain(c, 'it could not be applied: send it again');
    }
  });
  return app;
}

/** In constant time. */
const hasSecret = (c: Context, { headers }: PushAddress, secret: string): boolean =>
  headers.map((name) => sameText(bare(c.req.header(name) ?? ''), bare(secret))).includes(true);

/** Without the scheme of an Authorization header, which the setting may hold as well. */
const bare = (value: string) => value.replace(/^(bearer|token) +/i, '').trim();
