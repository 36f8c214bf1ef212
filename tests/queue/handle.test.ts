import { once } from 'node:events';
import { sql as raw } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { closeDb, createDb } from '../../src/db/client.ts';
import { type Failure, FailureError, type FailureKind } from '../../src/lib/errors.ts';
import { handle, SHUTDOWN, Wait } from '../../src/queue/handle.ts';
import { createTestDatabase } from '../support/database.ts';
import { createGate } from '../support/gate.ts';
import { backends } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { job, startTestQueues, type TestQueues, testQueue } from './support.ts';

describe.each(backends())('a handler, on %s', (backend) => {
  let test: TestQueues;
  beforeAll(async () => {
    test = await startTestQueues(backend);
  });
  afterAll(() => test.close());

  /** One job for a handler that fails as told on its first tries and then succeeds; what became of it. */
  async function failing(errors: unknown[], change: Parameters<typeof testQueue>[0] = {}) {
    const queue = testQueue(change);
    const ranAt: number[] = [];
    const left = [...errors];
    test.work(
      handle(queue, async () => {
        ranAt.push(performance.now());
        if (left.length > 0) throw left.shift();
        return { outcome: 'fine' };
      }),
    );
    await test.queues.add(queue, [job('job')]);
    const settled = await test.settled(queue, 'job');
    return { ...settled, ranAt, queue };
  }
  const lineOf = (queue: { name: string }, outcome: string) =>
    until(() => test.lines.find((line) => line.queue === queue.name && line.outcome === outcome));

  it('completes with the handler’s outcome, and writes one line with its duration', async () => {
    const { state, result, attemptsMade, queue } = await failing([]);
    expect({ state, result, attemptsMade }).toEqual({
      state: 'completed',
      result: { outcome: 'fine' },
      attemptsMade: 1,
    });
    expect(await lineOf(queue, 'fine')).toMatchObject({ job: 'job', ms: expect.any(Number), msg: 'job' });
  });

  it('T18: fields that another program adds beyond the payload are removed when the job is taken, also when it is refused', async () => {
    const queue = testQueue({ fromOutside: true });
    test.work(handle(queue, async () => ({ outcome: 'fine' })));
    const raw = test.queues.raw(queue.name);
    for (const [jobId, id] of [
      ['good', 'a'],
      ['bad', { phone: '+40 1' }],
    ] as const)
      await raw.add(queue.name, { v: 1, id, note: 'n', buyer: { name: 'Ada' } }, { jobId });
    expect((await test.settled(queue, 'good')).state).toBe('completed');
    expect((await raw.getJob('good'))?.data).toEqual({ v: 1, id: 'a', note: 'n' });
    expect((await test.settled(queue, 'bad')).state).toBe('failed');
    expect((await raw.getJob('bad'))?.data).toEqual({ v: 1, id: null, note: 'n' });
  });

  it('R3: an invalid payload fails the job visibly, names the field, and is never retried', async () => {
    const queue = testQueue();
    let ran = 0;
    test.work(
      handle(queue, async () => {
        ran++;
        return { outcome: 'fine' };
      }),
    );
    // past our own producer, as another program may
    await test.queues.raw(queue.name).add(queue.name, { v: 1, id: 42 }, { jobId: 'bad', attempts: 5 });
    const { state, failedReason, attemptsMade } = await test.settled(queue, 'bad');
    expect(state).toBe('failed');
    expect(failedReason).toMatch(/^payload refused: .*expected string.*id/);
    expect(attemptsMade).toBe(1);
    expect(ran).toBe(0);
    expect(await lineOf(queue, 'malformed')).toMatchObject({ level: 50, why: expect.stringContaining('id') });
    expect((await test.queues.counts(queue as never)).failed).toBe(1);
  });

  it('R3: our own producer rejects such a payload at once', async () => {
    const queue = testQueue();
    const add = test.queues.add(queue, [{ id: 'x', payload: { v: 2, id: 'a' } as never }]);
    await expect(add).rejects.toThrow(/"v"/);
    expect((await test.queues.counts(queue as never)).waiting).toBe(0);
  });

  it.each<FailureKind>([
    'rejected',
    'sellerMustAct',
    'credentials',
    'scope',
    'bug',
    'alreadyDone',
    'unknownOutcome',
  ])('T16: %s is final: one try, the message shown', async (kind) => {
    const { state, failedReason, ranAt } = await failing([
      new FailureError({ kind, message: 'Temu’s words' }),
    ]);
    expect({ state, failedReason, tries: ranAt.length }).toEqual({
      state: 'failed',
      failedReason: 'Temu’s words',
      tries: 1,
    });
  });

  it.each<FailureKind>(['transient', 'malformed', 'notReady'])('T16: %s is retried', async (kind) => {
    const failure: Failure = { kind, message: 'for the moment' };
    const { state, ranAt, attemptsMade } = await failing([new FailureError(failure)]);
    expect({ state, tries: ranAt.length, attemptsMade }).toEqual({
      state: 'completed',
      tries: 2,
      attemptsMade: 2,
    });
  });

  it('any other error is retried with growing delays until the attempts are spent', async () => {
    const error = new Error('every time');
    const { state, failedReason, ranAt, attemptsMade } = await failing([error, error, error, error], {
      backoff: { baseMs: 150, maxMs: 10_000 },
    });
    expect({ state, failedReason, attemptsMade }).toEqual({
      state: 'failed',
      failedReason: 'every time',
      attemptsMade: 3,
    });
    const [first, second, third] = ranAt as [number, number, number];
    expect(ranAt).toHaveLength(3);
    // timers may be a millisecond early
    expect(second - first).toBeGreaterThanOrEqual(149);
    expect(third - second).toBeGreaterThanOrEqual(299);
  });

  it('R2: Wait spends no attempt', async () => {
    const waits = Array.from({ length: 6 }, () => new Wait(10, 'not yet'));
    const { state, ranAt, attemptsMade, queue } = await failing(waits);
    expect({ state, tries: ranAt.length, attemptsMade }).toEqual({
      state: 'completed',
      tries: 7,
      attemptsMade: 1,
    });
    expect(await lineOf(queue, 'handed back')).toMatchObject({ why: 'not yet', forMs: 10 });
  });

  it('T17: a throttled job waits for retryAfterMs and spends no attempt', async () => {
    const throttled = () => new FailureError({ kind: 'throttled', message: 'too fast', retryAfterMs: 300 });
    const { state, ranAt, attemptsMade } = await failing(
      [throttled(), throttled(), throttled(), throttled()],
      {
        attempts: 1,
      },
    );
    expect({ state, tries: ranAt.length, attemptsMade }).toEqual({
      state: 'completed',
      tries: 5,
      attemptsMade: 1,
    });
    expect((ranAt[1] as number) - (ranAt[0] as number)).toBeGreaterThanOrEqual(299);
  });

  it('R2: an outage of Postgres or Redis spends no attempt: the job is delayed', async () => {
    const queue = testQueue({ attempts: 1 });
    const running = test.work(
      handle(queue, async () => {
        throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
      }),
    );
    await test.queues.add(queue, [job('job')]);
    const { attemptsMade } = await test.settled(queue, 'job', ['delayed']);
    expect(attemptsMade).toBe(0);
    // R10: counted, not told job by job
    const told = () => test.lines.find(({ msg }) => msg === 'Postgres or Redis is failing or unreachable');
    expect(await until(told)).toMatchObject({ faults: { [`queue ${queue.name}`]: 1 }, err: 'connect' });
    expect(running.states[0]?.held()).toBe(true);
  });

  it('a handler that exceeds its timeout is aborted and fails like any other error', async () => {
    const queue = testQueue({ timeoutMs: 80, attempts: 1 });
    test.work(
      handle(queue, async (_, { signal }) => {
        if (!signal.aborted) await once(signal, 'abort');
        throw signal.reason;
      }),
    );
    await test.queues.add(queue, [job('job')]);
    expect(await test.settled(queue, 'job')).toMatchObject({ state: 'failed', attemptsMade: 1 });
    expect(await lineOf(queue, 'error')).toMatchObject({ why: 'took longer than 0.08 s', attempt: 1 });
  });

  it('T18: the parameters of a query that failed are neither in the log nor in the job', async () => {
    const database = await createTestDatabase();
    const db = createDb(database.url, { max: 1 });
    onTestFinished(async () => {
      await closeDb(db);
      await database.drop();
    });
    const queue = testQueue({ attempts: 1 });
    test.work(
      handle(queue, async () => {
        await db.execute(raw`select 1 / 0, ${'planted'}::text`);
        return { outcome: 'fine' };
      }),
    );
    await test.queues.add(queue, [job('job')]);
    const { state, failedReason, stack } = await test.settled(queue, 'job');
    expect({ state, failedReason }).toEqual({ state: 'failed', failedReason: 'division by zero' });
    expect(stack).not.toContain('planted');
    expect(await lineOf(queue, 'error')).toMatchObject({ why: 'division by zero' });
    expect(JSON.stringify(test.lines)).not.toContain('planted');
  });

  describe('R4: characters that Postgres cannot store', () => {
    const [NUL, HALF] = ['\u0000', '\ud83d'];
    const once = { attempts: 1 };

    it.each([
      ['NUL', NUL],
      ['a lone surrogate', HALF],
      ['both in a text', `a${NUL}b${HALF}c`],
    ])('%s in an error message: the job fails at once and for good', async (_, text) => {
      const { state, ranAt, attemptsMade, failedReason } = await failing([new Error(text)], once);
      expect({ state, attemptsMade, tries: ranAt.length }).toEqual({
        ...{ state: 'failed', attemptsMade: 1, tries: 1 },
      });
      if (text.includes('a')) expect(failedReason?.replaceAll(/[\0\ufffd]/g, '')).toBe('abc');
      const final = new FailureError({ kind: 'rejected', message: text });
      expect(await failing([final], once)).toMatchObject({ state: 'failed', attemptsMade: 1 });
    });

    it('in a payload, a result or a job’s progress are replaced or dropped, and the job completes', async () => {
      const queue = testQueue(once);
      const text = `a${NUL}b${HALF}`;
      const given: (string | undefined)[] = [];
      test.work(
        handle(queue, async ({ id, note }) => {
          given.push(id, note);
          await (await test.queues.raw(queue.name).getJob('job'))?.updateProgress({ text });
          return { outcome: text, [text]: text };
        }),
      );
      await test.queues.add(queue, [{ id: 'job', payload: { v: 1, id: 'x', note: text } }]);
      const { state, result, attemptsMade } = await test.settled(queue, 'job');
      expect({ state, attemptsMade }).toEqual({ state: 'completed', attemptsMade: 1 });
      expect(given).toEqual(['x', 'ab\ufffd']);
      if (backend === 'postgres') expect(result).toEqual({ outcome: 'ab\ufffd', 'ab\ufffd': 'ab\ufffd' });
    });
  });

  it('O2, R2: shutdown hands the job back with its attempts, and a second worker completes it', async () => {
    const queue = testQueue({ attempts: 1 });
    const started: string[] = [];
    const hanging = test.work(
      handle(queue, async (_, { signal }) => {
        started.push('first');
        if (!signal.aborted) await once(signal, 'abort');
        throw signal.reason;
      }),
    );
    await test.queues.add(queue, [job('job')]);
    await until(() => started.length === 1);
    await hanging.stop(50);
    const between = await test.view(queue, 'job');
    expect(['delayed', 'waiting']).toContain(between.state);
    expect(between.attemptsMade).toBe(0);
    expect(await lineOf(queue, 'handed back')).toMatchObject({ why: SHUTDOWN });

    test.work(handle(queue, async () => ({ outcome: 'second' })));
    expect(await test.settled(queue, 'job')).toMatchObject({
      state: 'completed',
      result: { outcome: 'second' },
      attemptsMade: 1,
    });
  });

  it('O2: within the grace period a job is finished, and nothing new is taken', async () => {
    const queue = testQueue({ concurrency: 1 });
    const gate = createGate();
    const ran: string[] = [];
    const workers = test.work(
      handle(queue, async ({ id }) => {
        ran.push(id);
        await gate.opened;
        return { outcome: 'finished' };
      }),
    );
    await test.queues.add(queue, [job('one'), job('two')]);
    await until(() => ran.length === 1);
    const stopped = workers.stop(10_000);
    setTimeout(gate.open, 50);
    await stopped;
    expect(ran).toHaveLength(1);
    expect(await test.view(queue, ran[0] as string)).toMatchObject({ state: 'completed' });
    const other = ran[0] === 'one' ? 'two' : 'one';
    expect(await test.view(queue, other)).toMatchObject({ state: 'waiting', attemptsMade: 0 });
  });
});
