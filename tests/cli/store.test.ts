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
    'A store named "my shop" already exists. To update its credentials: store rotate "my shop" …\n',
  );

  const paused = await run('store', 'pause', 'my shop', '--reason', 'holidays');
  expect(paused).toMatchObject({ code: 0, output: expect.stringContaining('Store "my shop" paused.') });
  const [listed, shown] = await Promise.all([run('store', 'list', '--json'), run('store', 'list')]);
  expect(JSON.parse(listed.stdout)).toMatchObject([
    {
      name: 'my shop',
      region: 'EU',
      country: 'RO',
      active: false,
      pausedReason: 'holidays',
      pausedBy: 'operator',
    },
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
    output: 'Store "my shop" resumed.\n',
  });
  expect(await read()).toMatchObject({ active: true });

  const unknown = await run('store', 'pause', 'her shop');
  expect(unknown).toMatchObject({
    code: 2,
    output: 'There is no store named "her shop". Available: "my shop"\n',
  });

  // what was given with the store is changed; a host that was learnt for the old region is forgotten
  await sql`insert into temu_store_hosts (store_id, api, host) select id, 'orderList', 'EU' from temu_stores`;
  const changed = await run(
    ...['store', 'change', 'my shop', '--region', 'US', '--country', 'us', '--api', 'v1'],
  );
  expect(changed).toMatchObject({ code: 0, output: 'Store "my shop" changed and resumed.\n' });
  expect(await read()).toMatchObject({
    region: 'US',
    country: 'US',
    api_version: 'v1',
    warehouse_id: 'WH-7',
  });
  expect(await sql`select * from temu_store_hosts`).toEqual([]);
  expect(await run('store', 'change', 'my shop')).toMatchObject({
    code: 2,
    output: 'Nothing to change: set --region, --country, --warehouse or --api.\n',
  });

  // new credentials ask again for what the old ones were not allowed
  await sql`insert into temu_api_pauses (store_id, api, reason, retry_at)
    select id, 'orderAmount', 'no scope', now() + interval '1 hour' from temu_stores`;
  await run('store', 'rotate', 'my shop', '--access-token', 'token-3');
  expect(await sql`select retry_at <= now() as now from temu_api_pauses`).toEqual([{ now: true }]);

  // sealed anew, and nothing else: who was paused by hand stays so
  await run('store', 'pause', 'my shop', '--reason', 'holidays');
  const before = await read();
  const resealed = await run('store', 'rotate', 'my shop');
  expect(resealed.output).toBe('Credentials of store "my shop" encrypted with the current key.\n');
  expect(await read()).toMatchObject({ active: false });
  expect((await read())?.access_token).not.toBe(before?.access_token);

  const newKey = { ...env, CREDENTIALS_KEY: randomBytes(32).toString('base64') };
  const otherKey = await orderfleet(['store', 'rotate', 'my shop'], newKey);
  expect(otherKey.code).toBe(2);
  expect(otherKey.output).toMatch(/was encrypted with key \w+, which is neither CREDENTIALS_KEY nor/);
  // with all of them given a lost key is no hindrance
  const given = ['--app-key', 'key-4', '--app-secret', 'secret-4', '--access-token', 'token-4'];
  expect(await orderfleet(['store', 'rotate', 'my shop', ...given], newKey)).toMatchObject({ code: 0 });
  expect(await read()).toMatchObject({ app_key: 'key-4', active: true });
  await sql.end();
  await database.drop();
});
