import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import type { SandboxOrder } from '../../sandbox/temu/model.ts';
import { addShopAsStore, startTestFleet, type TestFleet } from '../support/fleet.ts';
import { storeReadyOrders } from '../support/orders.ts';
import { reapProcesses, startProcess } from '../support/process.ts';
import { backends } from '../support/redis.ts';
import { freePort, until } from '../support/until.ts';
import { orderfleet } from './orderfleet.ts';

/** One store, one awb worker, and orders that wait for their AWB. */
const SHOP = { name: 'corner-shop', appKey: 'its-key', appSecret: 'its-secret', accessToken: 'its-token' };
const HOUR = 3_600_000;
let sandbox: Sandbox;
let stack: TestFleet;
let orders: SandboxOrder[];
let taken = 0;

const run = async (...args: string[]) => await orderfleet(args, stack.env);
async function json<T>(...args: string[]): Promise<{ code: number | null; data: T }> {
  const { code, stdout, output } = await run(...args, '--json');
  try {
    return { code, data: JSON.parse(stdout) as T };
  } catch {
    throw new Error(`${args.join(' ')} printed no JSON:\n${output}`);
  }
}
interface Report {
  retried: number;
  succeeded: number;
  failed: number;
  pushes: { order: string; awbNumber: string; state: string; error: string | null }[];
}
const next = () => (orders[taken++] as SandboxOrder).parentOrderSn;
const refuses = (sn: string, errorMsg: string | null) =>
  sandbox.world.changeOrder(SHOP.name, sn, {
    confirmFailure: errorMsg === null ? null : { errorCode: 120012030, errorMsg },
  });

beforeAll(async () => {
  sandbox = await startSandbox({ qps: 1000 });
  stack = await startTestFleet(backends().at(-1) ?? 'postgres', sandbox.routers, { TEMU_QPS: '500' });
  const shop = sandbox.world.addShop({ ...SHOP, region: 'EU', country: 'RO' });
  const storeId = await addShopAsStore(stack, shop);
  orders = generateOrders({
    seed: 5,
    count: 90,
    shop,
    now: Date.now(),
    days: 5,
    scenarios: [{ name: 'plain', weight: 1, status: 2, updated: 'old' }],
  });
  for (const order of orders) Object.assign(order, { labels: [], warnings: [] });
  sandbox.world.addOrders(shop, orders);
  await storeReadyOrders(stack, storeId, orders);
  await startProcess('workers/awb.ts', { env: stack.env }).waitForLine(/"msg":"started"/);
});
afterAll(async () => {
  await reapProcesses();
  await stack?.close();
  await sandbox?.close();
});

test('A7: awb push records an AWB, waits for Temu, and exits 0', async () => {
  const order = next();
  const pushed = await run('awb', 'push', order, 'CLI1', '--carrier', 'Sameday');
  expect(pushed).toMatchObject({ code: 0 });
  expect(pushed.stdout).toMatch(new RegExp(`${order}.*CLI1.*sent[^]*Sent to Temu\\.`));
  expect(sandbox.effects.told('CLI1')).toEqual({ arrived: 1, accepted: 1 });
  // the same once more is nothing new
  const { code, data } = await json<Report>('awb', 'push', order, 'CLI1');
  expect(code).toBe(0);
  expect(data).toMatchObject({
    succeeded: 1,
    failed: 0,
    pushes: [{ order, awbNumber: 'CLI1', state: 'sent' }],
  });
  expect(sandbox.effects.told('CLI1')).toEqual({ arrived: 1, accepted: 1 });
});

test('E9: awb push of a number that cannot be one of its carrier’s pushes it and warns; explain warns as well', async () => {
  const order = next();
  const { code, data } = await json<Report & { warning?: string }>(
    ...['awb', 'push', order, '1ZCLI9AA0000000001', '--carrier', 'UPS'],
  );
  expect(code).toBe(0);
  expect(data).toMatchObject({ succeeded: 1, warning: expect.stringMatching(/ cannot be one of UPS’s /) });
  expect(await run('explain', order)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^AWB 1ZCLI9AA0000000001 cannot be one of UPS’s numbers: /),
  });
});

test('A7: awb push of what Temu refuses says why and exits 1; awb retry sends it once the reason is gone', async () => {
  const order = next();
  refuses(order, 'Order cancel pending. Please process before shipping.');
  const pushed = await json<Report>('awb', 'push', order, 'CLI2', '--carrier', 'sameday');
  expect(pushed).toMatchObject({
    code: 1,
    data: {
      succeeded: 0,
      failed: 1,
      pushes: [{ state: 'parked', error: expect.stringContaining('cancel pending') }],
    },
  });
  const again = await run('awb', 'retry', order);
  expect(again).toMatchObject({ code: 1 });
  expect(again.stdout).toContain('Retried 1: 0 succeeded, 1 failed.');
  expect(sandbox.effects.told('CLI2').arrived).toBe(2);
  refuses(order, null);
  expect(await json<Report>('awb', 'retry', order)).toMatchObject({
    code: 0,
    data: { retried: 1, succeeded: 1, failed: 0, pushes: [{ order, awbNumber: 'CLI2', state: 'sent' }] },
  });
  const done = await run('awb', 'retry', order);
  expect(done.code).toBe(2);
  expect(done.output).toContain('already on Temu');
});

test('A7: awb retry --failed takes 50 at a time and counts', async () => {
  const sql = stack.sql;
  const sns = Array.from({ length: 52 }, next);
  const broken = sns[0] as string;
  refuses(broken, 'still no');
  await sql`
    with made as (
      insert into shipments (order_id, awb_number, booking_courier, booked_at)
      select id, 'FAILED-' || id, 'Sameday', now() from orders where marketplace_order_id = any(${sns}) returning id, order_id)
    insert into temu_pushes (shipment_id, order_id, state, error) select id, order_id, 'rejected', 'no' from made`;
  await sql`update shipments set awb_number = 'F' || substr(replace(id::text, '-', ''), 1, 16) where awb_number like 'FAILED-%'`;
  await sql`update orders set ship_by_date = now() + interval '1 hour' where marketplace_order_id = ${broken}`;
  const first = await json<Report>('awb', 'retry', '--failed');
  expect(first).toMatchObject({ code: 1, data: { retried: 50, succeeded: 49, failed: 1 } });
  expect(first.data.pushes[0]).toMatchObject({ order: broken, error: 'still no' });
  refuses(broken, null);
  const second = await run('awb', 'retry', '--failed');
  expect(second).toMatchObject({ code: 0 });
  expect(second.stdout).toContain('Retried 3: 3 succeeded, 0 failed.');
  expect(await json<Report>('awb', 'retry', '--failed')).toMatchObject({ code: 0, data: { retried: 0 } });
});

test('A8: awb list --at-risk names the orders that must ship soon', async () => {
  const sql = stack.sql;
  const [soon, later] = [next(), next()];
  await sql`update orders set ship_by_date = ${new Date(Date.now() + HOUR)} where marketplace_order_id = ${soon}`;
  await sql`update orders set ship_by_date = ${new Date(Date.now() + 3 * HOUR)} where marketplace_order_id = ${later}`;
  const { code, data } = await json<{ order: string; push: string | null }[]>('awb', 'list', '--at-risk');
  expect(code).toBe(0);
  expect(data.map(({ order, push }) => [order, push])).toEqual([[soon, null]]);
  const { stdout } = await run('awb', 'list', '--at-risk');
  expect(stdout).toMatch(new RegExp(`in (60|59) min.*${soon}.*corner-shop.*no AWB`));
  expect(stdout).not.toContain(later);
});

test('A4: carriers list, pin and unpin; a pin sends what was parked for it', async () => {
  const order = next();
  const pushed = await json<Report>('awb', 'push', order, 'CLI4', '--carrier', 'fan');
  expect(pushed).toMatchObject({ code: 1, data: { pushes: [{ state: 'parked' }] } });
  expect(pushed.data.pushes[0]?.error).toContain('FAN Courier (910000101)');

  const listed = await json<{ companies: { id: string; name: string }[]; pins: unknown[] }>(
    'carriers',
    'list',
    '--store',
    SHOP.name,
  );
  expect(listed.data.companies).toContainEqual({
    id: '910000101',
    name: 'FAN Courier',
    brand: 'FAN Courier',
  });
  expect(listed.data.pins).toEqual([]);

  const [noNumber, notTemus, noStore] = await Promise.all([
    run('carriers', 'pin', 'fan', 'FAN Courier', '--store', SHOP.name),
    run('carriers', 'pin', 'fan', '12345', '--store', SHOP.name),
    run('carriers', 'pin', 'fan', '910000101', '--store', 'nobody'),
  ]);
  expect(noNumber.code).toBe(2);
  expect(notTemus).toMatchObject({ code: 2, output: expect.stringContaining('Temu has no carrier 12345') });
  expect(noStore.output).toContain('corner-shop');
  const pinned = await json('carriers', 'pin', 'fan', '910000101', '--store', SHOP.name);
  expect(pinned).toEqual({
    code: 0,
    data: { store: SHOP.name, carrier: 'FAN', providerId: '910000101', retried: 1 },
  });
  const sent = await json<Report>('awb', 'retry', order);
  expect(sent).toMatchObject({ code: 0, data: { succeeded: 1 } });
  expect(sandbox.effects.accepted({ trackingNumber: 'CLI4' })).toMatchObject([{ carrierId: 910_000_101 }]);

  const { stdout } = await run('carriers', 'list', '--store', SHOP.name);
  expect(stdout).toMatch(/910000101 +FAN Courier +FAN Courier +FANCOURIER +FAN/);
  expect((await run('carriers', 'unpin', 'FAN', '--store', SHOP.name)).code).toBe(0);
  expect((await run('carriers', 'unpin', 'FAN', '--store', SHOP.name)).code).toBe(2);
});

test('O6: explain shows the timeline of an AWB in every state', async () => {
  const [sent, parked] = [next(), next()];
  refuses(parked, 'Order cancel pending.');
  await Promise.all([
    run('awb', 'push', sent, 'CLI5', '--carrier', 'sameday'),
    run('awb', 'push', parked, 'CLI6', '--carrier', 'sameday'),
  ]);
  interface Timeline {
    orders: { marketplaceOrderId: string }[];
    parcels: { awbNumber: string; order: string; push: string; because: string }[];
  }
  const [timeline, why, none] = await Promise.all([
    json<Timeline>('explain', 'CLI5'),
    run('explain', 'CLI6'),
    run('explain', 'CLI999'),
  ]);
  expect(timeline).toMatchObject({
    code: 0,
    data: {
      orders: [{ marketplaceOrderId: sent }],
      parcels: [
        {
          awbNumber: 'CLI5',
          order: sent,
          push: 'sent',
          because: expect.stringMatching(/^Confirmed with Temu on 20/),
        },
      ],
    },
  });
  expect(why.code).toBe(0);
  expect(why.stdout).toMatch(
    new RegExp(`AWB CLI6 +order ${parked}[^]*Order cancel pending[^]*awb retry ${parked}`),
  );
  await stack.fleet.queues.raw('awb-created').add('awb-created', {
    ...{ source: 'temu', marketplaceOrderId: 'PO-NOBODY', awbNumber: 'CLI7' },
  });
  await until(
    async () => (await stack.sql`select from awb_events where key like '%CLI7' and error <> ''`).length,
  );
  const { data: waiting } = await json<Timeline>('explain', 'CLI7');
  expect(waiting.parcels).toMatchObject([{ awbNumber: 'CLI7', because: expect.stringContaining('waiting') }]);
  expect(none).toMatchObject({ code: 1, output: expect.stringContaining('CLI999') });
});

test('O6: mistakes are answered with exit code 2 and what to do', async () => {
  const mistakes: [string[], string][] = [
    [['awb', 'retry'], '--failed'],
    [['awb', 'retry', 'PO-0'], 'Order PO-0 not found'],
    [['awb', 'push', 'PO-0', 'CLI8'], 'Order PO-0 not found'],
    [['awb', 'push', orders[80]?.parentOrderSn ?? '', ' '], 'awbNumber'],
    [
      ['awb', 'push', orders[80]?.parentOrderSn ?? '', '1.23457E+12'],
      'Invalid AWB: ✖ awbNumber "1.23457E+12" was rounded by a spreadsheet: format the column as text',
    ],
    [['carriers', 'list'], '--store'],
  ];
  await Promise.all(
    mistakes.map(async ([args, text]) => {
      const { code, output } = await run(...args);
      expect(output).toContain(text);
      expect(code, output).toBe(2);
      expect(output).not.toMatch(/\n\s+at /);
    }),
  );
});

test('O6: with Redis away awb push and awb retry say so instead of waiting', async () => {
  const env = { ...stack.env, REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
  const commands = [
    ['awb', 'push', orders[81]?.parentOrderSn ?? '', 'CLI9'],
    ['awb', 'retry', '--failed'],
  ];
  for (const { code, output } of await Promise.all(commands.map((args) => orderfleet(args, env)))) {
    expect(output).toContain('No Redis answers');
    expect(code).toBe(2);
  }
});
