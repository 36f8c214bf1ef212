import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { deliveryOverview } from '../../src/alerts/overview.ts';
import { createSecrets } from '../../src/db/secrets.ts';
import { ROOT } from '../support/process.ts';
import { until } from '../support/until.ts';
import { type AlertStand, startAlertStand } from './harness.ts';
import { type Received, type Receiver, type Reply, startReceiver } from './receiver.ts';

const HOUR = 3_600_000;

/** The page's own JavaScript, as a receiver would copy it. */
function documented() {
  const page = readFileSync(path.join(ROOT, 'docs/webhooks.md'), 'utf8');
  const code = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, block]) => block).join('\n');
  const asScript = code.replace(/^import (\{.*\}) from ('.*');$/gm, 'const $1 = require($2);');
  return new Function('require', `${asScript}; return { isGenuine, verified, standardSecret };`)(
    createRequire(import.meta.url),
  ) as {
    isGenuine(header: unknown, body: string, secret: string): boolean;
    verified(headers: object, body: string, secret: string): unknown;
    standardSecret(secret: string): string;
  };
}
const PHONE = '+919876543210';
const NAME = 'Asha Rao';

describe('C12: webhooks', () => {
  let receiver: Receiver;
  let stand: AlertStand;
  let orderId: string;

  beforeAll(async () => {
    receiver = await startReceiver();
    stand = await startAlertStand({}, { timings: { callMs: 400 } });
    const [order] = await stand.stack.sql<{ id: string }[]>`
      insert into orders (source, marketplace_order_id, status, order_total_amount, order_currency, shipping_phone, shipping_buyer_name)
      values ('shopify', '#1001', 'Shipped', 1499.5, 'INR', ${PHONE}, ${NAME}) returning id`;
    orderId = order?.id ?? '';
  });
  afterEach(async () => {
    await stand.clear();
    receiver.received.length = 0;
    receiver.answers = () => ({});
  });
  afterAll(async () => {
    await stand?.close();
    await receiver?.close();
  });

  /** As tracking writes it. */
  const event = (endpointId: string, kind = 'order.rto', more: object = {}) =>
    stand.notice(kind, {
      endpointId,
      event: {
        ...{ event: kind, orderId, marketplaceOrderId: '#1001', source: 'shopify', shipmentId: 'shipment-1' },
        ...{ number: 'AWB1', tracker: 'delhivery-b2c', status: 'rto_in_transit', before: 'ndr' },
        ...{ courierStatus: 'rt-in_transit', occurredAt: '2026-11-22T14:05:00+00:00' },
        ...more,
      },
    });
  const to = (path: string) => receiver.received.filter((one) => one.path === path);

  /** The scheme as a receiver would write it from the documentation, without our code. */
  function verified({ headers, body }: Received, secret: string): boolean {
    const parts = Object.fromEntries(
      String(headers['orderfleet-signature'])
        .split(',')
        .map((part) => part.split('=') as [string, string]),
    );
    const fresh = Math.abs(Number(parts.t) * 1000 - stand.deps.clock()) < 300_000;
    return fresh && parts.v1 === createHmac('sha256', secret).update(`${parts.t}.${body}`).digest('hex');
  }

  test('order.rto has the order with its total and the phone as they are now; none of it is kept', async () => {
    const { id, secret } = await stand.endpoint(`${receiver.url}/crm`, ['order.rto']);
    const notice = await event(id);
    await stand.turn();
    await stand.turn();
    const [got, ...more] = receiver.received as [Received, ...Received[]];
    expect(more).toEqual([]);
    expect(got.method).toBe('POST');
    expect(got.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'orderfleet-event': 'order.rto',
      'orderfleet-event-id': notice,
    });
    expect(JSON.parse(got.body)).toEqual({
      event: 'order.rto',
      id: notice,
      occurred_at: '2026-11-22T14:05:00.000Z',
      order: {
        id: orderId,
        marketplace_order_id: '#1001',
        source: 'shopify',
        total: '1499.50',
        currency: 'INR',
        status: 'rto_in_transit',
      },
      customer: { phone: PHONE },
      shipment: {
        id: 'shipment-1',
        number: 'AWB1',
        tracker: 'delhivery-b2c',
        status: 'rto_in_transit',
        previous_status: 'ndr',
        courier_status: 'rt-in_transit',
      },
    });
    expect(verified(got, secret)).toBe(true);
    expect(verified({ ...got, body: `${got.body} ` }, secret)).toBe(false);
    expect(verified(got, 'whsec_another')).toBe(false);
    expect(await stand.row(notice)).toMatchObject({ state: 'sent', error: null });
    const stored = JSON.stringify(await stand.stack.sql`select * from notices`) + stand.stack.logged();
    for (const personal of [PHONE, NAME]) expect(stored).not.toContain(personal);
    expect(stored).not.toContain(secret);
  });

  test('what docs/webhooks.md tells receivers to run takes what was sent, and nothing else', async () => {
    const { id, secret } = await stand.endpoint(`${receiver.url}/crm`, ['order.rto']);
    const notice = await event(id);
    receiver.answers = (_, nth) => (nth === 1 ? { status: 500 } : {});
    await stand.turn();
    stand.advance(20_000);
    await stand.turn();
    const [first, { headers, body }] = receiver.received as [Received, Received];
    expect(headers['webhook-id']).toBe(notice);
    expect(first.headers['webhook-id']).toBe(notice);
    expect(headers['webhook-timestamp']).not.toBe(first.headers['webhook-timestamp']);
    expect(headers['webhook-timestamp']).toBe(/^t=(\d+),/.exec(String(headers['orderfleet-signature']))?.[1]);
    const key = Buffer.from(secret);
    const signed = `${notice}.${headers['webhook-timestamp']}.${body}`;
    expect(headers['webhook-signature']).toBe(
      `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
    );

    const { isGenuine, verified: standard, standardSecret } = documented();
    expect(standard(headers, body, secret)).toEqual(JSON.parse(body));
    expect(new Webhook(standardSecret(secret)).verify(body, headers as Record<string, string>)).toEqual(
      JSON.parse(body),
    );
    expect(isGenuine(headers['orderfleet-signature'], body, secret)).toBe(true);
    const altered: [object, string, string][] = [
      [headers, `${body} `, secret],
      [headers, body, 'whsec_another'],
      [{ ...headers, 'webhook-id': crypto.randomUUID() }, body, secret],
      [{ ...headers, 'webhook-timestamp': first.headers['webhook-timestamp'] }, body, secret],
    ];
    for (const one of altered) expect(() => standard(...one)).toThrow('No matching signature found');
    for (const [, text, by] of altered.slice(0, 2))
      expect(isGenuine(headers['orderfleet-signature'], text, by)).toBe(false);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 330_000 });
    onTestFinished(() => void vi.useRealTimers());
    expect(() => standard(headers, body, secret)).toThrow('too old');
    expect(isGenuine(headers['orderfleet-signature'], body, secret)).toBe(false);
  });

  test('shipment.updated carries no personal data, and nothing that was not meant to go out', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/all`, ['shipment.updated']);
    await event(id, 'shipment.updated', { buyer: NAME, phone: PHONE });
    await stand.turn();
    expect(receiver.received).toHaveLength(1);
    expect(Object.keys(JSON.parse(receiver.received[0]?.body ?? ''))).toEqual([
      'event',
      'id',
      'occurred_at',
      'order',
      'shipment',
    ]);
    expect(receiver.received[0]?.body).not.toMatch(/98765|Asha/);
  });

  test('R5: an endpoint whose secret cannot be decrypted fails visibly, and goes on when the key is back', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/crm`, ['order.rto']);
    const sql = stand.stack.sql;
    const [sealed] = await sql<{ secret: string }[]>`select secret from webhook_endpoints where id = ${id}`;
    const other = createSecrets([randomBytes(32)]);
    await sql`update webhook_endpoints set secret = ${other.encrypt('x', `webhook_endpoints.secret of ${id}`)} where id = ${id}`;
    const notice = await event(id);
    expect(await stand.turn()).toMatchObject([{ outcome: 'its secret cannot be decrypted' }]);
    expect(await stand.row(notice)).toMatchObject({
      state: 'pending',
      error: expect.stringContaining('encrypted'),
    });
    await sql`update webhook_endpoints set secret = ${sealed?.secret ?? ''} where id = ${id}`;
    await stand.next();
    expect(await stand.row(notice)).toMatchObject({ state: 'sent' });

    await sql`update webhook_endpoints set secret = ${other.encrypt('x', `webhook_endpoints.secret of ${id}`)} where id = ${id}`;
    const lost = await event(id);
    stand.advance(26 * HOUR);
    await stand.turn();
    expect(await stand.row(lost)).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('encrypted'),
    });
  });

  test('T18: an order whose data has been erased goes out without a phone', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/crm`, ['order.rto']);
    const sql = stand.stack.sql;
    await sql`update orders set shipping_phone = null where id = ${orderId}`;
    await event(id);
    await event(id, 'order.rto', { orderId: 'not an id' });
    await stand.turn();
    await sql`update orders set shipping_phone = ${PHONE} where id = ${orderId}`;
    expect(receiver.received.map(({ body }) => JSON.parse(body).customer)).toEqual([
      { phone: null },
      { phone: null },
    ]);
  });

  test('refused, cut, too slow, redirected: again later with the same id, signed anew, then once', async () => {
    const { id, secret } = await stand.endpoint(`${receiver.url}/crm?key=1`, ['order.rto']);
    const notice = await event(id);
    const replies: Reply[] = [
      { status: 500, body: `we do not know ${PHONE}` },
      null,
      'hang',
      { status: 302, headers: { location: '/other' } },
      { status: 404 },
      { status: 429, headers: { 'retry-after': '600' } },
      { status: 204 },
    ];
    receiver.answers = (_, nth) => replies[nth - 1] as Reply;
    const errors: (string | null)[] = [];
    for (let turn = 0; turn < 6; turn++) {
      await stand.next();
      errors.push((await stand.row(notice)).error);
    }
    expect(errors).toEqual([
      'HTTP 500',
      expect.stringContaining('POST 127.0.0.1'),
      expect.stringContaining('no complete answer within 0.4 s'),
      'HTTP 302: redirects are not followed',
      'HTTP 404',
      'HTTP 429',
    ]);
    expect((await stand.row(notice)).dueAt.getTime() - stand.deps.clock()).toBeGreaterThan(590_000);
    expect(await stand.next()).toBe(true);
    expect(await stand.next()).toBe(false);
    expect(await stand.row(notice)).toMatchObject({ state: 'sent', attempts: 7 });
    expect(receiver.received.map(({ path }) => path)).toEqual(Array(7).fill('/crm?key=1'));
    expect(new Set(receiver.received.map(({ headers }) => headers['orderfleet-event-id']))).toEqual(
      new Set([notice]),
    );
    expect(new Set(receiver.received.map(({ headers }) => headers['orderfleet-signature'])).size).toBe(7);
    expect(verified(receiver.received.at(-1) as Received, secret)).toBe(true);
    expect(stand.stack.logged()).not.toContain(PHONE);
  });

  test('given up after a day of tries, with the reason', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/down`, ['order.rto']);
    const notice = await event(id);
    const startedAt = stand.deps.clock();
    receiver.answers = () => ({ status: 503 });
    while (await stand.next());
    const hours = (stand.deps.clock() - startedAt) / HOUR;
    expect(hours).toBeGreaterThan(22);
    expect(hours).toBeLessThan(32);
    expect(await stand.row(notice)).toMatchObject({ state: 'failed', error: 'HTTP 503', attempts: 32 });
    // O4: seen on the day on which it was given up, which is not the one on which it was written
    expect((await deliveryOverview(stand.deps.db, stand.deps.clock())).failed).toBe(1);
  });

  test('an endpoint in trouble is asked now and then, spends no try of what waits, and holds up no other', async () => {
    const dead = await stand.endpoint(`${receiver.url}/dead`, ['shipment.updated']);
    const good = await stand.endpoint(`${receiver.url}/good`, ['shipment.updated']);
    receiver.answers = ({ path }) => (path === '/dead' ? 'hang' : {});
    for (let nth = 0; nth < 60; nth++) {
      await event(dead.id, 'shipment.updated', { number: `D${nth}` });
      await event(good.id, 'shipment.updated', { number: `G${nth}` });
    }
    const turn = stand.turn();
    await until(() => to('/good').length === 60);
    await turn;
    expect(to('/dead')).toHaveLength(8);
    for (let minute = 0; minute < 5; minute++) {
      stand.advance(60_000);
      await stand.turn();
    }
    expect(to('/dead').length).toBeLessThanOrEqual(14); // one call at a time while it is doubted
    const rows = (await stand.rows()).filter(({ state }) => state !== 'sent');
    expect(rows).toHaveLength(60);
    expect(rows.filter(({ attempts }) => attempts === 0).length).toBeGreaterThan(45);
    receiver.answers = () => ({});
    stand.advance(HOUR);
    await stand.turn();
    expect((await stand.rows()).every(({ state }) => state === 'sent')).toBe(true);
    const numbers = to('/good').map(({ body }) => JSON.parse(body).shipment.number);
    expect(new Set(numbers).size).toBe(60);
    expect(numbers).toHaveLength(60);
  });

  test('an event that is refused alone does not hold up those behind it', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/picky`, ['shipment.updated']);
    receiver.answers = ({ body }) => ({ status: body.includes('BAD') ? 422 : 200 });
    const bad = await event(id, 'shipment.updated', { number: 'BAD' });
    for (let nth = 0; nth < 20; nth++) await event(id, 'shipment.updated', { number: `N${nth}` });
    await stand.turn();
    expect(await stand.row(bad)).toMatchObject({ state: 'pending', attempts: 1, error: 'HTTP 422' });
    expect((await stand.rows()).filter(({ state }) => state === 'sent')).toHaveLength(20);
  });

  test('410 stops the endpoint, withdraws what waits for it, and tells a person', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/gone`, ['shipment.updated']);
    receiver.answers = () => ({ status: 410 });
    for (let nth = 0; nth < 30; nth++) await event(id, 'shipment.updated');
    await stand.turn();
    expect(receiver.received.length).toBeLessThanOrEqual(8);
    await event(id, 'shipment.updated');
    stand.advance(1_000);
    await stand.turn();
    expect(receiver.received.length).toBeLessThanOrEqual(8);
    const rows = await stand.rows();
    expect(rows.filter(({ kind }) => kind === 'shipment.updated').map(({ state }) => state)).toEqual(
      Array(31).fill('withdrawn'),
    );
    expect(rows.filter(({ kind }) => kind === 'webhook-stopped')).toHaveLength(1);
  });

  test('removed, or not subscribed to the event: withdrawn with the reason', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/crm`, ['order.rto']);
    const unsubscribed = await event(id, 'shipment.updated');
    const removed = await event(crypto.randomUUID());
    const nameless = await stand.notice('order.rto', { event: {} });
    await stand.turn();
    expect(receiver.received).toEqual([]);
    expect(await stand.row(unsubscribed)).toMatchObject({
      state: 'withdrawn',
      error: 'the endpoint does not subscribe to this event',
    });
    for (const one of [removed, nameless])
      expect(await stand.row(one)).toMatchObject({ state: 'withdrawn', error: 'the endpoint was removed' });
  });
});
