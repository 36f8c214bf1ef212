import { Redis } from 'ioredis';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createClient, type OrderfleetClient } from '../../src/client/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startGoodbyes } from '../support/goodbyes.ts';
import { startProcess } from '../support/process.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { type Backend, backends, ownRedisServer } from '../support/redis.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.drop());

const event = (awbNumber: string) => ({ source: 'temu', marketplaceOrderId: 'PO-1', awbNumber });

/** By hand: ORDERFLEET_LONG=60000. */
const FOR_MS = Number(process.env.ORDERFLEET_LONG ?? 6_000);

/** Where the queues live, and what ends all connections to it but its own. */
async function killable(backend: Backend) {
  if (backend === 'redis') {
    const server = await ownRedisServer();
    if (!server) throw new Error('there is no redis-server in PATH');
    const admin = new Redis(server.url);
    onTestFinished(async () => {
      admin.disconnect();
      await server.stop();
    });
    return { address: { redisUrl: server.url }, kill: () => admin.call('CLIENT', 'KILL', 'TYPE', 'normal') };
  }
  const admin = postgres(database.url, { max: 1 });
  onTestFinished(() => admin.end());
  const kill = async () =>
    (
      await admin`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`
    ).length;
  return { address: { databaseUrl: database.url }, kill };
}

test.each(backends())(
  'I3: the shipping app lives while every connection is ended each 10 ms, also those being opened, queues on %s',
  async (backend) => {
    const { address, kill } = await killable(backend);
    let on = true;
    let ended = 0;
    const app = startProcess('tests/support/client-worker.ts', {
      args: [JSON.stringify(address), String(FOR_MS)],
    });
    await app.waitForLine(/^started$/);
    const killing = (async () => {
      while (on) {
        ended += Number(await kill());
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    const [line] = await app.waitForLine(/^\{.*\}$/, { timeoutMs: FOR_MS + 30_000 });
    on = false;
    await killing;
    const seen = JSON.parse(line);
    expect(seen.uncaught).toEqual([]);
    expect(ended).toBeGreaterThan(5); // it was harmed; how often, the machine decides
    expect(seen.added + seen.rejected).toBeGreaterThan(10);
    expect(seen.slowestMs).toBeLessThan(2_600); // two seconds, on a machine that is busy
    expect(await app.exited).toMatchObject({ code: 0 });
  },
);

test('I3: the shipping app lives when a connection ends together with an answer, whichever one', async () => {
  const goodbyes = await startGoodbyes(database.url, [1, 2, 3, 4, 5]);
  onTestFinished(() => goodbyes.close());
  const app = startProcess('tests/support/client-worker.ts', {
    args: [JSON.stringify({ databaseUrl: goodbyes.url }), '3000'],
  });
  const [line] = await app.waitForLine(/^\{.*\}$/);
  const seen = JSON.parse(line);
  expect(goodbyes.ended.size).toBe(5);
  expect(seen.uncaught).toEqual([]);
  expect(seen.added).toBeGreaterThan(0);
  expect(await app.exited).toMatchObject({ code: 0 });
});

describe.each(backends())('R2, A1: a client whose connections fall silent, queues on %s', (backend) => {
  let proxy: TcpProxy;
  let client: OrderfleetClient;
  beforeAll(async () => {
    const redis = backend === 'redis' ? await ownRedisServer() : undefined;
    const url = redis?.url ?? database.url;
    proxy = await startProxy(url);
    client = createClient(redis ? { redisUrl: proxy.through(url) } : { databaseUrl: proxy.through(url) });
    return async () => {
      await client.close();
      await proxy.close();
      await redis?.stop();
    };
  });

  test('enqueues within its two seconds over a new connection', async () => {
    await client.awbCreated(event('BEFORE1'));
    proxy.silence();
    const startedAt = performance.now();
    await client.awbCreated(event('AFTER1'));
    expect(performance.now() - startedAt).toBeLessThan(2_600);
  });
});

test('R2, A1: a Redis that has become a replica is left for the primary at its address, within the same call', async () => {
  if (!backends().includes('redis')) return expect(backends()).toEqual(['postgres']);
  const [old, promoted] = await Promise.all([ownRedisServer(), ownRedisServer()]);
  if (!old || !promoted) throw new Error('there is no redis-server in PATH');
  const proxy = await startProxy(old.url);
  const client = createClient({ redisUrl: proxy.through(old.url) });
  onTestFinished(async () => {
    await client.close();
    await proxy.close();
    await Promise.all([old.stop(), promoted.stop()]);
  });
  await client.awbCreated(event('BEFORE1'));
  proxy.pointTo(promoted.port);
  await old.becomeReplicaOf(promoted);
  await client.awbCreated(event('AFTER1'));
});

test('A1: a client whose first question Redis has refused enqueues once it is answered', async () => {
  if (!backends().includes('redis')) return expect(backends()).toEqual(['postgres']);
  const server = await ownRedisServer();
  if (!server) throw new Error('there is no redis-server in PATH');
  const admin = new Redis(server.url);
  const may = (...rights: string[]) => admin.call('ACL', 'SETUSER', 'shop', ...rights);
  await may('on', '>secret', '~*', '&*', '+@all', '-info');
  const client = createClient({ redisUrl: server.url.replace('//', '//shop:secret@') });
  onTestFinished(async () => {
    await client.close();
    admin.disconnect();
    await server.stop();
  });
  await expect(client.awbCreated(event('BEFORE1'))).rejects.toThrow(/NOPERM/);
  await may('+info');
  await client.awbCreated(event('AFTER1'));
});
