import { describe, expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../src/lib/log.ts';
import { handle } from '../../src/queue/handle.ts';
import { createQueues, type Queues } from '../../src/queue/queues.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { createTestDatabase } from '../support/database.ts';
import { startTestFleet } from '../support/fleet.ts';
import { startGoodbyes } from '../support/goodbyes.ts';
import { startProcess } from '../support/process.ts';
import { NOBODY, startProxy } from '../support/proxy.ts';
import { backends, ownRedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { job, testQueue } from './support.ts';

// longer than BullMQ's blocking command, which takes five seconds: its own watch on that cannot be shortened
const WATCH = { answerMs: 500, blockedMs: 6_500, silenceMs: 500, heartbeatMs: 150, readOnlyMs: 200 };
const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const log = createLog({ level: 'silent', name: 'test' });

/** A worker on these queues that remembers whom it worked. */
function work(queues: Queues) {
  const queue = testQueue({ concurrency: 1 });
  const worked: { id: string }[] = [];
  const running = runWorkers(
    [
      handle(queue, async ({ id }) => {
        worked.push({ id });
        return { outcome: 'done' };
      }),
    ],
    { queues, log },
  );
  onTestFinished(() => running.stop(0));
  const add = (id: string) => queues.add(queue, [job(id)]);
  const does = async (id: string) => {
    // a producer is told at once that the store is away, and adds again: the same id is the same job
    await until(() => add(id).then(() => true), { timeoutMs: 10_000 });
    await until(() => worked.some((one) => one.id === id), { timeoutMs: 40_000, what: id });
    // what is cut off when it says that it is done is done again
    await until(async () => (await queues.counts(queue)).active === 0, { timeoutMs: 15_000 });
  };
  return { worked, does };
}

async function open(backend: 'postgres' | 'redis') {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const redis = backend === 'redis' ? await ownRedisServer() : undefined;
  if (redis) onTestFinished(() => redis.stop());
  const proxy = await startProxy(redis?.url ?? database.url);
  onTestFinished(() => proxy.close());
  const url = proxy.through(redis?.url ?? database.url);
  const queues = () => {
    const made = createQueues({
      ...(redis ? { redisUrl: url, databaseUrl: database.url } : { databaseUrl: url }),
      ...{ log, watch: WATCH },
    });
    onTestFinished(() => made.close());
    return made;
  };
  return { proxy, redis, queues, port: Number(new URL(redis?.url ?? database.url).port) };
}

describe.each(backends())('R2: queues on %s', (backend) => {
  // first: timers of five seconds stay behind in BullMQ and ioredis
  test('that are opened while the store is away work once it is there', async () => {
    const { proxy, queues, port } = await open(backend);
    proxy.pointTo(NOBODY);
    const ours = queues();
    const { worked, does } = work(ours);
    await expect(ours.backend.verify()).rejects.toThrow();
    proxy.pointTo(port);
    await does('late');
    expect(worked).toHaveLength(1);
  });

  test('recover when all their connections have gone silent; each job is done once, and the probe fails meanwhile', async () => {
    const { proxy, queues } = await open(backend);
    const ours = queues();
    const { worked, does } = work(ours);
    await does('before');
    proxy.silence({ later: true });
    await expect(ours.backend.verify()).rejects.toThrow();
    proxy.heal();
    await does('after');
    await until(() => ours.backend.verify().then(() => true));
    expect(worked.map(({ id }) => id)).toEqual(['before', 'after']);
  });
});

test('R2: a Redis that was made a replica is left for the primary at its address, by producers and workers', async () => {
  if (!backends().includes('redis')) return expect(backends()).toEqual(['postgres']);
  const { proxy, redis, queues } = await open('redis');
  const promoted = await ownRedisServer();
  if (!redis || !promoted) throw new Error('there is no redis-server in PATH');
  onTestFinished(() => promoted.stop());
  const ours = queues();
  const { worked, does } = work(ours);
  await does('before');
  await redis.becomeReplicaOf(promoted);
  // nothing is at the address yet but the replica
  await expect(ours.backend.verify()).rejects.toThrow();
  proxy.pointTo(promoted.port);
  await does('after');
  await ours.backend.verify();
  expect(worked.map(({ id }) => id)).toEqual(['before', 'after']);
});

test('R10: a worker’s process lives when its connections end together with an answer, whichever one', async () => {
  const { env, close } = await startTestFleet('postgres', NOWHERE);
  onTestFinished(close);
  const goodbyes = await startGoodbyes(env.DATABASE_URL ?? '', [1, 2, 3, 4, 5]);
  onTestFinished(() => goodbyes.close());
  const worker = startProcess('workers/awb.ts', { env: { ...env, DATABASE_URL: goodbyes.url } });
  const [, port] = await worker.waitForLine(/"port":(\d+).*"msg":"health and metrics"/);
  const ready = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    await answer.arrayBuffer();
    return answer.status === 200;
  };
  await until(
    async () => {
      await ready(); // asks both drivers something
      return goodbyes.ended.size === 5;
    },
    { timeoutMs: 20_000 },
  );
  goodbyes.heal();
  await until(ready, { timeoutMs: 20_000 });
  expect(await worker.kill()).toMatchObject({ code: 0 });
});
