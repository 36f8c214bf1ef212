import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SandboxOrder } from '../../../sandbox/temu/model.ts';
import { erasePersonalData } from '../../../src/ops/erasure.ts';
import { ingestEvent } from '../../../src/temu/awb/ingest-event.ts';
import { storeInInbox, toInboxRow } from '../../../src/temu/orders/inbox.ts';
import { openWindows } from '../../../src/temu/orders/index.ts';
import { wrongOrders } from '../../e2e/stored.ts';
import { type Stand, type StandShop, startStand } from '../../support/fleet.ts';
import { until } from '../../support/until.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOT_FOUND = { errorCode: 140_020_002, errorMsg: 'Order not found' };

let stand: Stand;
let one: StandShop;
let order: SandboxOrder;
beforeEach(async () => {
  stand = await startStand();
});
afterEach(() => stand.close());

async function given(change: Partial<SandboxOrder>, count = 1, scenario = {}) {
  one = await stand.addShop({}, count, { status: 2, updated: 'old', ...scenario });
  order = one.orders[0] as SandboxOrder;
  set(change, null);
}
const set = (change: Partial<SandboxOrder>, updatedAt: number | null = Math.floor(Date.now() / 1000) - 60) =>
  void stand.sandbox.world.changeOrder(one.shop, order.parentOrderSn, change, updatedAt);

const sql = () => stand.stack.sql;
const stored = async () =>
  (await sql()`select * from orders where marketplace_order_id = ${order.parentOrderSn}`)[0];
const inbox = async () =>
  (await sql()`select * from temu_order_inbox where parent_order_sn = ${order.parentOrderSn}`)[0];
const errors = async () =>
  await sql()`select type, message, resolved_at is not null as resolved from order_errors order by type, message`;
const truthHolds = async (now = stand.deps.clock()) => {
  const truth = JSON.parse(JSON.stringify(stand.sandbox.world.expected(one.shop, now)));
  expect(await wrongOrders(stand.stack.sql, one.shop.name, truth)).toEqual([]);
};
const later = async (ms: number) => {
  stand.advance(ms);
  await stand.tick();
  await stand.settle();
};

describe('T5: an order is written once all three calls were tried', () => {
  test.each(['bg.order.amount.query', 'bg.order.shippinginfo.get'])('not while %s is out', async (type) => {
    await given({});
    stand.sandbox.faults.add({ match: { type }, do: { kind: 'delay', ms: 400 } });
    stand.work();
    const synced = stand.sync();
    const other = type === 'bg.order.amount.query' ? 'bg.order.shippinginfo.get' : 'bg.order.amount.query';
    await until(() => stand.sandbox.ledger.count({ type: other }) > 0);
    await until(() => stand.sandbox.ledger.count({ type }) > 0);
    for (const table of ['orders', 'temu_orders', 'products_in_order', 'order_item_lines', 'order_errors'])
      expect(await sql()`select * from ${sql()(table)}`).toEqual([]);
    await synced;
    await truthHolds();
  });
});

describe('T13: Incomplete', () => {
  test('a price that fails: everything else, Temu’s message, and healing within the hour', async () => {
    await given({ amountFailure: NOT_FOUND });
    stand.work();
    await stand.sync();
    expect(await stored()).toMatchObject({ status: 'Incomplete', shipping_city: order.address.city });
    expect(await errors()).toEqual([{ type: 'Order Download', message: 'Order not found', resolved: false }]);
    await truthHolds();

    set({ amountFailure: null }, null);
    await later(55 * MINUTE);
    expect(await stored()).toMatchObject({ status: 'Incomplete' });
    await later(10 * MINUTE);
    expect(await stored()).toMatchObject({ status: 'Ready for Shipping' });
    expect(await errors()).toEqual([{ type: 'Order Download', message: 'Order not found', resolved: true }]);
    await truthHolds();
  });

  test('an address that fails at both levels: both messages; it heals when the order changes', async () => {
    await given({
      status: 41,
      shippingFailure: {
        inner: { errorCode: 40_003, errorMsg: 'invalid param' },
        outer: { errorCode: 180_020_001, errorMsg: 'This country is closed' },
      },
    });
    stand.work();
    await stand.sync();
    const [error] = await errors();
    expect(error).toMatchObject({ type: 'Order Download', resolved: false });
    expect(error?.message).toContain('invalid param');
    expect(error?.message).toContain('This country is closed');
    expect(await stored()).toMatchObject({ status: 'Incomplete', shipping_city: null });
    expect((await stored())?.order_total_amount).not.toBeNull();

    set({ shippingFailure: null });
    await stand.sync();
    expect(await stored()).toMatchObject({ status: 'Partially Shipped' });
    expect(await errors()).toEqual([{ ...error, resolved: true }]);
    await truthHolds();
  });

  test('tried again hourly for a day, then daily for a week, then no more', async () => {
    await given({ amountFailure: NOT_FOUND });
    stand.work();
    await stand.sync();
    const gaps: number[] = [];
    let row = await inbox();
    while (row?.state === 'incomplete' && gaps.length < 50) {
      const gap = row.due_at.getTime() - stand.deps.clock();
      gaps.push(Math.round(gap / HOUR));
      await later(gap + 1_000);
      row = await inbox();
    }
    expect(gaps.filter((gap) => gap === 1)).toHaveLength(24);
    expect(gaps.filter((gap) => gap === 24)).toHaveLength(7);
    expect(gaps).toHaveLength(31);
    expect(await stored()).toMatchObject({ status: 'Incomplete' });
    expect(await errors()).toHaveLength(1);
  });

  test('an order that is cancelled or shipped (states 3, 4, 5) has no address, and that is no error', async () => {
    const states = { 3: 'Cancelled', 4: 'Shipped', 5: 'Shipped' };
    await given({}, 3);
    for (const [index, status] of Object.keys(states).entries())
      stand.sandbox.world.changeOrder(
        one.shop,
        (one.orders[index] as SandboxOrder).parentOrderSn,
        { status: Number(status), withoutAddress: 'error', amountFailure: NOT_FOUND },
        null,
      );
    stand.work();
    await stand.sync();
    for (const [index, ours] of Object.values(states).entries()) {
      order = one.orders[index] as SandboxOrder;
      expect(await stored()).toMatchObject({ status: ours });
      expect(await inbox()).toMatchObject({ state: 'stored' });
    }
    expect(await errors()).toEqual([]);
  });

  test('what was known earlier is kept when a later call fails', async () => {
    await given({});
    stand.work();
    await stand.sync();
    const before = await stored();
    const products = await sql()`select * from products_in_order`;
    set({ amountFailure: NOT_FOUND });
    await stand.sync();
    expect(await stored()).toEqual({
      ...before,
      status: 'Incomplete',
      order_modified_at: expect.any(Date),
      updated_at: expect.any(Date),
    });
    expect(await sql()`select * from products_in_order`).toEqual(products);

    set({ status: 4, withoutAddress: 'null', amountFailure: null }, Math.floor(Date.now() / 1000) - 30);
    await stand.sync();
    expect(await stored()).toMatchObject({ status: 'Shipped', shipping_street1: order.address.street1 });
    expect((await errors()).every(({ resolved }) => resolved)).toBe(true);
  });

  test('R3: what can never be saved is set aside with its reason, after bounded tries, and others go on', async () => {
    await given({}, 3);
    await sql()`alter table orders add constraint broken check (marketplace_order_id <> ${sql().unsafe(`'${order.parentOrderSn}'`)})`;
    stand.work();
    await openWindows(stand.deps, [one.storeId]);
    await until(async () => (await inbox())?.error?.includes('broken'));
    await until(async () => (await sql()`select 1 from orders`).length === 2);
    expect(await inbox()).toMatchObject({ state: 'pending', attempts: 1 });
    expect((await inbox())?.due_at.getTime()).toBeGreaterThan(stand.deps.clock());

    // after the last of its tries, without the hours between them
    await sql()`update temu_order_inbox set attempts = 12, due_at = ${new Date(stand.deps.clock())}, offered_at = null
      where parent_order_sn = ${order.parentOrderSn}`;
    await stand.tick();
    await until(async () => (await inbox())?.state === 'failed');
    expect(await inbox()).toMatchObject({ state: 'failed', error: expect.stringContaining('broken') });
    await sql()`alter table orders drop constraint broken`;
    set({});
    await stand.sync();
    await truthHolds();
  });
});

describe('T7: statuses that are no number', () => {
  test('"2" is 2; any other is kept as it came, the order is Incomplete, and people are told once each', async () => {
    await given({}, 5);
    for (const [at, status] of ['2', 'SHIPPED', null, 2.5, 'constructor'].entries())
      Object.assign(one.orders[at] as SandboxOrder, { status });
    stand.work();
    await stand.sync();
    const unknown = ['"SHIPPED"', 'null', '2.5', '"constructor"'].map(
      (word) => `Temu gave the order the status ${word}, which Orderfleet does not know`,
    );
    const orders = await sql()`
      select o.status, o.marketplace_status as "marketplaceStatus", e.message, o.order_total_amount is not null as whole
      from orders o left join order_errors e on e.order_id = o.id and e.type = 'Unknown Status'
      order by array_position(${one.orders.map((each) => each.parentOrderSn)}::text[], o.marketplace_order_id)`;
    const Incomplete = { status: 'Incomplete', whole: true };
    expect(orders).toEqual([
      { status: 'Ready for Shipping', marketplaceStatus: 'UN_SHIPPING', message: null, whole: true },
      { ...Incomplete, marketplaceStatus: 'SHIPPED', message: unknown[0] },
      { ...Incomplete, marketplaceStatus: null, message: unknown[1] },
      { ...Incomplete, marketplaceStatus: '2.5', message: unknown[2] },
      { ...Incomplete, marketplaceStatus: 'constructor', message: unknown[3] },
    ]);
    const told = await sql()`select kind, payload->>'text' as text from notices`;
    expect(told.map(({ text }) => text).sort()).toEqual([...unknown].sort());
    expect(new Set(told.map(({ kind }) => kind))).toEqual(new Set(['unknown-status']));
  });
});

describe('T12: cancelled before shipment', () => {
  const recent = { updated: 'recent', units: 3 } as const;
  const cancel = (all: boolean) => {
    for (const line of order.lines) line.cancelled = all ? line.ordered : 0;
    if (!all) (order.lines[0] as (typeof order.lines)[number]).cancelled = 1;
    set({ updatedAt: Math.floor(Date.now() / 1000) - 300 }, Math.floor(Date.now() / 1000) - 300);
  };

  test.each([
    [false, 'Ready for Shipping'],
    [true, 'Cancelled'],
  ])('all units: %s — held as Pending, then %s, also by a scheduler that was away', async (all, after) => {
    await given({}, 1, recent);
    cancel(all);
    const workers = stand.work();
    await stand.sync();
    expect(await stored()).toMatchObject({
      status: 'Pending',
      pending_until: new Date((order.updatedAt + 1800) * 1000),
    });
    await truthHolds();
    await later(24 * MINUTE);
    expect(await stored()).toMatchObject({ status: 'Pending' });
    await workers.stop(100); // the release needs nothing but Postgres and one tick
    stand.advance(2 * MINUTE);
    await stand.tick();
    expect(await stored()).toMatchObject({ status: after, pending_until: null });
    await truthHolds();
  });

  test('a part that is missing meanwhile is an error only once the hold is over', async () => {
    await given({ amountFailure: NOT_FOUND }, 1, recent);
    cancel(false);
    stand.work();
    await stand.sync();
    expect(await stored()).toMatchObject({ status: 'Pending' });
    expect(await errors()).toEqual([]);
    await later(26 * MINUTE);
    expect(await stored()).toMatchObject({ status: 'Incomplete' });
    expect(await errors()).toEqual([{ type: 'Order Download', message: 'Order not found', resolved: false }]);
    set({ amountFailure: null }, null);
    await later(70 * MINUTE);
    expect(await stored()).toMatchObject({ status: 'Ready for Shipping' });
    await truthHolds();
  });
});

describe('T4, T14: older never wins', () => {
  const everything = async () => {
    const rows: Record<string, unknown> = {};
    for (const table of ['orders', 'temu_orders', 'products_in_order', 'order_item_lines', 'order_errors'])
      rows[table] = await sql()`select * from ${sql()(table)} t order by t::text`;
    return rows;
  };
  const again = async () => {
    await sql()`update temu_order_inbox set state = 'pending', due_at = ${new Date(stand.deps.clock())}, offered_at = null`;
    await stand.tick();
    await stand.settle();
  };

  test('reading the same orders twice changes nothing: no value, no id, not even updated_at', async () => {
    await given({}, 15, { status: undefined, units: 2, singleRows: true, prices: 2 });
    stand.work();
    await stand.sync();
    const before = await everything();
    await again();
    expect(await everything()).toEqual(before);
    await truthHolds();
  });

  test('an older result changes nothing at save, whatever it says', async () => {
    await given({}, 3);
    stand.work();
    await stand.sync();
    await sql()`update orders set order_modified_at = order_modified_at + interval '1 second'`;
    const before = await everything();
    for (const { parentOrderSn } of one.orders)
      stand.sandbox.world.changeOrder(one.shop, parentOrderSn, { status: 5, amountFailure: NOT_FOUND }, null);
    await sql()`update temu_order_inbox set payload = jsonb_set(payload, '{parentOrderMap,parentOrderStatus}', '5')`;
    await again();
    expect(await everything()).toEqual(before);
    expect(await sql()`select distinct state from temu_order_inbox`).toEqual([{ state: 'stored' }]);
  });

  test('the inbox takes newer copies and other ones of the same second, never older ones', async () => {
    await given({});
    const copy = (updateTime: number, status: number) =>
      toInboxRow({
        parentOrderMap: { parentOrderSn: order.parentOrderSn, parentOrderStatus: status, updateTime },
        orderList: [],
      });
    const put = async (...rows: ReturnType<typeof copy>[]) => {
      await storeInInbox(stand.deps, one.storeId, rows);
      const row = await inbox();
      return [row?.payload.parentOrderMap.parentOrderStatus, row?.version];
    };
    expect(await put(copy(1_700_000_000, 2))).toEqual([2, 1]);
    expect(await put(copy(1_699_999_999, 1))).toEqual([2, 1]);
    expect(await put(copy(1_700_000_000, 2))).toEqual([2, 1]);
    expect(await put(copy(1_700_000_000, 3))).toEqual([3, 2]);
    expect(await put(copy(1_700_000_001, 4), copy(1_700_000_000, 5))).toEqual([4, 3]);
  });

  test('what was written from a newer copy of the same second stays, when a slow worker comes with the older one', async () => {
    await given({ status: 1 });
    const workers = stand.work();
    const slow = { match: { type: 'bg.order.amount.query' }, times: 1 };
    stand.sandbox.faults.add({ ...slow, do: { kind: 'delay', ms: 1_000 } });
    const synced = stand.sync();
    await until(() => stand.sandbox.ledger.count({ outcome: 'fault:delay' }) === 1);
    const text = (await sql()`select payload from temu_order_inbox`)[0]?.payload;
    text.parentOrderMap.parentOrderStatus = 2;
    set({ status: 2 }, null);
    await storeInInbox(stand.deps, one.storeId, [toInboxRow(text)]);
    await stand.tick();
    await synced;
    const before = await everything();
    expect(await inbox()).toMatchObject({ state: 'stored', version: 2 });
    await workers.stop(5_000); // the slow one ends
    expect(await everything()).toEqual(before);
    await truthHolds();
  });

  test('a newer copy that comes while an order is read is not lost', async () => {
    await given({ status: 1 });
    stand.work();
    stand.sandbox.faults.add({
      match: { type: 'bg.order.amount.query' },
      times: 1,
      do: { kind: 'delay', ms: 700 },
    });
    const first = stand.sync();
    await until(() => stand.sandbox.ledger.count({ outcome: 'fault:delay' }) === 1);
    const text = (await sql()`select payload from temu_order_inbox`)[0]?.payload;
    set({ status: 2 });
    text.parentOrderMap.parentOrderStatus = 2;
    text.parentOrderMap.updateTime = order.updatedAt;
    await storeInInbox(stand.deps, one.storeId, [toInboxRow(text)]);
    await stand.tick();
    await first;
    await truthHolds();
    expect(await stored()).toMatchObject({ status: 'Ready for Shipping' });
  });
});

describe('an orders row that another program wrote by source and number alone', () => {
  const write = async () => {
    const [row] = await sql()<{ id: string }[]>`
      insert into orders (source, marketplace_order_id, order_modified_at)
      values ('temu', ${order.parentOrderSn}, now() + interval '1 hour') returning id`;
    return row?.id;
  };
  const event = async (awbNumber: string) => {
    const recorded = await ingestEvent(stand.deps, {
      ...{ v: 1, source: 'temu', marketplaceOrderId: order.parentOrderSn, awbNumber, carrier: 'fancourier' },
    });
    return recorded.is;
  };
  const rows = async () =>
    await sql()`select id, store_id, status from orders where marketplace_order_id = ${order.parentOrderSn} order by store_id`;

  test('becomes the store’s, whole, with its parcels; events by its number find one order', async () => {
    await given({});
    const id = await write();
    expect(await event('AWB-1')).toBe('due');
    stand.work();
    await stand.sync();
    expect(await rows()).toEqual([{ id, store_id: one.storeId, status: 'Ready for Shipping' }]);
    await truthHolds();
    expect(await event('AWB-2')).toBe('due');
    expect(await sql()`select order_id, awb_number from shipments order by 2`).toEqual([
      { order_id: id, awb_number: 'AWB-1' },
      { order_id: id, awb_number: 'AWB-2' },
    ]);
    // from then on it is synced like any other order
    set({ status: 4 });
    await stand.sync();
    expect(await rows()).toEqual([{ id, store_id: one.storeId, status: 'Shipped' }]);
  });

  test('that comes when the store has the order already stays beside it, and hinders nothing', async () => {
    await given({});
    stand.work();
    await stand.sync();
    const [ours] = await rows();
    const id = await write();
    set({ status: 41 });
    await stand.sync();
    expect(await rows()).toEqual([
      { ...ours, status: 'Partially Shipped' },
      { id, store_id: null, status: 'Pending' },
    ]);
    await truthHolds();
  });

  test('goes to one of two stores that have the number; the other has a row of its own', async () => {
    await given({});
    const id = await write();
    const other = await stand.addShop({ name: 'other' }, 0);
    stand.sandbox.world.addOrders(other.shop, [{ ...order, shopName: other.shop.name }]);
    stand.work();
    await stand.sync();
    const stored = await rows();
    expect(stored.map((row) => row.store_id).sort()).toEqual([one.storeId, other.storeId].sort());
    expect(stored.filter((row) => row.id === id)).toHaveLength(1);
    expect(stored.every(({ status }) => status === 'Ready for Shipping')).toBe(true);
  });
});

describe('T18: a buyer who was forgotten stays so', () => {
  const forget = () =>
    erasePersonalData({ ...stand.deps, clock: stand.deps.clock, config: { PERSONAL_DATA_DAYS: 30 } });
  const askedForAddress = () => stand.sandbox.ledger.count({ type: 'bg.order.shippinginfo.get' });

  test('when Temu changes the order, also though it would have its address', async () => {
    await given({ status: 2 });
    stand.work();
    await stand.sync();
    expect((await stored())?.shipping_street1).toBe(order.address.street1);
    set({ status: 3 });
    await stand.sync();
    stand.advance(31 * 24 * HOUR);
    expect(await forget()).toBe(1);
    const asked = askedForAddress();
    // as if it had been cancelled by mistake
    set({ status: 2 }, Math.floor(Date.now() / 1000));
    await stand.sync();
    expect(await stored()).toMatchObject({
      ...{ status: 'Ready for Shipping', marketplace_status: 'UN_SHIPPING' },
      ...{ shipping_street1: null, buyer_mail: null, shipping_buyer_name: null, shipping_phone: null },
    });
    expect((await inbox())?.state).toBe('stored');
    expect(await errors()).toEqual([]);
    expect(askedForAddress()).toBe(asked);
  });

  test('when its address was being fetched as it was erased', async () => {
    await given({ status: 2 });
    stand.work();
    await stand.sync();
    await sql()`update orders set personal_data_erased_at = null`;
    stand.sandbox.faults.add({
      match: { type: 'bg.order.shippinginfo.get' },
      do: { kind: 'delay', ms: 300 },
    });
    set({ status: 2 });
    const synced = stand.sync();
    const asked = askedForAddress();
    await until(() => askedForAddress() > asked);
    await sql()`update orders set shipping_street1 = null, personal_data_erased_at = now()`;
    await synced;
    expect((await stored())?.shipping_street1).toBeNull();
  });

  test('the end of an order is the first time that Temu says so: what it says later moves it no more', async () => {
    await given({ status: 3 });
    stand.work();
    await stand.sync();
    const before = await stored();
    expect(before?.ended_at).toEqual(before?.order_modified_at);
    set({ status: 3 });
    await stand.sync();
    const after = await stored();
    expect(after?.order_modified_at.getTime()).toBeGreaterThan(before?.order_modified_at.getTime());
    expect(after?.ended_at).toEqual(before?.ended_at);
  });

  test('an order that goes on has no end', async () => {
    await given({ status: 4 });
    stand.work();
    await stand.sync();
    expect((await stored())?.ended_at).toBeNull();
  });

  test('and what is still missing of its price is asked for alone', async () => {
    await given({ status: 2, amountFailure: NOT_FOUND });
    stand.work();
    await stand.sync();
    expect((await stored())?.status).toBe('Incomplete');
    await sql()`update orders set buyer_mail = null, personal_data_erased_at = now()`;
    const asked = askedForAddress();
    set({ amountFailure: null }, null);
    await later(61 * MINUTE);
    expect((await stored())?.status).toBe('Ready for Shipping');
    expect(askedForAddress()).toBe(asked);
  });
});
