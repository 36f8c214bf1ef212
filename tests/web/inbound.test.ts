import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { type RunningProcess, reapProcesses, startProcess } from '../support/process.ts';
import { oneBackend } from '../support/redis.ts';
import { freePort, until } from '../support/until.ts';

const TOKEN = 'a-token-of-the-test';
const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const event = { source: 'temu', marketplaceOrderId: 'PO-1', awbNumber: 'AWB1' };
const DEEP = '['.repeat(100_000) + ']'.repeat(100_000);

async function startWeb(env: Record<string, string>) {
  const web = startProcess('workers/web.ts', { env: { PORT: '0', ...env } });
  const [, port] = await web.waitForLine(/"port":(\d+).*"msg":"listening"/);
  await web.waitForLine(/"msg":"started"/);
  return { web, url: `http://127.0.0.1:${port}` };
}

const post = async (url: string, body: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(`${url}/events/awb-created`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as { id: string; error: string },
  };
};

describe.each(oneBackend())('A1: POST /events/awb-created, queues on %s', (backend) => {
  let stack: TestFleet;
  let web: RunningProcess;
  let url: string;

  beforeAll(async () => {
    stack = await startTestFleet(backend, NOWHERE, { EVENTS_TOKEN: TOKEN });
    ({ web, url } = await startWeb(stack.env));
  });
  afterAll(async () => {
    await stack?.close();
    await reapProcesses();
  });
  const jobs = () => stack.fleet.queues.raw('awb-created').getJobs(['waiting', 'prioritized', 'delayed']);

  test('A1: 202 with the job’s id; twice is one event, with the carrier by default', async () => {
    const first = await post(url, event);
    expect(first).toMatchObject({ status: 202, body: { id: expect.stringMatching(/^awb-/) } });
    const second = await post(url, { ...event, awbNumber: 'awb1' });
    expect(second).toMatchObject({ status: 202, body: first.body });
    const queued = await jobs();
    expect(queued.map(({ id, data }) => ({ id, data }))).toEqual([
      { id: first.body.id, data: { v: 1, carrier: 'fancourier', ...event } },
    ]);
    expect(queued[0]?.opts.attempts).toBeGreaterThan(1);
  });

  test.each<[string, Record<string, string>]>([
    ['none', { authorization: '' }],
    ['another', { authorization: 'Bearer another-token-of-length' }],
    ['another of the same length', { authorization: `Bearer ${TOKEN.replace('a', 'b')}` }],
    ['the right one and more', { authorization: `Bearer ${TOKEN}x` }],
    ['the beginning of the right one', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ['the right one by another scheme', { authorization: `Basic ${TOKEN}` }],
  ])('R5: 401 with a token that is %s, before the body is looked at', async (_, headers) => {
    const before = (await jobs()).length;
    const answer = await post(url, { nonsense: true }, headers);
    expect(answer).toMatchObject({ status: 401, body: { error: expect.stringContaining('Bearer') } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(JSON.stringify(answer.body)).not.toContain(TOKEN);
    expect(await jobs()).toHaveLength(before);
  });

  test.each<[string, object, string]>([
    ['no number', { source: 'temu', marketplaceOrderId: 'PO-1' }, 'awbNumber'],
    ['an empty number', { ...event, awbNumber: '  ' }, 'awbNumber'],
    ['a number of another type', { ...event, awbNumber: 17 }, 'awbNumber'],
    ['a number with a NUL in it', { ...event, awbNumber: 'A\u0000B' }, 'awbNumber'],
    ['a number with half a character', { ...event, awbNumber: 'A\ud800' }, 'awbNumber'],
    ['a placeholder', { ...event, awbNumber: 'N/A' }, 'awbNumber'],
    ['an object turned to text', { ...event, awbNumber: '[object Object]' }, 'awbNumber'],
    ['a number that was rounded', { ...event, awbNumber: '1.23457E+12' }, 'awbNumber'],
    ['a number that became a float', { ...event, awbNumber: '1234567890123.0' }, 'awbNumber'],
    [
      'an order’s number that was rounded',
      { ...event, marketplaceOrderId: '5,01E+12' },
      'marketplaceOrderId',
    ],
    ['an LR number that is none', { ...event, lrNumber: 'null' }, 'lrNumber'],
    ['no order', { awbNumber: 'A1' }, 'orderId'],
    ['half of an order', { awbNumber: 'A1', source: 'temu' }, 'orderId'],
    ['an order id that is none', { ...event, orderId: '17' }, 'orderId'],
    ['a date without a zone', { ...event, bookedAt: '2026-11-22T10:00:00' }, 'bookedAt'],
    ['a date that is none', { ...event, bookedAt: '2026-02-31T10:00:00Z' }, 'bookedAt'],
    ['no items in its list', { ...event, items: [] }, 'items'],
    ['a quantity of none', { ...event, items: [{ orderItemId: 'x', quantity: 0 }] }, 'items[0].quantity'],
    ['half a quantity', { ...event, items: [{ orderItemId: 'x', quantity: 1.5 }] }, 'items[0].quantity'],
    ['another version', { ...event, v: 2 }, 'v'],
  ])('R3: 400 for %s, with the field’s name', async (_, body, field) => {
    const before = (await jobs()).length;
    const answer = await post(url, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain(`→ at ${field}`);
    expect(await jobs()).toHaveLength(before);
  });

  test.each<[string, string | Uint8Array]>([
    ['broken JSON', '{"awbNumber":'],
    ['nothing', ''],
    ['a list', '[]'],
    ['null', 'null'],
    ['deep JSON', JSON.stringify(event).replace('"AWB1"', DEEP)],
    ['JSON that ends too early', '['.repeat(100_000)],
    ['a byte that is no UTF-8', Buffer.from(JSON.stringify(event).replace('AWB1', 'AWB1\xff'), 'latin1')],
  ])('R4: 400 for %s, and nothing is written', async (_, body) => {
    const before = (await jobs()).length;
    expect((await post(url, body)).status).toBe(400);
    expect(await jobs()).toHaveLength(before);
  });

  test('R4: deep JSON where nobody looks harms nobody, and is not kept', async () => {
    const body = JSON.stringify({ ...event, awbNumber: 'AWB-DEEP1', note: 0 }).replace('0}', `${DEEP}}`);
    const { status, body: answer } = await post(url, body);
    expect(status).toBe(202);
    const job = await stack.fleet.queues.raw('awb-created').getJob(answer.id);
    expect(job?.data).toEqual({ v: 1, carrier: 'fancourier', ...event, awbNumber: 'AWB-DEEP1' });
  });

  test('R4: 413 for more than 256 KB, also when the length is not told', async () => {
    const big = { ...event, note: 'x'.repeat(300_000) };
    expect((await post(url, big)).status).toBe(413);
    const chunked = await new Promise<number | undefined>((resolve, reject) => {
      const sending = request(
        `${url}/events/awb-created`,
        {
          method: 'POST',
          headers: { authorization: `Bearer ${TOKEN}`, 'transfer-encoding': 'chunked' },
          agent: false,
        },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      sending.once('error', reject);
      sending.end(JSON.stringify(big));
    });
    expect(chunked).toBe(413);
  });

  test('O3: security headers on every answer; nothing else is served', async () => {
    for (const [path, status] of [
      ['/events/awb-created', 404],
      ['/elsewhere', 404],
    ] as const) {
      const response = await fetch(url + path, { headers: { authorization: `Bearer ${TOKEN}` } });
      expect(response.status).toBe(status);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('x-frame-options')).toBe('SAMEORIGIN');
      expect(response.headers.get('x-powered-by')).toBeNull();
      await response.text();
    }
  });

  test('R5: the token is in no log', () => {
    expect(web.output()).not.toContain(TOKEN);
    expect(web.output()).not.toContain('unhandled');
  });

  test('O2: SIGTERM ends it with 0', async () => {
    expect(await web.kill()).toMatchObject({ code: 0 });
  });
});

describe('A1: without a queue or a token', () => {
  /** A server that accepts and never answers. */
  async function blackHole() {
    const sockets = new Set<import('node:net').Socket>();
    const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return {
      port: (server.address() as AddressInfo).port,
      close: async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise((done) => server.close(done));
      },
    };
  }
  const env = {
    DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
    CREDENTIALS_KEY: Buffer.alloc(32, 7).toString('base64'),
    ORDERFLEET_HOME: '/nonexistent',
    LOG_LEVEL: 'info',
    EVENTS_TOKEN: TOKEN,
  };

  test('R5: without EVENTS_TOKEN 503, whatever token is sent; O2: a port that is taken ends the start with a line', async () => {
    const { EVENTS_TOKEN: _, ...without } = env;
    const { url } = await startWeb(without);
    const second = startProcess('workers/web.ts', { env: { ...env, PORT: new URL(url).port } });
    expect(await second.exited).toMatchObject({ code: 2 });
    expect(second.output()).toMatch(/cannot listen.*PORT/);
    expect(await post(url, event)).toMatchObject({
      status: 503,
      body: { error: expect.stringContaining('EVENTS_TOKEN') },
    });
  });

  async function refusesInTime(address: Record<string, string>) {
    const { web, url } = await startWeb({ ...env, ...address });
    const took: number[] = [];
    for (let turn = 0; turn < 2; turn++) {
      const startedAt = performance.now();
      const answer = await post(url, event);
      expect(answer).toMatchObject({ status: 503, body: { error: expect.stringContaining('queue') } });
      expect(answer.headers.get('retry-after')).toBe('10');
      took.push(performance.now() - startedAt);
    }
    // a machine that is busy at one moment adds to what the rule allows, but the drivers' own ten or thirty are not in it
    expect(Math.min(...took), JSON.stringify(address)).toBeLessThan(2_600);
    expect(Math.max(...took), JSON.stringify(address)).toBeLessThan(6_000);
    await until(() => /Postgres or Redis is failing or unreachable/.test(web.output()));
    expect(web.output()).not.toContain('unhandled');
    await web.kill('SIGKILL');
  }

  test('A1: with the queue’s Redis or Postgres at a closed port or in a black hole 503 within 2 s', async () => {
    const hole = await blackHole();
    try {
      const addresses = [await freePort(), hole.port].flatMap((port) => [
        { REDIS_URL: `redis://127.0.0.1:${port}` },
        { DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/none` },
      ]);
      await Promise.all(addresses.map(refusesInTime));
    } finally {
      await hole.close();
    }
  });
});
