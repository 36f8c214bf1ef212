import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { createEmptyDatabase, createTestDatabase } from './database.ts';
import { leaked } from './leaks.ts';
import { startProcess } from './process.ts';
import { backends, createTestRedis, ownRedisServer } from './redis.ts';
import { until } from './until.ts';

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return await sql.unsafe(text);
  } finally {
    await sql.end();
  }
}

describe('databases', () => {
  it('are migrated, and each is its own', async () => {
    const [one, other] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    const tables = await query(one.url, `select to_regclass('public.temu_stores') is not null as there`);
    expect(tables).toEqual([{ there: true }]);
    await query(one.url, 'create table only_here ()');
    expect(await query(other.url, `select to_regclass('only_here') as found`)).toEqual([{ found: null }]);
    await Promise.all([one.drop(), other.drop()]);
    await expect(query(one.url, 'select 1')).rejects.toThrow(/does not exist/);
  });

  it('can be empty', async () => {
    const empty = await createEmptyDatabase();
    expect(
      await query(empty.url, `select count(*)::int as n from pg_tables where schemaname = 'public'`),
    ).toEqual([{ n: 0 }]);
    await empty.drop();
  });
});

describe.runIf(backends().includes('redis'))('Redis (where the machine has one)', () => {
  it('gives each file a logical database of its own', async () => {
    const [one, other] = await Promise.all([createTestRedis(), createTestRedis()]);
    expect(one.url).not.toBe(other.url);
    await other.drop();
    const client = new Redis(one.url);
    expect(await client.dbsize()).toBe(1);
    await one.drop();
    expect(await client.dbsize()).toBe(0);
    await client.quit();
  });

  it('can be a server of its own, which is emptied by a kill', async ({ skip }) => {
    const server = await ownRedisServer();
    if (server === undefined)
      return skip('the Redis of this run comes from REDIS_URL, there is no redis-server');
    expect(server.url).not.toBe(inject('redisUrl'));
    const client = new Redis(server.url, { retryStrategy: () => 20 });
    client.on('error', () => undefined);
    await client.set('a', '1');
    await server.kill();
    await server.restart();
    expect(await client.get('a')).toBeNull();
    await client.quit();
    await server.stop();
  });
});

describe('until', () => {
  it('returns what it was waiting for', async () => {
    let looks = 0;
    expect(await until(() => (++looks === 3 ? 'here' : undefined))).toBe('here');
  });

  it('fails with what it saw last', async () => {
    const never = until(() => 0, { timeoutMs: 30, what: 'an order' });
    await expect(never).rejects.toThrow('Waited 30 ms for an order; last seen: 0');
    const throwing = until(() => Promise.reject(new Error('no such table')), { timeoutMs: 30 });
    await expect(throwing).rejects.toThrow('last error: no such table');
  });
});

describe('leaks', () => {
  it('names what was opened and not closed', async () => {
    const before = process.getActiveResourcesInfo();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const timer = setInterval(() => undefined, 1_000);
    expect(leaked(before, process.getActiveResourcesInfo())).toEqual(
      expect.arrayContaining(['TCPServerWrap ×1', 'Timeout ×1']),
    );
    clearInterval(timer);
    await new Promise((resolve) => server.close(resolve));
    // the handle itself goes a turn of the loop later
    await until(() => leaked(before, process.getActiveResourcesInfo()).length === 0);
  });
});

describe('processes', () => {
  const counter = 'tests/support/counter.ts';

  it('are read line by line and ended by a signal', async () => {
    const child = startProcess(counter, { env: { START: '41' } });
    expect((await child.waitForLine(/^counted (\d+)$/))[1]).toBe('42');
    expect(await child.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(child.output()).toContain('told to stop');
  });

  it('fail the wait with their output when they end early', async () => {
    const child = startProcess(counter, { env: { START: 'none' } });
    await expect(child.waitForLine(/^counted/)).rejects.toThrow(/ended \(1\)[\s\S]*START is not a number/);
  });

  it('are gone after the test that started them', async () => {
    let pid = 0;
    await new Promise<void>((resolve) => {
      onTestFinished(() => {
        // hooks of a test run in reverse: the process is reaped before this
        expect(() => process.kill(pid, 0)).toThrow('ESRCH');
      });
      const child = startProcess(counter, { env: { START: '1' } });
      pid = child.pid;
      child.waitForLine(/^counted/).then(() => resolve());
    });
  });
});
