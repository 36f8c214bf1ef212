import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/server.ts';
import { loadState, saveState } from '../../sandbox/state.ts';
import { startProcess } from '../support/process.ts';
import { demoShop, fill, sandboxForTest } from './client.ts';

async function folder(): Promise<string> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'sandbox-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

interface Stats {
  shops: { name: string; orders: number }[];
}

async function started(args: string[]) {
  const child = startProcess('sandbox/main.ts', { args: ['--port', '0', ...args] });
  const [, url] = await child.waitForLine(/Sandbox for Temu at (\S+)/);
  const get = async (what: string): Promise<unknown> => (await fetch(`${url}/_sandbox/${what}`)).json();
  await child.waitForLine(/^Control:/);
  return { child, url: url as string, get };
}

const ships = async ({ get }: Awaited<ReturnType<typeof started>>): Promise<boolean[]> =>
  ((await get('shops')) as { shipsItself: boolean }[]).map(({ shipsItself }) => shipsItself);

describe('npm run sandbox', () => {
  it('says where it is and how to add its shops, goes on after a restart, and lives', async () => {
    const state = path.join(await folder(), 'state');
    const first = await started([
      ...['--orders', '60', '--state', state, '--ships-by-api', '--parcels', '7'],
      ...['--limit', 'delhivery-b2c=750/2.5', '--limit', 'delhivery-b2b=none'],
    ]);
    const printed = first.child.output();
    expect(printed).toContain(`TEMU_GLOBAL_URL=${first.url}/global/openapi/router`);
    expect(printed).toMatch(/store add --name demo-jp --region GLOBAL --country JP/);
    const stats = (await first.get('stats')) as Stats;
    expect(stats.shops).toEqual([
      { name: 'demo-ro', orders: 62 },
      { name: 'demo-de', orders: 60 },
      { name: 'demo-jp', orders: 60 },
    ]);
    // how to reach the couriers, Slack and SMTP, with the limits that were given
    expect(printed).toContain(`DELHIVERY_URL=${first.url}/couriers/delhivery/api/v1/packages/json/`);
    expect(printed).toContain(`SLACK_API_URL=${first.url}/slack/api/`);
    expect(printed).toMatch(/SMTP_URL=smtp:\/\/\S+@127\.0\.0\.1:\d+$/m);
    expect(await first.get('couriers')).toMatchObject({
      'delhivery-b2c': { parcels: 10, settings: { limit: { max: 750, perSeconds: 2.5 } } },
      'delhivery-b2b': { parcels: 8, settings: { limit: null } },
      velocity: { parcels: 7 },
    });
    expect(await first.get('mails')).toEqual([]);
    const orders = await first.get('orders?shop=demo-ro');
    // by itself or by the API alone, as the command line says at each start
    expect(await ships(first)).toEqual([false, false, false]);
    expect(await first.child.kill('SIGTERM')).toMatchObject({ code: 0 });

    const second = await started(['--orders', '5', '--seed', '9', '--state', state]);
    expect(await second.get('orders?shop=demo-ro')).toEqual(orders);
    expect(await ships(second)).toEqual([true, true, true]);
    expect(await second.child.kill('SIGINT')).toMatchObject({ code: 0 });

    const third = await started(['--state', state, '--ships-by-api', '--live', '--speed', '5000']);
    expect(await ships(third)).toEqual([false, false, false]);
    await expect
      .poll(async () => await third.get('orders?shop=demo-ro'), { timeout: 10_000 })
      .not.toEqual(orders);
    expect(await third.child.kill()).toMatchObject({ code: 0 });
  });

  it('has a help, and names what is wrong', async () => {
    const help = startProcess('sandbox/main.ts', { args: ['--help'] });
    expect(await help.exited).toMatchObject({ code: 0 });
    expect(help.stdout()).toContain('--state FILE');
    const wrong = startProcess('sandbox/main.ts', { args: ['--qps', 'many'] });
    expect(await wrong.exited).toMatchObject({ code: 2 });
    expect(wrong.output()).toContain('--qps is "many"; expected a number of at least 1');
    const limit = startProcess('sandbox/main.ts', { args: ['--limit', 'usps=1/1'] });
    expect(await limit.exited).toMatchObject({ code: 2 });
    expect(limit.output()).toContain('--limit is "usps=1/1"; expected API=MAX/SECONDS');
  });
});

describe('the state file', () => {
  it('holds everything, is whole at any time, and is private', async () => {
    const dir = await folder();
    const stateFile = path.join(dir, 'state');
    const first = await startSandbox({ stateFile });
    const shop = demoShop(first);
    const [order] = fill(first, shop, 120);
    first.world.setCredentialsRevoked(shop, true);
    first.world.changeOrder(shop, order?.parentOrderSn as string, { status: 4 });
    const saved = first.world.snapshot();
    await first.close();
    expect(await readdir(dir)).toEqual(['state']);

    const second = await startSandbox({ stateFile });
    expect(second.world.snapshot()).toEqual(saved);
    expect(second.world.shop(shop.name).revoked).toBe(true);
    await second.close();
  });

  it('can be saved in slices while orders change', async () => {
    const dir = await folder();
    const file = path.join(dir, 'state');
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const orders = fill(sandbox, shop, 1500);
    const saving = saveState(file, sandbox);
    for (const { parentOrderSn } of orders.slice(0, 50)) {
      await new Promise((resolve) => setImmediate(resolve));
      sandbox.world.changeOrder(shop, parentOrderSn, { status: 5 });
    }
    await saving;
    const second = await sandboxForTest();
    expect(loadState(file, second)).toBe(true);
    expect(second.world.size()).toBe(1500);
    expect(await readdir(dir)).toEqual(['state']);
  });

  it('is refused when it is none', async () => {
    const stateFile = path.join(await folder(), 'state');
    await writeFile(stateFile, 'something else');
    await expect(startSandbox({ stateFile })).rejects.toThrow(/is not a state of the sandbox/);
    expect(await readFile(stateFile, 'utf8')).toBe('something else');
  });
});
