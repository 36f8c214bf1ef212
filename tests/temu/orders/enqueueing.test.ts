import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSecrets } from '../../../src/db/secrets.ts';
import { enqueueDue } from '../../../src/leases/enqueue.ts';
import { runWorkers } from '../../../src/queue/run.ts';
import { enqueueFresh, inboxOrders } from '../../../src/temu/orders/inbox-orders.ts';
import { openWindows, orderHandlers, temuOrders } from '../../../src/temu/orders/index.ts';
import { wrongOrders } from '../../e2e/stored.ts';
import { type Stand, type StandShop, startStand } from '../../support/fleet.ts';
import { until } from '../../support/until.ts';

/** How rows become jobs and jobs find their rows (R1). */
const MINUTE = 60_000;
let stand: Stand;
beforeEach(async () => {
  stand = await startStand();
});
afterEach(() => stand.close());

const sql = () => stand.stack.sql;
const isWhole = async ({ shop }: StandShop) => {
  const truth = JSON.parse(JSON.stringify(stand.sandbox.world.expected(shop)));
  expect(await wrongOrders(stand.stack.sql, shop.name, truth)).toEqual([]);
};

test('R2: a worker whose clock is behind waits for a job’s time instead of using its id up', async () => {
  const one = await stand.addShop({}, 3);
  const behind = { ...stand.deps, clock: () => stand.deps.clock() - 1_500 };
  const workers = runWorkers(orderHandlers(behind), behind);
  try {
    await openWindows(stand.deps, [one.storeId]);
    // no sweep: each job is taken once it is due by the worker's clock
    await until(async () => {
      await isWhole(one);
      return true;
    });
  } finally {
    await workers.stop(500);
  }
});

/** Rows that are due, as a page leaves them; nobody works on them. */
async function fill(storeId: string, count: number, state = 'pending'): Promise<void> {
  await sql()`
    insert into temu_order_inbox (store_id, parent_order_sn, update_time, payload, state, due_at)
    select ${storeId}, ${state} || n, now(), '{}', ${state}, now() - interval '1 hour' + n * interval '1 ms'
    from generate_series(1, ${count}::int) n`;
}
const jobs = async () =>
  await stand.deps.queues.raw(temuOrders.name).getJobs(['prioritized', 'waiting'], 0, 10_000, true);

test('T13, T17: an order that waits for a part is as early as its place among its own store’s', async () => {
  const [large, small] = [
    await stand.addShop({ name: 'large' }, 0),
    await stand.addShop({ name: 'small' }, 0),
  ];
  await fill(large.storeId, 2_500);
  await fill(small.storeId, 1, 'incomplete');
  expect(await enqueueDue(stand.deps, inboxOrders)).toBe(2_501);
  const first = (await jobs()).slice(0, 20).map(({ data }) => data.storeId);
  expect(first).toContain(small.storeId);
});

test('a walk over many rows offers each of them once, however long it takes', async () => {
  const { storeId } = await stand.addShop({}, 0);
  await fill(storeId, 4_321);
  let asked = 0;
  // a clock that runs away: each look is a minute later than the one before
  const deps = { ...stand.deps, clock: () => stand.deps.clock() + asked++ * MINUTE };
  expect(await enqueueDue(deps, inboxOrders)).toBe(4_321);
  const offered = (await jobs()).flatMap(({ data }) => [data.parentOrderSn, ...(data.more ?? [])]);
  expect(offered).toHaveLength(4_321);
  expect(new Set(offered).size).toBe(4_321);
  // what has its job is left alone for a minute, then offered again under the same id
  expect(await enqueueDue(stand.deps, inboxOrders)).toBe(0);
  expect(
    await enqueueDue({ ...stand.deps, clock: () => stand.deps.clock() + 10 * MINUTE }, inboxOrders),
  ).toBe(4_321);
});

test('P7: orders of a store share jobs, five at most; one that several jobs name is asked for once', async () => {
  const one = await stand.addShop({}, 12);
  const lists = stand.work('lists');
  await stand.sync();
  await lists.stop(500);
  const made = await jobs();
  expect(made.map(({ data }) => 1 + (data.more?.length ?? 0))).toEqual([4, 5, 3]);
  const again = made.map(({ data }, no) => ({ id: `again-${no}`, priority: 1, payload: data }));
  await stand.deps.queues.add(temuOrders, again);
  stand.work();
  await stand.settle();
  await isWhole(one);
  await until(
    async () => (await stand.deps.queues.raw(temuOrders.name).getJobCounts('completed')).completed === 6,
  );
  expect(stand.sandbox.ledger.count({ type: 'bg.order.shippinginfo.get' })).toBe(12);
});

test('R3: of orders that share a job one that cannot be read is set aside, visibly, and the others are stored', async () => {
  const one = await stand.addShop({}, 4);
  const lists = stand.work('lists');
  await stand.sync();
  await lists.stop(500);
  expect(await jobs()).toHaveLength(1);
  const [bad] = one.orders.map(({ parentOrderSn }) => parentOrderSn);
  await sql()`update temu_order_inbox set payload = '{}' where parent_order_sn = ${bad as string}`;
  stand.work();
  await stand.settle();
  expect(
    await sql()`select parent_order_sn as sn, error from temu_order_inbox where state <> 'stored'`,
  ).toEqual([{ sn: bad, error: expect.stringContaining('unreadable') }]);
  expect(await sql()`select 1 from orders`).toHaveLength(3);
  const failed = async () => await stand.deps.queues.raw(temuOrders.name).getJobs(['failed']);
  await until(async () => (await failed())[0]?.failedReason.includes(bad as string));
});

test('what a page has just brought is offered alone', async () => {
  const [one, other] = [await stand.addShop({ name: 'one' }, 0), await stand.addShop({ name: 'other' }, 0)];
  await fill(one.storeId, 3);
  await fill(other.storeId, 3);
  expect(await enqueueFresh(stand.deps, one.storeId)).toBe(3);
  stand.advance(2 * MINUTE);
  expect(await enqueueFresh(stand.deps, one.storeId)).toBe(0);
});

test('T1: while a store’s secrets do not open its orders lose no try', async () => {
  const one = await stand.addShop({}, 2);
  const secrets = createSecrets([randomBytes(32)]);
  const handlers = orderHandlers({ ...stand.deps, secrets });
  const locked = runWorkers(
    handlers.filter(({ definition }) => definition.name === temuOrders.name),
    stand.deps,
  );
  const lists = stand.work('lists');
  await stand.sync();
  await until(
    async () => (await sql()`select 1 from temu_order_inbox where offered_at = due_at`).length === 2,
  );
  expect(await sql()`select distinct attempts, state from temu_order_inbox`).toEqual([
    { attempts: 0, state: 'pending' },
  ]);
  await Promise.all([locked.stop(500), lists.stop(500)]);
  stand.work();
  stand.advance(2 * MINUTE);
  await until(async () => {
    await stand.tick();
    await isWhole(one);
    return true;
  });
});

test('T16: an order whose call hangs until its job’s time is up spends its tries', async () => {
  const one = await stand.addShop({}, 1);
  stand.sandbox.faults.add({ match: { type: 'bg.order.amount.query' }, do: { kind: 'hang' } });
  // the queue's own two minutes, in a third of a second
  const timeoutMs = temuOrders.timeoutMs;
  Object.assign(temuOrders, { timeoutMs: 300 });
  const workers = runWorkers(orderHandlers(stand.deps), stand.deps);
  try {
    await openWindows(stand.deps, [one.storeId]);
    await until(
      async () =>
        (await sql()`select 1 from temu_order_inbox where attempts >= 1 and error is not null`).length === 1,
    );
    const [row] = await sql()`select attempts, error from temu_order_inbox`;
    expect(row?.error).toMatch(/took longer than/);
  } finally {
    Object.assign(temuOrders, { timeoutMs });
    await workers.stop(500);
  }
});
