import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { createPostgresBackend, Queue } from 'bullmq';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { type AwbCreated, createClient, type OrderfleetClient } from '../../src/client/index.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { AWB_TIMINGS } from '../../src/temu/awb/claim.ts';
import { awbHandlers } from '../../src/temu/awb/index.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { ROOT } from '../support/process.ts';
import { backends } from '../support/redis.ts';
import { freePort, until } from '../support/until.ts';

const run = promisify(execFile);
const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const named = (awbNumber: string): AwbCreated => ({
  source: 'shopify',
  marketplaceOrderId: 'S-1',
  awbNumber,
});
const where = ({ env }: TestFleet) =>
  env.REDIS_URL ? { redisUrl: env.REDIS_URL } : { databaseUrl: env.DATABASE_URL ?? '' };

describe.each(backends())('A1: orderfleet/client, queues on %s', (backend) => {
  let stack: TestFleet;
  let client: OrderfleetClient;
  let workers: RunningWorkers | undefined;

  beforeAll(async () => {
    stack = await startTestFleet(backend, NOWHERE);
    client = createClient(where(stack));
    await stack.sql`insert into orders (source, marketplace_order_id) values ('shopify', 'S-1')`;
  });
  afterEach(async () => {
    await workers?.stop(1_000);
    workers = undefined;
  });
  afterAll(async () => {
    await client?.close();
    await stack?.close();
  });
  const queue = () => stack.fleet.queues.raw('awb-created');
  const work = () => {
    workers = runWorkers(awbHandlers({ ...stack.fleet }, AWB_TIMINGS), stack.fleet);
  };
  const recorded = async () => {
    const rows = await stack.sql<{ awb: string }[]>`select awb_number as awb from shipments`;
    return rows.map(({ awb }) => awb);
  };

  test('A1: an event is a job; the same event twice is the same job', async () => {
    const id = await client.awbCreated(named('ONE1'));
    expect(await client.awbCreated({ ...named(' one1 ') })).toBe(id);
    expect(await client.awbCreated(named('TWO2'))).not.toBe(id);
    const jobs = await queue().getJobs(['waiting']);
    expect(jobs.map((job) => job.id).filter((one) => one === id)).toHaveLength(1);
    const job = jobs.find((one) => one.id === id);
    expect(job).toMatchObject({
      name: 'awb-created',
      data: { v: 1, ...named('ONE1'), carrier: 'fancourier' },
    });
    expect(job?.opts.attempts).toBe(5);
  });

  test.each<[string, object, string]>([
    ['no number', { awbNumber: undefined }, 'awbNumber'],
    ['a number with a NUL', { awbNumber: 'A1\u0000' }, 'awbNumber'],
    ['a number with half a character', { awbNumber: 'A1\ud800' }, 'awbNumber'],
    ['a placeholder', { awbNumber: 'undefined' }, 'awbNumber'],
    ['an order’s number that was rounded', { marketplaceOrderId: '4.50123E+12' }, 'marketplaceOrderId'],
    ['an LR number that is none', { lrNumber: 'N/A' }, 'lrNumber'],
    ['no order', { marketplaceOrderId: undefined }, 'orderId'],
    ['a quantity as text', { items: [{ orderItemId: 'x', quantity: '1' }] }, 'items[0].quantity'],
  ])('A1: an event with %s is refused with the field’s name', async (_, change, field) => {
    const before = await queue().getJobCounts();
    const bad = { ...named('BAD1'), ...change } as unknown as AwbCreated;
    await expect(client.awbCreated(bad)).rejects.toThrow(`→ at ${field}`);
    expect(await queue().getJobCounts()).toEqual(before);
  });

  test('A1: a refusal says what, why and what to do; a spreadsheet’s text marks are stripped', async () => {
    const refused = (awbNumber: string) =>
      client.awbCreated(named(awbNumber)).catch((error: Error) => error.message);
    expect(await refused('1.23457E+12')).toContain(
      'awbNumber "1.23457E+12" was rounded by a spreadsheet: format the column as text and export again',
    );
    expect(await refused('[object Object]')).toContain(
      'awbNumber "[object Object]" is a placeholder, not a number',
    );
    // T18: what else stands there may be a person's
    expect(await refused('Ana Popescu 12')).toContain('awbNumber has invalid characters');
    expect(await refused('Ana Popescu 12')).not.toContain('Ana');
    expect(await client.awbCreated(named("'2071234567890"))).toBe(
      await client.awbCreated(named('2071234567890')),
    );
  });

  test('A1, R3: a plain BullMQ producer works; its malformed event fails with the field’s name and disturbs no other', async () => {
    const plain = plainProducer(stack);
    try {
      await plain.add('awb-created', { ...named('PLAIN1') });
      const bad = await plain.add('awb-created', { ...named('PLAIN2'), awbNumber: 17 });
      const worse = await plain.add('awb-created', 'no event at all');
      const none = await plain.add('awb-created', { ...named('NaN') });
      await plain.add('awb-created', { ...named('PLAIN3'), unheardOf: true });
      work();
      await until(async () => {
        const all = await recorded();
        return ['PLAIN1', 'PLAIN3', 'ONE1', 'TWO2', '2071234567890'].every((awb) => all.includes(awb));
      });
      const reason = async (id?: string) => (await queue().getJob(id ?? ''))?.failedReason ?? '';
      await until(async () => (await queue().getFailedCount()) === 3);
      expect(await reason(bad.id)).toMatch(/^payload refused: .*at awbNumber/);
      expect(await reason(worse.id)).toMatch(/^payload refused: .*expected object/);
      expect(await reason(none.id)).toMatch(/^payload refused: .*awbNumber "NaN" is a placeholder/);
      expect(await recorded()).toHaveLength(5);
    } finally {
      await plain.close();
    }
  });
});

/** As a program would that knows BullMQ and nothing of ours. */
function plainProducer({ env }: TestFleet): Queue {
  if (env.REDIS_URL)
    return new Queue('awb-created', { connection: { url: env.REDIS_URL }, prefix: '{orderfleet}' });
  const OnPostgres = Queue as unknown as new (...args: unknown[]) => Queue;
  const connection = { connectionString: env.DATABASE_URL, schema: 'bullmq' };
  return new OnPostgres('awb-created', { connection }, createPostgresBackend);
}

test('A1: a client without an address is refused at once', () => {
  expect(() => createClient({})).toThrow(/redisUrl, or databaseUrl/);
});

describe('A1: as an unrelated program', () => {
  let home: string;
  let stacks: TestFleet[] = [];

  /** What `npm pack` makes of a build's client, unpacked into a project that has bullmq, zod and nothing else. */
  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'orderfleet-pack-'));
    const built = path.join(home, 'built');
    await mkdir(built);
    const client = 'dist/src/client';
    await cp(path.join(inject('built'), 'src/client'), path.join(built, client), { recursive: true });
    // without looking at the types: `npm run check` does that
    const args = ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', path.join(built, 'dist')];
    await run(path.join(ROOT, 'node_modules/.bin/tsc'), args, { cwd: ROOT });
    for (const name of ['package.json', 'README.md', 'drizzle'])
      await cp(path.join(ROOT, name), path.join(built, name), { recursive: true });
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--offline'], { cwd: built });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const modules = path.join(home, 'app/node_modules');
    await mkdir(path.join(modules, 'orderfleet'), { recursive: true });
    await run('tar', [
      '-xzf',
      path.join(built, filename),
      '-C',
      path.join(modules, 'orderfleet'),
      '--strip-components=1',
    ]);
    for (const name of ['bullmq', 'zod'])
      await symlink(path.join(ROOT, 'node_modules', name), path.join(modules, name), 'dir');
    await writeFile(path.join(home, 'app/package.json'), '{"name":"shipping-app","type":"module"}');
    stacks = await Promise.all(backends().map((backend) => startTestFleet(backend, NOWHERE)));
  });
  afterAll(async () => {
    await Promise.all(stacks.map((stack) => stack.close()));
    await rm(home, { recursive: true, force: true });
  });

  /** Runs a program to its own end: a connection that is left open would keep it. */
  async function program(name: string, text: string) {
    await writeFile(path.join(home, 'app', name), text);
    const startedAt = performance.now();
    const child = await run(process.execPath, ['--unhandled-rejections=strict', name], {
      cwd: path.join(home, 'app'),
      timeout: 15_000,
      env: { PATH: process.env.PATH },
    });
    return { ...child, ms: performance.now() - startedAt };
  }

  test('A1: the packed client imports bullmq and zod alone', async () => {
    const found = new Set<string>();
    const visit = async (file: string): Promise<void> => {
      const text = await readFile(file, 'utf8');
      for (const [, name = ''] of text.matchAll(
        /^(?:import .*|\} from )["']([^"']+)["'];$|\bimport\(|\brequire\(/gm,
      )) {
        if (name.startsWith('.')) await visit(path.resolve(path.dirname(file), name));
        else found.add(name);
      }
    };
    await visit(path.join(home, 'app/node_modules/orderfleet/dist/src/client/index.js'));
    // what comes with Node is nobody's dependency; the driver is found as BullMQ finds it
    expect([...found].filter((name) => !name.startsWith('node:')).sort()).toEqual(['bullmq', 'zod']);
  });

  test('A1: a small program enqueues an event and ends, on each backend', async () => {
    const { stdout, stderr } = await program(
      'send.js',
      `import { createClient } from 'orderfleet/client';
       for (const where of ${JSON.stringify(stacks.map(where))}) {
         const client = createClient(where);
         console.log(await client.awbCreated({ source: 'temu', marketplaceOrderId: 'PO-1', awbNumber: 'PACKED1' }));
         await client.close();
       }`,
    );
    expect(stderr).toBe('');
    const ids = stdout.trim().split('\n');
    expect(ids).toHaveLength(stacks.length);
    for (const [index, stack] of stacks.entries()) {
      const job = await stack.fleet.queues.raw('awb-created').getJob(ids[index] ?? '');
      expect(job?.data).toMatchObject({ awbNumber: 'PACKED1' });
    }
  });

  test('A1: its types are there under nodenext, and refuse a wrong event', async () => {
    const app = path.join(home, 'app');
    const head = `import { createClient, type AwbCreated } from 'orderfleet/client';
      const client = createClient({ redisUrl: 'redis://localhost' });\n`;
    await writeFile(
      path.join(app, 'right.ts'),
      `${head} const event: AwbCreated = { source: 'temu', marketplaceOrderId: 'PO-1', awbNumber: 'A1', items: [{ orderItemId: 'x', quantity: 1 }] };
       export const id: string = await client.awbCreated(event); await client.close();`,
    );
    await writeFile(
      path.join(app, 'wrong.ts'),
      `${head} await client.awbCreated({ source: 'temu', awbNumber: 17 });`,
    );
    const flags = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2023', '--types', ''];
    const resolution = ['--module', 'nodenext', '--moduleResolution', 'nodenext'];
    const tsc = path.join(ROOT, 'node_modules/.bin/tsc');
    const refused = await run(tsc, [...flags, ...resolution, 'right.ts', 'wrong.ts'], { cwd: app }).catch(
      (error: { stdout: string }) => error,
    );
    const errors = refused.stdout.split('\n').filter((line) => line.includes('error TS'));
    expect(errors.join('\n')).toMatch(/wrong\.ts.*awbNumber|Type 'number'/);
    expect(errors.filter((line) => !line.startsWith('wrong.ts'))).toEqual([]);
  });

  test('A1: with the queue away it has its error within 2 s, no unhandled rejection, and can end', async () => {
    const sockets = new Set<Socket>();
    const hole = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
    await new Promise<void>((done) => hole.listen(0, '127.0.0.1', done));
    try {
      const ports = [await freePort(), (hole.address() as AddressInfo).port];
      const addresses = ports.flatMap((at) => [
        { redisUrl: `redis://127.0.0.1:${at}` },
        { databaseUrl: `postgres://nobody@127.0.0.1:${at}/none` },
      ]);
      const { stdout, stderr } = await program(
        'away.js',
        `import { createClient } from 'orderfleet/client';
         await Promise.all(${JSON.stringify(addresses)}.map(async (address) => {
           const client = createClient(address);
           for (const turn of [1, 2]) {
             const startedAt = performance.now();
             const error = await client.awbCreated({ source: 'temu', marketplaceOrderId: 'PO-1', awbNumber: 'LOST1' }).then(() => 'no error', (e) => e.message);
             console.log(JSON.stringify({ address, error, ms: performance.now() - startedAt }));
           }
           const closing = performance.now();
           await client.close();
           console.log(JSON.stringify({ address, error: 'was not enqueued', ms: performance.now() - closing }));
         }));`,
      );
      expect(stderr).toBe('');
      const told = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { address: object; error: string; ms: number });
      for (const { error } of told) expect(error).toMatch(/was not enqueued/);
      for (const address of addresses) {
        const took = told.filter((one) => isDeepStrictEqual(one.address, address)).map(({ ms }) => ms);
        expect(took).toHaveLength(3); // two events and the end
        // a machine that is busy at one moment adds to what the rule allows, but not the drivers' own ten or thirty
        expect(Math.min(...took.slice(0, 2)), JSON.stringify(address)).toBeLessThan(2_600);
        expect(Math.max(...took), JSON.stringify(address)).toBeLessThan(6_000);
      }
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => hole.close(done));
    }
  });
});
