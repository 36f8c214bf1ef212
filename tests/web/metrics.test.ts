import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deliveryOverview } from '../../src/alerts/index.ts';
import { readFleetMetrics } from '../../src/ops/fleet-metrics.ts';
import { samplerTasks } from '../../src/ops/sampler.ts';
import { maintenance, maintenanceHandler, schedulesOf } from '../../src/queue/maintenance.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { reconcileSchedules } from '../../src/queue/schedules.ts';
import { addStore } from '../../src/temu/stores.ts';
import { reconcileTrackers } from '../../src/tracking/index.ts';
import { healthRoutes } from '../../src/web/routes/health.ts';
import { fleetMetrics, mergeExpositions } from '../../src/web/routes/metrics.ts';
import { readExposition, sampleOf } from '../support/exposition.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { held } from '../support/held.ts';
import { backends, oneBackend } from '../support/redis.ts';
import { until } from '../support/until.ts';

const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const TOKEN = 'a-token-for-metrics';
const SETTINGS = {
  METRICS_TOKEN: TOKEN,
  DELHIVERY_URL: 'http://127.0.0.1:9/',
  DELHIVERY_AUTH_TOKEN_B2C: 'key-of-the-courier',
  DELHIVERY_FALLBACK_URL: 'http://127.0.0.1:9/',
};
/** With everything that a label must escape. */
const STORE = 'Țară "EU" \\ 1';
const APP_KEY = 'app-key-that-nobody-may-see';
const credentials = {
  appKey: APP_KEY,
  appSecret: 's',
  accessToken: 't',
  country: 'RO',
  apiVersion: 'v1',
} as const;

const seconds = (count: number) => new Date(Date.now() - count * 1000);

/** A fleet in which something of everything is due, waits or has failed. */
async function fill({ fleet, sql }: TestFleet): Promise<void> {
  const { db, queues } = fleet;
  await reconcileTrackers(fleet, undefined);
  const storeId = await addStore(db, fleet.secrets, { name: STORE, region: 'EU', ...credentials });
  const paused = await addStore(db, fleet.secrets, {
    name: 'paused',
    region: 'EU',
    ...credentials,
    appKey: 'b',
  });
  await sql`update temu_stores set active = false, paused_reason = 'refused' where id = ${paused}`;
  await sql`update temu_stores set last_synced_at = ${seconds(600)} where id = ${storeId}`;
  await sql`insert into temu_sync_windows (store_id, window_start, window_end, due_at) values (${storeId}, now(), now(), ${seconds(30)})`;
  for (const [sn, state, due, store] of [
    ['A', 'pending', seconds(100), storeId],
    ['B', 'incomplete', seconds(-3600), storeId],
    ['C', 'failed', seconds(5000), storeId],
    ['D', 'stored', seconds(5000), storeId],
    ['E', 'pending', seconds(9000), paused],
  ] as const)
    await sql`insert into temu_order_inbox (store_id, parent_order_sn, update_time, payload, state, due_at)
      values (${store}, ${sn}, now(), '{}', ${state}, ${due})`;

  const order = async (source: string, shipBy: Date | null, store: string | null) => {
    const [row] = await sql<{ id: string }[]>`
      insert into orders (source, store_id, marketplace_order_id, status, ship_by_date, shipping_buyer_name)
      values (${source}, ${store}, gen_random_uuid()::text, 'Ready for Shipping', ${shipBy}, 'Ileana Cosânzeana') returning id`;
    return row?.id ?? '';
  };
  const parcel = async (orderId: string, courier: string, askedAt: Date | null) => {
    const [row] = await sql<{ id: string }[]>`
      insert into shipments (order_id, awb_number, booking_courier, booked_at, last_tracked_at)
      values (${orderId}, 'AWB' || gen_random_uuid(), ${courier}, ${seconds(5_000)}, ${askedAt}) returning id`;
    return row?.id ?? '';
  };
  const atRisk = await order('temu', seconds(-30 * 60), storeId);
  await sql`insert into temu_orders (order_id) values (${atRisk})`;
  const later = await order('temu', seconds(-5 * 3600), storeId);
  await sql`insert into temu_orders (order_id) values (${later})`;
  for (const [state, due] of [
    ['pending', seconds(50)],
    ['parked', seconds(9000)],
  ] as const)
    await sql`insert into temu_pushes (shipment_id, order_id, state, due_at)
      values (${await parcel(atRisk, 'fancourier', null)}, ${atRisk}, ${state}, ${due})`;
  const shop = await order('shopify', null, null);
  for (const asked of [seconds(600), seconds(600), null]) await parcel(shop, 'Delhivery', asked);
  await sql`update trackers set waiting_until = ${seconds(-120)} where name = 'delhivery-b2c'`;
  await sql`update trackers set stopped_at = now(), stopped_reason = 'refused' where name = 'delhivery-fallback'`;
  for (const [tracker, ids] of [
    ['delhivery-b2c', 1],
    ['delhivery-fallback', 2],
  ] as const)
    await sql`with run as (insert into tracking_runs (tracker, planned) values (${tracker}, ${ids}) returning id)
      insert into tracking_batches (run_id, no, shipment_ids, due_at) select id, 0, '{}', ${seconds(70)} from run`;
  await sql`insert into temu_pushes (shipment_id, order_id, state, told_at, due_at)
    values (${await parcel(later, 'fancourier', null)}, ${later}, 'unknown', ${seconds(2_400)}, ${seconds(-60)})`;
  // tried for more than a day: one that was given up just now, one the day before, one that is still tried
  await sql`insert into notices (kind, key, payload, state, attempts, due_at, created_at) values
    ('lost', 'a', '{}', 'pending', 0, ${seconds(20)}, ${seconds(90_000)}),
    ('lost', 'b', '{}', 'failed', 32, now(), ${seconds(90_000)}),
    ('lost', 'c', '{}', 'failed', 32, ${seconds(90_000)}, ${seconds(180_000)}),
    ('lost', 'd', '{}', 'pending', 9, ${seconds(-600)}, ${seconds(7_000)})`;
  // an older round was answered 400 seconds ago; of the one that runs nothing is heard yet
  await sql`with run as (
      insert into tracking_runs (tracker, planned, not_found, state, started_at)
      values ('delhivery-b2c', 1, 1, 'finished', ${seconds(500)}) returning id)
    insert into tracking_batches (run_id, no, shipment_ids, state, due_at)
    select id, no, '{}', state, at from run, (values (0, 'done', ${seconds(450)}::timestamptz), (1, 'done', ${seconds(400)}),
      (2, 'failed', ${seconds(10)})) batches (no, state, at)`;
  await sql`insert into unmapped_statuses (tracker, word, count, sample) values ('delhivery-b2c', 'UD-ODD', 1, '{}')`;
  await sql`insert into quota_accounts (account, cells) values (${APP_KEY},
    array_fill(extract(epoch from clock_timestamp() + interval '1 minute')::float8 * 1000, array[5]) || array_fill(0::float8, array[15]))`;
  const event = {
    v: 1,
    source: 'temu',
    marketplaceOrderId: 'PO-1',
    awbNumber: 'AWB1',
    carrier: 'fancourier',
  };
  await queues
    .raw('awb-created')
    .add('awb-created', event, { jobId: 'awb-1', timestamp: Date.now() - 40_000 });
}

describe.each(backends())('O4: /metrics of the whole fleet, queues on %s', (backend) => {
  let stack: TestFleet;
  let page: () => Promise<string>;
  beforeAll(async () => {
    stack = await startTestFleet(backend, NOWHERE, SETTINGS);
    await fill(stack);
    page = fleetMetrics(stack.fleet, { cached: 0, patience: 4_000, givenUp: 30_000 });
  });
  afterAll(() => stack?.close());

  it('has every number, in a form that Prometheus takes, and nobody’s name, number or key', async () => {
    const { fleet } = stack;
    const working = runWorkers([maintenanceHandler([])], fleet);
    await fleet.queues.add(maintenance, [{ id: 'one', payload: { v: 1, task: 'of another version' } }]);
    for (const jobId of ['bad', 'worse'])
      await fleet.queues.raw('maintenance').add('maintenance', {}, { jobId });
    const text = await until(async () => {
      const text = await page();
      const samples = readExposition(text);
      const ended = sampleOf(samples, 'bullmq_job_completed_total', { queue: 'maintenance' });
      const counted = sampleOf(samples, 'orderfleet_job_duration_seconds_count', {
        queue: 'maintenance',
        outcome: 'done',
      });
      const failed = sampleOf(samples, 'bullmq_job_failed_total', { queue: 'maintenance' });
      return ended === 1 && failed === 2 && counted === 1 && text;
    });
    const workers = sampleOf(readExposition(text), 'orderfleet_queue_workers', { queue: 'maintenance' });
    await working.stop(0);

    const samples = readExposition(text);
    const value = (name: string, labels: Record<string, string> = {}) => sampleOf(samples, name, labels);
    const near = (what: number) => expect.closeTo(what, -1.7); // 25 seconds: what a busy machine takes for all this
    expect(value('orderfleet_scrape_ok')).toBe(1);
    expect(workers).toBe(1);
    expect(value('bullmq_job_count', { queue: 'awb-created', state: 'waiting' })).toBe(1);
    expect(value('orderfleet_job_duration_seconds_count', { queue: 'maintenance', outcome: 'done' })).toBe(1);
    expect(value('orderfleet_queue_depth', { queue: 'awb-created' })).toBe(1);
    expect(value('orderfleet_queue_depth', { queue: 'tracking-velocity' })).toBe(0);
    const oldest = (queue: string) => value('orderfleet_queue_oldest_seconds', { queue });
    expect({
      pages: oldest('temu-pages'),
      orders: oldest('temu-orders'),
      created: oldest('awb-created'),
      push: oldest('awb-push'),
      fallback: oldest('tracking-delhivery-fallback'),
      notices: oldest('notices'),
    }).toEqual({
      pages: near(30),
      orders: near(100),
      created: near(40),
      push: near(50),
      fallback: near(70),
      notices: near(20),
    });
    // what waits for a courier is not due, and a queue without work has no age
    expect([oldest('tracking-delhivery-b2c'), oldest('maintenance'), oldest('tracking-velocity')]).toEqual([
      0, 0, 0,
    ]);
    expect(value('orderfleet_quota_used_ratio', { account: `temu ${STORE}` })).toBe(0.25);
    expect(value('orderfleet_quota_used_ratio', { account: 'delhivery-b2c' })).toBe(0);
    expect(value('orderfleet_rate_limited_seconds', { tracker: 'delhivery-b2c' })).toEqual(near(110));
    expect(value('orderfleet_tracker_stopped', { tracker: 'delhivery-b2c' })).toBe(0);
    expect(value('orderfleet_tracker_interval_seconds', { tracker: 'delhivery-b2c' })).toBe(480);
    expect(value('orderfleet_tracker_interval_seconds', { tracker: 'delhivery-fallback' })).toBe(7200);
    expect(value('orderfleet_tracker_stopped', { tracker: 'delhivery-fallback' })).toBe(1);
    expect(value('orderfleet_tracking_parcels', { tracker: 'delhivery-b2c' })).toBe(3);
    const staleness = (quantile: string) =>
      value('orderfleet_tracking_staleness_seconds', { tracker: 'delhivery-b2c', quantile });
    expect(staleness('0.5')).toEqual(near(600));
    expect(staleness('0.99')).toBeGreaterThan(4_500); // never asked for: since its booking
    expect(value('orderfleet_awb_minutes_to_deadline')).toBeCloseTo(30, 0);
    expect(value('orderfleet_awb_at_risk')).toBe(1);
    const pushes = ['pending', 'sending', 'unknown', 'parked', 'rejected'];
    expect(pushes.map((state) => value('orderfleet_pushes', { state }))).toEqual([1, 0, 1, 1, 0]);
    expect(value('orderfleet_pushes_unknown_seconds')).toEqual(near(2_400));
    expect(value('orderfleet_store_sync_age_seconds', { store: STORE })).toEqual(near(600));
    expect(value('orderfleet_store_paused', { store: STORE })).toBe(0);
    expect(value('orderfleet_store_paused', { store: 'paused' })).toBe(1);
    const waiting = ['pending', 'incomplete', 'failed'];
    expect(waiting.map((state) => value('orderfleet_orders_waiting', { state }))).toEqual([2, 1, 1]);
    expect(value('orderfleet_notices', { state: 'pending' })).toBe(2);
    expect(value('orderfleet_notices', { state: 'failed' })).toBe(1);
    expect((await deliveryOverview(fleet.db)).failed).toBe(1);
    expect(value('orderfleet_notices_undelivered_seconds')).toEqual(near(7_000));
    expect(value('orderfleet_healthy')).toBe(1);
    expect(value('orderfleet_unmapped_words')).toBe(1);
    for (const secret of [APP_KEY, TOKEN, 'Ileana', 'PO-1', SETTINGS.DELHIVERY_AUTH_TOKEN_B2C])
      expect(text).not.toContain(secret);
    expect(text).not.toMatch(/AWB[\da-f]/);
  });

  it('a dead scheduler shows: its tasks are late though none of them waits by name', async () => {
    const { queues, log } = stack.fleet;
    const task = { id: 'probe', everyMs: 150, run: async () => ({}) };
    await reconcileSchedules(queues, maintenance, schedulesOf([task]), log);
    const working = runWorkers([maintenanceHandler([task])], stack.fleet);
    await until(async () => (await queues.counts(maintenance)).delayed === 1); // its first turn is over
    await working.stop(0);
    const ofMaintenance = async () =>
      (await readFleetMetrics(stack.fleet)).queues.find(({ queue }) => queue === 'maintenance');
    const dead = await until(async () => {
      const figures = await ofMaintenance();
      return figures?.workers === 0 && figures.oldest > 0.2 && figures;
    });
    expect(dead).toMatchObject({ depth: 0 });
    await reconcileSchedules(queues, maintenance, [], log);
    expect((await ofMaintenance())?.oldest).toBe(0);
  });

  it('O3: the sampler writes each series once a minute, however many schedulers run', async () => {
    const [sample, forget] = samplerTasks(stack.fleet);
    const { sql } = stack;
    const { signal } = new AbortController();
    await sql`insert into samples (series, label, at, value) values ('queue_depth', 'notices', now() - interval '9 days', 1),
      ('queue_depth', 'notices', now() - interval '7 days', 1)`;
    const before = Math.floor(Date.now() / 60_000) * 60_000 - 60_000;
    const first = await sample?.run(signal);
    const fleet = { ...stack.fleet, clock: () => before };
    const [atOnce] = samplerTasks(fleet);
    const both = await Promise.all([atOnce?.run(signal), atOnce?.run(signal)]);
    expect(both.map((one) => one?.samples ?? 0).sort((a, b) => a - b)).toEqual([0, first?.samples]);
    const rows = await sql<{ series: string; label: string; at: Date; value: number }[]>`
      select * from samples where at > now() - interval '1 hour' order by at desc`;
    expect(new Set(rows.map(({ at }) => at.getTime() % 60_000))).toEqual(new Set([0]));
    const value = (series: string, label: string) =>
      rows.find((row) => row.series === series && row.label === label)?.value;
    expect(value('quota_used', `temu ${STORE}`)).toBe(0.25);
    expect(value('waiting_seconds', 'delhivery-b2c')).toBeGreaterThan(60);
    expect(value('staleness_seconds', 'delhivery-b2c')).toBeGreaterThan(590);
    expect(value('heard_seconds', 'delhivery-b2c')).toBeGreaterThan(330);
    expect(value('heard_seconds', 'delhivery-b2c')).toBeLessThan(450);
    expect(rows.some((row) => row.series === 'heard_seconds' && row.label === 'delhivery-fallback')).toBe(
      false,
    );
    expect(value('parcels', 'pending')).toBe(3);
    expect(value('queue_depth', 'awb-created')).toBe(1);
    expect(value('awb_minutes', '')).toBeCloseTo(30, -1);
    expect(value('orders_waiting', '')).toBe(2);
    expect(await forget?.run(signal)).toEqual({ forgotten: 1 });
  });
});

describe.each(oneBackend())('O4: /metrics when something is amiss, queues on %s', (backend) => {
  let stack: TestFleet;
  beforeAll(async () => {
    stack = await startTestFleet(backend, NOWHERE, SETTINGS);
  });
  afterAll(() => stack?.close());

  it('a fleet without anything has a page, too', async () => {
    const samples = readExposition(await fleetMetrics(stack.fleet)());
    expect(sampleOf(samples, 'orderfleet_scrape_ok')).toBe(1);
    expect(sampleOf(samples, 'orderfleet_awb_minutes_to_deadline')).toBeUndefined();
    expect(sampleOf(samples, 'orderfleet_orders_waiting', { state: 'pending' })).toBe(0);
    expect(sampleOf(samples, 'orderfleet_pushes_unknown_seconds')).toBe(0);
    expect(sampleOf(samples, 'orderfleet_notices_undelivered_seconds')).toBe(0);
  });

  it('a database that hangs does not hang the scrape, and is asked once at a time', async () => {
    const { fleet, sql } = stack;
    const page = fleetMetrics(fleet, { cached: 0, patience: 150, givenUp: 30_000 });
    await sql.begin(
      held(async (locking) => {
        await locking`lock table temu_stores in access exclusive mode`;
        fleet.metrics.job('notices')('done');
        for (const _ of [1, 2, 3]) {
          const samples = readExposition(await page());
          expect(sampleOf(samples, 'orderfleet_scrape_ok')).toBe(0);
          expect(sampleOf(samples, 'orderfleet_store_paused')).toBeUndefined();
          expect(sampleOf(samples, 'orderfleet_job_duration_seconds_count', { queue: 'notices' })).toBe(1);
        }
        const [asking] = await sql<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
        expect(asking?.count).toBe(1);
      }),
    );
    await until(async () => sampleOf(readExposition(await page()), 'orderfleet_scrape_ok') === 1);
  });

  it('is read once for many who ask within five seconds', async () => {
    const page = fleetMetrics(stack.fleet);
    const before = await page();
    await addStore(stack.fleet.db, stack.fleet.secrets, { name: 'new', region: 'EU', ...credentials });
    expect(await page()).toBe(before);
    expect((await readFleetMetrics(stack.fleet)).stores).toHaveLength(1);
  });

  it('wants METRICS_TOKEN; /healthz and /readyz want nothing', async () => {
    const app = healthRoutes(stack.fleet);
    const get = (path: string, authorization = '') => app.request(path, { headers: { authorization } });
    for (const wrong of ['', `Bearer ${TOKEN}x`, `Basic ${TOKEN}`, 'Bearer ']) {
      const answer = await get('/metrics', wrong);
      expect({ status: answer.status, text: await answer.text() }).toEqual({
        status: 401,
        text: expect.not.stringContaining('orderfleet_'),
      });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    const right = await get('/metrics', `Bearer ${TOKEN}`);
    expect([right.status, right.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    expect(await (await get('/healthz')).json()).toEqual({ ok: true });
    expect(await (await get('/readyz')).json()).toEqual({
      ok: true,
      postgres: 'ok',
      queues: 'ok',
      process: 'ok',
    });
  });
});

describe('pages of several queues become one', () => {
  const page = (queue: string) =>
    `# HELP jobs Jobs\n# TYPE jobs gauge\njobs{queue="${queue}", state="a"} 1\n# HELP ended Ended\n# TYPE ended counter\nended{queue="${queue}"} 2`;
  it('each metric is told of once, with its lines together', () => {
    expect(() => readExposition(`${page('a')}\n${page('b')}\n`)).toThrow(/repeats HELP/);
    const samples = readExposition(mergeExpositions([page('a'), page('b')]));
    expect(samples.map(({ name, labels }) => `${name} ${labels.queue}`)).toEqual([
      'jobs a',
      'jobs b',
      'ended a',
      'ended b',
    ]);
  });
  it.each([
    ['no TYPE', 'jobs 1\n', /no TYPE/],
    ['a series twice', '# TYPE jobs gauge\njobs{a="1",b="2"} 1\njobs{b="2",a="1"} 1\n', /repeats a series/],
    ['a quote in a label', '# TYPE jobs gauge\njobs{a="1"2"} 1\n', /labels/],
    ['a line that stands apart', '# TYPE a gauge\n# TYPE b gauge\na 1\n', /stands apart/],
    ['no number', '# TYPE a gauge\na one\n', /no number/],
    ['no end', '# TYPE a gauge\na 1', /no end/],
  ])('what checks them refuses %s', (_, text, why) => expect(() => readExposition(text)).toThrow(why));
});
