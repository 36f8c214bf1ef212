import { execFile } from 'node:child_process';
import { chown, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { expect, test } from 'vitest';
import { programOf, type RunningProcess } from '../support/process.ts';
import { until } from '../support/until.ts';
import {
  endedWithItsFamily,
  expectWhole,
  family,
  orderfleet,
  postmasters,
  STARTED,
  startOrderfleet,
  stillRunning,
  temporaryHome,
  workers,
} from './orderfleet.ts';

const STORE = [
  ...['store', 'add', '--name', 'mine', '--region', 'EU', '--country', 'RO'],
  ...['--app-key', 'k', '--app-secret', 's', '--access-token', 't'],
];

async function startUp(env: Record<string, string>): Promise<RunningProcess> {
  const up = endedWithItsFamily(startOrderfleet(['up'], env));
  await up.waitForLine(/^Orderfleet is up\.$/, STARTED);
  return up;
}

test('up is a whole fleet that others find, alone in its directory; the next one goes on with its data', async () => {
  const home = await temporaryHome();
  // Temu is not to be asked: nothing listens there. A port of its own: start.test.ts may start at the same time, and
  // two that look for a free one together find the same
  const env = {
    ORDERFLEET_HOME: home,
    TEMU_EU_URL: 'http://127.0.0.1:1/',
    LOG_LEVEL: 'warn',
    PORT: String(await getPort()),
  };

  // a closed terminal while it starts
  const closed = endedWithItsFamily(startOrderfleet(['up'], env));
  await closed.waitForLine(/^Starting …$/, STARTED);
  expect(await closed.kill('SIGHUP'), closed.output()).toEqual({ code: 0, signal: null });
  expect(closed.output()).toMatch(/Stopped\.\n$/);

  const up = await startUp(env);
  expect(up.output()).toMatch(/database {2}embedded Postgres in .*, database orderfleet/);
  const [added, second] = await Promise.all([
    orderfleet(STORE, { ORDERFLEET_HOME: home }),
    orderfleet(['up'], env),
  ]);
  expect(added.code).toBe(0);
  expect(second).toMatchObject({
    code: 2,
    output: `A fleet is already running in this directory (process ${up.pid}). Stop it first, or set ORDERFLEET_HOME.\n`,
  });
  for (const file of ['fleet.env', 'credentials.key'])
    expect((await stat(path.join(home, file))).mode & 0o777).toBe(0o600);
  expectWhole(await family(up.pid));

  // it keeps its workers running
  const temu = async () => workers(await family(up.pid)).find(({ command }) => /temu\.[jt]s/.test(command));
  const killed = await temu();
  process.kill(killed?.pid as number, 'SIGKILL');
  await until(
    async () => {
      const now = await temu();
      return now && now.pid !== killed?.pid && now;
    },
    { timeoutMs: 20_000, what: 'another temu worker' },
  );

  // they do not outlive it
  const left = await family(up.pid);
  await up.kill('SIGKILL');
  await until(async () => (await stillRunning(workers(left))).length === 0, {
    timeoutMs: 30_000,
    what: 'the workers to end by themselves',
  });
  // the database stays, and the next one takes it over
  expect(await stillRunning(postmasters(left))).toHaveLength(1);
  const next = await startUp(env);
  const listed = await orderfleet(['store', 'list', '--json'], { ORDERFLEET_HOME: home });
  expect(JSON.parse(listed.stdout)).toMatchObject([{ name: 'mine' }]);
  const nextFamily = await family(next.pid);
  expectWhole([...nextFamily, ...(await stillRunning(postmasters(left)))]);
  expect(await next.kill('SIGINT')).toEqual({ code: 0, signal: null });
  expect(next.output()).toMatch(/Stopping: finishing active jobs …\nStopped\.\n$/);
  expect(await stillRunning([...left, ...nextFamily])).toEqual([]);
  expect(await orderfleet(['store', 'list'], { ORDERFLEET_HOME: home })).toMatchObject({
    code: 2,
    output: expect.stringContaining('No fleet is running in this directory'),
  });
}, 120_000);

/** A user that no account of this machine has, as a container may be given one. */
const STRANGER = 54_321;

test('a user without an account, or without a place of its own, gets one line that says what to do', async ({
  skip,
}) => {
  if (process.getuid?.() !== 0) return skip('only root can become another user');
  const home = await temporaryHome();
  const up = async (at: string): Promise<unknown> =>
    await promisify(execFile)(process.execPath, [...programOf('src/cli/main.ts'), 'up'], {
      ...{ uid: STRANGER, gid: STRANGER, cwd: import.meta.dirname, encoding: 'utf8' as const },
      env: { PATH: process.env.PATH, ORDERFLEET_HOME: at, PORT: String(await getPort()) },
    }).catch(({ code, stderr }: { code: number; stderr: string }) => ({ code, stderr }));
  const own = path.join(home, 'own');
  await mkdir(own);
  await chown(own, STRANGER, STRANGER);
  expect(await Promise.all([up(path.join(home, 'closed')), up(own)])).toEqual([
    {
      code: 2,
      stderr: expect.stringMatching(/^Cannot write to .*closed \(EACCES: .*\): set ORDERFLEET_HOME to .*\n$/),
    },
    {
      code: 2,
      stderr: expect.stringMatching(
        /^This process runs as user 54321, who has no account .* DATABASE_URL\.\n$/,
      ),
    },
  ]);
});
