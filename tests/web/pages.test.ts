import { Hono } from 'hono';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/index.ts';
import { type Fleet, openFleet } from '../../src/fleet/index.ts';
import type { ChartHistory } from '../../src/ops/charts.ts';
import { samplerTasks } from '../../src/ops/sampler.ts';
import { assets } from '../../src/web/assets/index.ts';
import type { User, WebEnv } from '../../src/web/context.ts';
import { pages } from '../../src/web/routes/dashboard.tsx';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { freePort, until } from '../support/until.ts';

const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const HOUR = 3_600_000;
const BUYER = {
  ...{ buyer_mail: 'planted@buyer.example', shipping_buyer_name: 'Planted <Name> شخص' },
  ...{
    shipping_phone: '+40 799 123 987',
    shipping_street1: 'Planted Street 1',
    shipping_city: 'Plantedville',
  },
};

let stack: TestFleet;
let sql: TestFleet['sql'];

beforeAll(async () => {
  stack = await startTestFleet('postgres', NOWHERE);
  sql = stack.sql;
});
beforeEach(async () => {
  await sql`truncate temu_stores, orders, shipments, shipment_events, temu_order_inbox, notices, samples, trackers, awb_events,
    unmapped_statuses, tracking_runs, webhook_endpoints cascade`;
});
afterAll(async () => await stack?.close());

/** The pages as somebody sees them who was let in. */
function browser(role: User['role'] = 'write', fleet: Fleet = stack.fleet) {
  const app = new Hono<WebEnv>();
  app.use(async (c, next) => {
    c.set('user', { name: 'ops', role });
    await next();
  });
  app.route('/', pages(fleet));
  return async (path: string, form?: Record<string, string>, headers: Record<string, string> = {}) => {
    const body = form && new URLSearchParams(form);
    const answer = await app.request(path, { headers, ...(body ? { method: 'POST', body } : {}) });
    const html = await answer.text();
    return { status: answer.status, headers: answer.headers, html, text: textOf(html), title: titleOf(html) };
  };
}

const titleOf = (html: string) => /<title>(.*?)<\/title>/s.exec(html)?.[1] ?? '';
const textOf = (html: string) =>
  html
    .replace(/<[^>]*>/g, ' ')
    .replace(/&quot;/g, '"')
    .replace(/\s+/g, ' ');
/** A panel's text: from its id up to the next panel. */
const panel = (html: string, id: string) =>
  textOf(html.split(`id="${id}"`)[1]?.split('class="panel')[0] ?? '');

async function addStore(
  name = 'my-shop',
  change: { active?: boolean; pausedReason?: string; pausedBy?: 'temu' } = {},
): Promise<string> {
  const [row] = await sql<{ id: string }[]>`
    insert into temu_stores (name, region, country, app_key, app_secret, access_token, active, paused_reason, paused_by, last_synced_at)
    values (${name}, 'EU', 'RO', 'k', 's', 't', ${change.active ?? true}, ${change.pausedReason ?? null}, ${change.pausedBy ?? null}, now())
    returning id`;
  return row?.id ?? '';
}

interface OrderSpec {
  storeId?: string | null;
  number: string;
  source?: string;
  status?: string;
  /** Hours from now. */
  shipIn?: number;
  buyer?: boolean;
  title?: string;
}

async function addOrder(spec: OrderSpec): Promise<string> {
  const { storeId = null, number, source = 'temu', status = 'Ready for Shipping', shipIn } = spec;
  const [row] = await sql<{ id: string }[]>`
    insert into orders ${sql({
      ...{
        source,
        store_id: storeId,
        marketplace_order_id: number,
        status,
        marketplace_status: 'UN_SHIPPING',
      },
      ship_by_date: shipIn === undefined ? null : new Date(Date.now() + shipIn * HOUR),
      ...(spec.buyer ? BUYER : {}),
    })} returning id`;
  const id = row?.id ?? '';
  if (source === 'temu') await sql`insert into temu_orders (order_id) values (${id})`;
  if (spec.title)
    await sql`
      insert into products_in_order (order_id, item_order_line_id, item_title, quantity) values (${id}, '1-1.00', ${spec.title}, 1)`;
  return id;
}

async function addParkedPush(orderId: string, awb: string, error: string): Promise<void> {
  await sql`
    with parcel as (insert into shipments (order_id, awb_number, booking_courier, booked_at)
      values (${orderId}, ${awb}, 'fancourier', now()) returning id)
    insert into temu_pushes (shipment_id, order_id, state, error) select id, ${orderId}, 'parked', ${error} from parcel`;
}

describe('O3: the overview', () => {
  test('of an empty database says what to do, with every chart and no number made up', async () => {
    // on a machine that has just begun, the stores may be slower than a page waits for, which it then says
    const { status, text, html } = await until(async () => {
      const page = await browser()('/');
      return page.title.startsWith('Nothing to do yet') && page;
    });
    expect(status).toBe(200);
    for (const said of ['orderfleet store add', 'No order is at risk', 'No parcels are being tracked'])
      expect(text).toContain(said);
    expect(html.match(/<figure/g)).toHaveLength(9);
    expect(text.match(/no data yet/g)?.length).toBeGreaterThanOrEqual(8);
    expect(text).not.toMatch(/NaN|undefined|null|Infinity/);
  });

  test('all is well: a store that was read, nothing else', async () => {
    await addStore();
    const { html, title } = await browser()('/');
    expect(title).toBe('All systems normal · Orderfleet');
    expect(html).toContain('class="verdict ok"');
    expect(panel(html, 'stores')).toMatch(/my-shop EU · RO active \d s ago/);
    expect(html).not.toContain('id="attention"');
  });

  test('what needs a person is named, with what to do and the way there', async () => {
    const storeId = await addStore();
    await addStore('closed', {
      active: false,
      pausedReason: 'Temu refused the store (3000034); rotate its token',
      pausedBy: 'temu',
    });
    await addParkedPush(await addOrder({ storeId, number: 'PO-1' }), 'AWB1', 'no such carrier');
    await sql`insert into unmapped_statuses (tracker, word, count, sample) values ('velocity', 'ON DRONE', 2, '{}')`;
    const { html, text } = await browser()('/');
    expect(html).toContain('class="verdict bad"');
    expect(text).toContain('3 issues need you');
    const told = panel(html, 'attention');
    expect(told).toContain('Temu rejected 1 tracking number');
    expect(told).toContain('orderfleet awb retry --failed');
    expect(told).toContain('Store “closed” is paused Temu refused the store (3000034); rotate its token');
    expect(told).toContain('orderfleet words map velocity "ON DRONE" STATUS');
    expect(html).toContain('href="/orders?show=parked"');
    expect(panel(html, 'stores')).toMatch(/closed EU · RO paused .* my-shop EU · RO active/);
  });

  test('A8: AWBs at risk, the nearest deadline first, with the way to their timelines', async () => {
    const storeId = await addStore();
    for (const [number, shipIn] of Object.entries({
      'PO-late': -1,
      'PO-later': 1.5,
      'PO-soon': 0.5,
      'PO-fine': 5,
    }))
      await addOrder({ storeId, number, shipIn });
    const sent = await addOrder({ storeId, number: 'PO-sent', shipIn: 1 });
    await sql`update temu_orders set tracking_sent_to_temu = true where order_id = ${sent}`;
    const open = browser();
    const { html } = await open('/');
    const links = [...html.matchAll(/href="\/orders\/(PO-[a-z]+)"/g)].map(([, number]) => number);
    expect(links).toEqual(['PO-late', 'PO-soon', 'PO-later']);
    expect(panel(html, 'risk')).toMatch(/60 min late PO-late .*30 min left PO-soon .*90 min left PO-later/);
    const { charts } = JSON.parse((await open('/data.json')).html);
    expect(charts.find(({ id }: { id: string }) => id === 'left')).toMatchObject({
      labels: ['late', '<30 m', '<1 h', '<2 h', '<6 h', '<1 d', '>1 d'],
      series: [{ values: [1, 1, 0, 1, 1, 0, 0] }],
    });
  });

  test('queues without a worker where there is work are told; without work they are not', async () => {
    const quiet = await browser()('/');
    expect(quiet.text).not.toContain('No worker is running');
    await stack.fleet.queues.raw('notices').add('notices', {});
    const { html, text } = await browser()('/');
    expect(text).toContain('No worker is running for the 1 job in notices');
    expect(text).toContain('npm run worker -- alerts');
    expect(panel(html, 'queues')).toMatch(/notices 1 0 0 0 0/);
    await stack.fleet.queues.raw('notices').obliterate({ force: true });
  });

  test.each<[string, () => Promise<Fleet>]>([
    [
      'hang',
      async () => {
        const { queues } = stack.fleet;
        return { ...stack.fleet, queues: { ...queues, counts: () => new Promise(() => {}) } };
      },
    ],
    [
      'lie in a Redis that is away',
      async () => {
        const env = { ...stack.env, REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
        return openFleet(parseConfig(env), 'test', { log: stack.fleet.log });
      },
    ],
  ])('what Postgres knows is shown while the queues %s', async (_, away) => {
    await addStore();
    const fleet = await away();
    const startedAt = performance.now();
    const { status, html } = await browser('write', fleet)('/');
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    if (fleet.db !== stack.fleet.db) await fleet.close();
    expect(status).toBe(200);
    expect(panel(html, 'attention')).toContain('The queues do not respond');
    expect(panel(html, 'queues')).toMatch(/temu-pages not responding .* maintenance not responding/);
    expect(panel(html, 'stores')).toContain('my-shop');
  });

  test('one queue that does not answer is named, and the others are counted', async () => {
    const { queues } = stack.fleet;
    const counts: typeof queues.counts = ({ name }) =>
      name === 'notices' ? Promise.reject(new Error('no such table')) : queues.counts({ name });
    const { html } = await browser('write', { ...stack.fleet, queues: { ...queues, counts } })('/');
    expect(panel(html, 'attention')).toContain('1 queue does not respond: notices');
    expect(panel(html, 'queues')).toMatch(/temu-pages 0 0 0 0 0 .* notices not responding/);
  });

  const addTracker = () => sql`
    insert into trackers (name, enabled, courier, sources, number, precedence) values ('velocity', true, 'velocity', 'primary', 'awb', 1)`;

  test.each<[string, { failed: number; running?: boolean; ok?: boolean }, RegExp | undefined]>([
    [
      'for all parcels',
      { failed: 10 },
      /The last run of Velocity failed for 10 of 10 parcels: HTTP 500 .*doctor/,
    ],
    ['also while the next one runs', { failed: 10, running: true }, /failed for 10 of 10 parcels/],
    ['for a fifth: that is usual', { failed: 2 }, undefined],
    ['and the next one did not', { failed: 10, ok: true }, undefined],
  ])('C3: a courier’s round that failed %s', async (_, { failed, running, ok }, told) => {
    await addStore();
    await addTracker();
    const add = (state: string, failed: number, minutesAgo: number) => sql`
      insert into tracking_runs (tracker, state, planned, failed, errors, started_at)
      values ('velocity', ${state}, 10, ${failed}, ${sql.json(failed > 0 ? { 'HTTP 500': failed - 1, 'HTTP 404': 1 } : {})},
        ${new Date(Date.now() - minutesAgo * 60_000)})`;
    await add('finished', 0, 30);
    await add('finished', failed, 20);
    if (running) await add('running', 0, 10);
    if (ok) await add('finished', 0, 10);
    const { html, title } = await browser()('/');
    if (told) expect(panel(html, 'attention')).toMatch(told);
    else expect(title).toBe('All systems normal · Orderfleet');
  });

  test('a webhook endpoint that was stopped is told of until it goes on, however long ago that was', async () => {
    await addStore();
    await sql`
      insert into webhook_endpoints (url, secret, events, active) values ('https://crm.example/hook', 's', '{order.rto}', false)`;
    const told = async () => panel((await browser()('/')).html, 'attention');
    expect(await told()).toMatch(
      /action the webhook endpoint https:\/\/crm\.example\/hook .* \(7 days ago\)/,
    );
    await sql`
      insert into notices (kind, key, subject, payload, created_at)
      select 'webhook-stopped', 'stopped', id, '{"text":"it answered 410"}', now() - interval '2 days' from webhook_endpoints`;
    expect(await told()).toContain('(2 days ago)');
    await sql`update webhook_endpoints set active = true`;
    expect((await browser()('/')).title).toBe('All systems normal · Orderfleet');
  });

  test('news is shown beside any number of notices whose matter the rows tell', async () => {
    await addStore();
    await sql`insert into notices (kind, key, payload, created_at) values ('sync-gap', 'gap', '{"text":"9 of 10"}', now() - interval '1 hour')`;
    await sql`
      insert into notices (kind, key, payload) select 'awb-at-risk', 'risk-' || n, '{"text":"was at risk"}' from generate_series(1, 250) n`;
    const { html } = await browser()('/');
    expect(panel(html, 'attention')).toContain('9 of 10 (60 min ago)');
    expect(panel(html, 'attention')).not.toContain('was at risk');
  });

  test('T9: an unknown country leads to the timeline of its order', async () => {
    await addStore();
    await sql`
      insert into notices (kind, key, payload) values ('unknown-country', 'c', ${sql.json({ text: 'Narnia', marketplaceOrderId: 'PO/1' })})`;
    const { html } = await browser()('/');
    expect(html).toContain('<a href="/orders/PO%2F1">See order PO/1</a>');
  });

  test('T10: an open error leads to the orders that have it, whatever their status; page by page', async () => {
    const storeId = await addStore();
    const several = 'Multiple Products present in the system with Temu SKU IDs 17 & "18"';
    const fail = async (number: string, type: string, message: string, resolved = false) =>
      await sql`
        insert into order_errors (order_id, type, message, resolved_at)
        values (${await addOrder({ storeId, number, status: 'Shipped' })}, ${type}, ${message}, ${resolved ? new Date() : null})`;
    for (let nth = 0; nth < 51; nth++) await fail(`PO-sku-${nth}`, 'Product Mapping', several);
    await fail('PO-far', 'Unknown Country', 'The country Narnia is not known');
    await fail('PO-mended', 'Product Mapping', several, true);
    const open = browser();
    const failures = (await open('/')).html.split('id="failures"')[1] ?? '';
    const [href = ''] = /\/orders\?show=errors[^"]*/.exec(failures) ?? [];
    const list = await open(href.replaceAll('&amp;', '&'));
    const rows = ({ html }: { html: string }) => html.match(/href="\/orders\/PO-sku-/g)?.length ?? 0;
    expect(rows(list)).toBe(50);
    expect(panel(list.html, 'tabs')).toContain('Open errors 52');
    expect(panel(list.html, 'list')).toContain('Page 1 of 2');
    const [, next = ''] = /href="([^"]*)">Next/.exec(list.html) ?? [];
    expect(rows(await open(next.replaceAll('&amp;', '&')))).toBe(1);
    const all = await open('/orders?show=errors&page=2');
    expect(all.html.match(/href="\/orders\/PO-/g)).toHaveLength(2);
    for (const says of ['\0', 'x'.repeat(401), '', "' or true --"])
      expect((await open(`/orders?show=errors&says=${encodeURIComponent(says)}`)).status).toBe(200);
  });

  test('parcels by status and by when they were last asked for', async () => {
    await addTracker();
    const orderId = await addOrder({ number: 'S-1', source: 'shopify' });
    const parcels = [
      ['A1', 'in_transit', 1],
      ['A2', 'in_transit', 20],
      ['A3', 'ndr', 300],
      ['A4', 'pending', null],
    ] as const;
    for (const [awb, status, minutes] of parcels)
      await sql`
        insert into shipments (order_id, awb_number, booking_courier, booked_at, status, last_tracked_at)
        values (${orderId}, ${awb}, 'Velocity', now(), ${status}, ${minutes === null ? null : new Date(Date.now() - minutes * 60_000)})`;
    const { html } = await browser()('/');
    expect(panel(html, 'parcels')).toMatch(/Oldest check Last checked Velocity 4 1 2 0 0 1 0 5 h ago/);
    // that is no word of the courier's: it may have failed
    expect(panel(html, 'parcels')).not.toMatch(/(newest|last|oldest) word/i);
    expect(html).toContain('up to 10 min: 1, up to 30 min: 1, up to 2 h: 0, older: 1, never checked: 1');
  });

  test('R4: what comes from outside is text: titles, words, names', async () => {
    const storeId = await addStore('<script>alert(1)</script>');
    await addParkedPush(
      await addOrder({ storeId, number: 'PO-<b>1', shipIn: 1, title: '<img src=x onerror=alert(2)>' }),
      'AWB"><i>',
      '<u>because</u>',
    );
    await sql`insert into unmapped_statuses (tracker, word, count, sample) values ('velocity', '<img src=x>', 2, '{}')`;
    const open = browser();
    for (const path of [
      '/',
      '/orders?show=parked',
      `/orders/${encodeURIComponent('PO-<b>1')}`,
      '/orders?q=%3Cimg%20src=y%3E',
    ]) {
      const { html } = await open(path);
      expect(html).not.toMatch(/<img|<script>|<b>1|<u>|<i>/);
      expect(html).not.toMatch(/ style=|<style|<script(?! src="\/assets\/)| on[a-z]+="/); // the Content-Security-Policy
    }
  });
});

describe('O3: the charts’ data', () => {
  const read = async (path: string) => {
    const { status, html } = await browser()(path);
    return { status, data: JSON.parse(html) };
  };

  test('R4: hours that are none are refused with what is wanted', async () => {
    for (const hours of ['0', '169', '-3', '1.5', 'abc', '24h', '']) {
      const { status, data } = await read(`/data.json?hours=${hours}`);
      expect(status, hours).toBe(400);
      expect(data.error).toContain('a whole number from 1 to 168');
    }
  });

  test('every window has its steps and all its charts, and nothing where nothing is known', async () => {
    for (const [hours, step, orders] of [
      [1, 60, 300],
      [3, 60, 600],
      [24, 300, 3600],
      [168, 1800, 21_600],
    ] as const) {
      const { status, data } = await read(`/data.json?hours=${hours}`);
      expect(status).toBe(200);
      const ids = ['orders', 'left', 'deadline', 'limits', 'waits', 'word', 'age', 'parcels', 'backlog'];
      expect(data.charts.map(({ id }: { id: string }) => id)).toEqual(ids);
      for (const chart of data.charts.filter(({ id }: { id: string }) => id !== 'left')) {
        expect(chart.step).toBe(chart.id === 'orders' ? orders : step);
        expect(chart.x.at(-1) - chart.x[0]).toBeGreaterThanOrEqual(hours * 3600 - chart.step);
        const values = chart.series.flatMap((one: { values: (number | null)[] }) => one.values);
        expect(values.every((value: number | null) => value === null)).toBe(true);
        for (const one of chart.series) expect(one.values).toHaveLength(chart.x.length);
      }
    }
  });

  test('orders are counted by when they came; samples are folded, the six highest are shown', async () => {
    const now = Date.now();
    await addOrder({ number: 'A' });
    await addOrder({ number: 'B', source: 'shopify' });
    await sql`update orders set created_at = ${new Date(now - 30 * HOUR)} where marketplace_order_id = 'B'`;
    for (let nth = 1; nth <= 8; nth++)
      await sql`insert into samples (series, label, at, value) values ('quota_used', ${`temu key-${nth}`}, ${new Date(now)}, ${nth / 10})`;
    await sql`insert into samples (series, label, at, value) values ('parcels', 'in_transit', ${new Date(now)}, 7)`;
    const { data } = await read('/data.json');
    const chart = (id: string) => data.charts.find((one: { id: string }) => one.id === id);
    expect(chart('orders').series[0].values.reduce((sum: number, one: number) => sum + one, 0)).toBe(1);
    expect(chart('limits')).toMatchObject({ unit: 'share', more: 2 });
    expect(chart('limits').series.map(({ label }: { label: string }) => label)).toEqual(
      [3, 4, 5, 6, 7, 8].map((nth) => `temu key-${nth}`),
    );
    expect(chart('parcels').series).toMatchObject([{ label: 'in transit' }]);
    expect(chart('parcels').series[0].values.at(-1)).toBe(7);
    const { html } = await browser()('/');
    expect(panel(html, 'limits')).toMatch(/temu key-8 80 %.*temu key-1 10 %/);
  });

  test('O3, P9: what a step of the charts of a day and a week shows is folded, and stays when its minutes are gone', async () => {
    const minute = Math.floor(Date.now() / 60_000) * 60_000;
    await sql`
      insert into samples (series, label, at, value)
      select series, 'a', ${new Date(minute)}::timestamptz - n * interval '1 minute', n * n % 101
      from unnest(array['queue_depth', 'awb_minutes', 'parcels']) series, generate_series(0, 400) n`;
    const drawn = async (hours: number) => {
      const { charts }: ChartHistory = (await read(`/data.json?hours=${hours}`)).data;
      return charts.flatMap(({ id, series }) =>
        ['backlog', 'deadline', 'parcels'].includes(id) ? series.map(({ values }) => values) : [],
      );
    };
    // all minutes, folded here: a window's first step may have begun before it
    const fold = (step: number, by: (values: number[]) => number) => {
      const steps = new Map<number, number[]>();
      for (let n = 0; n <= 400; n++) {
        const start = Math.floor((minute / 1000 - n * 60) / step) * step;
        steps.set(start, [...(steps.get(start) ?? []), (n * n) % 101]);
      }
      return [...steps].sort(([a], [b]) => a - b).map(([, values]) => Math.round(by(values) * 1000) / 1000);
    };
    const mean = (values: number[]) => values.reduce((sum, one) => sum + one, 0) / values.length;
    const expected = (step: number) => [
      fold(step, (values) => Math.min(...values)),
      fold(step, mean),
      fold(step, (values) => Math.max(...values)),
    ];
    const [, , task] = samplerTasks(stack.fleet);
    const { signal } = new AbortController();
    expect((await task?.run(signal))?.folded).toBeGreaterThan(3 * (400 / 5 + 400 / 30) - 12);
    expect((await task?.run(signal))?.folded).toBe(0);
    await sql`delete from samples where series not like '% %' and at < ${new Date(minute - 60 * 60_000)}`;
    for (const [hours, step] of [
      [24, 300],
      [168, 1800],
    ] as const)
      expect((await drawn(hours)).map((values) => values.filter((value) => value !== null))).toEqual(
        expected(step),
      );
  });
});

describe('O3: orders', () => {
  test.each([
    ['failed', 'PO-failed', 'unreadable'],
    ['incomplete', 'PO-incomplete', 'invalid param'],
    ['parked', 'PO-parked', 'no such carrier'],
    ['risk', 'PO-parked', 'no such carrier'],
    ['errors', 'PO-incomplete', 'invalid param'],
    ['unmatched', 'AWB-LOST', 'not known'],
  ])('the list %s names %s and why', async (show, number, why) => {
    const storeId = await addStore();
    await sql`
      insert into temu_order_inbox (store_id, parent_order_sn, update_time, payload, state, error)
      values (${storeId}, 'PO-failed', now(), '{}', 'failed', 'unreadable'), (${storeId}, 'PO-fine', now(), '{}', 'stored', null)`;
    const incomplete = await addOrder({ storeId, number: 'PO-incomplete', status: 'Incomplete', shipIn: 20 });
    await sql`insert into order_errors (order_id, type, message) values (${incomplete}, 'Order Download', 'invalid param')`;
    await addParkedPush(
      await addOrder({ storeId, number: 'PO-parked', shipIn: 1 }),
      'AWB1',
      'no such carrier',
    );
    await sql`
      insert into awb_events (key, payload, state, error) values ('a', '{"awbNumber":"AWB-LOST","marketplaceOrderId":"PO-?"}', 'parked', 'not known'),
        ('b', '{"awbNumber":"AWB-WAITS","marketplaceOrderId":"PO-?"}', 'waiting', 'not yet')`;
    const open = browser();
    const { html, status } = await open(`/orders?show=${show}`);
    expect(status).toBe(200);
    const links = [...html.matchAll(/href="\/orders\/([^"?]+)"/g)].map(([, one]) => one);
    expect(links).toEqual([number]);
    expect(panel(html, 'list')).toContain(why);
    expect(panel(html, 'tabs')).toContain(
      'At risk 1 AWB rejected 1 Not saved 1 Incomplete 1 Open errors 1 AWB without order 1',
    );
    expect((await open(`/orders/${number}`)).status).toBe(200);
  });

  test('a long list has pages; what is asked wrongly shows the first list', async () => {
    const storeId = await addStore();
    for (let nth = 0; nth < 51; nth++)
      await addOrder({ storeId, number: `PO-${nth}`, shipIn: 1 + nth / 1000 });
    const open = browser();
    const rows = ({ html }: { html: string }) => html.match(/href="\/orders\/PO-/g)?.length ?? 0;
    const [first, second, third, wrong] = [
      await open('/orders'),
      await open('/orders?page=2'),
      await open('/orders?page=3'),
      await open('/orders?show=nothing&page=-1'),
    ];
    expect([first, second, third, wrong].map(rows)).toEqual([50, 1, 0, 50]);
    expect(first.html).toContain('href="/orders?show=risk&amp;page=2"');
    expect(third.text).toContain('No more orders.');
  });

  test('the search leads to the timeline of an order, an AWB or an LR number', async () => {
    const orderId = await addOrder({ number: 'S/1 ü', source: 'shopify' });
    await sql`
      insert into shipments (order_id, awb_number, lr_number, booking_courier, booked_at) values (${orderId}, 'AWB7', 'LR7', 'Delhivery', now())`;
    const open = browser();
    for (const number of ['S/1 ü', 'AWB7', 'LR7']) {
      const found = await open(`/orders?q=${encodeURIComponent(` ${number} `)}`);
      expect(found.status).toBe(303);
      const timeline = await open(found.headers.get('location') ?? '');
      expect(timeline.status).toBe(200);
      expect(timeline.text).toContain('Parcel AWB AWB7, LR LR7');
    }
  });

  test('R4: a number that is nobody’s is 404 with what to do, whatever it is', async () => {
    const open = browser();
    for (const number of ['PO-404', 'A\0B', '..', '📦', '<b>"&', 'x'.repeat(5000), '100%']) {
      const paths = [`/orders?q=${encodeURIComponent(number)}`];
      if (number !== '..') paths.push(`/orders/${encodeURIComponent(number)}`);
      for (const path of paths) {
        const { status, text, title, html } = await open(path);
        expect(status, path).toBe(404);
        expect(text).toContain('Is its store added and synced?');
        expect(title).toBe('Not found · Orderfleet');
        expect(html.length).toBeLessThan(20_000);
      }
    }
  });

  test('its timeline: status with the reason, products, errors, what happened, its AWBs', async () => {
    const storeId = await addStore('متجر');
    const id = await addOrder({ storeId, number: 'PO-1', status: 'Incomplete', shipIn: 1, title: 'A dress' });
    await sql`insert into order_errors (order_id, type, message) values (${id}, 'Order Download', 'invalid param')`;
    await addParkedPush(id, 'AWB1', 'no such carrier');
    const { text, title } = await browser()('/orders/PO-1');
    expect(title).toBe('PO-1 · Orderfleet');
    for (const said of [
      'Incomplete',
      'متجر',
      'A dress',
      'Order Download: invalid param',
      'saved as Incomplete',
    ])
      expect(text).toContain(said);
    expect(text).toMatch(/AWB1 .*parked .*Parked, needs attention: no such carrier/);
  });

  test('E9: a number that cannot be one of its carrier’s is warned of on its order’s page', async () => {
    const id = await addOrder({ storeId: await addStore(), number: 'PO-1' });
    await addParkedPush(id, 'AWB1', 'no such carrier');
    await sql`update shipments set carrier = 'fancourier' where order_id = ${id}`;
    expect((await browser()('/orders/PO-1')).text).toContain(
      'AWB AWB1 cannot be one of FAN Courier’s numbers: those are 13 digits.',
    );
    await sql`update shipments set awb_number = '2071234567890' where order_id = ${id}`;
    expect((await browser()('/orders/PO-1')).text).not.toContain('cannot be one of');
  });

  test('two stores with the same number: both are told', async () => {
    for (const name of ['first', 'second']) await addOrder({ storeId: await addStore(name), number: 'PO-1' });
    const { html } = await browser()('/orders/PO-1');
    expect(panel(html, 'order-0-what') + panel(html, 'order-1-what')).toMatch(/first.*second|second.*first/);
  });
});

describe('T18: the buyer', () => {
  const planted = Object.values(BUYER).map((value) => value.replace(/[<>].*/, ''));

  test('a user who may write sees the buyer on the order’s own page, and nowhere in its title', async () => {
    await addOrder({ storeId: await addStore(), number: 'PO-1', buyer: true });
    const { html, title } = await browser('write')('/orders/PO-1');
    for (const value of planted) {
      expect(html).toContain(value);
      expect(title).not.toContain(value);
    }
    expect(html).toContain('Planted &lt;Name&gt; شخص');
  });

  test('a reader sees that it is hidden; no other page shows it to anybody', async () => {
    const storeId = await addStore();
    const id = await addOrder({ storeId, number: 'PO-1', status: 'Incomplete', shipIn: 1, buyer: true });
    await addParkedPush(id, 'AWB1', 'no such carrier');
    const seen = [await browser('read')('/orders/PO-1'), await browser('read')('/orders/AWB1')];
    expect(seen[0]?.text).toContain('Hidden: read-only users do not see buyer data.');
    const open = browser('write');
    for (const path of ['/', '/data.json', '/orders', '/orders?show=incomplete', '/orders?show=parked'])
      seen.push(await open(path));
    for (const { html } of seen) for (const value of planted) expect(html).not.toContain(value);
    expect(stack.logged()).not.toContain('Planted');
  });

  test('an erased buyer is told as erased, with the day', async () => {
    await addOrder({ storeId: await addStore(), number: 'PO-1' });
    await sql`update orders set personal_data_erased_at = '2026-11-01T10:00:00Z'`;
    expect((await browser('write')('/orders/PO-1')).text).toContain('Erased on 2026-11-01');
  });
});

describe('O3: buttons', () => {
  /** Presses a button and reads the page that comes next, with what it tells. */
  async function press(form: Record<string, string>) {
    const open = browser('write');
    const done = await open('/actions', { back: '/orders', ...form });
    expect(done.status).toBe(303);
    expect(done.headers.get('location')).toBe('/orders');
    const cookie = done.headers.get('set-cookie')?.split(';')[0] ?? '';
    const { html, headers } = await open('/orders', undefined, { cookie });
    expect(headers.get('set-cookie')).toContain('Max-Age=0');
    const [, tone, text] = /<p class="flash (\w+)" role="status">(.*?)<\/p>/.exec(html) ?? [];
    return { tone, text: textOf(text ?? '') };
  }

  test('a store is paused, refuses to be read, goes on and is read', async () => {
    const id = await addStore('my <shop>');
    const active = async () => (await sql<{ active: boolean }[]>`select active from temu_stores`)[0]?.active;
    expect(await press({ pause: 'my <shop>' })).toEqual({
      tone: 'ok',
      text: 'Store “my &lt;shop&gt;” paused.',
    });
    expect(await active()).toBe(false);
    const { text } = await browser()('/');
    expect(text).toContain('paused manually on the dashboard');
    expect(await press({ sync: 'my <shop>' })).toMatchObject({
      tone: 'bad',
      text: expect.stringContaining('resume it first'),
    });
    expect(await press({ resume: 'my <shop>' })).toMatchObject({ tone: 'ok' });
    expect(await active()).toBe(true);
    expect(await press({ sync: 'my <shop>' })).toMatchObject({
      tone: 'ok',
      text: expect.stringContaining('Syncing the orders of'),
    });
    expect(await sql`select state from temu_sync_windows where store_id = ${id}`).toMatchObject([
      { state: 'open' },
    ]);
    expect(await press({ pause: 'nobody' })).toMatchObject({
      tone: 'bad',
      text: expect.stringContaining('no store named'),
    });
  });

  test('a long answer is cut between characters', async () => {
    for (const before of ['', 'a'])
      expect(await press({ pause: `${before}${'📦'.repeat(600)}` })).toMatchObject({
        tone: 'bad',
        text: expect.stringMatching(/no store named .*📦$/u),
      });
  });

  test('an AWB that was not taken is tried again; a courier that is off says why not', async () => {
    const orderId = await addOrder({ storeId: await addStore(), number: 'PO-1', shipIn: 1 });
    await addParkedPush(orderId, 'AWB1', 'no such carrier');
    expect((await browser()('/orders/PO-1')).html).toContain('name="retry" value="PO-1"');
    expect(await press({ retry: 'PO-1' })).toEqual({
      tone: 'ok',
      text: '1 AWB of order PO-1 queued for Temu again.',
    });
    expect(await sql`select state from temu_pushes`).toMatchObject([{ state: 'pending' }]);
    await sql`update temu_pushes set state = 'parked'`;
    expect(await press({ retryFailed: 'all' })).toMatchObject({
      text: expect.stringContaining('1 AWB queued for Temu again'),
    });
    expect(await press({ track: 'velocity' })).toMatchObject({
      tone: 'bad',
      text: expect.stringContaining('no run started'),
    });
  });

  test('a reader sees none and may use none; what is no button is refused; nobody is led elsewhere', async () => {
    await addStore();
    const reader = browser('read');
    expect((await reader('/')).html).not.toContain('action="/actions"');
    expect((await reader('/actions', { pause: 'my-shop' })).status).toBe(403);
    expect(await sql`select active from temu_stores`).toMatchObject([{ active: true }]);
    const writer = browser('write');
    expect((await writer('/')).html).toContain('name="pause" value="my-shop"');
    expect((await writer('/actions', { explode: 'my-shop' })).status).toBe(400);
    const noBoundary = { 'content-type': 'multipart/form-data' };
    expect((await writer('/actions', { pause: 'my-shop' }, noBoundary)).status).toBe(400);
    const led = await writer('/actions', { resume: 'my-shop', back: 'https://evil.example/' });
    expect(led.headers.get('location')).toBe('/');
  });
});

describe('O3: files of the pages', () => {
  test('every file that a page names is there, and may be kept for ever under that address', async () => {
    const { html } = await browser()('/');
    const app = assets();
    const named = [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, url]) => url ?? '');
    expect(named.length).toBe(5);
    for (const url of named) {
      const answer = await app.request(url);
      expect(answer.status).toBe(200);
      expect((await answer.text()).length).toBeGreaterThan(100);
      expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    }
    const other = await app.request('/assets/style.css?v=another');
    expect(other.headers.get('cache-control')).toBe('no-cache');
    for (const up of ['%2e%2e%2f', '..%2f', '%2e%2e%5c'])
      expect((await app.request(`/assets/${up}server.ts`)).status, up).toBe(404);
  });

  test('without JavaScript the page loads itself anew, and its numbers stand in tables', async () => {
    await addOrder({ number: 'A' });
    const { html, text } = await browser()('/');
    expect(html).toContain('<noscript><meta http-equiv="refresh" content="60"/></noscript>');
    expect(panel(html, 'chart-orders')).toMatch(/Numbers From \(UTC\) all \d\d-\d\d \d\d:\d\d 1/);
    expect(text).toContain('Unshipped orders by time left');
  });
});
