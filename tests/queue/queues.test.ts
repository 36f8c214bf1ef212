import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { handle } from '../../src/queue/handle.ts';
import { maintenanceHandler, schedulesOf, type Task } from '../../src/queue/maintenance.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { readSchedules, reconcileSchedules } from '../../src/queue/schedules.ts';
import { createGate } from '../support/gate.ts';
import { backends } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { job, type Payload, startTestQueues, type TestQueues, testQueue } from './support.ts';

describe.each(backends())('queues on %s', (backend) => {
  let test: TestQueues;
  beforeAll(async () => {
    test = await startTestQueues(backend);
  });
  afterAll(() => test.close());

  it('the same id twice is one job, also when the first has ended; another id is another job', async () => {
    const queue = testQueue();
    const ran = test.record(queue);
    await test.queues.add(queue, [job('a-1'), job('a-1')]);
    await test.settled(queue, 'a-1');
    await test.queues.add(queue, [job('a-1')]); // kept, so dropped without a word
    await test.queues.add(queue, [job('a-2')]);
    await test.settled(queue, 'a-2');
    expect(ran).toEqual(['a-1', 'a-2']);
    expect(await test.view(queue, 'a-1')).toMatchObject({ state: 'completed' });
  });

  it('P6: ended jobs are kept for an hour, and counted only where that costs nothing', async () => {
    const queue = testQueue();
    test.record(queue);
    await test.queues.add(queue, [job('a-1')]);
    const { opts } = (await test.queues.raw(queue.name).getJob('a-1')) ?? {};
    expect(opts?.removeOnComplete).toEqual(backend === 'redis' ? { age: 3600, count: 1000 } : { age: 3600 });
  });

  it('a process with workers on many queues has connections left for other queries', async () => {
    const queues = Array.from({ length: 20 }, () => testQueue());
    test.work(...queues.map((queue) => handle(queue, async () => ({ outcome: 'fine' }))));
    await Promise.all(queues.map((queue) => test.queues.add(queue, [job('a-1')])));
    for (const queue of queues) await test.settled(queue, 'a-1');
    const startedAt = performance.now();
    await Promise.all(queues.map((queue) => test.queues.counts(queue as never)));
    // idle workers hold a connection each; who has to wait for one of theirs waits for seconds
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });

  it('R6: a payload field that this version does not know is accepted', async () => {
    const queue = testQueue();
    test.work(handle(queue, async (payload) => ({ outcome: JSON.stringify(payload) })));
    await test.queues.raw(queue.name).add(queue.name, { v: 1, id: 'a', tomorrow: true }, { jobId: 'new' });
    expect(await test.settled(queue, 'new')).toMatchObject({ state: 'completed' });
  });

  it('counts and shows what is there', async () => {
    const queue = testQueue();
    await test.queues.add(queue, [job('a'), job('b', { delayMs: 60_000 }), job('c', { priority: 5 })]);
    expect(await test.queues.counts(queue as never)).toEqual({
      waiting: 2,
      active: 0,
      delayed: 1,
      failed: 0,
      paused: false,
    });
    await test.queues.add(queue, []);
    expect((await test.queues.counts(queue as never)).waiting).toBe(2);
  });

  it('nextSince is when the oldest takeable job became due, among waiting, prioritised and delayed ones', async () => {
    const queue = testQueue();
    const now = Date.now();
    const since = async () => {
      const at = await test.queues.nextSince(queue);
      return at === undefined ? undefined : (now - at) / 1_000;
    };
    const add = (secondsAgo: number, opts: object = {}) =>
      test.queues
        .raw(queue.name)
        .add(queue.name, { v: 1, id: 'x' }, { timestamp: now - secondsAgo * 1_000, ...opts });
    expect(await since()).toBeUndefined();
    await add(10, { delay: 3_600_000 });
    expect(await since()).toBeUndefined(); // not its time yet
    // more than are read at once
    for (let age = 400; age > 380; age--) await add(age);
    expect(await since()).toBe(400);
    await add(600, { priority: 3 });
    expect(await since()).toBe(600);
    await add(900, { delay: 200_000 }); // its time came 700 seconds ago, and no worker has seen it
    expect(await since()).toBe(700);
    expect(await test.queues.counts(queue)).toMatchObject({ waiting: 21, delayed: 2 });
  });

  it('a paused queue: its jobs are counted as waiting, the oldest is known, and none is takeable', async () => {
    const queue = testQueue();
    const now = Date.now();
    const raw = test.queues.raw(queue.name);
    for (const secondsAgo of [30, 20, 10])
      await raw.add(queue.name, { v: 1, id: 'x' }, { timestamp: now - secondsAgo * 1_000 });
    await test.queues.add(queue, [job('p', { priority: 5 }), job('d', { delayMs: 60_000 })]);
    expect(await test.queues.takeable(queue)).toBe(4);
    await raw.pause();
    expect(await test.queues.counts(queue)).toEqual({
      ...{ waiting: 4, active: 0, delayed: 1, failed: 0, paused: true },
    });
    expect(await test.queues.nextSince(queue)).toBe(now - 30_000);
    expect(await test.queues.takeable(queue)).toBe(0);
    await raw.resume();
    expect(await test.queues.counts(queue)).toMatchObject({ waiting: 4, paused: false });
  });

  it('a lower priority number runs first', async () => {
    const queue = testQueue({ concurrency: 1 });
    await test.queues.add(queue, [
      job('c', { priority: 30 }),
      job('a', { priority: 1 }),
      job('b', { priority: 2 }),
    ]);
    const ran = test.record(queue);
    await until(() => ran.length === 3);
    expect(ran).toEqual(['a', 'b', 'c']);
  });

  it('two workers share the work: every job runs once, and neither exceeds its concurrency', async () => {
    const queue = testQueue({ concurrency: 3 });
    const ran = new Map<string, number>();
    const peak = [0, 0];
    const handlerOf = (worker: number) => {
      let now = 0;
      return handle(queue, async ({ id }) => {
        peak[worker] = Math.max(peak[worker] as number, ++now);
        ran.set(id, (ran.get(id) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
        now--;
        return { outcome: `by ${worker}` };
      });
    };
    const other = test.another();
    const workers = [test.work(handlerOf(0)), runWorkers([handlerOf(1)], { queues: other, log: test.log })];
    onTestFinished(async () => {
      await Promise.all(workers.map((one) => one.stop(0)));
    });
    await test.queues.add(
      queue,
      Array.from({ length: 100 }, (_, at) => job(`j${at}`)),
    );
    await until(async () => ((await test.queues.raw(queue.name).getCompletedCount()) === 100) as boolean);
    expect([...ran.values()].every((times) => times === 1)).toBe(true);
    expect(ran.size).toBe(100);
    for (const most of peak) {
      expect(most).toBeGreaterThanOrEqual(1);
      expect(most).toBeLessThanOrEqual(3);
    }
  });

  it('workers are counted over all processes, and those of another fleet in the same server are not', async () => {
    const queue = testQueue();
    const stranger = await startTestQueues(backend);
    onTestFinished(() => stranger.close());
    const handler = handle(queue, async () => ({ outcome: 'fine' }));
    const workers = [
      test.work(handler),
      runWorkers([handler], { queues: test.another(), log: test.log }),
      stranger.work(handler),
    ];
    onTestFinished(async () => {
      await Promise.all(workers.map((one) => one.stop(0)));
    });
    await until(async () => (await stranger.queues.workers(queue)) === 1);
    await until(async () => (await test.queues.workers(queue)) === 2);
  });

  it('R2: a worker is counted again after its connections were cut, even while it is busy', async () => {
    const queue = testQueue({ concurrency: 1 });
    const gate = createGate();
    let started = 0;
    test.work(
      handle(queue, async () => {
        started++;
        await gate.opened;
        return { outcome: 'fine' };
      }),
    );
    onTestFinished(gate.open); // first
    await until(async () => (await test.queues.workers(queue)) === 1);
    await test.queues.add(queue, [job('a'), job('b')]);
    await until(() => started === 1);
    await test.cutConnections();
    await until(async () => (await test.queues.workers(queue)) === 1);
    expect(started).toBe(1);
    expect(await test.queues.counts(queue)).toMatchObject({ active: 1, waiting: 1 });
  });

  describe('schedules', () => {
    const schedule = (id: string, everyMs: number) => ({ id, everyMs, payload: { v: 1, id } as Payload });
    const present = async (name: string) =>
      (await test.queues.raw(name).getJobSchedulers(0, -1))
        .map((one) => ({ id: one.key, everyMs: Number(one.every), next: Number(one.next) }))
        .sort((a, b) => (a.id < b.id ? -1 : 1));
    const ids = async (name: string) => (await present(name)).map(({ id, everyMs }) => [id, everyMs]);

    it('become exactly what is wanted: added, changed, others removed', async () => {
      const queue = testQueue();
      await reconcileSchedules(test.queues, queue, [schedule('a', 60_000), schedule('b', 60_000)], test.log);
      expect(await ids(queue.name)).toEqual([
        ['a', 60_000],
        ['b', 60_000],
      ]);
      await reconcileSchedules(test.queues, queue, [schedule('b', 120_000), schedule('c', 60_000)], test.log);
      expect(await ids(queue.name)).toEqual([
        ['b', 120_000],
        ['c', 60_000],
      ]);
    });

    it('that are unchanged keep their next run', async () => {
      const queue = testQueue();
      const wanted = [schedule('a', 3_600_000)];
      await reconcileSchedules(test.queues, queue, wanted, test.log);
      // the first run is at once; wait for the second to be planned, an hour on
      const running = test.work(handle(queue, async () => ({ outcome: 'fine' })));
      await until(async () => (await present(queue.name)).every(({ next }) => next > Date.now() + 60_000));
      await running.stop(0);
      const before = await present(queue.name);
      const lines = test.lines.length;
      for (let turn = 0; turn < 3; turn++) await reconcileSchedules(test.queues, queue, wanted, test.log);
      expect(await present(queue.name)).toEqual(before);
      expect(test.lines.slice(lines).filter((line) => line.schedule)).toEqual([]);
    });

    it('R1: are restored after everything was deleted', async () => {
      const queue = testQueue();
      const wanted = [schedule('a', 3_600_000)];
      await reconcileSchedules(test.queues, queue, wanted, test.log);
      await test.queues.raw(queue.name).obliterate({ force: true });
      await test.queues.raw(queue.name).removeJobScheduler('a');
      expect(await present(queue.name)).toEqual([]);
      await reconcileSchedules(test.queues, queue, wanted, test.log);
      expect(await ids(queue.name)).toEqual([['a', 3_600_000]]);
    });

    it('R1: one that has lost its next job runs at once, however long its period; the others are left alone', async () => {
      const queue = testQueue();
      const wanted = [schedule('a', 3_600_000), schedule('b', 3_600_000)];
      await reconcileSchedules(test.queues, queue, wanted, test.log);
      const ran = test.record(queue);
      const planned = async () => (await present(queue.name)).every(({ next }) => next > Date.now() + 60_000);
      await until(async () => ran.length === 2 && (await planned()));
      const before = await present(queue.name);
      await test.loseDelayed(queue.name, `repeat:a:${before[0]?.next}`);
      expect(await readSchedules(test.queues, queue)).toEqual(
        expect.arrayContaining([
          { id: 'a', alive: false },
          { id: 'b', alive: true },
        ]),
      );
      await reconcileSchedules(test.queues, queue, wanted, test.log);
      await until(async () => ran.length === 3 && (await planned()));
      expect(ran[2]).toBe('a');
      const after = await present(queue.name);
      expect(after[1]).toEqual(before[1]);
      expect(await test.queues.counts(queue)).toMatchObject({ waiting: 0, delayed: 2 });
      await reconcileSchedules(test.queues, queue, wanted, test.log);
      expect(await present(queue.name)).toEqual(after);
    });

    it('R1: that are overdue, as after a pause of the scheduler, go on by the jobs that wait for it', async () => {
      const queue = testQueue();
      const wanted = [schedule('a', 1_000), schedule('b', 1_000)];
      await reconcileSchedules(test.queues, queue, wanted, test.log);
      const before = await present(queue.name);
      vi.setSystemTime(Date.now() + 60_000);
      try {
        expect(await readSchedules(test.queues, queue)).toEqual(
          expect.arrayContaining(['a', 'b'].map((id) => ({ id, alive: false }))),
        );
        await reconcileSchedules(test.queues, queue, wanted, test.log);
      } finally {
        vi.useRealTimers();
      }
      expect(await present(queue.name)).toEqual(before);
    });

    it('run their task again and again, and a task that is gone is no fault (R6)', async () => {
      const ran: string[] = [];
      const task = (id: string): Task => ({
        id,
        everyMs: 100,
        run: async () => {
          ran.push(id);
          return { done: ran.length };
        },
      });
      const handler = maintenanceHandler([task('known')]);
      const { definition } = handler;
      const wanted = schedulesOf([task('known'), task('gone')]);
      await reconcileSchedules(test.queues, definition as never, wanted as never, test.log);
      const running = test.work(handler);
      await until(() => ran.length >= 3);
      await until(() => test.lines.some((line) => line.outcome === 'no such task' && line.task === 'gone'));
      await running.stop(0);
      expect(new Set(ran)).toEqual(new Set(['known']));
      expect((await test.queues.counts(definition)).failed).toBe(0);
    });
  });
});
