import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { queuesOf } from '../../src/fleet/works.ts';
import { FailureError } from '../../src/lib/errors.ts';
import { handle } from '../../src/queue/handle.ts';
import { maintenance } from '../../src/queue/maintenance.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { reconcileSchedules } from '../../src/queue/schedules.ts';
import { awbCreated, awbPush } from '../../src/temu/awb/index.ts';
import { redactPayload, redactText } from '../../src/web/routes/redact.ts';
import { createApp, serveWeb } from '../../src/web/server.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { ROOT } from '../support/process.ts';
import { backends } from '../support/redis.ts';
import { until } from '../support/until.ts';

const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const USERS = {
  ...{ DASHBOARD_USER: 'ops', DASHBOARD_PASSWORD: 'correct-horse' },
  ...{ DASHBOARD_READER: 'guest', DASHBOARD_READER_PASSWORD: 'battery-staple' },
};
const SITE = { host: 'fleet.example', origin: 'http://fleet.example' };
const EVENT = { v: 1, source: 'temu', marketplaceOrderId: 'PO-211-0001', awbNumber: 'AWB1', carrier: 'fan' };
/** What a producer outside may put into a job, wherever it likes (T18). */
const PLANTED = ['Ana Popescu', 'ana@example.com', '+40 721 234 567', 'Strada Lunga 5'];

interface ShownJob {
  id: string;
  name: string;
  data: Record<string, unknown>;
  failedReason: string;
  opts: Record<string, unknown>;
}
interface ShownQueue {
  name: string;
  readOnlyMode: boolean;
  counts: Record<string, number>;
  jobs: ShownJob[];
}

describe.each(backends())('O3: Bull Board, queues on %s', (backend) => {
  let stack: TestFleet;
  let app: Hono;
  const cookies: Record<string, string> = {};
  const as = (user: 'ops' | 'guest', path: string, method = 'GET', body?: unknown) =>
    app.request(`/queues${path}`, {
      method,
      headers: { ...SITE, cookie: cookies[user] ?? '', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const queue = (name: string) => stack.fleet.queues.raw(name);
  const listed = async (user: 'ops' | 'guest', active = '') => {
    const answer = await as(user, `/api/queues?activeQueue=${active}&page=1&jobsPerPage=20`);
    return ((await answer.json()) as { queues: ShownQueue[] }).queues;
  };

  beforeAll(async () => {
    stack = await startTestFleet(backend, NOWHERE, USERS);
    app = createApp(stack.fleet);
    for (const [user, password] of [
      ['ops', USERS.DASHBOARD_PASSWORD],
      ['guest', USERS.DASHBOARD_READER_PASSWORD],
    ] as const) {
      const body = new URLSearchParams({ user, password });
      const answer = await app.request('/login', { method: 'POST', headers: SITE, body });
      cookies[user] = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
    }
  });
  afterAll(async () => await stack?.close());

  test('every queue is there; who may look gets no buttons', async () => {
    const names = queuesOf(stack.fleet).map(({ name }) => name);
    for (const [user, readOnly] of [
      ['ops', false],
      ['guest', true],
    ] as const) {
      const queues = await listed(user);
      expect(queues.map(({ name }) => name)).toEqual(names);
      expect(queues.map(({ readOnlyMode }) => readOnlyMode)).toEqual(names.map(() => readOnly));
    }
    expect((await as('ops', '/api/redis/stats')).status).toBe(200);
  });

  test('T18: of what a producer put into a job, what the schema knows is shown, wherever one looks', async () => {
    const [name, mail, phone, street] = PLANTED;
    const foreign = {
      ...EVENT,
      buyer: { name, mail, phone },
      note: `for ${name}`,
      items: [{ orderItemId: 'line-1', quantity: 1, address: street }],
      [String(name)]: 1,
      lrNumber: { name },
    };
    const opts = {
      ...{ jobId: 'foreign', note: name, delay: 3_600_000, attempts: 3, repeatJobKey: name },
      ...{
        backoff: { type: name, delay: 5, [String(name)]: 1, Ana: 2 },
        repeat: { key: name, every: 60_000, Ana: 1 },
      },
      ...{ deduplication: { id: name }, group: { id: name }, removeOnFail: { age: 60, why: name } },
    } as object;
    const job = await queue('awb-created').add(String(name), foreign, opts);
    await job.log(`${name} called`);
    await job.updateProgress({ name });
    const template = { name: String(name), data: { buyer: name } };
    await queue('awb-created').upsertJobScheduler('theirs', { every: 3_600_000 }, template);

    const seen = await Promise.all(
      [
        '/api/queues?activeQueue=awb-created&page=1&jobsPerPage=20',
        '/api/queues?activeQueue=awb-created&status=delayed&page=1&jobsPerPage=20',
        ...['/foreign', '/foreign/logs', '/foreign/flow'].map((path) => `/api/queues/awb-created${path}`),
        '/api/job-schedulers',
      ].map(async (path) => {
        const answer = await as('guest', path);
        expect(answer.status, path).toBe(200);
        return await answer.text();
      }),
    );
    for (const planted of [...PLANTED, 'Ana', 'Lunga']) expect(seen.join()).not.toContain(planted);
    const shown = (await listed('guest', 'awb-created')).find(({ name: one }) => one === 'awb-created');
    const hidden = '[hidden]';
    expect(shown?.jobs.find(({ id }) => id === 'foreign')).toMatchObject({
      name: hidden,
      data: {
        ...EVENT,
        buyer: hidden,
        note: hidden,
        items: [{ orderItemId: 'line-1', quantity: 1, address: hidden }],
        [hidden]: hidden,
        lrNumber: hidden,
      },
      opts: { delay: 3_600_000, attempts: 3, backoff: { delay: 5 }, removeOnFail: { age: 60 } },
    });
    expect(seen[4]).toContain('foreign');
    expect(seen[5]).toContain('theirs');
    await queue('awb-created').obliterate({ force: true });
  });

  test('a job that failed says why, without mail and phone; a retry makes it wait again', async () => {
    const { fleet } = stack;
    const why = `order PO-211-0001 of ${PLANTED[1]}, ${PLANTED[2]}: AWB 2800123456789 refused`;
    const refusing = handle(awbPush, async () => {
      throw new FailureError({ kind: 'rejected', message: why });
    });
    const payload = { v: 1 as const, orderId: '0197a6f2-0000-7000-8000-000000000001' };
    await fleet.queues.add(awbPush, [{ id: 'push-1', payload }]);
    const workers = runWorkers([refusing], fleet);
    await until(async () => (await queue('awb-push').getJobState('push-1')) === 'failed');
    await workers.stop(1_000);

    const text = await (await as('ops', '/api/queues/awb-push/push-1')).text();
    const { job } = JSON.parse(text) as { job: ShownJob };
    expect(job.failedReason).toBe('order PO-211-0001 of [hidden], [hidden]: AWB 2800123456789 refused');
    expect(job).toMatchObject({ name: 'awb-push', data: payload });
    for (const planted of PLANTED) expect(text).not.toContain(planted);

    const retry = '/api/queues/awb-push/push-1/retry';
    expect((await as('guest', retry, 'PUT')).status).toBe(403);
    expect(await queue('awb-push').getJobState('push-1')).toBe('failed');
    expect((await as('ops', retry, 'PUT')).status).toBe(204);
    expect(await queue('awb-push').getJobState('push-1')).toBe('waiting');
    await until(() => stack.logged().includes('queue changed by hand'));
    expect(stack.logged()).toMatch(
      /"user":"ops","method":"PUT","path":"\/queues\/api\/queues\/awb-push\/push-1/,
    );
  });

  test('a job that is added or edited by hand must fit the schema, and gets the queue’s own number of attempts', async () => {
    const add = (data: unknown, options = {}) =>
      as('ops', '/api/queues/awb-created/add', 'POST', { name: 'Ana', data, options });
    for (const wrong of [{ buyer: 'Ana Popescu' }, { ...EVENT, awbNumber: '' }, {}]) {
      const answer = await add(wrong);
      expect(answer.status).toBe(400);
      expect(await answer.text()).toMatch(/awbNumber|orderId/);
    }
    expect(await queue('awb-created').getJobCountByTypes('waiting', 'delayed')).toBe(0);
    const added = await add(
      { ...EVENT, buyer: 'Ana Popescu' },
      { delay: 60_000, attempts: 99, jobId: 'mine' },
    );
    expect(added.status).toBe(200);
    const [job] = await queue('awb-created').getJobs(['delayed']);
    expect(job).toMatchObject({ name: 'awb-created', data: EVENT });
    expect(job?.opts).toMatchObject({
      attempts: awbCreated.attempts,
      backoff: { type: 'custom' },
      delay: 60_000,
    });

    const edit = (jobData: unknown) =>
      as('ops', `/api/queues/awb-created/${job?.id}/update-data`, 'PATCH', { jobData });
    expect((await edit({ ...EVENT, awbNumber: '[hidden]', v: 7 })).status).toBe(400);
    expect((await edit({ ...EVENT, awbNumber: 'AWB2', buyer: '[hidden]' })).status).toBe(200);
    expect((await queue('awb-created').getJob(String(job?.id)))?.data).toEqual({
      ...EVENT,
      awbNumber: 'AWB2',
    });
  });

  test('schedules are shown by name and run at once when asked', async () => {
    const { queues, log } = stack.fleet;
    const schedule = { id: 'tidy-up', everyMs: 3_600_000, payload: { v: 1 as const, task: 'tidy-up' } };
    await reconcileSchedules(queues, maintenance, [schedule], log);
    const text = await (await as('guest', '/api/job-schedulers')).text();
    expect(JSON.parse(text)).toMatchObject({ schedulers: [{ id: 'tidy-up', queueName: 'maintenance' }] });
    const run = await as('ops', '/api/queues/maintenance/job-schedulers/tidy-up/run', 'PUT');
    expect(run.status).toBe(200);
    const shown = (await listed('ops', 'maintenance')).find(({ name }) => name === 'maintenance');
    expect(shown?.jobs.map(({ data }) => data)).toContainEqual({ v: 1, task: 'tidy-up' });
  });

  test('the page comes whole from here, its files may be kept', async () => {
    for (const path of ['', '/queue/awb-push', '/queue/awb-push/push-1']) {
      const answer = await as('ops', path);
      expect(answer.status, path).toBe(200);
      const page = await answer.text();
      expect(page).toContain('<base href="/queues/"');
      expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
    }
    const page = await (await as('ops', '')).text();
    const files = [...page.matchAll(/(?:src|href)="(static\/[^"]+)"/g)].map(([, file]) => file);
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const answer = await as('ops', `/${file}`);
      expect([answer.status, answer.headers.get('cache-control')], file).toEqual([
        200,
        'private, max-age=86400',
      ]);
      expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(1_000);
    }
  });

  test('R4: what is not there is 404, what is wrong 400, and nothing of ours shows', async () => {
    expect((await as('ops', '/api/queues/nothing/x')).status).toBe(404);
    expect((await as('ops', '/api/queues/awb-push/nothing')).status).toBe(404);
    expect((await as('ops', '/api/queues?page=-1&activeQueue=awb-push')).status).toBe(400);
    // encoded, a browser and `new Request` leave it as it is
    for (const up of ['%2e%2e%2f', '..%2f', '%2e%2e%5c', '%252e%252e%252f'])
      expect((await as('ops', `/static/${up.repeat(6)}package.json`)).status, up).toBe(404);
  });

  test('R4: as it comes over the wire, no path leads out of the served files either', async () => {
    const { fleet } = stack;
    const stop = await serveWeb({ ...fleet, config: { ...fleet.config, PORT: 0 } }).start();
    const port = Number(/"port":(\d+),"msg":"listening"/.exec(stack.logged())?.[1]);
    const get = async (path: string) => {
      const head = `Host: ${SITE.host}\r\nCookie: ${cookies.ops}\r\nConnection: close`;
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(`GET ${path} HTTP/1.1\r\n${head}\r\n\r\n`),
      );
      return await text(socket);
    };
    expect(await get('/queues/static/favicon.ico')).toMatch(/^HTTP\/1.1 200 /);
    // where Bull Board's files lie, two folders up is its package.json
    for (const at of ['/queues/static/', '/assets/'])
      for (const up of ['../', '%2e%2e/', '%2e%2e%2f', '..%2f', '..\\', '%2e%2e%5c'])
        for (const times of [1, 2, 3, 12])
          for (const file of ['package.json', `${ROOT.slice(1)}/package.json`])
            expect(await get(at + up.repeat(times) + file), `${at}${up} ${times}`).toMatch(/^HTTP\/1.1 [34]/);
    await stop();
  });
});

describe('T18: what is concealed', () => {
  test.each([
    ['ana.popescu+temu@mail.example.com wrote', '[hidden] wrote'],
    ['"Ana" <ana@example.com>,', '"Ana" <[hidden]>,'],
    ['call +40 721 234 567 or +49(0)151-2345678.', 'call [hidden] or [hidden].'],
    ['PO-211-20063653668472890 AWB 2800123456789 LR 220123456', null],
    ['2026-11-22T10:00:00+05:30 took 1.5e+10 ms', null],
    ['at handle (file:///app/dist/src/queue/handle.js:88:13)', null],
  ])('%j', (text, expected) => expect(redactText(text)).toBe(expected ?? text));

  test('a payload that is none', () => {
    for (const nothing of [null, undefined, 'Ana Popescu', 17, ['Ana Popescu']])
      expect(redactPayload(awbCreated.payload, nothing)).toBe('[hidden]');
  });
});
