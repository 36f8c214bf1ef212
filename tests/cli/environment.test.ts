import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createEmptyDatabase } from '../support/database.ts';
import { programOf, ROOT } from '../support/process.ts';
import { freePort } from '../support/until.ts';
import { orderfleet, orderfleetProcess } from './orderfleet.ts';
import { runWarm } from './warm.ts';

const CREDENTIALS_KEY = randomBytes(32).toString('base64');
const ORDERFLEET_HOME = '/nonexistent';

const STORE = ['--name', 'mine', '--region', 'EU', '--country', 'RO', '--app-key', 'k', '--app-secret', 's'];

test('an empty database is migrated; a second time changes nothing', async () => {
  const database = await createEmptyDatabase();
  const env = { DATABASE_URL: database.url, CREDENTIALS_KEY, ORDERFLEET_HOME };
  const early = await orderfleet(['status'], env);
  expect(early).toMatchObject({ code: 2, stdout: '' });
  // the tables and the queues' schema are asked for at once: either may be missed first
  expect(early.output).toMatch(
    /^The database is missing .* of this version\. Run: orderfleet migrate\n.*\n$/,
  );

  expect(await orderfleet(['migrate'], env)).toEqual({
    code: 0,
    stdout: 'The database is up to date.\n',
    output: 'The database is up to date.\n',
  });
  const again = await orderfleet(['migrate', '--json'], env);
  expect(again.code).toBe(0);
  expect(JSON.parse(again.output)).toEqual({ migrated: true });
  const status = await orderfleet(['status'], env);
  expect(status).toMatchObject({ code: 0 });
  expect(status.stdout).toContain('No store yet. Add one: orderfleet store add --help');
  await database.drop();
});

test('a wrong environment: one line per fault, and no secret', async () => {
  const { code, output } = await orderfleet(['status'], {
    ORDERFLEET_HOME,
    DATABASE_URL: 'mysql://me:hunter2@localhost/shop',
    REDIS_URL: 'localhost',
    CREDENTIALS_KEY: 'not-a-key-but-a-secret',
    TEMU_QPS: 'many',
  });
  expect(code).toBe(2);
  const [heading, ...lines] = output.trimEnd().split('\n');
  expect(heading).toBe('4 configuration errors:');
  expect(lines).toEqual([
    expect.stringMatching(/^ {2}DATABASE_URL is a value of 33 characters \(not shown\); expected a URL/),
    expect.stringMatching(/^ {2}REDIS_URL is "localhost"; expected a URL starting with redis:\/\//),
    expect.stringMatching(
      /^ {2}CREDENTIALS_KEY is a value of 22 characters \(not shown\); expected 32 random/,
    ),
    expect.stringMatching(/^ {2}TEMU_QPS is "many"; expected a whole number from 1 to 5000$/),
  ]);
});

test('nothing set, nothing running: says how to start', async () => {
  const { code, output } = await orderfleet(['store', 'list'], { ORDERFLEET_HOME });
  expect(code).toBe(2);
  expect(output).toMatch(/^ {2}DATABASE_URL is not set/m);
  expect(output).toContain('start one with "npm start" or "orderfleet up"');
});

test('what is away is named in a line, without a stack', async () => {
  const database = await createEmptyDatabase();
  const port = await freePort();
  const env = {
    DATABASE_URL: `postgres://me:hunter2@127.0.0.1:${port}/shop`,
    CREDENTIALS_KEY,
    ORDERFLEET_HOME,
  };
  const wrongPassword = new URL(database.url);
  wrongPassword.password = 'hunter2';
  const wrongName = new URL(database.url);
  wrongName.pathname = '/nowhere';
  const away =
    /^Postgres or Redis does not answer: Postgres at 127\.0\.0\.1:\d+: connect ECONNREFUSED 127\.0\.0\.1:\d+\n.*DATABASE_URL.*\n$/;
  const cases: [string[], Record<string, string>, RegExp][] = [
    [['status'], env, away],
    [['store', 'add', ...STORE, '--access-token', 't'], env, away],
    [['status'], { ...env, DATABASE_URL: wrongPassword.href }, /^Postgres rejected the user or password/],
    [['migrate'], { ...env, DATABASE_URL: wrongName.href }, /^The database does not exist/],
    [
      ['status'],
      { ...env, DATABASE_URL: database.url, REDIS_URL: `redis://127.0.0.1:${port}` },
      /^No Redis answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\): is REDIS_URL right\?\n$/,
    ],
  ];
  await Promise.all(
    cases.map(async ([args, itsEnv, line]) => {
      const { code, stdout, output } = await orderfleet(args, itsEnv);
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
      expect(output).toMatch(line);
      expect(output).not.toMatch(/hunter2|\n\s+at /);
    }),
  );
  await database.drop();
});

test('O6: --help comes whole through a pipe, and does not mind one that nobody reads', async () => {
  const whole = await orderfleetProcess(['--help'], {});
  expect(whole).toMatchObject({ code: 0, output: whole.stdout });
  expect(whole.stdout).toMatch(/^Usage: orderfleet .*\n {2}orderfleet explain PO-\S+\n$/s);

  // built, and from its source as `npm run fleet` does
  const source = ['--import', 'tsx', path.resolve(ROOT, 'src/cli/main.ts')];
  for (const program of [programOf('src/cli/main.ts'), source]) {
    const unread = spawn(process.execPath, [...program, '--help'], { cwd: ROOT });
    unread.stdout.destroy();
    let stderr = '';
    unread.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(unread, 'close');
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  }
});

test('O6: every command has a --help with examples', async () => {
  // each one's own tests start it as a process
  const help = async (...args: string[]) =>
    (await runWarm([...args, '--help'], { ORDERFLEET_HOME }, os.tmpdir())).stdout;
  const commands = [...(await help()).matchAll(/^ {2}(\w+) /gm)].flatMap(([, name]) => (name ? [name] : []));
  expect(commands).toEqual(expect.arrayContaining(['up', 'store', 'sync', 'doctor', 'webhooks']));
  for (const command of commands.filter((name) => name !== 'help' && name !== 'orderfleet'))
    expect(await help(command)).toMatch(new RegExp(`\\nExamples?:\\n.*orderfleet ${command}`));
});

test('O7: up names a wrong setting of a courier itself, before it starts anything', async () => {
  const { code, output } = await orderfleetProcess(['up'], {
    ...{ ORDERFLEET_HOME: path.join(os.tmpdir(), `none-${randomBytes(4).toString('hex')}`) },
    ...{ DELHIVERY_B2C_LIMIT: 'fast', CREDENTIALS_KEY },
  });
  expect(code).toBe(2);
  expect(output).toMatch(/^ {2}DELHIVERY_B2C_LIMIT is "fast"; expected /m);
  expect(output).not.toMatch(/worker ended/);
});

test('wrong usage ends with 2 and a clear line', async () => {
  const env = { DATABASE_URL: 'postgres://unused', CREDENTIALS_KEY, ORDERFLEET_HOME };
  const cases: [string[], string][] = [
    [['stauts'], "error: unknown command 'stauts'"],
    [['--', 'store'], 'Usage: orderfleet store'],
    [['store'], 'Usage: orderfleet store'],
    [['store', 'add', ...STORE], "error: required option '--access-token <token>' not specified"],
    [
      ['store', 'add', ...STORE, '--access-token', 't', '--region', 'ASIA'],
      "error: option '--region <region>' argument 'ASIA' is invalid. Allowed choices are EU, US, GLOBAL.",
    ],
    [
      ['store', 'add', ...STORE, '--access-token', 't', '--country', 'UK'],
      "error: option '--country <code>' argument 'UK' is invalid. expected two letters (ISO 3166-1), e.g. RO, DE, GB or US.",
    ],
  ];
  await Promise.all(
    cases.map(async ([args, line]) => {
      const { code, stdout, output } = await orderfleet(args, env);
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
      expect(output.split('\n')[0]).toContain(line);
    }),
  );
});
