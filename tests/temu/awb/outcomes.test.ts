import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { shipByHand } from '../../../sandbox/temu/shipment.ts';
import { enqueueDue } from '../../../src/leases/enqueue.ts';
import { ordersAtRisk } from '../../../src/orders/at-risk.ts';
import { minutes, seconds } from '../../../src/queue/define.ts';
import { ofOrder } from '../../../src/temu/awb/claim.ts';
import { deadlinePriority, pushes } from '../../../src/temu/awb/enqueue.ts';
import { awbPush } from '../../../src/temu/awb/index.ts';
import { pushStates, retryPushes } from '../../../src/temu/awb/retry.ts';
import { resumeStore } from '../../../src/temu/stores.ts';
import { type AwbOrder, type AwbShop, type AwbStand, startAwbStand } from './awb-harness.ts';

let stand: AwbStand;
let shop: AwbShop;
const HOUR = minutes(60);

beforeAll(async () => {
  stand = await startAwbStand();
  shop = await stand.addShop();
});
afterEach(() => stand.sandbox.faults.clear());
afterAll(() => stand?.close());

async function refused(code: number, text: string, place = shop): Promise<{ order: AwbOrder; awb: string }> {
  const order = await stand.addOrder(place);
  const awb = stand.newAwb();
  stand.refuses(order, code, text);
  await stand.sync(order);
  await stand.created(order, awb);
  return { order, awb };
}

describe('T16: what becomes of each class', () => {
  const SELLER = [
    120012023, 120012030, 120012031, 120017007, 120018025, 120011031, 140020003, 180020008, 120011065,
    120011086,
  ];

  test.each(SELLER)(
    'T16: %i waits for the seller, is told once, and is revived when the order changes',
    async (code) => {
      const { order } = await refused(code, `do something about ${code}`);
      await stand.push(order);
      const text = `do something about ${code}`;
      expect(await stand.only(order)).toMatchObject({ state: 'parked', error: text });
      expect(await stand.row(order)).toMatchObject({ sent: false, error: text });
      expect(await stand.notices(order)).toEqual([expect.stringContaining(text)]);
      await stand.sync(order); // nothing new
      stand.advance(HOUR);
      await stand.tick();
      await stand.push(order);
      expect(stand.confirms(order)).toBe(1);

      // the order changes and the reason stays: told no second time
      stand.sandbox.world.changeOrder(order.in.shop, order.sn, {}, Math.ceil(stand.deps.clock() / 1000));
      await stand.sync(order);
      await stand.tick();
      await stand.push(order);
      expect(stand.confirms(order)).toBe(2);
      expect(await stand.only(order)).toMatchObject({ state: 'parked' });
      expect(await stand.notices(order)).toHaveLength(1);

      // it changes for good
      stand.sandbox.world.changeOrder(
        order.in.shop,
        order.sn,
        { confirmFailure: null },
        Math.ceil(stand.deps.clock() / 1000) + 1,
      );
      await stand.sync(order);
      await stand.tick();
      expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent', error: null }]);
      expect(await stand.row(order)).toMatchObject({ sent: true, error: null });
    },
  );

  test.each([120012007, 120012034, 120014020, 120014023, 120012015, 180020030, 999999999])(
    'T16: %i is final for this order and its text is shown',
    async (code) => {
      const { order } = await refused(code, `final ${code}`);
      await stand.push(order);
      expect(await stand.only(order)).toMatchObject({
        state: 'rejected',
        error: `final ${code}`,
        toldAt: null,
      });
      expect(await stand.row(order)).toMatchObject({ error: `final ${code}` });
      expect(await stand.notices(order)).toHaveLength(1);
      stand.advance(24 * HOUR);
      await stand.tick();
      expect(await stand.push(order)).toEqual({ outcome: 'nothing to do' });
      expect(stand.confirms(order)).toBe(1);
    },
  );

  test.each([120012004, 120014003, 120014004])('A6: %i is true when Temu has our number', async (code) => {
    const { order, awb } = await refused(code, 'The order has been shipped.');
    shipByHand(stand.sandbox.world, shop.shop.name, order.sn, { trackingNumber: awb });
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'sent', error: null });
    expect(await stand.row(order)).toMatchObject({ sent: true, error: null });
  });

  test.each([120012004, 120014003, 120014004])(
    'A6: %i with another number is parked with both',
    async (code) => {
      const { order, awb } = await refused(code, 'The order has been shipped.');
      shipByHand(stand.sandbox.world, shop.shop.name, order.sn, { trackingNumber: `BYHAND${code}` });
      await stand.push(order);
      const { state, error } = await stand.only(order);
      expect(state).toBe('parked');
      for (const part of ['The order has been shipped.', `BYHAND${code}`, awb]) expect(error).toContain(part);
      expect(await stand.row(order)).toMatchObject({ sent: false, error });
    },
  );

  test('A6: "already shipped" is not believed while Temu cannot be asked', async () => {
    const { order, awb } = await refused(120012004, 'The order has been shipped.');
    shipByHand(stand.sandbox.world, shop.shop.name, order.sn, { trackingNumber: awb });
    stand.fault({ kind: 'html', status: 502 }, { type: 'bg.logistics.shipment.v2.get', times: 2, order });
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'unknown' });
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent' }]);
    expect(stand.confirms(order)).toBe(1);
  });

  test('A6: an order that was shipped at the seller centre with our number is sent without a telling', async () => {
    const order = await stand.addOrder(shop);
    const awb = stand.newAwb();
    shipByHand(stand.sandbox.world, shop.shop.name, order.sn, { trackingNumber: awb });
    await stand.sync(order);
    await stand.created(order, awb);
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'sent' });
    expect(stand.confirms(order)).toBe(0);
  });

  test('T16: "not ready" is tried again in minutes', async () => {
    const { order } = await refused(140020008, 'still computing');
    await stand.push(order);
    const { state, dueAt } = await stand.only(order);
    expect(state).toBe('pending');
    expect(dueAt.getTime() - stand.deps.clock()).toBeGreaterThan(minutes(1.9));
    stand.refuses(order, null);
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent' }]);
  });

  test('T16: a scope that is missing is parked with what to do', async () => {
    const { order } = await refused(3000032, 'access_token has no permission');
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({
      state: 'parked',
      error: expect.stringMatching(/^access_token has no permission; .*orderfleet awb retry/),
    });
  });

  test('T1: refused credentials pause the store, spend no attempt, and its AWBs go on when it resumes', async () => {
    const own = await stand.addShop();
    const order = await stand.addOrder(own);
    await stand.created(order, stand.newAwb());
    stand.sandbox.world.setCredentialsRevoked(own.shop, true);
    expect(await stand.push(order)).toMatchObject({ outcome: 'store paused' });
    expect(await stand.only(order)).toMatchObject({ state: 'pending', attempts: 0 });
    const [store] = await stand.stack
      .sql`select active, paused_reason from temu_stores where id = ${own.storeId}`;
    expect(store).toMatchObject({ active: false, paused_reason: expect.any(String) });
    stand.advance(HOUR);
    expect(await enqueueDue(stand.deps, pushes, { where: ofOrder(order.id) })).toBe(0);
    expect(await stand.push(order)).toMatchObject({ outcome: 'store paused' });
    expect((await stand.only(order)).attempts).toBe(0);
    stand.sandbox.world.setCredentialsRevoked(own.shop, false);
    await resumeStore(stand.deps.db, own.shop.name);
    expect(await enqueueDue(stand.deps, pushes, { where: ofOrder(order.id) })).toBe(1);
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent', attempts: 1 }]);
  });

  test('T16: a store with trouble does not stop another', async () => {
    const own = await stand.addShop();
    const [sick, well] = [await stand.addOrder(own), await stand.addOrder(shop)];
    for (const order of [sick, well]) await stand.created(order, stand.newAwb());
    stand.sandbox.world.setCredentialsRevoked(own.shop, true);
    await Promise.all([stand.push(sick), stand.push(well)]);
    expect(await stand.only(well)).toMatchObject({ state: 'sent' });
  });

  test('T16: the codes above are those of the reference', () => {
    const classes = JSON.parse(
      readFileSync(new URL('../../fixtures/temu/error-retry-classes.json', import.meta.url), 'utf8'),
    );
    const text = JSON.stringify(classes);
    for (const code of SELLER) expect(text).toContain(String(code));
  });
});

describe('A7: transient failures', () => {
  /** Temu’s warehouse list is away: nothing is told, so nothing is asked. */
  async function stuck(shipByMs: number) {
    const own = await stand.addShop();
    const order = await stand.addOrder(own, { shipBy: new Date(stand.deps.clock() + shipByMs) });
    await stand.created(order, stand.newAwb());
    stand.fault({ kind: 'html', status: 502 }, { type: 'bg.logistics.warehouse.list.get', times: 10_000 });
    return order;
  }

  test('A7: are tried again with growing delays until the ship-by date, then parked', async () => {
    const order = await stuck(8 * HOUR);
    const shipBy = stand.deps.clock() + 8 * HOUR;
    const delays: number[] = [];
    for (let turn = 0; turn < 90; turn++) {
      await stand.push(order);
      const push = await stand.only(order);
      if (push.state !== 'pending') break;
      delays.push(push.dueAt.getTime() - stand.deps.clock());
      stand.advance((delays.at(-1) as number) + 1);
    }
    expect(await stand.only(order)).toMatchObject({
      state: 'parked',
      error: expect.stringMatching(/before the deadline.*502/),
    });
    expect(stand.deps.clock()).toBeGreaterThan(shipBy);
    expect(stand.deps.clock()).toBeLessThan(shipBy + minutes(13));
    expect(delays[0]).toBeLessThan(seconds(4));
    for (const [index, delay] of delays.slice(0, 7).entries())
      expect(delays[index + 1]).toBeGreaterThan(delay * 1.5);
    expect(Math.max(...delays)).toBeLessThanOrEqual(minutes(12.5));
    expect(await stand.notices(order, 'awb-not-sent')).toHaveLength(1);
  });

  test('A7: an order that is late already is tried for six hours from its AWB on', async () => {
    const order = await stuck(-5 * HOUR);
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'pending', attempts: 1 });
    stand.advance(5.9 * HOUR);
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'pending', attempts: 2 });
    stand.advance(0.2 * HOUR);
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'parked' });
  });

  test('A7: a far ship-by date is waited for', async () => {
    const order = await stuck(84 * HOUR);
    let turns = 0;
    while ((await stand.only(order)).state === 'pending' && turns++ < 400) {
      stand.advance(HOUR);
      await stand.push(order);
    }
    expect(turns).toBeGreaterThanOrEqual(84);
  });

  test('A7: a call whose answers are lost again and again is repeated ever more seldom', async () => {
    const order = await stand.addOrder(shop);
    await stand.created(order, stand.newAwb());
    stand.fault(
      { kind: 'error', errorCode: 7_000_000, errorMsg: 'BUSINESS_SERVICE_ERROR' },
      { times: 10_000, order },
    );
    const sentAt: number[] = [];
    for (let turn = 0; turn < 30; turn++) {
      await stand.pushOn(order, 1);
      if (stand.confirms(order) > sentAt.length) sentAt.push(stand.deps.clock());
    }
    const gaps = sentAt.slice(1).map((at, index) => at - (sentAt[index] as number));
    expect(gaps.length).toBeGreaterThan(5);
    expect(gaps[0]).toBeLessThan(minutes(2));
    expect(gaps.at(-1)).toBeGreaterThan(minutes(9));
    expect(await stand.only(order)).toMatchObject({ state: 'unknown' });
  });

  test('A7: parked at the deadline, it is sent by a retry', async () => {
    const order = await stuck(-1);
    stand.advance(6.1 * HOUR);
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'parked' });
    stand.sandbox.faults.clear();
    const ids = await retryPushes(stand.deps, { order: order.sn });
    expect(ids).toHaveLength(1);
    await stand.push(order);
    expect(await pushStates(stand.deps, ids)).toMatchObject([
      { order: order.sn, state: 'sent', error: null },
    ]);
  });
});

describe('A7: retries by hand', () => {
  test('A7: an order that is unknown, sent, or has no AWB is answered clearly', async () => {
    await expect(retryPushes(stand.deps, { order: 'PO-0' })).rejects.toThrow('Order PO-0 not found');
    const order = await stand.addOrder(shop);
    await expect(retryPushes(stand.deps, { order: order.sn })).rejects.toThrow(/no AWB to push/);
    await stand.created(order, stand.newAwb());
    await stand.push(order);
    await expect(retryPushes(stand.deps, { order: order.sn })).rejects.toThrow(/already on Temu/);
  });

  test('A7: --failed takes 50 orders with an error, the earliest deadline first', async () => {
    const sql = stand.stack.sql;
    await sql`update temu_pushes set state = 'sent', error = null`;
    const orders: AwbOrder[] = [];
    for (let index = 0; index < 53; index++) {
      const order = await stand.addOrder(shop, {
        shipBy: new Date(stand.deps.clock() + (60 - index) * HOUR),
      });
      await stand.created(order, stand.newAwb());
      orders.push(order);
    }
    const state = (index: number) => (index % 2 === 0 ? 'parked' : 'rejected');
    for (const [index, order] of orders.entries())
      await sql`update temu_pushes set state = ${state(index)}, error = 'no' where order_id = ${order.id}`;
    // neither replaced ones nor those without an error
    await sql`update temu_pushes set state = 'replaced', error = 'replaced by X before Temu was told' where order_id = ${orders[52]?.id ?? ''}`;
    const ids = await retryPushes(stand.deps, { failed: true });
    expect(ids).toHaveLength(50);
    const rows = await sql<
      { id: string }[]
    >`select order_id as id from temu_pushes where state in ('parked', 'rejected', 'replaced')`;
    const left = new Set(rows.map(({ id }) => id));
    expect(orders.flatMap(({ id }, index) => (left.has(id) ? [index] : []))).toEqual([0, 1, 52]);
    expect(await retryPushes(stand.deps, { failed: true })).toHaveLength(2);
  });
});

describe('A8', () => {
  const at = (iso: string) => deadlinePriority(new Date(iso));

  test('A8: the earlier the deadline, the earlier the turn; without one last', () => {
    const days = [
      '2026-11-22T10:00:00Z',
      '2026-11-22T10:05:00Z',
      '2026-12-01T00:00:00Z',
      '2028-01-01T00:00:00Z',
      '2044-12-31T00:00:00Z',
    ].map(at);
    expect([...days].sort((a, b) => a - b)).toEqual(days);
    expect(new Set(days).size).toBe(days.length);
    expect(deadlinePriority(null)).toBeGreaterThan(Math.max(...days));
    expect(at('2020-01-01T00:00:00Z')).toBe(1);
    // BullMQ takes 1 to 2^21
    for (const priority of [...days, deadlinePriority(null), at('2100-01-01T00:00:00Z')]) {
      expect(priority).toBeGreaterThanOrEqual(1);
      expect(priority).toBeLessThanOrEqual(2 ** 21);
    }
  });

  test('A8: jobs carry the deadline as their priority', async () => {
    const late = await stand.addOrder(shop, { shipBy: new Date(stand.deps.clock() + 40 * HOUR) });
    const soon = await stand.addOrder(shop, { shipBy: new Date(stand.deps.clock() + 4 * HOUR) });
    for (const order of [late, soon]) await stand.created(order, stand.newAwb());
    const jobs = await stand.deps.queues.raw(awbPush.name).getJobs(['prioritized']);
    const priority = ({ id }: AwbOrder) => jobs.find(({ data }) => data.orderId === id)?.priority ?? 0;
    expect(priority(late) - priority(soon)).toBe((36 * 60) / 5);
    expect(jobs[0]?.data).toEqual({ v: 1, orderId: expect.any(String) });
  });

  test('A8: an order within two hours of its deadline is told of once, and listed until it is sent', async () => {
    const now = stand.deps.clock();
    const order = async (shipByMs: number) =>
      await stand.addOrder(shop, { shipBy: new Date(now + shipByMs) });
    const [near, far, passed, longPassed, sent] = [
      await order(1.9 * HOUR),
      await order(2.1 * HOUR),
      await order(-HOUR),
      await order(-25 * HOUR),
      await order(1.5 * HOUR),
    ];
    await stand.created(sent, stand.newAwb());
    await stand.push(sent);
    stand.refuses(near, 120012030, 'Order cancel pending.');
    const awb = stand.newAwb();
    await stand.created(near, awb);
    await stand.push(near);
    await stand.tick();
    await stand.tick();
    const told = async (one: AwbOrder) => await stand.notices(one, 'awb-at-risk');
    expect(await told(near)).toEqual([expect.stringContaining(`order ${near.sn} must ship by`)]);
    expect((await told(near))[0]).toContain('Order cancel pending.');
    for (const one of [far, passed, longPassed, sent]) expect(await told(one)).toEqual([]);
    const mine = new Set([near, far, passed, longPassed, sent].map(({ sn }) => sn));
    const listed = (await ordersAtRisk(stand.deps.db, stand.deps.clock())).filter(({ order: sn }) =>
      mine.has(sn),
    );
    expect(listed).toMatchObject([
      { order: passed.sn, push: null, awbNumber: null, store: shop.shop.name },
      { order: near.sn, push: 'parked', awbNumber: awb, error: 'Order cancel pending.' },
    ]);
    stand.advance(0.2 * HOUR); // now the far one is near
    await stand.tick();
    expect(await told(far)).toHaveLength(1);
    expect(await told(near)).toHaveLength(1);
  });
});
