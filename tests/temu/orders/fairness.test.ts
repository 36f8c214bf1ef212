import { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import type { SandboxOrder } from '../../../sandbox/temu/model.ts';
import { openWindows } from '../../../src/temu/orders/index.ts';
import { type Stand, startStand } from '../../support/fleet.ts';
import { oneBackend } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

/** Texts that occur nowhere else. */
const SECRETS = { appSecret: 'planted-app-secret-4711', accessToken: 'planted-access-token-4712' };
const PERSON = {
  name: 'Plantagenet Zyxwvut',
  mobile: '+49 170 9876501',
  mail: '99887766554433@planted.example',
  street1: 'Pflanzgasse 4713',
  street2: 'Hinterhaus 4714',
  city: 'Plantstadt',
  state: 'Plantland',
  postCode: 'PL-47150',
};

let stand: Stand;
afterEach(() => stand.close());

/** Every row of every table, by its name; what is in Redis as well. */
async function everythingStored(): Promise<Map<string, string>> {
  const sql = stand.stack.sql;
  const tables = await sql<{ schema: string; name: string }[]>`
    select table_schema as schema, table_name as name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`;
  const texts = new Map<string, string>();
  for (const { schema, name } of tables) {
    const rows =
      await sql`select t::text as row, to_jsonb(t)::text as json from ${sql(schema)}.${sql(name)} t`;
    texts.set(`${schema}.${name}`, rows.map((row) => `${row.row}\n${row.json}`).join('\n'));
  }
  const url = stand.stack.env.REDIS_URL;
  if (url) texts.set('redis', await everythingInRedis(url));
  texts.set('log', stand.stack.logged());
  return texts;
}

async function everythingInRedis(url: string): Promise<string> {
  const redis = new Redis(url);
  const texts: string[] = [];
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key);
    if (type === 'hash') texts.push(JSON.stringify(await redis.hgetall(key)));
    else if (type === 'stream') texts.push(JSON.stringify(await redis.xrange(key, '-', '+')));
    else if (type === 'string') texts.push((await redis.get(key)) ?? '');
    else if (type === 'zset') texts.push(JSON.stringify(await redis.zrange(key, '0', '-1')));
    else if (type === 'list') texts.push(JSON.stringify(await redis.lrange(key, '0', '-1')));
    else texts.push(JSON.stringify(await redis.smembers(key)));
  }
  redis.disconnect();
  return texts.join('\n');
}

test.each(oneBackend())(
  'T1, T18: secrets and the buyer are in no job, log line, notice, inbox row or error; queues on %s',
  async (backend) => {
    stand = await startStand({ backend });
    const one = await stand.addShop({ ...SECRETS }, 8);
    const sns = one.orders.map(({ parentOrderSn }) => parentOrderSn);
    const change = (index: number, set: Partial<SandboxOrder>) =>
      stand.sandbox.world.changeOrder(one.shop, sns[index] as string, set, null);
    for (const [index, order] of one.orders.entries())
      change(index, { address: { ...order.address, ...PERSON } });
    change(1, {
      address: { ...(one.orders[1] as SandboxOrder).address, countryName: 'Atlantis', countryCode: null },
    });
    change(2, { amountFailure: { errorCode: 140_020_002, errorMsg: 'Order not found' } });
    change(3, { status: 6 });
    const shipping = (index: number) => ({
      type: 'bg.order.shippinginfo.get',
      parentOrderSn: sns[index] as string,
    });
    stand.sandbox.faults.add({
      match: shipping(4),
      do: {
        kind: 'wrongJson',
        body: {
          success: true,
          result: {
            success: true,
            result: { ...PERSON, receiptName: { first: PERSON.name }, addressLine1: PERSON.street1 },
          },
        },
      },
    });
    stand.sandbox.faults.add({ match: shipping(5), do: { kind: 'truncatedJson' } });
    // what Postgres refuses to store, with the buyer among the query's parameters
    await stand.stack.sql.unsafe(
      `alter table orders add constraint broken check (marketplace_order_id <> '${sns[6]}')`,
    );
    stand.work();
    await openWindows(stand.deps, [one.storeId]);
    const sql = stand.stack.sql;
    await until(async () => (await sql`select 1 from orders`).length >= 5);
    await until(async () => (await sql`select 1 from temu_order_inbox where error is not null`).length >= 4);
    // and a refusal of the store itself
    stand.sandbox.world.setCredentialsRevoked(one.shop, true);
    await sql`update temu_order_inbox set state = 'pending', due_at = now(), offered_at = null`;
    await stand.tick();
    await until(async () => (await sql`select 1 from notices where kind = 'store-paused'`).length);

    const stored = await everythingStored();
    expect(stored.get('public.orders')).toContain(PERSON.street1);
    expect(stored.get('log')).toContain(sns[0]);
    const found: string[] = [];
    for (const [where, text] of stored)
      for (const planted of Object.values({ ...SECRETS, ...PERSON }))
        if (where !== 'public.orders' && text.includes(planted)) found.push(`${where}: ${planted}`);
    expect(found).toEqual([]);
    for (const secret of Object.values(SECRETS)) expect(stored.get('public.orders')).not.toContain(secret);
  },
);

test('T17: a store whose calls all hang does not slow the others of its app', async () => {
  const app = { appKey: 'one', appSecret: 'its-secret' };
  stand = await startStand({ sandbox: { qps: 200 }, settings: { TEMU_QPS: '200', TEMU_TIMEOUT: '10' } });
  const hanging = { ...app, name: 'hanging', region: 'US', country: 'US' } as const;
  stand.work();
  const time = async (storeId: string) => {
    const startedAt = performance.now();
    await openWindows(stand.deps, [storeId]);
    await until(
      async () => (await stand.stack.sql`select 1 from orders where store_id = ${storeId}`).length === 40,
      { timeoutMs: 30_000 },
    );
    return performance.now() - startedAt;
  };
  const alone = await time((await stand.addShop({ ...app, name: 'alone' }, 40)).storeId);

  const ill = await stand.addShop(hanging, 120);
  for (const type of ['bg.order.amount.query', 'bg.order.shippinginfo.get'])
    stand.sandbox.faults.add({ match: { host: 'us', type }, do: { kind: 'timeout', ms: 60_000 } });
  await openWindows(stand.deps, [ill.storeId]);
  await until(() => stand.sandbox.ledger.count({ outcome: 'fault:timeout' }) > 20);
  // the ill store's orders still fill the queue when the other one's come
  const beside = await time((await stand.addShop({ ...app, name: 'beside' }, 40)).storeId);
  expect(beside).toBeLessThan(2 * alone + 2_000);
});
