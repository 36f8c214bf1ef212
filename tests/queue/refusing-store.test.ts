import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Log } from '../../src/lib/log.ts';
import { createBrake } from '../../src/queue/brake.ts';
import { handle } from '../../src/queue/handle.ts';
import { createHolds } from '../../src/queue/holds.ts';
import { createQueues, type Queues } from '../../src/queue/queues.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createGate } from '../support/gate.ts';
import { type Backend, backends, ownRedisServer } from '../support/redis.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { openSql } from '../support/sql.ts';
import { until } from '../support/until.ts';
import { job, keepLines, testQueue } from './support.ts';

/** Long enough for thousands of tries of a worker without a brake. */
const OUTAGE_MS = 1_500;

/** A store of queues that can be made to refuse writes while it answers. */
interface Store {
  url: string;
  queues: Queues;
  log: Log;
  lines: Record<string, unknown>[];
  refuse(): Promise<void>;
  accept(): Promise<void>;
  close(): Promise<void>;
}

async function open(backend: Backend): Promise<Store | undefined> {
  const database: TestDatabase = await createTestDatabase();
  const server: RedisServer | undefined = backend === 'redis' ? await ownRedisServer() : undefined;
  if (backend === 'redis' && !server) return undefined;
  const redis = server && new Redis(server.url);
  const admin = postgres(database.url, { max: 1 });
  const { log, lines } = keepLines();
  const queues = createQueues({ redisUrl: server?.url, databaseUrl: database.url, log });
  const [{ name }] = (await admin`select current_database() as name`) as unknown as [{ name: string }];
  const readOnly = async (value: 'on' | 'off') => {
    await admin`set default_transaction_read_only = off`;
    await admin.unsafe(`alter database ${name} set default_transaction_read_only = ${value}`);
    await admin`
      select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and pid <> pg_backend_pid()`;
  };
  return {
    url: server?.url ?? database.url,
    queues,
    log,
    lines,
    refuse: async () => void (redis ? await redis.config('SET', 'maxmemory', '1') : await readOnly('on')),
    accept: async () => void (redis ? await redis.config('SET', 'maxmemory', '0') : await readOnly('off')),
    async close() {
      await queues.close();
      redis?.disconnect();
      await server?.stop();
      await admin.end();
      await database.drop();
    },
  };
}

describe.each(backends())('R10: a store that answers but refuses writes, queues on %s', (backend) => {
  let store: Store;
  beforeAll(async () => {
    const opened = await open(backend);
    if (!opened) throw new Error('a redis-server of the test’s own is needed');
    store = opened;
  });
  afterAll(async () => {
    await store?.close();
  });

  const view = async (name: string, id: string) => {
    const raw = store.queues.raw(name);
    return { state: await raw.getJobState(id), attemptsMade: (await raw.getJob(id))?.attemptsMade };
  };

  it('spends no attempt, whether a job is active, waiting or to be handed back, and does not flood the log', async () => {
    const queue = testQueue({ attempts: 1, concurrency: 1 });
    const gate = createGate();
    const ran: string[] = [];
    const running = runWorkers(
      [
        handle(queue, async ({ id }) => {
          ran.push(id);
          if (ran.length === 1) await gate.opened;
          return { outcome: 'fine' };
        }),
      ],
      store,
      { lockMs: 1_000, stalledLookMs: 500 },
    );
    onTestFinished(() => running.stop(0));
    await store.queues.add(queue, [job('one'), job('two')]);
    await until(() => ran.length === 1);
    const before = store.lines.length;
    await store.refuse();
    gate.open();
    await until(() => running.states[0]?.held());
    await sleep(OUTAGE_MS); // the time itself is what must not matter
    const lines = store.lines.slice(before);
    await store.accept();
    for (const id of ['one', 'two'])
      await until(async () => (await view(queue.name, id)).state === 'completed', {
        what: `job ${id} to end`,
      });

    expect(await view(queue.name, 'one')).toMatchObject({ attemptsMade: 1 });
    expect(await view(queue.name, 'two')).toMatchObject({ attemptsMade: 1 });
    expect((await store.queues.counts(queue)).failed).toBe(0);
    expect(lines.filter(({ msg }) => msg === 'Postgres or Redis is failing or unreachable')).toHaveLength(1);
    expect(lines.length).toBeLessThan(10);
    expect(running.states[0]?.running()).toBe(true);
  });

  it('A2: a failed event that another program enqueued is kept and retried', async () => {
    const queue = testQueue({ fromOutside: true, attempts: 1 });
    let broken = true;
    const running = runWorkers(
      [
        handle(queue, async () => {
          if (broken) throw new Error('something that no rule foresees');
          return { outcome: 'fine' };
        }),
      ],
      store,
    );
    onTestFinished(() => running.stop(0));
    const raw = store.queues.raw(queue.name);
    // whatever a producer says of what becomes of it
    await raw.add(queue.name, { v: 1, id: 'good' }, { jobId: 'good', removeOnFail: true });
    await raw.add(queue.name, { v: 1, id: 42 }, { jobId: 'bad', removeOnFail: true });
    for (const id of ['good', 'bad'])
      await until(async () => (await view(queue.name, id)).state === 'failed', { what: `${id} to fail` });
    expect(await store.queues.retryFailed(queue)).toBe(0); // not at once

    broken = false;
    const later = Date.now() + 60_000;
    expect(await store.queues.retryFailed(queue, later)).toBe(1);
    await until(async () => (await view(queue.name, 'good')).state === 'completed');
    expect((await view(queue.name, 'bad')).state).toBe('failed');
    expect(await store.queues.retryFailed(queue, later)).toBe(0);
  });

  it('A2: hundreds of failed events are all taken up again, those that were removed meanwhile aside', async () => {
    const queue = testQueue({ fromOutside: true, attempts: 1, concurrency: 20 });
    const running = runWorkers(
      [handle(queue, () => Promise.reject(new Error('something that no rule foresees')))],
      store,
    );
    const raw = store.queues.raw(queue.name);
    const ids = Array.from({ length: 170 }, (_, nth) => `event-${nth}`);
    await raw.addBulk(ids.map((id) => ({ name: queue.name, data: { v: 1, id }, opts: { jobId: id } })));
    const failed = async () => (await store.queues.counts(queue)).failed;
    await until(async () => (await failed()) === 170, { what: 'all to fail' });
    await running.stop(0);

    const getJob = raw.getJob.bind(raw);
    onTestFinished(() => void Object.assign(raw, { getJob }));
    let removed = 0;
    const removing: typeof getJob = async (id) => {
      if (Number(id.split('-')[1]) % 10 === 0 && (await raw.remove(id)) === 1) removed++;
      return await getJob(id);
    };
    Object.assign(raw, { getJob: removing });
    expect(await store.queues.retryFailed(queue, Date.now() + 60_000)).toBe(153);
    expect(removed).toBe(17);
  });
});

describe.each(backends())(
  'R10: a store that refuses to hear that a job was done, and nothing else, queues on %s',
  (backend) => {
    it('costs no attempt: the job is handed back, and not made a failed one', async () => {
      const store = await open(backend);
      if (!store) throw new Error('a redis-server of the test’s own is needed');
      onTestFinished(() => store.close());
      const { queues, accept } = await refusingEnds(store, backend);
      const queue = testQueue({ attempts: 1 });
      let ran = 0;
      const work = handle(queue, async () => ({ outcome: `turn ${++ran}` }));
      const running = runWorkers([work], { queues, log: store.log });
      onTestFinished(() => running.stop(0));
      await store.queues.add(queue, [{ id: 'one', payload: { v: 1, id: 'one' } }]);
      const raw = store.queues.raw(queue.name);
      await until(async () => ran === 1 && (await raw.getJobState('one')) !== 'active');
      expect(await raw.getJobState('one')).toBe('delayed');
      expect((await raw.getJob('one'))?.attemptsMade).toBe(0);
      await accept();
      await until(async () => (await raw.getJobState('one')) === 'completed', { timeoutMs: 20_000 });
      expect((await raw.getJob('one'))?.attemptsMade).toBe(1);
    });
  },
);

/** Queues by a way on which no job can be completed, until it is accepted. */
async function refusingEnds(store: Store, backend: Backend) {
  if (backend === 'postgres') {
    const admin = openSql(store.url);
    onTestFinished(() => admin.end());
    await admin.unsafe(`create function bullmq.refuse() returns trigger language plpgsql as $$ begin
      raise exception 'out of memory' using errcode = '53200'; end $$;
      create trigger refuse before update on bullmq.job for each row
        when (new.state = 'completed') execute function bullmq.refuse()`);
    return {
      queues: store.queues,
      accept: async () => void (await admin`drop trigger refuse on bullmq.job`),
    };
  }
  const admin = new Redis(store.url);
  onTestFinished(() => admin.disconnect());
  // all keys but those that end with "ted": completed, and metrics:completed
  await admin.call(
    'ACL',
    ...['SETUSER', 'worker', 'on', '>secret', '&*', '+@all', '~*[^d]', '~*[^e]d', '~*[^t]ed'],
  );
  const url = store.url.replace('//', '//worker:secret@');
  const queues = createQueues({ redisUrl: url, databaseUrl: 'postgres://nobody@h/d', log: store.log });
  onTestFinished(() => queues.close());
  return { queues, accept: async () => void (await admin.call('ACL', 'SETUSER', 'worker', '~*')) };
}

describe('R10: a store that lacks what BullMQ’s workers need, however it answers otherwise', () => {
  /** Takes something away; how many lines a worker that starts then writes, and whether it works once it is back. */
  async function without(
    store: Store,
    queues: Queues,
    take: () => Promise<unknown>,
    give: () => Promise<unknown>,
  ) {
    const queue = testQueue();
    await store.queues.add(queue, [{ id: 'one', payload: { v: 1, id: 'one' } }]);
    await take();
    const before = store.lines.length;
    const cpu = process.cpuUsage();
    const work = handle(queue, async () => ({ outcome: 'fine' }));
    const running = runWorkers([work], { queues, log: store.log });
    onTestFinished(() => running.stop(0));
    await sleep(OUTAGE_MS);
    const { user, system } = process.cpuUsage(cpu);
    await expect(queues.backend.verify()).rejects.toThrow();
    const lines = store.lines.slice(before);
    await give();
    await until(async () => (await store.queues.raw(queue.name).getJobState('one')) === 'completed', {
      timeoutMs: 20_000,
    });
    expect(lines.length, JSON.stringify(lines.slice(0, 3))).toBeLessThan(10);
    // a worker without a brake takes all of it
    expect((user + system) / 1_000, 'milliseconds of processor time').toBeLessThan(OUTAGE_MS / 2);
  }

  it.runIf(backends().includes('redis'))('a Redis whose user may not ask for INFO', async () => {
    const store = await open('redis');
    if (!store) throw new Error('there is no redis-server in PATH');
    onTestFinished(() => store.close());
    const admin = new Redis(store.url);
    onTestFinished(() => admin.disconnect());
    await admin.call('ACL', 'SETUSER', 'small', 'on', '>secret', '~*', '&*', '+@all', '-@dangerous');
    const url = new URL(store.url);
    url.username = 'small';
    url.password = 'secret';
    const queues = createQueues({ redisUrl: url.href, databaseUrl: 'postgres://nobody@h/d', log: store.log });
    onTestFinished(() => queues.close());
    const change = (right: string) => () => admin.call('ACL', 'SETUSER', 'small', right);
    await without(store, queues, change('-info'), change('+info'));
  });

  it('a Postgres whose sessions do not find the queues’ tables', async () => {
    const store = await open('postgres');
    if (!store) throw new Error('there is always a Postgres');
    onTestFinished(() => store.close());
    const admin = openSql(store.url);
    onTestFinished(() => admin.end());
    const name = (from: string, to: string) => () => admin.unsafe(`alter schema ${from} rename to ${to}`);
    await without(store, store.queues, name('bullmq', 'elsewhere'), name('elsewhere', 'bullmq'));
  });
});

describe('R10: the brake', () => {
  const stand = () => {
    const calls: [string, number][] = [];
    const startedAt = performance.now();
    const note = (what: string) => async () => void calls.push([what, performance.now() - startedAt]);
    const brake = createBrake({ pause: note('pause'), resume: note('resume') }, { firstMs: 20, mostMs: 80 });
    onTestFinished(() => brake.stop());
    return {
      brake,
      calls,
      resumed: (times: number) => until(() => calls.filter(([what]) => what === 'resume').length === times),
    };
  };

  it('doubles its pause after each fault, up to the maximum; faults of jobs already active count once', async () => {
    const { brake, calls, resumed } = stand();
    for (let times = 1; times <= 5; times++) {
      for (let jobs = 0; jobs < 50; jobs++) brake.hold();
      expect(brake.on).toBe(true);
      await resumed(times);
      expect(brake.on).toBe(false);
    }
    const pauses = Array.from(
      { length: 5 },
      (_, index) => (calls[2 * index + 1]?.[1] ?? 0) - (calls[2 * index]?.[1] ?? 0),
    );
    for (const [index, least] of [20, 40, 80, 80, 80].entries())
      expect(pauses[index]).toBeGreaterThanOrEqual(least - 1); // timers may be a millisecond early
  });

  it('starts over after a job has succeeded, and does nothing once it is stopped', async () => {
    const { brake, calls, resumed } = stand();
    brake.hold();
    await resumed(1);
    brake.hold();
    await resumed(2);
    brake.ease();
    brake.hold();
    await resumed(3);
    expect((calls[5]?.[1] ?? 0) - (calls[4]?.[1] ?? 0)).toBeLessThan(
      (calls[3]?.[1] ?? 0) - (calls[2]?.[1] ?? 0) + 40,
    );
    brake.stop();
    brake.hold();
    expect(brake.on).toBe(false);
    expect(calls).toHaveLength(6);
  });

  it('O4: resumes outside the job that met the fault, so that later jobs do not join its trace', async () => {
    const traces = new AsyncLocalStorage<string>();
    const resumedIn: (string | undefined)[] = [];
    const worker = {
      moveToActive: async () => undefined,
      trace: async () => undefined,
      pause: async () => undefined,
      resume: async () => void resumedIn.push(traces.getStore()),
    };
    const brake = createBrake(createHolds(worker).holder(), { firstMs: 20, mostMs: 80 });
    onTestFinished(() => brake.stop());
    traces.run('a job', () => brake.hold());
    await until(() => resumedIn.length === 1);
    expect(resumedIn).toEqual([undefined]);
  });
});
