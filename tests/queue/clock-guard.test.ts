import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createProbes } from '../../src/fleet/health.ts';
import { guardClock } from '../../src/queue/clock-guard.ts';
import { handle } from '../../src/queue/handle.ts';
import { createHolds } from '../../src/queue/holds.ts';
import { backends } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { job, startTestQueues, type TestQueues, testQueue } from './support.ts';

/** As if this machine's clock were off: BullMQ has no other. */
function setClock(aheadMs: number): void {
  const real = Date.now;
  Date.now = () => real() + aheadMs;
  onTestFinished(() => {
    Date.now = real;
  });
}

describe('queues on Postgres: a worker whose clock is off', () => {
  let test: TestQueues;
  beforeAll(async () => {
    test = await startTestQueues('postgres');
  });
  afterAll(() => test.close());

  it.each([
    [60_000, 'ahead of'],
    [-60_000, 'behind'],
  ])('R1: by %i ms takes no jobs, disturbs no other worker, and says so', async (aheadMs, words) => {
    const queue = testQueue();
    await test.queues.add(queue, [job('a')]);
    let ran = 0;
    setClock(aheadMs);
    const running = test.work(
      handle(queue, async () => {
        ran++;
        return { outcome: 'taken' };
      }),
    );
    const probes = createProbes({ queues: test.queues, verifyDatabase: async () => {} });
    onTestFinished(() => probes.close());
    probes.watch(running.states, running.clock);
    const says = `the clock is 60 s ${words} the database’s: no jobs are taken`;
    await until(() => running.clock() === says);
    expect(test.lines).toContainEqual(
      expect.objectContaining({
        level: 50,
        aheadMs: expect.closeTo(aheadMs, -3),
        msg: `${says}; set it by NTP`,
      }),
    );
    expect(await probes.readyz()).toMatchObject({ ok: false, checks: { clock: says, postgres: 'ok' } });
    // being killed would not set its clock
    expect(probes.healthz()).toEqual({ ok: true, checks: { [queue.name]: 'ok' } });
    await sleep(150);
    expect(ran).toBe(0);
    expect(await test.view(queue, 'a')).toMatchObject({ state: 'waiting' });
    // the look for stalled jobs is everybody's: done by this clock it would be put off by a minute
    expect(await test.queues.raw(queue.name).getMeta()).not.toHaveProperty('stalled-check');
  });

  /** A worker that is guarded by a clock to be set, compared every 20 ms. */
  function guarded(storeTime = test.queues.backend.time) {
    const queue = testQueue();
    let aheadMs = 0;
    const taken: string[] = [];
    const worker = test.queues.backend.worker(queue.name, async ({ id }) => void taken.push(String(id)), {
      autorun: false,
    });
    const holds = createHolds(worker);
    const guard = guardClock(
      [holds.holder()],
      {
        storeTime: storeTime ?? (() => Promise.reject(new Error('no clock'))),
        log: test.log,
        ...{ outages: test.queues.outages, clock: () => Date.now() + aheadMs },
      },
      { everyMs: 20, firstMs: 20 },
    );
    onTestFinished(async () => {
      guard.stop();
      await worker.close();
    });
    return {
      queue,
      taken,
      guard,
      holds,
      set: (ms: number) => {
        aheadMs = ms;
      },
      add: (id: string) => test.queues.add(queue, [job(id)]),
    };
  }

  it('is checked repeatedly: it stops although jobs wait for it alone, and resumes by itself', async () => {
    const { taken, guard, set, add } = guarded();
    await add('a');
    await until(() => taken.length === 1);
    await sleep(60); // it waits for the next job by now
    set(6_000);
    await until(() => guard.says() !== undefined);
    await add('b');
    await sleep(200);
    expect(taken).toEqual(['a']);
    set(-4_000);
    await until(() => taken.length === 2);
    expect(guard.says()).toBeUndefined();
    set(-6_000);
    await until(() => guard.says()?.includes('6 s behind'));
    const levels = test.lines
      .filter(({ msg }) => /the clock (is 6 s|agrees)/.test(String(msg)))
      .map(({ level }) => level);
    expect(levels.slice(0, 1)).toEqual([50]);
    expect(levels).toContain(30);
  });

  it('takes no jobs before the first check, and keeps its result while there is no answer', async () => {
    let answers = false;
    const { time } = test.queues.backend;
    const { taken, guard, add } = guarded(async () => {
      if (!answers || !time) throw new Error('away');
      return await time();
    });
    await add('a');
    await sleep(150);
    expect(taken).toEqual([]);
    expect(guard.says()).toBe('the clock was not yet compared with the database’s');
    answers = true;
    await until(() => taken.length === 1);
    answers = false;
    await sleep(60);
    await add('b');
    await until(() => taken.length === 2);
  });

  it('a slow answer proves little: a difference that its round trip may explain is ignored', async () => {
    const time = test.queues.backend.time as () => Promise<number>;
    const { guard, taken, set, add } = guarded(async () => {
      const now = await time();
      set(11_000); // the answer is on its way for so long
      setTimeout(() => set(0), 5);
      return now;
    });
    await add('a');
    await until(() => taken.length === 1);
    expect(guard.says()).toBeUndefined();
  });

  it('stays paused while something else holds it, such as a store that refuses', async () => {
    const { taken, holds, set, guard, add } = guarded();
    await until(() => guard.says() === undefined);
    const brake = holds.holder();
    await brake.pause(true);
    set(9_000);
    await until(() => guard.says() !== undefined);
    set(0);
    await until(() => guard.says() === undefined);
    await add('a');
    await sleep(100);
    expect(taken).toEqual([]);
    await brake.resume();
    await until(() => taken.length === 1);
  });
});

describe.each(backends())('queues on %s', (backend) => {
  it('are guarded where locks go by the workers’ clocks, and only there', async () => {
    const test = await startTestQueues(backend);
    onTestFinished(() => test.close());
    if (backend === 'redis') setClock(60_000);
    const queue = testQueue();
    const running = test.work(handle(queue, async () => ({ outcome: 'taken' })));
    await test.queues.add(queue, [job('a')]);
    expect(await test.settled(queue, 'a')).toMatchObject({ state: 'completed' });
    expect(running.clock()).toBeUndefined();
    expect(test.queues.backend.time !== undefined).toBe(backend === 'postgres');
  });
});
