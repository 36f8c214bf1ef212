import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createProbes, type Probes, serveHealth } from '../../src/fleet/health.ts';
import { createLog } from '../../src/lib/log.ts';
import { createMetrics } from '../../src/lib/metrics.ts';
import { handle } from '../../src/queue/handle.ts';
import { createQueues } from '../../src/queue/queues.ts';
import { runWorkers, type WorkerState } from '../../src/queue/run.ts';
import { startTestQueues, type TestQueues, testQueue } from '../queue/support.ts';
import { startTestFleet } from '../support/fleet.ts';
import { startProcess } from '../support/process.ts';
import { backends } from '../support/redis.ts';
import { until } from '../support/until.ts';

const SOON = { lookMs: 20, starvingMs: 120, answerMs: 2_000 };
const up = () => Promise.resolve();
const job = (id: string) => ({ id, payload: { v: 1 as const, id } });

/** A worker that runs and takes nothing: nobody works `queue`. */
const idle = (queue: string): WorkerState => ({
  ...{ queue, places: 1, timeoutMs: 10_000, busy: 0, takenAt: Date.now() },
  running: () => true,
  held: () => false,
});

describe.each(backends())('O4: /healthz, queues on %s', (backend) => {
  let test: TestQueues;
  beforeAll(async () => {
    test = await startTestQueues(backend);
  });
  afterAll(() => test?.close());

  function probe(workers: readonly WorkerState[], times = SOON): Probes {
    const probes = createProbes({ queues: test.queues, verifyDatabase: up }, times);
    onTestFinished(() => probes.close());
    probes.watch(workers);
    return probes;
  }
  const sick = (probes: Probes) =>
    until(() => {
      const health = probes.healthz();
      return !health.ok && health;
    });

  it('a worker that works is well, also with all its places taken for long while more waits', async () => {
    const queue = testQueue({ concurrency: 1 });
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const running = runWorkers([handle(queue, () => gate.then(() => ({ outcome: 'done' })))], test);
    onTestFinished(() => {
      letGo();
      return running.stop(0);
    });
    const probes = probe(running.states);
    await test.queues.add(queue, [job('one'), job('two')]);
    await until(() => running.states[0]?.busy === 1);
    await sleep(2 * SOON.starvingMs); // the time itself is what must not matter
    expect(await test.queues.takeable(queue)).toBe(1);
    expect(probes.healthz()).toEqual({ ok: true, checks: { [queue.name]: 'ok' } });
  });

  it('a worker whose loop has ended is not, at once', async () => {
    const queue = testQueue();
    const running = runWorkers([handle(queue, async () => ({ outcome: 'done' }))], test);
    const probes = probe(running.states);
    await test.queues.add(queue, [job('one')]);
    await test.settled(queue, 'one');
    expect(probes.healthz().ok).toBe(true);
    await running.stop(0); // nobody asked the process to stop
    expect(probes.healthz()).toEqual({ ok: false, checks: { [queue.name]: 'its worker has stopped' } });
    probes.drain(); // somebody did
    expect(probes.healthz().ok).toBe(true);
  });

  it('nor is one that takes nothing while work waits, until it takes some or somebody else does', async () => {
    const queue = testQueue();
    const worker = idle(queue.name);
    const probes = probe([worker]);
    await test.queues.add(queue, [job('one')]);
    const { checks } = await sick(probes);
    expect(checks[queue.name]).toMatch(/^work waits, and it has taken nothing for \d+ s$/);
    worker.takenAt = Date.now();
    expect(probes.healthz().ok).toBe(true);
    await sick(probes);
    await test.queues.raw(queue.name).drain();
    await until(() => probes.healthz().ok);
  });

  it('nor one whose places are all held beyond their time while more waits, until one is free', async () => {
    const queue = testQueue({ concurrency: 2, timeoutMs: 200 });
    const hanging: (() => void)[] = [];
    const hang = () =>
      new Promise<{ outcome: string }>((resolve) => {
        hanging.push(() => resolve({ outcome: 'let go' })); // a query that never settles heeds no signal
      });
    const running = runWorkers([handle(queue, hang)], test);
    onTestFinished(async () => {
      for (const letGo of hanging) letGo();
      await running.stop(0);
    });
    const probes = probe(running.states);
    await test.queues.add(queue, [job('one'), job('two')]);
    await until(() => running.states[0]?.busy === 2);
    const takenAt = running.states[0]?.takenAt ?? 0;
    await sleep(queue.timeoutMs + 2 * SOON.starvingMs); // the time itself is what must not matter: nothing waits
    expect(probes.healthz().ok).toBe(true);
    await test.queues.add(queue, [job('three')]);
    const { checks } = await sick(probes);
    expect(checks[queue.name]).toMatch(/^work waits, and it has taken nothing for \d+ s$/);
    expect(Date.now() - takenAt).toBeGreaterThanOrEqual(queue.timeoutMs + SOON.starvingMs);
    hanging[0]?.();
    await until(() => probes.healthz().ok && hanging.length === 3);
  });

  it('nor one that leaves a delayed job where it is when its time has come', async () => {
    const queue = testQueue();
    await test.queues.raw(queue.name).add(queue.name, { v: 1, id: 'late' }, { delay: 100 });
    await test.queues.raw(queue.name).add(queue.name, { v: 1, id: 'later' }, { delay: 60_000 });
    const probes = probe([idle(queue.name)]);
    expect(probes.healthz().ok).toBe(true);
    await sick(probes);
    expect(await test.queues.counts(queue)).toMatchObject({ waiting: 0, delayed: 2 });
  });

  it('a queue that a person has paused, or that a limit holds back, is no fault', async () => {
    const [paused, limited] = [testQueue(), testQueue()];
    await test.queues.raw(paused.name).pause();
    await test.queues.raw(limited.name).rateLimit(60_000);
    for (const queue of [paused, limited]) await test.queues.add(queue, [job('one')]);
    const probes = probe([idle(paused.name), idle(limited.name)]);
    await sleep(2 * SOON.starvingMs);
    expect(probes.healthz()).toEqual({ ok: true, checks: { [paused.name]: 'ok', [limited.name]: 'ok' } });
    await test.queues.raw(paused.name).resume();
    expect(Object.keys((await sick(probes)).checks)).toContain(paused.name);
  });
});

describe('O4: the store of the queues, or Postgres, away', () => {
  it('is no reason to be killed, and one to be sent nothing', async () => {
    const lines: string[] = [];
    const log = createLog({ level: 'silent', name: 'test' });
    log.warn = ((_: unknown, text: string) => void lines.push(text)) as typeof log.warn;
    const queues = createQueues({ databaseUrl: 'postgres://127.0.0.1:9/none', log });
    onTestFinished(() => queues.close().catch(() => {})); // what never was connected may fail to part
    const verifyDatabase = () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3'));
    const probes = createProbes({ queues, verifyDatabase }, SOON);
    onTestFinished(() => probes.close());
    probes.watch([idle('temu-orders')]);
    const unknown = { ok: true, checks: { 'temu-orders': 'unknown' } };
    await until(() => probes.healthz().checks['temu-orders'] === 'unknown');
    expect(probes.healthz()).toEqual(unknown);
    expect(lines).toEqual(['Postgres or Redis is failing or unreachable']); // at once, then once a minute (R10)
    // which part is away, and no address
    expect(await probes.readyz()).toEqual({
      ok: false,
      checks: { postgres: 'not usable', queues: 'not usable', process: 'ok' },
    });
  });

  it('that does not answer at all is waited for a moment only', async () => {
    const test = await startTestQueues('postgres');
    onTestFinished(() => test.close());
    const verifyDatabase = () => new Promise(() => {});
    const probes = createProbes({ queues: test.queues, verifyDatabase }, { ...SOON, answerMs: 50 });
    expect(await probes.readyz()).toMatchObject({ ok: false, checks: { postgres: 'not usable' } });
  });
});

describe('O4: the small port', () => {
  it('answers three addresses, tells a draining process from a dead one, and wants the token', async () => {
    const test = await startTestQueues('postgres');
    onTestFinished(() => test.close());
    const probes = createProbes({ queues: test.queues, verifyDatabase: up });
    const metrics = createMetrics();
    metrics.job('notices')('done');
    const source = { probes, metrics: metrics.text, token: 'a-token-of-length' };
    const close = await serveHealth(source, { port: 0, host: '127.0.0.1', log: test.log });
    onTestFinished(close);
    const port = test.lines.find(({ msg }) => msg === 'health and metrics')?.port;
    const get = async (path: string, init: RequestInit = {}) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, init);
      return { status: answer.status, body: await answer.text() };
    };
    expect(await get('/healthz')).toEqual({ status: 200, body: '{"ok":true}\n' });
    expect(await get('/readyz?verbose=1')).toMatchObject({ status: 200 });
    expect(await get('/readyz', { method: 'HEAD' })).toEqual({ status: 200, body: '' });
    probes.drain();
    expect(await get('/healthz')).toMatchObject({ status: 200 });
    expect(await get('/readyz')).toEqual({
      status: 503,
      body: '{"ok":false,"postgres":"ok","queues":"ok","process":"stopping"}\n',
    });
    expect(await get('/metrics')).toMatchObject({ status: 401 });
    const authorization = 'Bearer a-token-of-length';
    const page = await get('/metrics', { headers: { authorization } });
    expect(page).toMatchObject({ status: 200, body: expect.stringContaining('queue="notices"') });
    for (const [path, method] of [
      ['/', 'GET'],
      ['/metrics', 'POST'],
      ['//healthz', 'GET'],
    ] as const)
      expect(await get(path, { method, headers: { authorization } })).toMatchObject({ status: 404 });
  });

  it('is opened by every worker; one that is taken ends the start with a line that says which', async () => {
    const { env, close } = await startTestFleet('postgres', {
      eu: 'http://127.0.0.1:9/',
      us: 'http://127.0.0.1:9/',
      global: 'http://127.0.0.1:9/',
    });
    onTestFinished(close);
    const worker = startProcess('workers/awb.ts', { env });
    const [, port] = await worker.waitForLine(/"port":(\d+).*"msg":"health and metrics"/);
    await worker.waitForLine(/"msg":"started"/);
    const get = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`);
    expect(await (await get('/healthz')).json()).toEqual({ ok: true, 'awb-created': 'ok', 'awb-push': 'ok' });
    await until(async () => (await get('/readyz')).status === 200);
    const page = await (await get('/metrics')).text();
    expect(page).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(page).toMatch(/^orderfleet_healthy 1$/m);

    const second = startProcess('workers/alerts.ts', { env: { ...env, METRICS_PORT: String(port) } });
    expect(await second.exited).toMatchObject({ code: 2 });
    expect(second.output()).toMatch(/EADDRINUSE.*METRICS_PORT and HOST/);
    expect(await worker.kill()).toMatchObject({ code: 0 });
  });

  it('a port that it cannot have is an error', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await until(() => taken.listening);
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as { port: number };
    const log = createLog({ level: 'silent', name: 'test' });
    const source = { probes: {} as Probes, metrics: async () => '', token: undefined };
    await expect(serveHealth(source, { port, host: '127.0.0.1', log })).rejects.toThrow(/EADDRINUSE/);
  });
});
