import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { handle, Wait } from '../../src/queue/handle.ts';
import { forQueues } from '../../src/queue/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { startProcess } from '../support/process.ts';
import { backends } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startTestQueues, testQueue } from './support.ts';

/** `JOBS=10000 npx vitest run tests/queue/deadlocks` is the long form. */
const JOBS = Number(process.env.JOBS ?? 300);

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function testDatabase() {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  return { url: database.url, admin: await connect(database.url) };
}

async function deadlocksOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query(
    'select deadlocks::int as count from pg_stat_database where datname = current_database()',
  );
  return rows[0].count;
}

describe('a statement that Postgres rolls back for another transaction', () => {
  it('R2: is retried: the victim of a deadlock succeeds all the same', async () => {
    const { url, admin } = await testDatabase();
    const pool = forQueues(new pg.Pool({ connectionString: url, max: 1, options: '-c deadlock_timeout=50' }));
    onTestFinished(() => pool.end());
    await admin.query('create table pair (id int primary key, done int not null default 0)');
    await admin.query('insert into pair values (1), (2)');
    await admin.query(`create function do_both() returns text language plpgsql as $$ begin
      update pair set done = done + 1 where id = 2;
      perform pg_advisory_xact_lock_shared(1);
      update pair set done = done + 1 where id = 1;
      return 'done'; end $$`);
    // each has one row and wants the other's; who comes to wait last looks first, and is the victim
    const gate = await connect(url);
    await gate.query('select pg_advisory_lock(1)');
    await admin.query(`set deadlock_timeout = '1min'`);
    await admin.query('begin');
    await admin.query('update pair set done = done where id = 1');
    const done = pool.query('select do_both() as said');
    const waiting = async (kind: string) =>
      (
        await gate.query('select 1 from pg_stat_activity where wait_event_type = $1 and wait_event = $2', [
          'Lock',
          kind,
        ])
      ).rowCount;
    await until(() => waiting('advisory'));
    const wanted = admin.query('update pair set done = done where id = 2');
    await until(() => waiting('transactionid'));
    await gate.query('select pg_advisory_unlock(1)');
    await wanted;
    await admin.query('commit');
    expect((await done).rows).toEqual([{ said: 'done' }]);
    const { rows } = await admin.query('select done from pair');
    expect(rows).toEqual([{ done: 1 }, { done: 1 }]);
    await until(async () => (await deadlocksOf(admin)) === 1);
  });

  it('is retried a limited number of times, and after any other error not at all', async () => {
    const { url, admin } = await testDatabase();
    const pool = forQueues(new pg.Pool({ connectionString: url, max: 1 }));
    onTestFinished(() => pool.end());
    await admin.query('create sequence tried');
    await admin.query(`create function refused(code text) returns int language plpgsql as $$ begin
      perform nextval('tried'); raise exception 'refused' using errcode = code; end $$`);
    const triesOf = async (code: string) => {
      await admin.query('alter sequence tried restart');
      await expect(pool.query('select refused($1)', [code])).rejects.toMatchObject({ code });
      return Number((await admin.query('select last_value from tried')).rows[0].last_value);
    };
    expect(await triesOf('40001')).toBe(10);
    expect(await triesOf('23505')).toBe(1);
  });

  it('R2: spends no attempt and fails no job, whichever call of a worker it hits', async () => {
    const test = await startTestQueues('postgres');
    onTestFinished(() => test.close());
    const database = await connect(test.databaseUrl);
    // every statement that writes jobs or counts them: adds, takes, hand-backs, ends, renewals of locks
    await database.query('create sequence bullmq.refusals');
    await database.query(`create function bullmq.refuse() returns trigger language plpgsql as $$ begin
      if random() < 0.1 then
        perform nextval('bullmq.refusals');
        raise exception 'deadlock detected' using errcode = '40P01';
      end if; return null; end $$`);
    for (const table of ['job', 'metrics'])
      await database.query(`create trigger refuse before insert or update on bullmq.${table}
        for each statement execute function bullmq.refuse()`);
    const queue = testQueue({ attempts: 1, concurrency: 10 });
    const handed = new Set<string>();
    test.work(
      handle(queue, async ({ id }) => {
        if (handed.has(id)) return { outcome: 'done' };
        handed.add(id);
        throw new Wait(1, 'the next moment');
      }),
    );
    const ids = Array.from({ length: 50 }, (_, at) => `j${at}`);
    await test.queues.add(
      queue,
      ids.map((id) => ({ id, payload: { v: 1 as const, id } })),
    );
    const ended = await Promise.all(ids.map((id) => test.settled(queue, id)));
    for (const job of ended) expect(job).toMatchObject({ state: 'completed', attemptsMade: 1 });
    expect(test.lines.filter(({ level }) => Number(level) >= 40)).toEqual([]);
    const { rows } = await database.query('select last_value::int as count from bullmq.refusals');
    expect(rows[0].count).toBeGreaterThan(10);
  });
});

describe.each(backends())(
  'two processes that take jobs and hand them back at the same time, on %s',
  (backend) => {
    it(
      `R2: spend no attempt and fail no job of ${JOBS}`,
      async () => {
        const test = await startTestQueues(backend);
        onTestFinished(() => test.close());
        const admin = await connect(test.databaseUrl);
        const queue = testQueue();
        const env = {
          DATABASE_URL: test.databaseUrl,
          ...(test.redisUrl ? { REDIS_URL: test.redisUrl } : {}),
          QUEUE: queue.name,
        };
        const workers = [1, 2].map(() => startProcess('tests/support/handback-worker.ts', { env }));
        await Promise.all(workers.map((one) => one.waitForLine(/^started$/)));
        const ids = Array.from({ length: JOBS }, (_, at) => `j${at}`);
        const raw = test.queues.raw(queue.name);
        for (let at = 0; at < JOBS; at += 500)
          await raw.addBulk(
            ids.slice(at, at + 500).map((id) => ({
              name: queue.name,
              data: { v: 1, id },
              opts: { jobId: id, attempts: 1, removeOnComplete: false, removeOnFail: false },
            })),
          );
        const ended = async () => {
          const { completed = 0, failed = 0 } = await raw.getJobCounts('completed', 'failed');
          return completed + failed === JOBS && { completed, failed };
        };
        expect(await until(ended, { timeoutMs: 50_000 + 150 * JOBS })).toEqual({
          completed: JOBS,
          failed: 0,
        });
        let handBacks = 0;
        for (let at = 0; at < JOBS; at += 100)
          for (const { attemptsMade, attemptsStarted } of await raw.getJobs(['completed'], at, at + 99)) {
            expect(attemptsMade).toBe(1);
            handBacks += attemptsStarted - 1;
          }
        expect(handBacks).toBeGreaterThanOrEqual(2 * JOBS);
        if (process.env.JOBS)
          console.log(`${backend}: ${handBacks} hand-backs, ${await deadlocksOf(admin)} deadlocks`);
        await Promise.all(workers.map((one) => one.kill()));
        for (const one of workers) expect(one.output()).toBe('started\n');
      },
      60_000 + 160 * JOBS,
    );
  },
);
