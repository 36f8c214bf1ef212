import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COURIERS } from '../../sandbox/couriers/catalogue.ts';
import { PERSONAL } from '../../sandbox/couriers/places.ts';
import { bookParcels } from '../../sandbox/other-channels.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import { alertHandlers, alertTasks } from '../../src/alerts/index.ts';
import { addEndpoint } from '../../src/alerts/webhooks/endpoints.ts';
import { runDoctor } from '../../src/doctor/index.ts';
import { queuesOf } from '../../src/fleet/works.ts';
import { erasureTasks } from '../../src/ops/erasure.ts';
import { readTimelines } from '../../src/ops/explain.ts';
import { readOverview } from '../../src/ops/overview.ts';
import { samplerTasks } from '../../src/ops/sampler.ts';
import { maintenance, maintenanceHandler, schedulesOf } from '../../src/queue/maintenance.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { reconcileSchedules } from '../../src/queue/schedules.ts';
import { awbHandlers, awbTasks } from '../../src/temu/awb/index.ts';
import { openWindows, orderHandlers, orderTasks } from '../../src/temu/orders/index.ts';
import { reconcileTrackers, startRun, trackingHandlers, trackingTasks } from '../../src/tracking/index.ts';
import { createApp } from '../../src/web/server.ts';
import { addShopAsStore, startTestFleet, type TestFleet } from '../support/fleet.ts';
import { oneBackend } from '../support/redis.ts';
import { until } from '../support/until.ts';

/** Texts that occur nowhere else. */
const BUYER = {
  name: 'Plantagenet Zyxwvut',
  mobile: '+49 170 9876501',
  mail: '99887766554433@planted.example',
  street1: 'Pflanzgasse 4713',
  city: 'Plantstadt',
  postCode: 'PL-47150',
};
const SECRETS = { appSecret: 'planted-app-secret', accessToken: 'planted-access-token' };
const USERS = {
  ...{ DASHBOARD_USER: 'ops', DASHBOARD_PASSWORD: 'planted-horse-battery' },
  ...{ DASHBOARD_READER: 'guest', DASHBOARD_READER_PASSWORD: 'planted-guest-word' },
  EVENTS_TOKEN: 'planted-events-token',
  DELHIVERY_WEBHOOK_TOKEN: 'planted-delhivery-token',
};
/** What may be shown nowhere. Couriers send their own along: consignee, rider, phone, address. */
const PLANTED = [...Object.values(BUYER), ...Object.values(PERSONAL)];
const CLOSED = [
  ...Object.values(SECRETS),
  ...Object.values(USERS).filter((text) => text.startsWith('planted')),
];
const CONTACTS = `write to ${BUYER.mail} or call ${BUYER.mobile}`;
const SITE = { host: 'fleet.example', origin: 'http://fleet.example' };

let sandbox: Sandbox;
let stack: TestFleet;
let app: ReturnType<typeof createApp>;
let running: RunningWorkers;
const sql = () => stack.sql;
/** Where what was found, by where it was looked for. */
const seen = new Map<string, string>();
/** Orders of Temu, by their numbers. */
let numbers: string[];

beforeAll(async () => {
  sandbox = await startSandbox({ smtp: true, qps: 2_000 });
  stack = await startTestFleet(oneBackend()[0] ?? 'postgres', sandbox.routers, {
    ...{ ...sandbox.env(), ...USERS, ...FAST },
    ...{ LOG_LEVEL: 'debug', TEMU_QPS: '1000', TEMU_TIMEOUT: '2', ALERTS_SLACK_CHANNEL_ID: 'C0ALERTS' },
  });
  const { fleet } = stack;
  app = createApp(fleet);
  await reconcileTrackers(fleet, undefined);
  const tasks = [
    ...[...orderTasks(fleet), ...awbTasks(fleet), ...trackingTasks(fleet), ...alertTasks(fleet)],
    ...[...erasureTasks(fleet), ...samplerTasks(fleet)],
  ];
  await reconcileSchedules(fleet.queues, maintenance, schedulesOf(tasks), fleet.log);
  running = runWorkers(
    [
      ...[
        ...orderHandlers(fleet),
        ...awbHandlers(fleet),
        ...trackingHandlers(fleet),
        ...alertHandlers(fleet),
      ],
      maintenanceHandler(tasks),
    ],
    fleet,
  );
});
afterAll(async () => {
  sandbox?.faults.clear();
  await running?.stop(500);
  await sandbox?.close();
  await stack?.close();
});

/** No waiting for limits, which have tests of their own. */
const FAST = {
  ...{ DELHIVERY_B2C_LIMIT: 'off', DELHIVERY_B2B_LIMIT: 'off', SHIPROCKET_LIMIT: 'off' },
  ...{ VELOCITY_LIMIT: 'off', DELHIVERY_FALLBACK_LIMIT: 'off' },
};

/** Orders with the planted buyer come in, some whole, some with answers and refusals that repeat him. */
async function takeOrders(): Promise<void> {
  const shop = sandbox.world.addShop({
    ...{ name: 'shop', appKey: 'planted-app', ...SECRETS },
    ...{ region: 'EU' as const, country: 'DE' },
  });
  const orders = generateOrders({
    ...{ seed: 1, count: 12, shop, now: Date.now(), days: 5 },
    scenarios: [{ name: 'plain', weight: 1, status: 2 }],
  });
  for (const order of orders) Object.assign(order.address, BUYER);
  sandbox.world.addOrders(shop, orders);
  numbers = orders.map(({ parentOrderSn }) => parentOrderSn);
  const refuse = (index: number, call: string, errorCode: number) =>
    sandbox.faults.add({
      match: { type: call, parentOrderSn: numbers[index] as string },
      do: { kind: 'innerError', errorCode, errorMsg: `Not possible: ${CONTACTS}` },
    });
  refuse(0, 'bg.order.amount.query', 140_020_002);
  refuse(1, 'bg.order.shippinginfo.get', 140_020_002);
  refuse(2, 'bg.order.amount.query', 140_020_003); // the seller must act: a notice
  sandbox.faults.add({
    match: { type: 'bg.order.shippinginfo.get', parentOrderSn: numbers[3] as string },
    do: {
      kind: 'wrongJson',
      body: { success: true, result: { receiptName: BUYER, mobile: BUYER.mobile, mail: [BUYER.mail] } },
    },
  });
  refuse(4, 'bg.logistics.shipment.v2.confirm', 120_012_016); // a final no: parked or rejected
  refuse(5, 'bg.logistics.shipment.v2.confirm', 120_012_023); // the seller must act
  // an order that cannot be read, and one with fields that nobody knows
  const [page] = [{ parentOrderSn: 'PO-odd-1', updateTime: Math.floor(Date.now() / 1000) }];
  sandbox.faults.add({
    match: { type: 'bg.order.list.get' },
    times: 1,
    do: {
      kind: 'wrongJson',
      body: {
        ...{ success: true, errorCode: 1_000_000 },
        result: {
          totalItemNum: 2,
          pageItems: [
            { parentOrderMap: { ...page, regionId: 'none', ...BUYER, receiver: BUYER } },
            {
              parentOrderMap: {
                ...page,
                parentOrderSn: 'PO-odd-2',
                parentOrderStatus: 3,
                remark: BUYER.name,
              },
              orderList: [{ orderSn: 'L-1', receiver: BUYER }],
            },
          ],
        },
      },
    },
  });
  const storeId = await addShopAsStore(stack, shop);
  await openWindows(stack.fleet, [storeId]);
  await until(async () => (await sql()`select from temu_order_inbox`).length === 2);
  await until(async () => (await sql()`select from temu_sync_windows where state = 'open'`).length === 0);
  await sql()`update temu_stores set last_synced_at = null`; // the whole window once more
  await openWindows(stack.fleet, [storeId]);
  await until(async () => (await sql()`select from orders where shipping_street1 is not null`).length >= 9, {
    timeoutMs: 30_000,
  });
  await until(
    async () => (await sql()`select from order_errors where message like '%Not possible%'`).length >= 2,
  );
}

/** Numbers for them, by the client, over HTTP and by a foreign producer, with fields that nobody asked for. */
async function sendAwbs(): Promise<void> {
  const event = (index: number, awbNumber: string) => ({
    ...{ source: 'temu', marketplaceOrderId: numbers[index], awbNumber, carrier: 'fancourier' },
    ...{ receiver: BUYER, note: `for ${BUYER.name}`, items: undefined },
  });
  const raw = stack.fleet.queues.raw('awb-created');
  await raw.add('awb-created', { v: 1, ...event(4, 'AWBPARKED4') });
  await raw.add('awb-created', { v: 1, ...event(6, 'AWBFINE6') });
  await raw.add('awb-created', { v: 1, awbNumber: { of: BUYER.name }, receiver: BUYER }); // refused
  await raw.add('awb-created', { v: 1, ...event(7, 'AWBLOST7'), marketplaceOrderId: 'PO-nobody-knows' });
  const posted = await app.request('/events/awb-created', {
    method: 'POST',
    headers: { authorization: `Bearer ${USERS.EVENTS_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(event(5, 'AWBLATER5')),
  });
  expect(posted.status).toBe(202);
  await until(async () => {
    const pushes = await sql()<
      { state: string; error: string | null }[]
    >`select state, error from temu_pushes`;
    const refused = pushes.filter(({ error }) => error?.includes('Not possible'));
    if (pushes.length === 3 && refused.length === 2 && pushes.some(({ state }) => state === 'sent'))
      return true;
    throw new Error(JSON.stringify(pushes));
  });
}

/** Parcels of buyers elsewhere, at every courier, by asking and by being told. */
async function track(): Promise<void> {
  const { parcels } = sandbox.couriers;
  const lives = ['delivered', 'rto', 'cancelled', 'lost', 'strangeWord', 'neverFound'] as const;
  for (const api of COURIERS) {
    const added = lives.map((life) =>
      parcels.add({ api, life, bookedAt: Date.now() - (life === 'delivered' ? 4 : 20) * 86_400_000 }),
    );
    await bookParcels(sql(), added);
    if (api === 'delhivery-b2c')
      sandbox.couriers.api[api].faults.add({
        times: 1,
        do: {
          kind: 'status',
          status: 400,
          type: 'application/json',
          body: JSON.stringify({ message: `rejected: ${CONTACTS}`, consignee: BUYER.name }),
        },
      });
  }
  await sql()`
    update orders set shipping_buyer_name = ${BUYER.name}, shipping_phone = ${BUYER.mobile}, buyer_mail = ${BUYER.mail},
      shipping_street1 = ${BUYER.street1}, shipping_city = ${BUYER.city}, shipping_postal_code = ${BUYER.postCode}
    where source <> 'temu'`;
  for (const tracker of stack.fleet.trackers) await startRun(stack.fleet, tracker);
  await until(
    async () => (await sql()`select from tracking_runs where state = 'finished'`).length >= COURIERS.length,
    { timeoutMs: 30_000 },
  );
  const told = parcels.add({ api: 'delhivery-b2c', life: 'delivered', bookedAt: Date.now() - 86_400_000 });
  await bookParcels(sql(), [told]);
  const pushed = parcels.push(told.number) as { Shipment: Record<string, unknown> };
  const answer = await app.request('/webhooks/delhivery', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${USERS.DELHIVERY_WEBHOOK_TOKEN}`,
      'x-api-key': USERS.DELHIVERY_WEBHOOK_TOKEN,
    },
    body: JSON.stringify({ Shipment: { ...pushed.Shipment, Consignee: BUYER, ReceivedBy: BUYER.name } }),
  });
  seen.set('webhook answer', `${answer.status} ${await answer.text()}`);
  expect(answer.status).toBe(200);
}

/** Slack, mails and webhooks are out. */
async function tellPeople(): Promise<void> {
  await until(async () => (await sql()`select from notices where state = 'pending'`).length === 0, {
    timeoutMs: 30_000,
  });
  expect(sandbox.slack.messages.list().length).toBeGreaterThan(0);
  expect(sandbox.smtp?.mails.list().length).toBeGreaterThan(0);
  expect(sandbox.hooks.requests.list().length).toBeGreaterThan(0);
  seen.set('Slack', JSON.stringify(sandbox.slack.messages.list()));
  for (const { id, raw, parsed } of sandbox.smtp?.mails.list() ?? [])
    seen.set(`mail ${id}`, [raw, parsed.subject, parsed.text, parsed.html].join('\n'));
  for (const [index, { body, headers }] of sandbox.hooks.requests.list().entries()) {
    const { customer, ...rest } = JSON.parse(body) as { customer?: Record<string, unknown>; event: string };
    // C12: the CRM is told the phone with a return, by design; nothing else of the customer, and with nothing else
    if (customer) expect([rest.event, Object.keys(customer)]).toEqual(['order.rto', ['phone']]);
    seen.set(`webhook ${index}`, JSON.stringify([rest, headers]));
  }
}

async function everythingStored(): Promise<void> {
  const tables = await sql()<{ schema: string; name: string }[]>`
    select table_schema as schema, table_name as name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`;
  const personal = [
    'buyer_mail',
    'shipping_buyer_name',
    'shipping_phone',
    'shipping_street1',
    'shipping_city',
  ];
  for (const { schema, name } of tables) {
    const rows = await sql()<{ row: Record<string, unknown>; raw: string }[]>`
      select to_jsonb(t) as row, t::text as raw from ${sql()(schema)}.${sql()(name)} t`;
    const isOrders = schema === 'public' && name === 'orders';
    const kept = rows.map(({ row, raw }) => {
      if (!isOrders) return `${JSON.stringify(row)}\n${raw}`;
      for (const column of [...personal, 'shipping_state_province', 'shipping_postal_code'])
        delete row[column];
      return JSON.stringify(row);
    });
    seen.set(`table ${schema}.${name}`, kept.join('\n'));
  }
  if (stack.env.REDIS_URL) await everythingInRedis(stack.env.REDIS_URL);
}

async function everythingInRedis(url: string): Promise<void> {
  const redis = new Redis(url);
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key);
    const read = {
      hash: () => redis.hgetall(key),
      stream: () => redis.xrange(key, '-', '+'),
      zset: () => redis.zrange(key, '0', '-1'),
      list: () => redis.lrange(key, '0', '-1'),
      set: () => redis.smembers(key),
    }[type];
    seen.set(`redis ${key}`, read ? JSON.stringify(await read()) : String(await redis.get(key)));
  }
  redis.disconnect();
}

async function login(user: string, password: string): Promise<string> {
  const answer = await app.request('/login', {
    ...{ method: 'POST', headers: SITE },
    body: new URLSearchParams({ user, password }),
  });
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  expect(cookie).not.toBe('');
  return cookie;
}

const PAGES = [
  ...['/', '/?hours=1', '/orders', '/orders?show=parked', '/orders?show=failed', '/orders?show=incomplete'],
  ...['/orders?show=unmatched', '/orders?show=errors', '/metrics', '/healthz', '/readyz', '/queues'],
  ...['/login', '/nowhere'],
];
/** All others are 200: a page that failed shows nobody, and proves nothing. */
const STATUS: Record<string, number> = { '/login': 303, '/nowhere': 404 };

/** Every page as somebody sees it who may look and no more. @returns the order's own page for one who may write */
async function everyPage(): Promise<string> {
  const look = async (path: string, cookie: string) => {
    const answer = await app.request(path, { headers: { ...SITE, cookie } });
    expect(answer.status, path).toBe(STATUS[path] ?? 200);
    return `${answer.status} ${JSON.stringify([...answer.headers])} ${await answer.text()}`;
  };
  const [guest, ops] = [
    await login('guest', USERS.DASHBOARD_READER_PASSWORD),
    await login('ops', USERS.DASHBOARD_PASSWORD),
  ];
  const others = await sql()<{ sn: string }[]>`select marketplace_order_id as sn from orders`;
  const stories = [
    ...new Set([...numbers, ...others.map(({ sn }) => sn), 'PO-odd-1', 'AWBPARKED4', 'PO-nobody-knows']),
  ];
  for (const path of [...PAGES, ...stories.map((sn) => `/orders/${encodeURIComponent(sn)}`)])
    seen.set(`page ${path}`, await look(path, guest));
  for (const path of ['/', '/orders', '/orders?show=parked'])
    seen.set(`page ${path} of ops`, await look(path, ops));
  for (const { name } of queuesOf(stack.fleet)) {
    for (const status of ['latest', 'completed', 'failed', 'delayed'])
      seen.set(
        `queues ${name} ${status}`,
        await look(`/queues/api/queues?activeQueue=${name}&status=${status}&page=1&jobsPerPage=100`, ops),
      );
    for (const { id } of await stack.fleet.queues
      .raw(name)
      .getJobs(['completed', 'failed', 'delayed'], 0, 20)) {
      const at = `/queues/api/queues/${name}/${encodeURIComponent(String(id))}`;
      seen.set(`job ${name} ${id}`, await look(at, ops));
      seen.set(`logs of job ${name} ${id}`, await look(`${at}/logs`, ops));
    }
  }
  return await look(`/orders/${numbers[6]}`, ops);
}

test('T18: planted buyers are nowhere but in their orders and on their page for who may write', async () => {
  const hook = sandbox.hooks.url('crm');
  await addEndpoint(stack.fleet.db, stack.fleet.secrets, hook, ['order.rto', 'shipment.updated']);
  await takeOrders();
  await sendAwbs();
  await track();
  await tellPeople();
  const own = await everyPage();
  await everythingStored();
  // what the command line prints
  seen.set('status', JSON.stringify(await readOverview(stack.fleet)));
  seen.set('doctor', JSON.stringify(await runDoctor(stack.fleet)));
  for (const sn of numbers) seen.set(`explain ${sn}`, JSON.stringify(await readTimelines(stack.fleet, sn)));
  seen.set('log', stack.logged());

  // it was looked where something is
  for (const sn of numbers.slice(0, 4)) expect(seen.get(`page /orders/${sn}`)).toContain(sn);
  expect(seen.get('table public.temu_order_inbox')).toContain('PO-odd-1');
  expect(seen.get('table public.order_errors')).toContain('Not possible: write to … or call …');
  expect(seen.get('log')?.split('\n').length).toBeGreaterThan(50);
  const found = [...seen].flatMap(([where, text]) =>
    [...PLANTED, ...CLOSED]
      .filter((planted) => text.includes(planted) || text.includes(JSON.stringify(planted).slice(1, -1)))
      .map((planted) => `${where}: ${planted}`),
  );
  expect(found).toEqual([]);

  for (const planted of Object.values(BUYER)) expect(own).toContain(planted);
  for (const planted of [...Object.values(BUYER)])
    expect(/<title>(.*?)<\/title>/s.exec(own)?.[1]).not.toContain(planted);
  for (const secret of CLOSED) expect(own).not.toContain(secret);
}, 90_000);
