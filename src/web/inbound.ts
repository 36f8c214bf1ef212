import { createHash, timingSafeEqual } from 'node:crypto';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import { awbCreatedEvent, eventJobId } from '../client.ts';
import { messageOf } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import { awbCreated } from '../temu/awb/index.ts';

/** An event is a few hundred bytes; a split of an order with hundreds of lines some ten thousand. */
const MAX_EVENT_BYTES = 256 * 1024;
/** A1: enqueueing fails fast. */
const FAIL_AFTER_MS = 2_000;

const sameText = (a: string, b: string) => {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
};

/** POST /events/awb-created (A1): the payload of the queue of that name, with a bearer token. */
export function inbound({ config, queues, log }: Fleet): Hono {
  const app = new Hono();

  app.use('/events/*', async (c, next) => {
    if (!config.EVENTS_TOKEN)
      return c.json({ error: 'EVENTS_TOKEN is not set, so events are not taken over HTTP' }, 503);
    const given = /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
    if (!sameText(given, config.EVENTS_TOKEN)) {
      c.header('WWW-Authenticate', 'Bearer');
      return c.json({ error: 'send Authorization: Bearer with the token of EVENTS_TOKEN' }, 401);
    }
    return await next();
  });
  app.use(
    '/events/*',
    bodyLimit({
      maxSize: MAX_EVENT_BYTES,
      onError: (c) => {
        c.header('Connection', 'close'); // what is left of the body would be in the next request's way
        return c.json({ error: `more than ${MAX_EVENT_BYTES} bytes` }, 413);
      },
    }),
  );

  app.post('/events/awb-created', async (c) => {
    let body: unknown;
    try {
      body = JSON.parse(await c.req.text());
    } catch {
      return c.json({ error: 'the body is not JSON' }, 400);
    }
    const event = awbCreatedEvent.safeParse(body);
    if (!event.success) return c.json({ error: z.prettifyError(event.error) }, 400);
    const id = eventJobId(event.data);
    try {
      const added = queues.add(awbCreated, [{ id, payload: event.data }]);
      added.catch(() => {}); // it may fail after the time is up
      await Promise.race([added, rejectAfter(FAIL_AFTER_MS)]);
    } catch (error) {
      log.error({ err: messageOf(error) }, 'an AWB event could not be enqueued');
      return c.json({ error: 'the queue does not answer: send the event again' }, 503);
    }
    return c.json({ id }, 202);
  });
  return app;
}

const rejectAfter = (ms: number) =>
  new Promise<never>((_, reject) =>
    setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms).unref(),
  );
