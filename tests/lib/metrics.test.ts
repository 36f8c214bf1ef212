import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createMetrics, type Metrics } from '../../src/lib/metrics.ts';
import { type AlertStand, startAlertStand } from '../alerts/harness.ts';
import { type Mailbox, startMailbox } from '../alerts/mailbox.ts';
import { type Receiver, startReceiver } from '../alerts/receiver.ts';
import { readExposition, sampleOf } from '../support/exposition.ts';
import { startStand } from '../support/fleet.ts';
import { oneBackend } from '../support/redis.ts';
import { startTrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';

/** The value of one sample; 0 when there is none yet. */
async function value(metrics: Metrics, name: string, labels: Record<string, string>): Promise<number> {
  return sampleOf(readExposition(await metrics.text()), name, labels) ?? 0;
}
const requests = (metrics: Metrics, api: string, outcome: string) =>
  value(metrics, 'orderfleet_api_requests_total', { api, outcome });
const jobs = (metrics: Metrics, queue: string, outcome: string) =>
  value(metrics, 'orderfleet_job_duration_seconds_count', { queue, outcome });

describe('O4: what a process counts of itself', () => {
  it('two of them count apart, and each page is one that Prometheus takes', async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.observeProcess();
    for (const outcome of ['ok', 'ok', 'throttled']) one.request('temu')(outcome);
    other.job('notices')('done');
    expect([await requests(one, 'temu', 'ok'), await requests(one, 'temu', 'throttled')]).toEqual([2, 1]);
    expect(await value(one, 'orderfleet_api_request_duration_seconds_count', { api: 'temu' })).toBe(3);
    expect(await jobs(other, 'notices', 'done')).toBe(1);
    expect(await requests(other, 'temu', 'ok')).toBe(0);
    expect(await value(one, 'process_resident_memory_bytes', {})).toBeGreaterThan(1e6);
    expect(await value(one, 'nodejs_eventloop_lag_p99_seconds', {})).toBeGreaterThanOrEqual(0);
  });

  it('whether a process is well is asked at each reading', async () => {
    const metrics = createMetrics();
    let well = true;
    metrics.observeHealth(() => well);
    expect(await value(metrics, 'orderfleet_healthy', {})).toBe(1);
    well = false;
    expect(readExposition(await metrics.text())).toContainEqual(
      expect.objectContaining({ name: 'orderfleet_healthy', value: 0 }),
    );
  });

  it('a duration is in seconds', async () => {
    const metrics = createMetrics();
    const ended = metrics.request('slack');
    const startedAt = performance.now();
    await until(() => performance.now() - startedAt > 30);
    ended('ok');
    const took = (performance.now() - startedAt) / 1000;
    const sum = await value(metrics, 'orderfleet_api_request_duration_seconds_sum', { api: 'slack' });
    expect(sum).toBeGreaterThan(0.03);
    expect(sum).toBeLessThanOrEqual(took + 0.01);
  });
});

describe.each(oneBackend())('O4: calls and jobs where they happen, queues on %s', (backend) => {
  it('Temu: requests by what the envelope meant, jobs by what became of them', async () => {
    const stand = await startStand({ backend });
    onTestFinished(() => stand.close());
    const { metrics } = stand.stack.fleet;
    const { storeId } = await stand.addShop({}, 3);
    stand.work();
    await stand.sync();
    const before = await requests(metrics, 'temu', 'ok');
    expect(before).toBeGreaterThanOrEqual(7); // a page, and price and address of each order
    const asked = await requests(metrics, 'temu', 'wrong_region'); // prices: T15 begins at the global host
    expect(asked).toBeGreaterThanOrEqual(1);
    expect(await value(metrics, 'orderfleet_api_request_duration_seconds_count', { api: 'temu' })).toBe(
      before + asked,
    );
    await until(async () => (await jobs(metrics, 'temu-orders', 'done')) === 1); // they share one
    expect(await jobs(metrics, 'temu-pages', 'done')).toBe(1);

    const { secrets } = stand.deps;
    const wrong = secrets.encrypt('another secret', `temu_stores.app_secret of ${storeId}`);
    await stand.stack.sql`update temu_stores set app_secret = ${wrong} where id = ${storeId}`;
    stand.advance(600_000);
    await stand.sync();
    expect(await requests(metrics, 'temu', 'bug')).toBeGreaterThanOrEqual(1); // a wrong signature
    expect(await requests(metrics, 'temu', 'ok')).toBe(before);
    const text = await metrics.text();
    for (const name of ['shop', storeId, 'key-of-shop']) expect(text).not.toContain(`"${name}"`);
  });

  it('couriers: requests by the tracker’s name, and what a refusal meant', async () => {
    const stand = await startTrackingStand(backend);
    onTestFinished(() => stand.close());
    const { metrics } = stand.stack.fleet;
    await stand.parcel('delhivery-b2c');
    stand.work();
    await stand.run('delhivery-b2c');
    expect(await requests(metrics, 'delhivery-b2c', 'ok')).toBe(1);
    await until(async () => (await jobs(metrics, 'tracking-delhivery-b2c', 'done')) === 1);
  });
});

describe('O4: notices', () => {
  let receiver: Receiver;
  let mailbox: Mailbox;
  let stand: AlertStand;
  beforeAll(async () => {
    [receiver, mailbox] = await Promise.all([startReceiver(), startMailbox()]);
    stand = await startAlertStand({
      SLACK_TOKEN: 'xoxb-of-the-test',
      SLACK_API_URL: `${receiver.url}/api/`,
      LOST_DESTROY_SLACK_CHANNEL_ID: 'C1',
      SMTP_URL: mailbox.url,
      EMAIL_RECIPIENTS: 'ops@example.test',
    });
  });
  afterAll(async () => {
    await stand?.close();
    await Promise.all([receiver?.close(), mailbox?.close()]);
  });

  it('to Slack, by mail and to webhooks are counted by what became of them', async () => {
    const { metrics } = stand.deps;
    receiver.answers = ({ path }) =>
      path.startsWith('/api/') ? { body: '{"ok":false,"error":"channel_not_found"}' } : { status: 503 };
    const { id } = await stand.endpoint(`${receiver.url}/hook`, ['order.rto']);
    await stand.parcel('lost', 'AWB1');
    await stand.notice('store-paused', { text: 'a person is needed' });
    await stand.notice('order.rto', {
      endpointId: id,
      event: { event: 'order.rto', orderId: crypto.randomUUID() },
    });
    await stand.turn();
    expect(await requests(metrics, 'smtp', 'ok')).toBe(1);
    expect(await requests(metrics, 'slack', 'rejected')).toBe(1);
    expect(await requests(metrics, 'webhook', 'transient')).toBe(1);
    expect(await metrics.text()).not.toMatch(/\/hook|127\.0\.0\.1|ops@|xoxb|AWB1/);
  });
});
