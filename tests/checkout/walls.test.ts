import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/process.ts';
import { breaches } from '../support/walls.ts';

describe('the walls between modules', () => {
  it('stand in this checkout', async () => {
    const files = await sourceFiles(['src', 'workers', 'sandbox']);
    // an empty checkout has no breaches either
    expect(files.size).toBeGreaterThan(5);
    expect(breaches(files)).toEqual([]);
  });

  it.each<[string, Record<string, string>]>([
    [
      'imports that go down',
      { 'workers/temu.ts': `import '../src/temu/a.ts'`, 'src/temu/a.ts': `import '../db/b.ts'` },
    ],
    [
      'imports within a module',
      { 'src/temu/orders/a.ts': `import '../client.ts'`, 'src/temu/client.ts': '' },
    ],
    ['what the web shows', { 'src/web/app.ts': `import { stores } from '../temu/stores.ts'` }],
    [
      'the command line, which sees everything',
      { 'src/cli/up.ts': `import '../web/app.ts'; import '../temu/a.ts'` },
    ],
    [
      'bullmq in the queue module',
      { 'src/queue/run.ts': `import { Worker } from 'bullmq'; import 'ioredis'` },
    ],
    [
      'bullmq and zod in the client',
      {
        'src/client/index.ts': `import 'node:crypto'; import { Queue } from 'bullmq'; import { z } from 'zod'`,
      },
    ],
    ['numbers beside the client', { 'src/client/index.ts': `import { isNone } from '../lib/numbers.ts'` }],
    [
      'how connections are opened in the client',
      {
        'src/client/index.ts': `import '../queue/redis-open.ts'`,
        'src/queue/redis-open.ts': `import '../addresses/redis.ts'`,
      },
    ],
    [
      'the environment in config',
      { 'src/config/index.ts': 'export const read = (env = process.env) => env' },
    ],
    [
      'the environment handed to config by the command line',
      { 'src/cli/up.ts': `import { read } from '../config/index.ts'; read(process.env)` },
    ],
    ['another env', { 'src/temu/a.ts': `const app = { env: 1 }; console.log(app.env, process.pid)` }],
    ['the sandbox and tests doing as they like', { 'sandbox/a.ts': `import 'bullmq'; process.env.A` }],
    [
      'words in strings and comments',
      { 'src/temu/a.ts': `// import 'bullmq'\nconst s = "process.env from 'bullmq'"` },
    ],
  ])('let through %s', (_what, files) => {
    expect(breaches(new Map(Object.entries(files)))).toEqual([]);
  });

  it.each<[string, string, string, string]>([
    [
      'tools that import the domain',
      'src/queue/a.ts',
      `import '../temu/a.ts'`,
      'upwards, from queue to temu',
    ],
    [
      'ground that imports tools',
      'src/lib/errors.ts',
      `export * from '../queue/run.ts'`,
      'upwards, from lib to queue',
    ],
    ['a loose file', 'src/clock.ts', '', 'lies directly in src/'],
    ['a folder that has no layer', 'src/clocks/a.ts', '', 'without a layer'],
    [
      'the seller’s orders that import Temu',
      'src/orders/a.ts',
      `import '../temu/a.ts'`,
      'from orders to temu',
    ],
    ['a domain that imports the web', 'src/alerts/a.ts', `import('../web/app.ts')`, 'from alerts to web'],
    ['types that go upwards', 'src/db/a.ts', `import type { A } from '../temu/a.ts'`, 'from db to temu'],
    ['a type asked for in place', 'src/db/a.ts', `type A = import('../temu/a.ts').A`, 'from db to temu'],
    ['anybody who imports the command line', 'src/web/a.tsx', `import '../cli/up.ts'`, 'from web to cli'],
    ['anybody who imports a worker', 'src/web/a.ts', `import '../../workers/web.ts'`, 'from web to workers'],
    ['a worker that imports the command line', 'workers/a.ts', `import '../src/cli/up.ts'`, 'stand alone'],
    [
      'temu and tracking',
      'src/temu/a.ts',
      `import '../tracking/b.ts'`,
      'temu and tracking meet in the database',
    ],
    ['tracking and alerts', 'src/tracking/a.ts', `import '../alerts/b.ts'`, 'meet in the database'],
    ['alerts and temu', 'src/alerts/a.ts', `export { b } from '../temu/b.ts'`, 'meet in the database'],
    [
      'bullmq outside',
      'src/temu/a.ts',
      `import { Queue } from 'bullmq'`,
      'only src/queue/ and src/client/index.ts',
    ],
    ['a path into bullmq', 'src/web/a.ts', `import 'bullmq/dist/esm/x.js'`, 'only src/queue/'],
    ['ioredis outside', 'workers/temu.ts', `await import('ioredis')`, 'only src/queue/'],
    ['ioredis by require', 'src/quota/index.ts', `require('ioredis')`, 'only src/queue/'],
    ['numbers that need us', 'src/lib/numbers.ts', `import './errors.ts'`, 'what producers outside load'],
    [
      'a client that needs more',
      'src/client/index.ts',
      `import pino from 'pino'`,
      'bullmq, zod and the driver',
    ],
    ['a client that needs us', 'src/client/index.ts', `import './queue/a.ts'`, 'what producers outside load'],
    [
      'what a client loads that needs more',
      'src/db/wire.ts',
      `import postgres from 'postgres'`,
      'bullmq, zod and',
    ],
    [
      'what a client loads that needs us',
      'src/addresses/redis.ts',
      `import '../log.ts'`,
      'what producers outside',
    ],
    [
      'process.env',
      'src/lib/http.ts',
      '\nconst a = process.env.PORT',
      'src/lib/http.ts:2 reads the environment',
    ],
    ['process.env in brackets', 'src/lib/http.ts', `process['env'].PORT`, 'reads the environment'],
    ['process.env the long way', 'src/lib/http.ts', 'globalThis.process.env', 'reads the environment'],
    ['process taken apart', 'src/lib/http.ts', 'const { env } = process', 'reads the environment'],
    ['env by import', 'src/lib/http.ts', `import { env } from 'node:process'`, 'reads the environment'],
    ['import.meta.env', 'src/lib/http.ts', 'import.meta.env.A', 'reads the environment'],
    ['the environment in a worker', 'workers/web.ts', 'run(process.env)', 'reads the environment'],
    [
      'a child that gets all of it',
      'src/cli/up.ts',
      `spawn('a', { env: process.env })`,
      'reads the environment',
    ],
    [
      'one setting read by the command line',
      'src/cli/up.ts',
      `import { read } from '../config/index.ts'; read(process.env.PORT)`,
      'reads the environment',
    ],
    ['the sandbox in the product', 'src/cli/up.ts', `import '../../sandbox/main.ts'`, 'what tries it out'],
    [
      'tests in the product',
      'workers/a.ts',
      `await import('../tests/support/until.ts')`,
      'what tries it out',
    ],
    ['a long worker', 'workers/a.ts', 'run();\n'.repeat(41), 'has 41 lines'],
  ])('stop %s', (_what, file, source, why) => {
    const found = breaches(new Map([[file, source]]));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(why);
    expect(found[0]?.startsWith(file)).toBe(true);
  });

  it.each(['src/db', 'sandbox'])('stop a cycle in %s', (module) => {
    const files = {
      [`${module}/a.ts`]: `import './b.ts'`,
      [`${module}/b.ts`]: `import './c.ts'`,
      [`${module}/c.ts`]: `import './a.ts'`,
    };
    expect(breaches(new Map(Object.entries(files)))).toEqual([
      `cycle: ${module}/a.ts → ${module}/b.ts → ${module}/c.ts → ${module}/a.ts`,
    ]);
  });

  it('let a diamond through', () => {
    const files = {
      'src/db/a.ts': `import './b.ts'; import './c.ts'`,
      'src/db/b.ts': `import './c.ts'`,
      'src/db/c.ts': '',
    };
    expect(breaches(new Map(Object.entries(files)))).toEqual([]);
  });
});

async function sourceFiles(folders: string[]): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of folders) {
    for (const name of await readdir(path.join(ROOT, folder), { recursive: true })) {
      if (!/\.tsx?$/.test(name)) continue;
      const file = path.join(folder, name);
      files.set(file.split(path.sep).join('/'), await readFile(path.join(ROOT, file), 'utf8'));
    }
  }
  return files;
}
