import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { alertHandlers, alertTasks, notices } from '../../src/alerts/index.ts';
import { outbox } from '../../src/alerts/outbox.ts';
import { enqueueDue } from '../../src/leases/enqueue.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { reapProcesses, startProcess } from '../support/process.ts';
import { oneBackend } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { type AlertStand, startAlertStand } from './harness.ts';
import { asSlack, type Receiver, SLACK_TOKEN, startReceiver } from './receiver.ts';

/** How often a worker is killed; more for the acceptance run. */
const KILLS = Number(process.env.KILLS ?? 1);

describe.each(oneBackend())('C12, R1, R2: the outbox through queues on %s', (backend) => {
  let receiver: Receiver;
  let hooks: Receiver;
  let slack: ReturnType<typeof asSlack>;
  let stand: AlertStand;
  const running: RunningWorkers[] = [];
  let sweeping: AbortController | undefined;

  beforeAll(async () => {
    receiver = await startReceiver();
    hooks = await startReceiver();
    slack = asSlack(receiver);
    stand = await startAlertStand(
      {
        ...{ SLACK_TOKEN, SLACK_API_URL: `${receiver.url}/api/`, LOST_DESTROY_SLACK_CHANNEL_ID: 'CLOST' },
      },
      { backend },
    );
  });
  afterEach(async () => {
    sweeping?.abort();
    await Promise.all(running.splice(0).map((workers) => workers.stop(2_000)));
    await stand.clear();
    hooks.received.length = 0;
    hooks.answers = () => ({});
    slack.posts.length = 0;
  });
  afterAll(async () => {
    await reapProcesses();
    await stand?.close();
    await receiver?.close();
    await hooks?.close();
  });

  const work = () => void running.push(runWorkers(alertHandlers(stand.stack.fleet), stand.stack.fleet));
  /** The scheduler's task, more often than it runs there. */
  function sweep(everyMs = 200): void {
    const stop = new AbortController();
    sweeping = stop;
    void (async () => {
      while (!stop.signal.aborted) {
        await enqueueDue(stand.stack.fleet, outbox).catch(() => {});
        await sleep(everyMs);
      }
    })();
  }
  const settled = (timeoutMs = 30_000) =>
    until(
      async () => {
        const open = (await stand.rows()).filter(({ state }) => state === 'pending');
        if (open.length > 0) throw new Error(`${open.length} open: ${JSON.stringify(open[0])}`);
        return true;
      },
      { timeoutMs, what: 'all notices to be settled' },
    );
  const events = async (count: number) => {
    const { id } = await stand.endpoint(`${hooks.url}/hook`, ['shipment.updated']);
    return await Promise.all(
      Array.from({ length: count }, (_, nth) =>
        stand.notice('shipment.updated', { endpointId: id, event: { number: `N${nth}` } }),
      ),
    );
  };
  const heard = () => hooks.received.map(({ headers }) => String(headers['orderfleet-event-id']));

  test('two workers, and sweeps that overlap: every notice once', async () => {
    work();
    work();
    const ids = await events(60);
    for (let nth = 0; nth < 20; nth++) await stand.parcel('lost', `P${nth}`);
    sweep(20);
    await settled();
    expect(heard().sort()).toEqual(ids.sort());
    // a burst that two workers see is one message all the same, or few when it grew meanwhile
    const told = slack.posts.flatMap(({ text }) => [...text.matchAll(/AWB (P\d+)/g)].map(([, awb]) => awb));
    expect(told).toHaveLength(20);
    expect(new Set(told).size).toBe(20);
  });

  test('R1: the queue store is emptied after the sweep: offered again, and once', async () => {
    const ids = await events(5);
    await enqueueDue(stand.stack.fleet, outbox);
    await stand.stack.fleet.queues.raw(notices.name).obliterate({ force: true });
    work();
    expect(await enqueueDue(stand.stack.fleet, outbox)).toBe(0); // it does not know yet
    await enqueueDue({ ...stand.stack.fleet, clock: () => Date.now() + 16_000 }, outbox);
    await settled();
    expect(heard().sort()).toEqual(ids.sort());
  });

  test(
    'R2: workers that are killed in the middle: all delivered, doubles only of calls that were in the air',
    async () => {
      const ids = await events(40 * (KILLS + 1));
      hooks.answers = () => ({});
      const { env } = stand.stack;
      sweep();
      const start = async () => {
        const worker = startProcess('tests/support/alerts-worker.ts', { env });
        await worker.waitForLine(/started/, { timeoutMs: 30_000 });
        return worker;
      };
      let kills = 0;
      for (; kills < KILLS; kills++) {
        const before = hooks.received.length;
        const worker = await start();
        await until(() => hooks.received.length > before + 10, { timeoutMs: 20_000 });
        await worker.kill('SIGKILL');
      }
      await start();
      await settled(30_000);
      expect(new Set(heard())).toEqual(new Set(ids));
      expect(heard().length - ids.length).toBeLessThanOrEqual(kills * 8);
      expect((await stand.rows()).every(({ state }) => state === 'sent')).toBe(true);
    },
    60_000 + KILLS * 15_000,
  );

  test('R2: a worker killed while Slack had not taken the message yet: it comes once, from the next worker', async () => {
    slack.refuse('hang');
    await stand.parcel('lost', 'KILLED');
    const calls = receiver.received.length;
    sweep();
    const worker = startProcess('tests/support/alerts-worker.ts', { env: stand.stack.env });
    await until(() => receiver.received.length > calls, { timeoutMs: 30_000 });
    await worker.kill('SIGKILL');
    const next = startProcess('tests/support/alerts-worker.ts', { env: stand.stack.env });
    await settled();
    expect(slack.posts).toHaveLength(1);
    expect(receiver.received.length).toBe(calls + 2);
    await next.kill('SIGKILL');
  });

  test('O2: a worker that is told to stop in the middle gives back what it has not sent, and spends no try of it', async () => {
    const ids = await events(40);
    hooks.answers = () => 'hang';
    const worker = startProcess('workers/alerts.ts', { env: { ...stand.stack.env, SHUTDOWN_GRACE: '1' } });
    await worker.waitForLine(/"msg":"started"/, { timeoutMs: 30_000 });
    await enqueueDue(stand.stack.fleet, outbox);
    await until(() => hooks.received.length === 8);
    expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    const rows = await stand.rows();
    expect(rows.every(({ state, attempts }) => state === 'pending' && attempts === 0)).toBe(true);
    // those on their way wait for the end of their lease: they may have arrived
    expect(rows.filter(({ dueAt }) => dueAt.getTime() > Date.now() + 60_000)).toHaveLength(8);
    expect(rows).toHaveLength(ids.length);
  });
});

test('the scheduler looks every five seconds', async () => {
  const tasks = alertTasks({} as never);
  expect(tasks.map(({ id, everyMs }) => [id, everyMs])).toContainEqual(['alerts-sweep', 5_000]);
});
