import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { startProcess } from '../support/process.ts';
import { freePort, until } from '../support/until.ts';
import { directory, findProgram, makeCertificates, run, type Server, serve } from './support/programs.ts';
import { command, fleetEnv, startTrial, type Trial } from './support/trial.ts';

const redis = findProgram('redis-server', 'Redis');
const cli = findProgram('redis-cli', 'a Redis cluster');
const valkey = findProgram('valkey-server', 'Valkey');
const openssl = findProgram('openssl', 'TLS');

/** What a Redis that holds queues is set to (docs/deploy.md). */
const DURABLE = ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--save', ''];

async function answers(options: { port: number }): Promise<boolean> {
  const client = new Redis({
    ...options,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}

/** Waits until a replica has what its primary has: a Redis begins to copy after five seconds, and one without cannot follow. */
async function copied({ port }: { port: number }): Promise<void> {
  const client = new Redis({ port });
  await until(async () => /role:master|master_link_status:up/.test(await client.info('replication')), {
    what: 'the replica to be copied',
  });
  client.disconnect();
}

interface Node extends Server {
  port: number;
}

/** On a port of its own of 127.0.0.1, with its files in a directory of its own. */
async function start(program: string, args: readonly string[] = []): Promise<Node> {
  const port = await freePort();
  const dir = path.join(await directory(), 'data');
  await mkdir(dir);
  const server = await serve(
    program,
    [...['--bind', '127.0.0.1', '--port', `${port}`, '--dir', dir], ...DURABLE, ...args],
    () => answers({ port }),
  );
  return { ...server, port };
}

let database: TestDatabase;
let trial: Trial | undefined;
const begin = async (url: string): Promise<Trial> => {
  database = await createEmptyDatabase();
  trial = await startTrial({ DATABASE_URL: database.url, REDIS_URL: url });
  return trial;
};
/** Before its stores are stopped. */
const end = async (): Promise<void> => {
  await trial?.close();
  trial = undefined;
};
afterEach(async () => {
  await end();
  await database?.drop();
});

// timers of some seconds stay behind in BullMQ and ioredis after a failover
afterAll(async () => {
  await until(() => !process.getActiveResourcesInfo().includes('Timeout'), { timeoutMs: 15_000 });
});

describe.skipIf(!redis)('R12: Redis', () => {
  test.skipIf(!openssl)(
    'TLS by a private CA, an ACL user with special characters in the password, a database',
    async () => {
      console.log((await run(redis ?? '', ['--version'])).stdout.trim());
      const { ca, cert, key } = await makeCertificates(await directory());
      const port = await freePort();
      const tls = [
        '--tls-port',
        `${port}`,
        '--tls-cert-file',
        cert,
        '--tls-key-file',
        key,
        '--tls-ca-cert-file',
        ca,
      ];
      const server = await start(redis ?? '', [
        ...tls,
        '--tls-auth-clients',
        'no',
        '--user',
        'fleet',
        'on',
        '>p@s/s#1',
        '~{orderfleet}:*',
        '&*',
        '+@all',
      ]);
      const url = `rediss://fleet:p@s/s#1@localhost:${port}/2?ssl_ca_certs=${ca}`;
      await (await begin(url)).goesThrough('TLS1');
      expect(await trial?.doctor()).toMatch(/Redis: Redis \d/);

      const other = fleetEnv({
        DATABASE_URL: database.url,
        REDIS_URL: `rediss://fleet:p@s/s#1@localhost:${port}`,
      });
      const { code, output } = await command(['doctor'], other);
      expect(code).toBe(1);
      expect(output).toMatch(/Redis: does not answer: .*certificate/);
      await end();
      await server.stop();
    },
  );

  test('a Unix socket', async () => {
    const socket = path.join(await directory(), 'redis.sock');
    const server = await start(redis ?? '', ['--unixsocket', socket]);
    await (await begin(`unix://${socket}?db=1`)).goesThrough('SOCKET1');
    await trial?.doctor();
    await end();
    await server.stop();
  });

  test('Sentinels, through a failover; a Sentinel given as a single Redis is reported', async () => {
    const primary = await start(redis ?? '');
    const replica = await start(redis ?? '', ['--replicaof', '127.0.0.1', `${primary.port}`]);
    const port = await freePort();
    const dir = await directory();
    const file = path.join(dir, 'sentinel.conf');
    await writeFile(
      file,
      [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${dir}`,
        `sentinel monitor mymaster 127.0.0.1 ${primary.port} 1`,
        'sentinel down-after-milliseconds mymaster 1000',
        'sentinel failover-timeout mymaster 5000',
        '',
      ].join('\n'),
    );
    const sentinel = await serve(redis ?? '', [file, '--sentinel'], () => answers({ port }));
    const look = new Redis({ port });
    look.on('error', () => {});
    await until(async () => /,slaves=1/.test(String(await look.info('sentinel'))), {
      what: 'the replica to be known',
    });
    try {
      await (await begin(`redis+sentinel://127.0.0.1:${port}/mymaster`)).goesThrough('BEFORE1');
      await trial?.doctor();

      const wrong = fleetEnv({ DATABASE_URL: database.url, REDIS_URL: `redis://127.0.0.1:${port}` });
      const looked = await command(['doctor'], wrong);
      expect(looked.output).toMatch(/REDIS_URL names a Sentinel.*\n.*redis\+sentinel:\/\//);
      expect(looked.code).toBe(1);
      const worker = startProcess('workers/awb.ts', { env: wrong });
      expect(await worker.exited).toMatchObject({ code: 2 });
      expect(worker.output().trim()).toMatch(/^REDIS_URL names a Sentinel[^\n]*$/);

      await copied(replica);
      await primary.stop();
      await trial?.goesThrough('AFTER1');
      await until(() => trial?.doctor());
    } finally {
      await end();
      look.disconnect();
      await sentinel.stop();
      await replica.stop();
      await primary.stop();
    }
  });

  test.skipIf(!cli)(
    'a cluster of six, through a failover; one node given as a single Redis is reported',
    async () => {
      const args = [
        '--cluster-enabled',
        'yes',
        '--cluster-node-timeout',
        '1500',
        '--cluster-config-file',
        'nodes.conf',
      ];
      const nodes: Node[] = [];
      for (let index = 0; index < 6; index++) nodes.push(await start(redis ?? '', args));
      const places = nodes.map(({ port }) => `127.0.0.1:${port}`);
      await run(cli ?? '', ['--cluster', 'create', ...places, '--cluster-replicas', '1', '--cluster-yes']);
      const [first, second] = nodes as [Node, Node];
      const look = new Redis({ port: first.port });
      look.on('error', () => {}); // it may be the node that is killed
      await until(async () => /cluster_state:ok/.test(String(await look.cluster('INFO'))), {
        what: 'the cluster',
      });
      const slot = Number(await look.cluster('KEYSLOT', '{orderfleet}:doctor'));
      const ranges = await look.cluster('SLOTS');
      const owner = ranges.find(([from, to]) => from <= slot && slot <= to)?.[2]?.[1];
      try {
        await (await begin(`redis://127.0.0.1:${first.port},127.0.0.1:${second.port}`)).goesThrough(
          'BEFORE2',
        );
        await trial?.doctor();

        const stranger = nodes.find(
          ({ port }) => port !== owner && ranges.some(([, , main]) => main?.[1] === port),
        );
        const wrong = fleetEnv({
          DATABASE_URL: database.url,
          REDIS_URL: `redis://127.0.0.1:${stranger?.port}`,
        });
        const looked = await command(['doctor'], wrong);
        expect(looked.output).toMatch(/REDIS_URL names one node of a cluster.*\n.*redis\+cluster:\/\//);
        expect(looked.code).toBe(1);

        await Promise.all(nodes.map(copied));
        await nodes.find(({ port }) => port === owner)?.stop();
        await trial?.goesThrough('AFTER2');
        await until(() => trial?.doctor());
      } finally {
        await end();
        look.disconnect();
        for (const node of nodes) await node.stop();
      }
    },
  );
});

describe.skipIf(!valkey)('R12: Valkey', () => {
  test('as a Redis', async () => {
    const server = await start(valkey ?? '');
    await (await begin(`valkey://127.0.0.1:${server.port}`)).goesThrough('VALKEY1');
    await trial?.doctor();
    await end();
    await server.stop();
  });
});
