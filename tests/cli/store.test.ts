import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { orderfleet } from './orderfleet.ts';

test('a store is added, listed, paused, resumed and given new credentials', async () => {
  const database = await createTestDatabase();
  const sql = postgres(database.url, { max: 1 });
  const env = {
    DATABASE_URL: database.url,
    CREDENTIALS_KEY: randomBytes(32).toString('base64'),
    ORDERFLEET_HOME: '/nonexistent',
  };
  const run = (...args: string[]) => orderfleet(args, env);
  const read = async () =>
    (
      await sql`select region, country, app_key, warehouse_id, api_version, active, app_secret, access_token
      from temu_stores where name = 'my shop'`
    )[0];
  const add = [
    ...['store', 'add', '--name', 'my shop', '--region', 'EU', '--country', 'ro', '--app-key', 'key-1'],
    ...['--app-secret', 'secret-1', '--access-token', 'token-1', '--warehouse', 'WH-7', '--api', 'v2'],
  ];

  const added = await run(...add, '--json');
  expect(added.code).toBe(0);
  expect(JSON.parse(added.output)).toEqual({ id: expect.stringMatching(/^[0-9a-f-]{36}$/), name: 'my shop' });
  const first = await read();
  expect(first).toMatchObject({
    ...{
      region: 'EU',
      country: 'RO',
      app_key: 'key-1',
      warehouse_id: 'WH-7',
      api_version: 'v2',
      active: true,
    },
  });
  expect(JSON.stringify(first)).not.toMatch(/secret-1|token-1/);

  const again = await run(...add);
  expect(again.code).toBe(2);
  expect(again.output).toBe(
    'There is a store named "my shop" already. To give it new credentials: store rotate "my shop" …\n',
  );

  const paused = await run('store', 'pause', 'my shop', '--reason', 'holidays');
  expect(paused).toMatchObject({ code: 0, output: expect.stringContaining('"my shop" is paused') });
  const [listed, shown] = await Promise.all([run('store', 'list', '--json'), run('store', 'list')]);
  expect(JSON.parse(listed.stdout)).toMatchObject([
    { name: 'my shop', region: 'EU', country: 'RO', active: false, pausedReason: 'holidays' },
  ]);
  expect(shown.stdout).toContain('"my shop" is paused: holidays');
  expect(listed.output + shown.output).not.toMatch(/key-1|secret|token/i);

  const rotated = await run('store', 'rotate', 'my shop', '--access-token', 'token-2', '--json');
  expect(rotated.code).toBe(0);
  expect(JSON.parse(rotated.output)).toEqual({ id: expect.any(String), name: 'my shop', active: true });
  const second = await read();
  expect(second).toMatchObject({ app_key: 'key-1', active: true }); // and it goes on
  expect(second?.access_token).not.toBe(first?.access_token);

  await sql`update temu_stores set active = false`;
  expect(await run('store', 'resume', 'my shop')).toMatchObject({
    code: 0,
    output: 'Store "my shop" goes on.\n',
  });
  expect(await read()).toMatchObject({ active: true });

  const unknown = await run('store', 'pause', 'her shop');
  expect(unknown).toMatchObject({
    code: 2,
    output: 'There is no store named "her shop". There are: "my shop"\n',
  });

  const otherKey = await orderfleet(['store', 'rotate', 'my shop'], {
    ...env,
    CREDENTIALS_KEY: randomBytes(32).toString('base64'),
  });
  expect(otherKey.code).toBe(2);
  expect(otherKey.output).toMatch(/was sealed with key \w+, which is neither CREDENTIALS_KEY nor/);
  await sql.end();
  await database.drop();
}, 40_000);
