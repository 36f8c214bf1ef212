import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readTimelines } from '../../../src/ops/explain.ts';
import { minutes, seconds } from '../../../src/queue/define.ts';
import { pushStates, retryPushes } from '../../../src/temu/awb/index.ts';
import { type AwbOrder, type AwbShop, type AwbStand, startAwbStand } from './awb-harness.ts';

const HOUR = minutes(60);

let stand: AwbStand;
let shop: AwbShop;

beforeAll(async () => {
  stand = await startAwbStand();
  shop = await stand.addShop();
});
afterEach(() => stand.sandbox.faults.clear());
afterAll(() => stand?.close());

describe('events', () => {
  test('A1: the same event twice is one shipment, one push and one telling', async () => {
    const order = await stand.addOrder(shop);
    const awb = stand.newAwb();
    expect(await stand.created(order, awb)).toMatchObject({ is: 'due' });
    expect(await stand.created(order, awb.toLowerCase())).toMatchObject({ is: 'known' });
    await stand.push(order);
    expect(await stand.created(order, awb)).toMatchObject({ is: 'known' });
    // by its number at Temu instead of our id
    await stand.created(order, awb, { source: 'temu', marketplaceOrderId: order.sn });
    await stand.pushOn(order);
    expect(await stand.only(order)).toMatchObject({ awb, state: 'sent', attempts: 1 });
    expect(stand.sandbox.effects.told(awb)).toEqual({ arrived: 1, accepted: 1 });
  });

  test('A2: shipment and push are in Postgres though Temu is away', async () => {
    const order = await stand.addOrder(shop);
    stand.fault({ kind: 'cut' }, { times: 1000 });
    const bookedAt = '2026-11-01T10:00:00+02:00';
    await stand.created(order, stand.newAwb(), {
      ...{
        bookedAt,
        lrNumber: 'LR7',
        bookingCourier: 'Sameday RO',
        items: [{ orderItemId: 'x', quantity: 1 }],
      },
    });
    const [shipment] = await stand.stack.sql`
      select awb_number, lr_number, carrier, booking_courier, booked_at, items, status from shipments where order_id = ${order.id}`;
    expect(shipment).toMatchObject({
      ...{ lr_number: 'LR7', carrier: 'sameday', booking_courier: 'Sameday RO', status: 'pending' },
      booked_at: new Date(bookedAt),
      items: [{ orderItemId: 'x', quantity: 1 }],
    });
    expect(await stand.only(order)).toMatchObject({ state: 'pending', attempts: 0, toldAt: null });
  });

  test('A2: an event that cannot be recorded leaves nothing half done', async () => {
    const order = await stand.addOrder(shop);
    await stand.stack
      .sql`alter table temu_pushes add constraint away check (order_id <> ${stand.stack.sql.unsafe(`'${order.id}'`)}) not valid`;
    const awb = stand.newAwb();
    expect(await stand.created(order, awb)).toMatchObject({
      is: 'waiting',
      why: expect.stringContaining('away'),
    });
    expect(await stand.stack.sql`select from shipments where order_id = ${order.id}`).toHaveLength(0);
    await stand.stack.sql`alter table temu_pushes drop constraint away`;
    stand.advance(60_000);
    await stand.tick(); // the event itself was kept
    expect(await stand.only(order)).toMatchObject({ awb, state: 'pending' });
  });

  test('A3: an order from elsewhere is recorded and nobody is told', async () => {
    const id = crypto.randomUUID();
    await stand.stack
      .sql`insert into orders (id, source, marketplace_order_id) values (${id}, 'shopify', 'S-1')`;
    const order = { id, sn: 'S-1', in: shop, lines: [] };
    expect(
      await stand.created(order, stand.newAwb(), { source: 'shopify', marketplaceOrderId: 'S-1' }),
    ).toMatchObject({
      is: 'recorded',
      source: 'shopify',
    });
    await stand.tick();
    expect(await stand.stack.sql`select from shipments where order_id = ${id}`).toHaveLength(1);
    expect(await stand.pushes(order)).toEqual([]);
  });

  test('E9: a number that cannot be one of its carrier’s is pushed all the same, with one notice and a warning', async () => {
    const order = await stand.addOrder(shop);
    const odd = `2${stand.newAwb().replace('AWB', '0000000')}`; // FAN's form
    const why = `AWB ${odd} cannot be one of Sameday’s numbers: those are letters and digits`;
    await stand.created(order, odd);
    const notice = [`order ${order.sn}: ${why}. It is used as it is`];
    expect(await stand.notices(order, 'awb-number')).toEqual(notice);
    await stand.created(order, odd, { carrier: 'sameday', bookingCourier: 'Sameday RO' }); // once per AWB
    expect(await stand.notices(order, 'awb-number')).toEqual(notice);
    expect((await readTimelines(stand.stack.fleet, order.sn)).warnings).toEqual([why]);
    expect((await stand.pushOn(order)).map(({ awb, state }) => [awb, state])).toEqual([[odd, 'sent']]);
    expect(stand.parcelsOf(order)).toMatchObject([{ trackingNumber: odd }]);

    // the right carrier, known before it is pushed: nothing to warn of any more
    const other = await stand.addOrder(shop);
    const fan = `2${stand.newAwb().replace('AWB', '0000000')}`;
    await stand.created(other, fan);
    await stand.created(other, fan, { carrier: 'fancourier' });
    expect((await readTimelines(stand.stack.fleet, fan)).warnings).toEqual([]);
  });

  test('E9: so are numbers of shipments that another program wrote; a return’s number is its courier’s own', async () => {
    const sql = stand.stack.sql;
    const order = await stand.addOrder(shop);
    const [parcel] = await sql<{ id: string }[]>`
      insert into shipments (order_id, booking_courier, booked_at, awb_number)
      values (${order.id}, 'UPS Standard', now(), '1Z999AA10123456785') returning id`;
    await sql`
      insert into shipments (order_id, booking_courier, booked_at, awb_number, linked_to, link)
      values (${order.id}, 'UPS Standard', now(), '1Z999AA10123456786', ${parcel?.id ?? ''}, 'return')`;
    await stand.tick();
    await stand.tick();
    const warned = [expect.stringContaining('AWB 1Z999AA10123456785 cannot be one of UPS’s numbers')];
    expect(await stand.notices(order, 'awb-number')).toEqual(warned);
    expect((await readTimelines(stand.stack.fleet, order.sn)).warnings).toEqual(warned);
    expect(await stand.only(order)).toMatchObject({ awb: '1Z999AA10123456785' });
  });

  test('A3: an event waits for its order, nudges the order sync, and is pushed when the order comes', async () => {
    const order = await stand.addOrder(shop, { known: false });
    const sql = stand.stack.sql;
    await sql`update temu_stores set last_synced_at = ${new Date(stand.deps.clock() - minutes(3))}, next_sync_at = ${new Date(stand.deps.clock() + minutes(2))}`;
    const awb = stand.newAwb();
    const named = { source: 'temu', marketplaceOrderId: order.sn };
    expect(await stand.created(order, awb, named)).toMatchObject({ is: 'waiting' });
    const nextSync = async () =>
      (
        await sql<{ at: Date }[]>`select next_sync_at as at from temu_stores where id = ${shop.storeId}`
      )[0]?.at.getTime();
    expect(await nextSync()).toBeLessThanOrEqual(stand.deps.clock());
    stand.advance(seconds(31));
    await stand.tick();
    expect(await sql`select state from awb_events where key like ${`%${awb}`}`).toMatchObject([
      { state: 'waiting' },
    ]);
    await stand.sync(order);
    stand.advance(seconds(31));
    await stand.tick();
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ awb, state: 'sent' });
  });

  test('A3: an event of another source does not have Temu asked for orders', async () => {
    const sql = stand.stack.sql;
    const later = new Date(stand.deps.clock() + minutes(4));
    await sql`update temu_stores set last_synced_at = ${new Date(stand.deps.clock() - minutes(1))}, next_sync_at = ${later}`;
    const nobody = { id: '', sn: 'S-99', in: shop, lines: [] };
    await stand.created(nobody, stand.newAwb(), { source: 'shopify', marketplaceOrderId: 'S-99' });
    const [store] = await sql`select next_sync_at from temu_stores where id = ${shop.storeId}`;
    expect(store?.next_sync_at).toEqual(later);
  });

  test('A3: without its order an event is parked after 24 hours, told once, and a new one of the same takes its place', async () => {
    const order = await stand.addOrder(shop, { known: false });
    const sql = stand.stack.sql;
    const awb = stand.newAwb();
    const named = { source: 'temu', marketplaceOrderId: order.sn };
    const event = async () =>
      (
        await sql<
          { state: string; error: string }[]
        >`select state, error from awb_events where key like ${`%${awb}`}`
      )[0];
    await stand.created(order, awb, named);
    stand.advance(24 * HOUR - minutes(1));
    await stand.tick();
    expect(await event()).toMatchObject({ state: 'waiting' });
    for (let look = 0; look < 3; look++) {
      stand.advance(minutes(1));
      await stand.tick();
    }
    expect(await event()).toMatchObject({
      state: 'parked',
      error: expect.stringContaining('its order is not in Orderfleet'),
    });
    const told =
      await sql`select payload->>'text' as text from notices where kind = 'awb-without-order' and key like ${`%${awb}`}`;
    expect(told).toEqual([{ text: expect.stringContaining(`temu/${order.sn} ${awb}`) }]);

    await stand.sync(order); // it comes after all
    expect(await stand.created(order, awb, named)).toMatchObject({ is: 'due' });
    expect(await stand.only(order)).toMatchObject({ awb, state: 'pending' });
  });

  test('A3, A7: awb retry takes up events that were parked, of one order or all', async () => {
    const [late, never] = [
      await stand.addOrder(shop, { known: false }),
      await stand.addOrder(shop, { known: false }),
    ];
    const sql = stand.stack.sql;
    const states = () => sql<{ sn: string; state: string }[]>`
      select payload->>'marketplaceOrderId' as sn, state from awb_events
      where payload->>'marketplaceOrderId' in (${late.sn}, ${never.sn})`;
    const awbs = [stand.newAwb(), stand.newAwb()] as const;
    await stand.created(late, awbs[0], { source: 'temu', marketplaceOrderId: late.sn });
    await stand.created(never, awbs[1], { source: 'temu', marketplaceOrderId: never.sn });
    stand.advance(25 * HOUR);
    await stand.tick();
    expect((await states()).map(({ state }) => state)).toEqual(['parked', 'parked']);

    await expect(retryPushes(stand.deps, { order: never.sn })).rejects.toThrow(
      /its AWB waits another day for it/,
    );
    await stand.sync(late);
    const [push, ...more] = await retryPushes(stand.deps, { failed: true });
    expect(more).toEqual([]);
    expect(await pushStates(stand.deps, [String(push)])).toMatchObject([
      { order: late.sn, awbNumber: awbs[0] },
    ]);
    expect(new Set((await states()).map(({ sn, state }) => `${sn} ${state}`))).toEqual(
      new Set([`${late.sn} recorded`, `${never.sn} waiting`]),
    );
  });

  test('A3: an order number that two stores have is parked with a clear error, and our id settles it', async () => {
    const sql = stand.stack.sql;
    const order = await stand.addOrder(shop);
    const other = await stand.addShop();
    await sql`insert into orders (source, store_id, marketplace_order_id) values ('temu', ${other.storeId}, ${order.sn})`;
    const awb = stand.newAwb();
    const outcome = await stand.created(order, awb, { source: 'temu', marketplaceOrderId: order.sn });
    expect(outcome).toMatchObject({ is: 'parked', why: expect.stringContaining('orderId') });
    await stand.created(order, awb);
    expect(await stand.only(order)).toMatchObject({ awb, state: 'pending' });
  });

  test('A3: a row of another program, which no store has taken over, makes no second order of a number', async () => {
    const sql = stand.stack.sql;
    const order = await stand.addOrder(shop);
    await sql`insert into orders (source, marketplace_order_id) values ('temu', ${order.sn})`;
    const awb = stand.newAwb();
    expect(await stand.created(order, awb, { source: 'temu', marketplaceOrderId: order.sn })).toMatchObject({
      is: 'due',
    });
    expect(await stand.only(order)).toMatchObject({ awb, state: 'pending' });
  });

  test('A7: the sweep finds shipments that another program inserted, and only those to be told', async () => {
    const sql = stand.stack.sql;
    const orders = await Promise.all(Array.from({ length: 4 }, () => stand.addOrder(shop)));
    const [plain, shipped, lrOnly, elsewhere] = orders as [AwbOrder, AwbOrder, AwbOrder, AwbOrder];
    await sql`update orders set status = 'Shipped', marketplace_status = 'SHIPPED' where id = ${shipped.id}`;
    await sql`update orders set source = 'shopify' where id = ${elsewhere.id}`;
    for (const { id } of [plain, shipped, elsewhere])
      await sql`insert into shipments (order_id, awb_number, booking_courier, booked_at) values (${id}, ${stand.newAwb()}, 'Sameday', now())`;
    await sql`insert into shipments (order_id, lr_number, booking_courier, booked_at) values (${lrOnly.id}, 'LR1', 'Sameday', now())`;
    await stand.tick();
    await stand.tick();
    const found = await Promise.all(orders.map(async (order) => (await stand.pushes(order)).length));
    expect(found).toEqual([1, 0, 0, 0]);
    await stand.push(plain);
    // the carrier is the booking courier
    expect(await stand.only(plain)).toMatchObject({ state: 'sent' });
    expect(stand.parcelsOf(plain)).toMatchObject([{ carrierId: 910_000_102 }]);
  });
});

describe('telling', () => {
  test('A3: one parcel, with the carrier’s id, the default warehouse and every open unit', async () => {
    const order = await stand.addOrder(shop, {
      units: [2, 3, 1],
      finish: ({ lines }) => {
        (lines[1] as (typeof lines)[number]).cancelled = 1;
        Object.assign(lines[2] as object, { cancelled: 1, status: 3 });
      },
    });
    const awb = stand.newAwb();
    await stand.created(order, awb, { carrier: 'FAN Courier' });
    await stand.push(order);
    expect(stand.parcelsOf(order)).toMatchObject([
      {
        trackingNumber: awb,
        carrierId: 910_000_101,
        warehouseId: shop.shop.warehouses.find(({ isDefault }) => isDefault)?.id,
        contents: [
          { orderSn: order.lines[0]?.orderSn, quantity: 2 },
          { orderSn: order.lines[1]?.orderSn, quantity: 2 },
        ],
      },
    ]);
  });

  test('A5: success is on the order', async () => {
    const order = await stand.addOrder(shop);
    await stand.created(order, stand.newAwb());
    expect(await stand.row(order)).toEqual({ sent: false, sentAt: null, error: null });
    const before = stand.deps.clock();
    await stand.push(order);
    const row = await stand.row(order);
    expect(row).toMatchObject({ sent: true, error: null });
    expect(row.sentAt?.getTime()).toBeGreaterThanOrEqual(before);
    expect((await stand.only(order)).sentAt).toEqual(row.sentAt);
  });

  test('A5: failure is on the order in Temu’s words, and success clears it', async () => {
    const order = await stand.addOrder(shop);
    stand.refuses(order, 120_012_030, 'Order cancel pending. Please process before shipping.');
    await stand.created(order, stand.newAwb());
    await stand.push(order);
    expect(await stand.row(order)).toEqual({
      ...{ sent: false, sentAt: null },
      error: 'Order cancel pending. Please process before shipping.',
    });
    stand.refuses(order, null);
    await stand.sync(order);
    await stand.tick();
    await stand.pushOn(order);
    expect(await stand.row(order)).toMatchObject({ sent: true, error: null });
  });

  test('A3: what is sent is not sent again, whoever asks', async () => {
    const order = await stand.addOrder(shop);
    await stand.created(order, stand.newAwb());
    await stand.push(order);
    const calls = stand.sandbox.ledger.count();
    expect(await stand.push(order)).toEqual({ outcome: 'nothing to do' });
    stand.advance(HOUR);
    await stand.tick();
    expect(await stand.push(order)).toEqual({ outcome: 'nothing to do' });
    expect(stand.sandbox.ledger.count()).toBe(calls);
  });
});
