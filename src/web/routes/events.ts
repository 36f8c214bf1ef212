import { Hono } from 'hono';
import { z } from 'zod';
import { awbCreatedEvent, eventJobId } from '../../client/index.ts';
import type { Fleet } from '../../fleet/index.ts';
import { constantTimeEqual } from '../../lib/constant-time.ts';
import { withTimeout } from '../../lib/with-timeout.ts';
import { awbCreated } from '../../temu/awb/index.ts';
import { createAuthThrottle } from '../middleware/auth-throttle.ts';
import { limitBody } from '../middleware/body-limit.ts';
import { jsonOf } from '../request.ts';
import { sendAgain } from './send-again.ts';

/** An event is a few hundred bytes; a split of an order with hundreds of lines some ten thousand. */
const MAX_EVENT_BYTES = 256 * 1024;
/** A1: enqueueing fails fast. */
const FAIL_AFTER_MS = 2_000;

/** POST /events/awb-created (A1): the payload of the queue of that name, with a bearer token. */
export function inbound(fleet: Fleet): Hono {
  const { config, queues, traces } = fleet;
  const wrongSecret = createAuthThrottle(fleet);
  const app = new Hono();

  app.use('/events/*', async (c, next) => {
    if (!config.EVENTS_TOKEN)
      return c.json({ error: 'EVENTS_TOKEN is not set: events over HTTP are disabled' }, 503);
    const given = /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
    if (constantTimeEqual(given, config.EVENTS_TOKEN)) return await next();
    c.header('WWW-Authenticate', 'Bearer');
    return c.json(
      { error: 'send Authorization: Bearer with the token of EVENTS_TOKEN' },
      wrongSecret(c, 'events'),
    );
  });
  app.use('/events/*', limitBody(MAX_EVENT_BYTES));

  app.post('/events/awb-created', async (c) => {
    const body = await jsonOf(c);
    if (body === undefined) return c.json({ error: 'the body is not valid UTF-8 JSON' }, 400);
    const event = awbCreatedEvent.safeParse(body);
    if (!event.success) return c.json({ error: z.prettifyError(event.error) }, 400);
    const id = eventJobId(event.data);
    try {
      const add = () => queues.add(awbCreated, [{ id, payload: event.data }]);
      const added = traces ? traces.incoming(c.req.header(), add) : add();
      await withTimeout(FAIL_AFTER_MS, added);
    } catch (error) {
      queues.outages.note('POST /events/awb-created', error);
      return sendAgain(c, 'the queue is unavailable: send the event again');
    }
    return c.json({ id }, 202);
  });
  return app;
}
