import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { parseConfig } from '../../src/config/index.ts';
import { type Fleet, openFleet } from '../../src/fleet/index.ts';
import { FailureError, fail } from '../../src/lib/errors.ts';
import { createHttp } from '../../src/lib/http.ts';
import { startTraces, type Traces } from '../../src/lib/traces.ts';
import { defineQueue, type QueueDefinition } from '../../src/queue/define.ts';
import { handle, TimeUp } from '../../src/queue/handle.ts';
import { maintenance, maintenanceHandler, schedulesOf } from '../../src/queue/maintenance.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { reconcileSchedules } from '../../src/queue/schedules.ts';
import { awbCreated, awbHandlers } from '../../src/temu/awb/index.ts';
import { type Stand, startStand } from '../support/fleet.ts';
import { oneBackend } from '../support/redis.ts';
import { freePort, until } from '../support/until.ts';

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  status: { code: number; message?: string };
  attributes: Record<string, unknown>;
}

/** An OpenTelemetry collector, as far as it takes spans over HTTP. */
async function startCollector() {
  const spans: Span[] = [];
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    bodies.push(body);
    if (request.url === '/v1/traces') spans.push(...spansOf(JSON.parse(body)));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    /** Everything that has arrived, as it came. */
    received: () => bodies.join('\n'),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

interface Export {
  resourceSpans: { scopeSpans: { spans: (Omit<Span, 'attributes'> & { attributes: Attribute[] })[] }[] }[];
}
interface Attribute {
  key: string;
  value: Record<string, unknown>;
}
const spansOf = ({ resourceSpans }: Export): Span[] =>
  resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
    .map((span) => ({
      ...span,
      attributes: Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]])),
    }));

const BUYER = 'Ion Popescu, ion@buyer.example, PO-076-13925293151271879';
/** What a handler throws, and what its job's span says of it. */
const FAULTS = [
  [
    'rejected',
    new FailureError(fail('rejected', `Temu refuses ${BUYER}`, { code: 7000020 }).failure),
    'rejected 7000020',
  ],
  [
    'postgres',
    Object.assign(new Error(BUYER), { name: 'PostgresError', code: '23505' }),
    'PostgresError 23505',
  ],
  ['bug', new TypeError(`${BUYER} is not a function`), 'TypeError'],
  ['odd', Object.assign(new Error(BUYER), { name: BUYER, code: BUYER }), 'unknown'],
  ['slow', new TimeUp('never seen'), 'TimeUp'],
] as const;
const fault = z.object({ fault: z.enum(['rejected', 'postgres', 'bug', 'odd', 'slow']) });
type Fault = z.output<typeof fault>;

/** A queue whose jobs fail at once, each in its own way. */
const failingHandler = () =>
  handle(
    defineQueue({
      ...{ name: 'failing', worker: 'scheduler' as const, payload: fault, concurrency: 5, attempts: 1 },
      ...{ backoff: { baseMs: 1, maxMs: 1 }, timeoutMs: 200 },
    }),
    async ({ fault }, { signal }) => {
      if (fault === 'slow') await once(signal, 'abort');
      throw FAULTS.find(([name]) => name === fault)?.[1];
    },
  );

describe.each(oneBackend())('O4: traces, queues on %s', (backend) => {
  let collector: Awaited<ReturnType<typeof startCollector>>;
  let stand: Stand;
  let traces: Traces;
  let fleet: Fleet;
  let scheduled: RunningWorkers | undefined;
  beforeAll(async () => {
    collector = await startCollector();
    stand = await startStand({ backend });
    traces = await startTraces({ endpoint: collector.endpoint, role: 'awb', warn: () => {} });
    fleet = openFleet(parseConfig(stand.stack.env), 'traced', { log: stand.stack.fleet.log, traces });
    // its spans gather while the others do: they leave every five seconds
    const task = { id: 'again', everyMs: 500, run: async () => ({ done: 1 }) };
    await reconcileSchedules(fleet.queues, maintenance, schedulesOf([task]), fleet.log);
    const failing = failingHandler();
    scheduled = runWorkers([maintenanceHandler([task]), failing], fleet);
    await fleet.queues.add(failing.definition as never as QueueDefinition<Fault>, [
      ...FAULTS.map(([fault]) => ({ id: fault, payload: { fault } })),
    ]);
    await fleet.queues.raw(failing.definition.name).add('failing', { fault: BUYER });
  });
  afterAll(async () => {
    await scheduled?.stop(0);
    await fleet?.close();
    await stand?.close();
    collector?.close();
  });

  it('one trace leads from the event through its job to the request that tells Temu', async () => {
    const { shop, orders } = await stand.addShop({}, 1);
    stand.work();
    await stand.sync();
    const order = orders[0]?.parentOrderSn ?? '';
    const working = runWorkers(awbHandlers(fleet), fleet);
    onTestFinished(() => working.stop(0));
    const awbNumber = 'AWB4711471147';
    const caller = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    const event = {
      v: 1,
      source: 'temu',
      marketplaceOrderId: order,
      awbNumber,
      carrier: 'fancourier',
    } as const;
    await traces.incoming(caller, () =>
      fleet.queues.add(awbCreated, [{ id: `awb-${awbNumber}`, payload: event }]),
    );
    const { sql } = stand.stack;
    await until(async () => {
      const [push] =
        await sql`select p.state, p.error, e.state as event, e.error as why from awb_events e left join temu_pushes p on true`;
      if (push?.state !== 'sent') throw new Error(JSON.stringify(push));
      return true;
    });
    const told = await until(
      () =>
        collector.spans.find(
          ({ name, kind, traceId }) => name === 'POST temu' && kind === 3 && traceId.startsWith('0af7'),
        ),
      { timeoutMs: 15_000, what: 'the spans to arrive' },
    );
    const line: Span[] = [];
    await until(
      () => {
        line.length = 0;
        for (
          let at: Span | undefined = told;
          at;
          at = collector.spans.find(({ spanId }) => spanId === at?.parentSpanId)
        )
          line.push(at);
        return line.at(-1)?.parentSpanId === 'b7ad6b7169203331';
      },
      { timeoutMs: 15_000, what: 'the line of parents to be whole' },
    );
    expect(line.map(({ name }) => name)).toEqual([
      'POST temu',
      'process awb-created',
      expect.stringMatching(/^add/),
    ]);
    expect(new Set(line.map(({ traceId }) => traceId))).toEqual(
      new Set(['0af7651916cd43dd8448eb211c80319c']),
    );
    expect(told.attributes).toEqual({
      'http.request.method': 'POST',
      'server.address': new URL(stand.sandbox.routers.eu).host,
      'url.path': expect.stringMatching(/\/openapi\/router$/),
      'peer.service': 'temu',
      'http.response.status_code': 200,
    });
    for (const secret of [awbNumber, order, shop.appSecret, shop.accessToken, shop.appKey])
      expect(collector.received()).not.toContain(secret);
  });

  it('a failed job’s span is an error with its reason, without a word of what it was about (T18)', async () => {
    const failed = () => collector.spans.filter(({ name }) => name === 'process failing');
    await until(() => failed().length === FAULTS.length + 1, { timeoutMs: 15_000 });
    expect(failed().every(({ status }) => status.code === 2)).toBe(true);
    expect(
      failed()
        .map(({ status, attributes }) => [status.message, attributes['error.type']])
        .sort(),
    ).toEqual([...FAULTS.map(([, , why]) => why), 'malformed'].map((why) => [why, why.split(' ')[0]]).sort());
    for (const word of BUYER.split(/[\s,]+/)) expect(collector.received()).not.toContain(word);
    // nor is one that was done an error
    expect(
      collector.spans.some(({ name, status }) => name === 'process maintenance' && status.code === 2),
    ).toBe(false);
  });

  it('each turn of a schedule is a trace of its own', async () => {
    const turns = () => collector.spans.filter(({ name }) => name === 'process maintenance');
    await until(() => turns().length >= 3, { timeoutMs: 15_000 });
    expect(new Set(turns().map(({ traceId }) => traceId)).size).toBe(turns().length);
    expect(turns().every(({ parentSpanId }) => !parentSpanId)).toBe(true);
  });
});

describe('O4: a collector', () => {
  it('that is away disturbs nothing, is told of once, and does not hold up the end', async () => {
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const traces = await startTraces({ endpoint: `http://127.0.0.1:${await freePort()}`, role: 'awb', warn });
    const other = await startCollector(); // any server will do
    const http = createHttp({ traces });
    const url = `${other.endpoint}/v1/secret-of-its-owner?token=secret`;
    const answers = await Promise.all(
      ['1', '2', '3'].map(() =>
        http.request({ url, method: 'POST', api: 'webhook', body: '{}', timeoutMs: 5_000 }),
      ),
    );
    expect(answers.map((answer) => answer.ok && answer.value.status)).toEqual([200, 200, 200]);
    const startedAt = performance.now();
    await traces.close();
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('OTEL_EXPORTER_OTLP_ENDPOINT');
    await http.close();
    other.close();
  });

  it('hears of failures by their kind, and never of a webhook’s address', async () => {
    const collector = await startCollector();
    const traces = await startTraces({ endpoint: `${collector.endpoint}/`, role: 'alerts', warn: () => {} });
    const http = createHttp({ traces });
    const away = `http://127.0.0.1:${await freePort()}/secret-of-its-owner?token=secret`;
    await http.request({ url: away, method: 'POST', api: 'webhook', timeoutMs: 5_000 });
    await http.request({ url: away, method: 'GET', api: 'velocity', timeoutMs: 5_000 });
    await traces.close();
    expect(
      collector.spans.map(({ name, attributes }) => [name, attributes['error.type'], attributes['url.path']]),
    ).toEqual([
      ['POST webhook', 'transient', undefined],
      ['GET velocity', 'transient', '/secret-of-its-owner'],
    ]);
    expect(collector.received()).not.toContain('token=');
    expect(collector.received()).toContain('"orderfleet"');
    await http.close();
    collector.close();
  });
});
