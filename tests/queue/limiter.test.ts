import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handle } from '../../src/queue/handle.ts';
import { backends } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { job, type Payload, startTestQueues, type TestQueues, testQueue } from './support.ts';

const LIMITER = { max: 2, perMs: 1_000 };

describe.each(backends())('a queue’s limiter, on %s', (backend) => {
  let test: TestQueues;
  beforeAll(async () => {
    test = await startTestQueues(backend);
  });
  afterAll(() => test.close());

  const shown = (queue: { name: string }) => test.queues.raw(queue.name).getGlobalRateLimit();
  const startedAt = (queue: ReturnType<typeof testQueue>) => {
    const times: number[] = [];
    test.work(
      handle(queue, async (_: Payload) => {
        times.push(Date.now());
        return { outcome: 'fine' };
      }),
    );
    return times;
  };

  it('P1: what cannot leave yet waits in the queue, for all workers together; Bull Board shows the limit', async () => {
    const queue = testQueue({ limiter: LIMITER });
    const times = startedAt(queue);
    const others = startedAt(queue);
    await until(() => shown(queue));
    expect(await shown(queue)).toEqual({ max: LIMITER.max, duration: LIMITER.perMs });
    await test.queues.add(
      queue,
      Array.from({ length: 5 }, (_, index) => job(`job-${index}`)),
    );
    for (const id of ['job-0', 'job-1']) await test.settled(queue, id);
    expect(await test.queues.counts(queue)).toMatchObject({ waiting: 3, active: 0, delayed: 0 });
    expect(await test.queues.takeable(queue)).toBe(0);
    await until(() => times.length + others.length === 5);
    const all = [...times, ...others].sort((a, b) => a - b);
    // a span begins as its first job is taken, before the handler sees it; without a limit they follow within moments
    for (let at = LIMITER.max; at < all.length; at++)
      expect((all[at] ?? 0) - (all[at - LIMITER.max] ?? 0)).toBeGreaterThan(LIMITER.perMs / 2);
  });

  it('C10: a cooldown keeps jobs in the queue, with every attempt, and ends by itself', async () => {
    const queue = testQueue({ limiter: { max: 100, perMs: 1_000 } });
    const times = startedAt(queue);
    await until(() => shown(queue));
    const from = Date.now();
    await test.queues.rateLimit(queue, 1_500);
    await test.queues.add(queue, [job('a'), job('b')]);
    const done = await test.settled(queue, 'b');
    expect(done).toMatchObject({ state: 'completed', attemptsMade: 1 });
    for (const time of times) expect(time - from).toBeGreaterThan(1_450);
  });

  it('a limit that is taken away is taken away, and one that a person set is left', async () => {
    const queue = testQueue({ limiter: LIMITER });
    startedAt(queue);
    await until(() => shown(queue));
    startedAt({ ...queue, limiter: null });
    await until(async () => (await shown(queue)) === null);
    await test.queues.raw(queue.name).setGlobalRateLimit(50, 1_000);
    const { limiter: _, ...unset } = queue;
    startedAt(unset);
    await test.queues.add(queue, [job('a')]);
    await test.settled(queue, 'a');
    expect(await shown(queue)).toEqual({ max: 50, duration: 1_000 });
  });
});
