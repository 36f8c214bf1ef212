import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill } from '../../bench/support/filled.ts';
import { GROWING } from '../../bench/support/plans.ts';
import { connect } from '../../bench/support/tables.ts';
import { ordersLine, ordersOf } from '../../src/cli/status.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type Fleet, openFleet } from '../../src/fleet/index.ts';
import { SAMPLED } from '../../src/ops/charts.ts';
import { readTimelines } from '../../src/ops/explain.ts';
import { foldSamples } from '../../src/ops/folded-samples.ts';
import { readOverview } from '../../src/ops/overview.ts';
import { ordersAtRisk } from '../../src/orders/at-risk.ts';
import { storeOverviews } from '../../src/temu/overview.ts';
import { createApp } from '../../src/web/server.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { until } from '../support/until.ts';

/** P9, P3: what is listed, looked up and summed up is read through indexes, and costs what is open, not what is stored. */
const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const ORDERS = 8_000;
const OPEN = 120;
/** From the sixth time on a session may use a plan that does not know the values. */
const TIMES = 6;
/** Of a table: a day of the history is found to within some ten thousand rows. */
const MOST_READ = 0.25;
const A_FEW_PAGES = 150;

let stack: TestFleet;
beforeAll(async () => {
  stack = await startTestFleet('postgres', NOWHERE);
  const sql = connect(stack.env.DATABASE_URL ?? '');
  await fill(sql, ORDERS, OPEN);
  await sql.end();
  await foldSamples(stack.fleet.db, SAMPLED, Date.now() / 1000, 0);
});
afterAll(() => stack?.close());

const get =
  (path: string, status = 200) =>
  async (fleet: Fleet) => {
    const answer = await createApp(fleet).request(path);
    await answer.text();
    expect(answer.status).toBe(status);
  };
const NEWEST = `PO-076-${ORDERS - 2}`;
type Asked = [what: string, ask: (fleet: Fleet) => Promise<unknown>, but?: string];
const SUMMED_UP: Asked[] = [
  ['the overview', get('/')],
  ['the charts of a week', get('/data.json?hours=168')],
  ...['risk', 'parked', 'failed', 'incomplete', 'errors', 'unmatched'].map(
    (list): Asked => [`the list ${list}`, get(`/orders?show=${list}&page=2`)],
  ),
  ['orders with an error', get('/orders?show=errors&says=no%20SKU')],
  ['the metrics', get('/metrics')],
  // these stores have shipped less than it counts at most
  ['status', (fleet) => readOverview(fleet), 'orders: '],
  ['awb list', ({ db, clock }) => ordersAtRisk(db, clock())],
];
const A_PARCEL = get(`/orders/AWB${ORDERS * 3}`);
const LOOKED_UP: Asked[] = [
  ['a search that finds', get(`/orders?q=${NEWEST}`, 303)],
  ['a search that finds nothing', get('/orders?q=nothing', 404)],
  ['an order', get(`/orders/${NEWEST}`)],
  ['a parcel by its AWB', A_PARCEL],
  ['a parcel by its LR number', get(`/orders/LR${(ORDERS - 49) * 3}`)],
  ['explain', (fleet) => readTimelines(fleet, NEWEST)],
];

/** What Postgres has counted so far: of a session when it has ended. */
const counters = async () =>
  new Map(
    (
      await stack.sql<{ name: string; scans: number; read: number; stored: number; pages: number }[]>`
        select relname as name, seq_scan::float8 as scans, n_live_tup::float8 as stored,
          (seq_tup_read + (select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid))::float8 as read,
          (heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::float8 as pages
        from pg_stat_user_tables t join pg_statio_user_tables using (relid, schemaname, relname)
        where schemaname = 'public' and relname = any(${[...GROWING]})`
    ).map(({ name, ...its }) => [name, its]),
  );

/**
 * The growing tables of which too much was read, with what was done.
 * @param mostPages of a table and its indexes: without the right index Postgres may read a wrong one from end to end
 */
async function overreadBy(ask: (fleet: Fleet) => Promise<unknown>, mostPages = Infinity): Promise<string[]> {
  const before = await counters();
  const fleet = openFleet(parseConfig(stack.env), 'asks');
  try {
    for (let nth = 0; nth < TIMES; nth++) await ask(fleet);
  } finally {
    await fleet.close();
  }
  await until(async () => {
    const left = await stack.sql`select 1 from pg_stat_activity where application_name like '%asks'`;
    return left.length === 0;
  });
  return [...(await counters())].flatMap(([name, its]) => {
    const of = (what: 'scans' | 'read' | 'pages') => (its[what] - (before.get(name)?.[what] ?? 0)) / TIMES;
    if (of('scans') > 0) return [`${name}: scanned`];
    if (of('pages') > mostPages) return [`${name}: ${Math.round(of('pages'))} pages`];
    const share = of('read') / its.stored;
    return share > MOST_READ ? [`${name}: ${Math.round(share * 100)} % read`] : [];
  });
}

test.each(SUMMED_UP)('P9: %s: no table that grows is scanned, or read by and large', async (_, ask, but) => {
  const overread = await overreadBy(ask);
  expect(overread.filter((one) => but === undefined || !one.startsWith(but))).toEqual([]);
});

test.each(LOOKED_UP)('P9: %s: a few pages are read', async (_, ask) => {
  expect(await overreadBy(ask, A_FEW_PAGES)).toEqual([]);
});

test('P9: an index that is missing is noticed', async () => {
  await stack.sql`drop index shipments_awb`;
  expect(await overreadBy(A_PARCEL, A_FEW_PAGES)).toContainEqual(expect.stringMatching(/^shipments: /));
});

test('P3: of what a store has shipped, so many are counted and no more', async () => {
  await stack.sql`
    insert into orders (source, store_id, marketplace_order_id, status)
    select 'temu', id, 'MANY-' || n, 'Shipped' from temu_stores, generate_series(1, 10001) n where name = 'store-1'`;
  const stores = await storeOverviews(stack.fleet.db);
  const many = stores.filter(({ more }) => more.length > 0);
  expect(many).toMatchObject([{ name: 'store-1', orders: { Shipped: 10_000 }, more: ['Shipped'] }]);
  expect(many.map(ordersOf)).toEqual([expect.stringMatching(/^10\d{3}\+$/)]);
  expect(ordersLine(stores)).toMatch(/^Shipped 1\d{4}\+ · Cancelled \d+ · /);
});
