import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { expect, inject, onTestFinished, test } from 'vitest';
import { parseDatabaseUrl } from '../../src/addresses/database.ts';
import { closeDb, createDb } from '../../src/db/client.ts';
import { openClient, queuePoolConfig } from '../../src/db/pool.ts';
import { poolingOf } from '../../src/db/pooler.ts';
import { Wire } from '../../src/db/wire.ts';
import { freePort } from '../support/until.ts';

/** A server that does what it is told with each connection; its port. */
async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

/** What a wire to this address ends with. */
async function endOf(url: string): Promise<string> {
  const wire = new Wire(parseDatabaseUrl(url)).connect();
  const [error] = await once(wire, 'error');
  return (error as Error).message;
}

const right = () => new URL(inject('serverUrl'));

test('R12: both drivers skip a host that does not answer', async () => {
  const { host, username, password, pathname } = right();
  const url = `postgres://${username}:${password}@127.0.0.1:${await freePort()},${host}${pathname}`;
  const db = createDb(url, { max: 2 });
  const client = openClient(parseDatabaseUrl(url), 'test');
  try {
    expect(await db.$client`select 1 as one`).toEqual([{ one: 1 }]);
    await client.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  } finally {
    await client.end();
    await closeDb(db);
  }
});

test('R12: when no host answers, the error names the last one, and nothing waits for ever', async () => {
  const [one, other] = [await freePort(), await freePort()];
  const db = createDb(`postgres://u:planted@127.0.0.1:${one},127.0.0.1:${other}/d`, { max: 2 });
  try {
    const error = await db.$client`select 1`.catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect((error as unknown as Error).message).toBe(
      `Postgres at 127.0.0.1:${other}: connect ECONNREFUSED 127.0.0.1:${other}`,
    );
  } finally {
    await closeDb(db);
  }
});

test('R12: sslmode=require refuses a server without TLS; prefer goes on without', async () => {
  const { host, username, password, pathname } = right();
  const url = `postgres://${username}:${password}@${host}${pathname}`;
  expect(await endOf(`${url}?sslmode=require`)).toBe(
    `Postgres at ${host}: it has no TLS, but sslmode requires it`,
  );
  const wire = new Wire(parseDatabaseUrl(url)).connect();
  await once(wire, 'connect');
  wire.destroy();
  await once(wire, 'close');
});

test.each([
  [
    'more than the one byte that was asked for (CVE-2021-23222)',
    'Sx',
    'it does not speak the Postgres protocol',
  ],
  ['something else', 'HTTP/1.1 400 Bad Request', 'it does not speak the Postgres protocol'],
])('R12: an answer that is %s ends the connection', async (_what, answer, why) => {
  const port = await listen((socket) => void socket.once('data', () => socket.write(answer)));
  expect(await endOf(`postgres://u@127.0.0.1:${port}/d?sslmode=require`)).toBe(
    `Postgres at 127.0.0.1:${port}: ${why}`,
  );
});

test('R2: a host that accepts and says nothing is given up after connect_timeout', async () => {
  const port = await listen(() => {});
  expect(await endOf(`postgres://u@127.0.0.1:${port}/d?sslmode=require&connect_timeout=1`)).toBe(
    `Postgres at 127.0.0.1:${port}: no answer within 2 s`,
  );
});

test('R12: no startup parameter that poolers refuse is sent, and the startup message is as long as postgres.js needs it', async () => {
  const messages: Buffer[] = [];
  const port = await listen((socket) => {
    socket.once('data', (bytes) => {
      messages.push(bytes);
      socket.destroy();
    });
  });
  const url = `postgres://u@127.0.0.1:${port}/d?sslmode=disable`;
  const db = createDb(url, { max: 1 });
  const client = openClient(parseDatabaseUrl(url), 'test');
  // R10: it is said, and not tried for ever
  await expect(db.$client`select 1`).rejects.toMatchObject({ code: 'ECONNRESET' });
  await client.connect().catch(() => {});
  await closeDb(db);
  await client.end();
  const names = messages.map((bytes) =>
    bytes
      .subarray(8)
      .toString()
      .split('\0')
      .filter((_, index) => index % 2 === 0),
  );
  // PgBouncer takes these
  const TAKEN = ['user', 'database', 'application_name', 'client_encoding', 'DateStyle', ''];
  expect(names).toHaveLength(2);
  for (const name of names.flat()) expect(TAKEN).toContain(name);
  expect(messages[0]?.length).toBeGreaterThan(1024);
  expect(queuePoolConfig(url, 'queues').options).toBeUndefined();
});

test('R12: Postgres itself is not taken for a pooler', async () => {
  expect(await poolingOf(right().href)).toBe('none');
});

test('P2: both drivers send a statement in one piece: none waits for the acknowledgement of its first half', async () => {
  const db = createDb(right().href, { max: 1 });
  const client = openClient(parseDatabaseUrl(right().href), 'test');
  const ways = {
    pg: (value: number) => client.query('select $1::int', [value]),
    'postgres.js': (value: number) => db.$client`select ${value}::int`,
  };
  try {
    await client.connect();
    for (const [name, ask] of Object.entries(ways)) {
      await ask(0);
      const startedAt = performance.now();
      for (let times = 0; times < 50; times++) await ask(times);
      // a delayed acknowledgement is 40 ms, fifty of them two seconds
      expect(performance.now() - startedAt, name).toBeLessThan(1_000);
    }
  } finally {
    await client.end();
    await closeDb(db);
  }
});
