import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createClient, type OrderfleetClient } from '../../../src/client/index.ts';
import { type RunningWorkers, runWorkers } from '../../../src/queue/run.ts';
import { awbHandlers, awbTasks } from '../../../src/temu/awb/index.ts';
import { oneBackend } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { type AwbOrder, type AwbShop, type AwbStand, startAwbStand } from './awb-harness.ts';

const HOUR = 3_600_000;

describe.each(oneBackend())('events to tellings, queues on %s', (backend) => {
  let stand: AwbStand;
  let shop: AwbShop;
  let client: OrderfleetClient;
  let workers: RunningWorkers | undefined;

  beforeAll(async () => {
    stand = await startAwbStand({ backend, settings: { TEMU_TIMEOUT: '5' } });
    shop = await stand.addShop();
    const { REDIS_URL, DATABASE_URL } = stand.stack.env;
    client = createClient(REDIS_URL ? { redisUrl: REDIS_URL } : { databaseUrl: DATABASE_URL ?? '' });
  });
  afterEach(async () => {
    stand.sandbox.faults.clear();
    await workers?.stop(2_000);
    workers = undefined;
  });
  afterAll(async () => {
    await client?.close();
    await stand?.close();
  });

  const work = () => {
    workers = runWorkers(awbHandlers(stand.deps), stand.deps);
  };
  const ordersOf = (count: number, shipBy: (index: number) => number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        stand.addOrder(shop, { shipBy: new Date(stand.deps.clock() + shipBy(index)) }),
      ),
    );
  const allSent = (orders: readonly AwbOrder[]) =>
    until(async () => {
      const pushes = (await Promise.all(orders.map(stand.pushes))).flat();
      const left = pushes.filter(({ state }) => state !== 'sent');
      if (pushes.length < orders.length || left.length > 0)
        throw new Error(`${pushes.length} of ${orders.length}, left: ${JSON.stringify(left.slice(0, 3))}`);
      return true;
    });

  test('A8: pushes that wait are told in the order of their deadlines', async () => {
    const orders = await ordersOf(90, (index) => (100 - index) * HOUR); // the last one is the most urgent
    for (const order of orders) await stand.created(order, stand.newAwb());
    work();
    await allSent(orders);
    const rank = new Map(
      stand.sandbox.effects.accepted().map(({ parentOrderSn }, at) => [parentOrderSn, at]),
    );
    const told = orders.map(({ sn }) => rank.get(sn) ?? Number.NaN).reverse();
    const mean = (list: number[]) => list.reduce((sum, one) => sum + one, 0) / list.length;
    // as many as a worker has in hand at once may overtake each other, no more
    expect(mean(told.slice(0, 30))).toBeLessThan(mean(told.slice(30, 60)));
    expect(mean(told.slice(30, 60))).toBeLessThan(mean(told.slice(60)));
    expect(Math.max(...told.slice(0, 10))).toBeLessThan(60);
    expect(new Set(told).size).toBe(90);
  });

  test('A1: every event twice, from several clients at once: each number once', async () => {
    work();
    const orders = await ordersOf(20, () => 24 * HOUR);
    const awbs = orders.map(() => stand.newAwb());
    const send = () =>
      Promise.all(
        orders.map(({ id }, index) =>
          client.awbCreated({ orderId: id, awbNumber: awbs[index] ?? '', carrier: 'sameday' }),
        ),
      );
    const [first, second] = await Promise.all([send(), send()]);
    expect(second).toEqual(first);
    await allSent(orders);
    for (const awb of awbs) expect(stand.sandbox.effects.told(awb)).toEqual({ arrived: 1, accepted: 1 });
  });

  test('A3: the parcels of a split that come at the same moment are told together within seconds', async () => {
    work();
    const orders = await Promise.all(
      Array.from({ length: 8 }, () => stand.addOrder(shop, { units: [1, 1, 1] })),
    );
    await Promise.all(
      orders.flatMap(({ id, lines }) =>
        lines.map(({ orderSn }) =>
          client.awbCreated({
            ...{ orderId: id, awbNumber: stand.newAwb(), carrier: 'sameday' },
            items: [{ orderItemId: orderSn, quantity: 1 }],
          }),
        ),
      ),
    );
    await allSent(orders);
    for (const order of orders) {
      expect(stand.parcelsOf(order)).toHaveLength(3);
      expect(stand.confirms(order)).toBe(1);
    }
  });

  test('A3: an AWB that is re-booked while Temu is being told of the first is on Temu within seconds', async () => {
    work();
    const order = await stand.addOrder(shop);
    const [first, second] = [stand.newAwb(), stand.newAwb()];
    stand.fault({ kind: 'delay', ms: 700 }, { order });
    await client.awbCreated({ orderId: order.id, awbNumber: first, carrier: 'sameday' });
    await until(() => stand.confirms(order) === 1);
    await client.awbCreated({ orderId: order.id, awbNumber: second, carrier: 'sameday' });
    // no sweep runs here: the job of the second one has to come back by itself
    await until(() => stand.parcelsOf(order)[0]?.trackingNumber === second, { timeoutMs: 10_000 });
    await allSent([order]);
    expect(stand.confirms(order)).toBe(1);
    expect(stand.heard(order, 'update')).toHaveLength(1);
  });

  test('A2: an event whose job has failed for any reason is taken up by the scheduler until it is recorded', async () => {
    const order = await stand.addOrder(shop);
    const sql = stand.stack.sql;
    const raw = stand.deps.queues.raw('awb-created');
    const before = await raw.getFailedCount();
    await sql`alter table awb_events rename to awb_events_away`;
    work();
    const event = { v: 1, orderId: order.id, awbNumber: stand.newAwb(), carrier: 'sameday' };
    const job = await raw.add('awb-created', event, { attempts: 1 });
    await until(async () => (await job.getState()) === 'failed');
    await sql`alter table awb_events_away rename to awb_events`;
    // the clock of the sweep alone: a worker that read it too would find its new push due a minute later
    const later = { ...stand.deps, clock: () => stand.deps.clock() + 60_000 };
    const sweep = awbTasks(later).find(({ id }) => id === 'awb-failed-events');
    await sweep?.run(new AbortController().signal);
    await allSent([order]);
    expect(await raw.getFailedCount()).toBe(before);
  });
});
