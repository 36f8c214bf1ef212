import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createClient, type OrderfleetClient } from '../../../src/client/index.ts';
import { type RunningWorkers, runWorkers } from '../../../src/queue/run.ts';
import { awbHandlers } from '../../../src/temu/awb/index.ts';
import { oneBackend } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { type AwbOrder, type AwbShop, type AwbStand, CONFIRM, startAwbStand } from './awb-harness.ts';

const HOUR = 3_600_000;

/** T17: several stores, of which one is in trouble or very busy. */
describe.each(oneBackend())('AWBs of several stores, queues on %s', (backend) => {
  let stand: AwbStand;
  let well: AwbShop;
  let client: OrderfleetClient;
  let workers: RunningWorkers | undefined;

  beforeAll(async () => {
    stand = await startAwbStand({ backend, settings: { TEMU_TIMEOUT: '30' } });
    well = await stand.addShop();
    const { REDIS_URL, DATABASE_URL } = stand.stack.env;
    client = createClient(REDIS_URL ? { redisUrl: REDIS_URL } : { databaseUrl: DATABASE_URL ?? '' });
  });
  afterEach(async () => {
    await workers?.stop(100); // what hangs is handed back
    workers = undefined;
    stand.sandbox.faults.clear();
    // the next test has workers of its own, which are not to go on with this one's
    await stand.stack.sql`update temu_pushes set state = 'rejected' where state <> 'sent'`;
  });
  afterAll(async () => {
    await client?.close();
    await stand?.close();
  });

  const work = () => {
    workers = runWorkers(awbHandlers(stand.deps), stand.deps);
  };
  const ordersOf = (shop: AwbShop, count: number, shipBy: (index: number) => number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        stand.addOrder(shop, { shipBy: new Date(stand.deps.clock() + shipBy(index)) }),
      ),
    );
  const enqueue = ({ id }: AwbOrder) =>
    client.awbCreated({ orderId: id, awbNumber: stand.newAwb(), carrier: 'sameday' });
  const hangs = ({ shop }: AwbShop) =>
    stand.sandbox.faults.add({
      match: { type: CONFIRM, appKey: shop.appKey },
      do: { kind: 'timeout', ms: 60_000 },
    });
  const hanging = () => stand.sandbox.ledger.count({ type: CONFIRM, outcome: 'fault:timeout' });
  const sent = async (order: AwbOrder) => (await stand.only(order)).state === 'sent';

  test('T17, A2, A9: beside a store whose calls hang, events of all are recorded and another’s are told', async () => {
    const ill = await stand.addShop();
    const orders = await ordersOf(ill, 120, () => HOUR);
    const [one, further] = await ordersOf(well, 2, () => 24 * HOUR);
    if (!one || !further) throw new Error('no orders');
    hangs(ill);
    work();
    for (const order of orders) await enqueue(order);
    await until(() => hanging() >= 6);
    const startedAt = performance.now();
    await enqueue(one);
    await until(() => sent(one));
    await until(async () => (await Promise.all(orders.map(stand.pushes))).flat().length === orders.length);
    expect(performance.now() - startedAt).toBeLessThan(20_000); // calls hang for 30 s
    // and once it is known to hang its own events leave the direct way alone
    await until(() => stand.deps.temu.hanging(ill.storeId) >= 5);
    const [late] = await ordersOf(ill, 1, () => HOUR);
    if (!late) throw new Error('no order');
    await enqueue(late);
    await enqueue(further);
    await until(() => sent(further), { timeoutMs: 10_000 });
    await until(async () => (await stand.pushes(late)).length === 1);
    expect(stand.confirms(late)).toBe(0);
  });

  test('T17: jobs of a store whose calls hang step aside for those of another, though their deadlines are earlier', async () => {
    const ill = await stand.addShop();
    const orders = await ordersOf(ill, 120, () => HOUR);
    const [order] = await ordersOf(well, 1, () => 24 * HOUR);
    if (!order) throw new Error('no order');
    hangs(ill);
    for (const one of [...orders, order]) await stand.created(one, stand.newAwb());
    const startedAt = performance.now();
    work();
    await until(() => sent(order));
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });

  test('A8: beside other stores, too, pushes that wait are told in the order of their deadlines', async () => {
    const busy = await stand.addShop();
    const orders = await ordersOf(busy, 200, (index) => (210 - index) * HOUR); // the last one is the most urgent
    for (const order of orders) await stand.created(order, stand.newAwb());
    // answers that take long, so that its places are full all the time
    stand.sandbox.faults.add({
      match: { appKey: busy.shop.appKey, type: CONFIRM },
      do: { kind: 'delay', ms: 400 },
    });
    work();
    const allTold = async () => {
      const left = await stand.stack.sql`
        select p.state, p.error, p.attempts, p.due_at, p.told_at, now() from temu_pushes p join orders o on o.id = p.order_id
        where o.store_id = ${busy.storeId} and p.state <> 'sent'`;
      if (left.length > 0) throw new Error(`${left.length} left: ${JSON.stringify(left.slice(0, 3))}`);
      return true;
    };
    await until(allTold, { timeoutMs: 25_000 });
    const rank = new Map(
      stand.sandbox.effects
        .accepted()
        .filter(({ parentOrderSn }) => orders.some(({ sn }) => sn === parentOrderSn))
        .map(({ parentOrderSn }, at) => [parentOrderSn, at]),
    );
    const told = orders.map(({ sn }) => rank.get(sn) ?? Number.NaN).reverse();
    const mean = (list: number[]) => list.reduce((sum, one) => sum + one, 0) / list.length;
    for (const from of [0, 50, 100])
      expect(mean(told.slice(from, from + 50))).toBeLessThan(mean(told.slice(from + 50, from + 100)));
    expect(Math.max(...told.slice(0, 10))).toBeLessThan(100);
  });
});
