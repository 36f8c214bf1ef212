import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { sql as raw } from 'drizzle-orm';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { orders } from '../../src/db/schema/index.ts';
import { FailureError, messageOf, UserError } from '../../src/lib/errors.ts';
import { isInfrastructureFault } from '../../src/lib/infrastructure.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { backends, ownRedisServer } from '../support/redis.ts';
import { thrownBy } from '../support/thrown-by.ts';
import { freePort, until } from '../support/until.ts';

describe('R2: faults of the infrastructure, told from real errors', () => {
  let database: TestDatabase;
  let db: Db;
  let admin: Db;
  beforeAll(async () => {
    database = await createTestDatabase();
    db = createDb(database.url, { max: 1, name: 'test' });
    admin = createDb(database.url, { max: 1, name: 'admin' });
  });
  afterAll(async () => {
    await closeDb(db);
    await closeDb(admin);
    await database.drop();
  });
  /** Ends the other connections to the database, once one of them sleeps. */
  const killSleeper = () =>
    until(async () => {
      const killed = await admin.$client`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state = 'active' and query like '%pg_sleep%'`;
      return killed.length > 0;
    });

  it.each<[string, (victim: Db) => Promise<unknown>]>([
    ['bare', async (victim) => await victim.$client`select pg_sleep(20)`],
    ['through Drizzle', (victim) => victim.execute(raw`select pg_sleep(20), ${'x'}::text`)],
    ['in a transaction', (victim) => victim.$client.begin((tx) => tx`select pg_sleep(20)`)],
    ['in one of Drizzle', (victim) => victim.transaction((tx) => tx.execute(raw`select pg_sleep(20)`))],
  ])('R2: a backend that is terminated under a query (postgres.js, %s)', async (_, work) => {
    const victim = createDb(database.url, { max: 1, name: 'victim' });
    onTestFinished(() => victim.$client.end({ timeout: 0 }));
    const ended = thrownBy(() => work(victim));
    await killSleeper();
    expect(isInfrastructureFault(await ended)).toBe(true);
  });

  it('R2: a backend that is terminated under a query (pg, as the queues use it)', async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    pool.on('error', () => {});
    onTestFinished(() => pool.end());
    const ended = thrownBy(() => pool.query('select pg_sleep(20)'));
    await killSleeper();
    expect(isInfrastructureFault(await ended)).toBe(true);
  });

  it('R2: a Postgres that is not there: refused', async () => {
    const nowhere = `postgres://user@127.0.0.1:${await freePort()}/none`;
    const away = createDb(nowhere);
    onTestFinished(() => closeDb(away));
    expect(isInfrastructureFault(await thrownBy(() => away.$client`select 1`))).toBe(true);
    const pool = new pg.Pool({ connectionString: nowhere });
    onTestFinished(() => pool.end());
    expect(isInfrastructureFault(await thrownBy(() => pool.query('select 1')))).toBe(true);
  });

  it('R2: both addresses of a name refused, in one AggregateError', async () => {
    const port = await freePort();
    const error = await thrownBy(() => fetch(`http://localhost:${port}`));
    expect(isInfrastructureFault(error)).toBe(true);
    expect(
      isInfrastructureFault(
        new AggregateError([new Error('x'), Object.assign(new Error('y'), { code: 'ECONNRESET' })]),
      ),
    ).toBe(true);
  });

  it('R2: a Redis that is not there, and one that hangs', async () => {
    const away = new Redis({
      port: await freePort(),
      maxRetriesPerRequest: 1,
      retryStrategy: () => 1,
      disconnectTimeout: 100,
    });
    away.on('error', () => {});
    onTestFinished(() => away.disconnect());
    expect(isInfrastructureFault(await thrownBy(() => away.ping()))).toBe(true);

    const sockets = new Set<Socket>();
    const silent = createServer((socket) => {
      sockets.add(socket.resume());
    });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    const hanging = new Redis({
      port,
      commandTimeout: 50,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      disconnectTimeout: 100,
    });
    hanging.on('error', () => {});
    const error = await thrownBy(() => hanging.get('x'));
    hanging.disconnect();
    expect(isInfrastructureFault(error)).toBe(true);
    expect(isInfrastructureFault(await thrownBy(() => hanging.get('x')))).toBe(true); // closed
  });

  it.each<[string, string, (sql: Db['$client']) => Promise<unknown>]>([
    [
      'a read-only server',
      '25006',
      async (sql) => {
        await sql`set default_transaction_read_only = on`;
        await sql`insert into order_statuses (code, name, trackable) values (999, 'x', false)`;
      },
    ],
    [
      'a role that lost its rights',
      '42501',
      async (sql) => {
        await sql`set role pg_monitor`;
        await sql`delete from orders`;
      },
    ],
    [
      'a statement that took too long',
      '57014',
      async (sql) => {
        await sql`set statement_timeout = 20`;
        await sql`select pg_sleep(5)`;
      },
    ],
    [
      'a lock that is not to be had',
      '55P03',
      async (sql) => {
        const other = createDb(database.url, { max: 1 });
        onTestFinished(() => closeDb(other));
        await other.$client`begin`;
        await other.$client`lock table order_statuses`;
        await sql`set lock_timeout = 20`;
        await sql`select 1 from order_statuses`;
      },
    ],
  ])('R10: Postgres, %s (%s)', async (_, code, work) => {
    const victim = createDb(database.url, { max: 1 });
    onTestFinished(() => closeDb(victim));
    const error = await thrownBy(() => work(victim.$client));
    expect(error).toMatchObject({ code });
    expect(isInfrastructureFault(error)).toBe(true);
  });

  it.each<[string, (url: URL) => void, string[]]>([
    [
      'a database that is gone',
      (url) => {
        url.pathname = '/none';
      },
      ['3D000'],
    ],
    [
      'a role that is gone',
      (url) => {
        url.username = 'nobody';
      },
      ['28000', '28P01'],
    ],
  ])('R10: Postgres, %s', async (_, change, codes) => {
    const url = new URL(database.url);
    change(url);
    const away = createDb(url.href, { max: 1 });
    onTestFinished(() => closeDb(away));
    const pool = new pg.Pool({ connectionString: url.href });
    onTestFinished(() => pool.end());
    for (const ask of [() => away.$client`select 1`, () => pool.query('select 1')]) {
      const error = await thrownBy(async () => await ask());
      expect(codes).toContain((error as { code: string }).code);
      expect(isInfrastructureFault(error)).toBe(true);
    }
  });

  it.runIf(backends().includes('redis'))(
    'R10: a Redis that answers and refuses, in its own words',
    async ({ skip }) => {
      const server = await ownRedisServer();
      if (!server) return skip('the Redis of this run is somebody else’s, not to be made to refuse');
      onTestFinished(() => server.stop());
      const redis = new Redis(server.url);
      onTestFinished(() => redis.disconnect());
      const seen: string[] = [];
      const refused = async (word: string, ask: () => Promise<unknown>) => {
        const error = await thrownBy(ask);
        expect(String(error)).toContain(word);
        expect(isInfrastructureFault(error), String(error)).toBe(true);
        seen.push(word);
      };
      const script = () => redis.eval("return redis.call('set', KEYS[1], 'x')", 1, 'key');
      const write = () => redis.set('key', 'x');

      await redis.config('SET', 'maxmemory', '1');
      await refused('OOM', write);
      await refused('OOM', script);
      await redis.config('SET', 'maxmemory', '0');
      await redis.config('SET', 'min-replicas-to-write', '1');
      await refused('NOREPLICAS', write);
      await refused('NOREPLICAS', script);
      await redis.config('SET', 'min-replicas-to-write', '0');
      await redis.acl('SETUSER', 'small', 'on', '>secret', '+@all', '-@dangerous', '-set', '~*');
      const small = new Redis(server.url, { username: 'small', password: 'secret', enableReadyCheck: false });
      onTestFinished(() => small.disconnect());
      await refused('NOPERM', () => small.info());
      await refused('NOPERM', () => small.set('key', 'x'));
      const wrong = new Redis(server.url, { lazyConnect: true, enableReadyCheck: false });
      onTestFinished(() => wrong.disconnect());
      await refused('WRONGPASS', () => wrong.call('AUTH', 'small', 'guess'));
      await redis.replicaof('127.0.0.1', '1');
      await refused('READONLY', write);
      await refused('READONLY', script);
      expect(seen).toHaveLength(9);
      await redis.replicaof('NO', 'ONE');

      // R3: and what is wrong with what we sent is ours
      await redis.lpush('list', 'x');
      for (const ours of [
        () => redis.get('list'),
        () => redis.call('SET', 'a'),
        () => redis.eval('return nonsense(', 0),
        () => redis.eval("return redis.call('get', KEYS[1])", 1, 'list'),
      ])
        expect(isInfrastructureFault(await thrownBy(ours))).toBe(false);
    },
  );

  it.each([
    ...[
      '25006',
      '25P03',
      '28000',
      '28P01',
      '3D000',
      '40001',
      '40P01',
      '42501',
      '53100',
      '53200',
      '53300',
      '55P03',
    ],
    ...['57014', '57P01', '57P03', '58030', '08006', 'XX000', 'F0000', '26000'],
    ...['CERT_HAS_EXPIRED', 'SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_SSL_WRONG_VERSION_NUMBER'],
    ...['EMFILE', 'ENFILE', 'ENOSPC', 'EIO', 'EPROTO', 'EAI_AGAIN', 'ENOTFOUND', 'ETIMEDOUT'],
    ...['CONNECT_TIMEOUT', 'CONNECTION_DESTROYED', 'CONNECTION_ENDED'],
  ])('R10: code %s', (code) => {
    expect(isInfrastructureFault(Object.assign(new Error('x'), { code }))).toBe(true);
  });

  it.each([
    '23505',
    '23503',
    '22P02',
    '22001',
    '42601',
    '42804',
    '21000',
    'P0001',
    'BM001',
    'ERR_INVALID_ARG_TYPE',
    'EINVAL',
  ])('R3: code %s is ours', (code) => {
    expect(isInfrastructureFault(Object.assign(new Error('x'), { code }))).toBe(false);
  });

  it.each([
    'LOADING Redis is loading the dataset in memory',
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    'MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.',
    'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
    'CLUSTERDOWN The cluster is down',
    'NOAUTH Authentication required.',
    "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.",
    'ERR max number of clients reached',
    "ERR unknown command 'evalsha', with args beginning with: ", // a Sentinel's port
  ])('R10: Redis: %s', (message) => {
    expect(isInfrastructureFault(Object.assign(new Error(message), { name: 'ReplyError' }))).toBe(true);
  });

  it('R3: what is wrong with the data or the code is none: it must spend attempts and be seen', async () => {
    for (const work of [
      () => db.$client`select 1 / 0`,
      () => db.$client`select 'x'::int`,
      () => db.$client`select * from no_such_table`,
      () => db.$client`insert into orders (source) values ('temu')`,
      () =>
        db.insert(orders).values({ source: 'temu', marketplaceOrderId: 'x', storeId: crypto.randomUUID() }),
    ])
      expect(isInfrastructureFault(await thrownBy(async () => await work()))).toBe(false);
    for (const error of [
      new TypeError('x is not a function'),
      new Error('error while downloading the label'),
      new Error('the readonly flag'),
      new Error('Command timed out of turn'),
      new UserError('x'),
      new FailureError({ kind: 'transient', message: 'x' }),
      'ECONNREFUSED',
      undefined,
      null,
    ])
      expect(isInfrastructureFault(error), String(error)).toBe(false);
  });

  it('R2: a cause counts, and a circle of causes ends', () => {
    const reset = Object.assign(new Error('read'), { code: 'ECONNRESET' });
    expect(isInfrastructureFault(new Error('outer', { cause: new Error('middle', { cause: reset }) }))).toBe(
      true,
    );
    const circle = new Error('round');
    circle.cause = circle;
    expect(isInfrastructureFault(circle)).toBe(false);
    expect(messageOf(circle)).toBe('round');
  });
});
