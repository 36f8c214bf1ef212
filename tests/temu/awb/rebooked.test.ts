import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { recordEvent } from '../../../src/temu/awb/ingest-event.ts';
import { pushByHand, retryPushes } from '../../../src/temu/awb/retry.ts';
import { type AwbOrder, type AwbShop, type AwbStand, startAwbStand } from './awb-harness.ts';

/** Which of several AWBs of an order Temu has in the end: the one that was heard of last (A6). */
let stand: AwbStand;
let shop: AwbShop;
beforeAll(async () => {
  stand = await startAwbStand();
  shop = await stand.addShop();
});
afterEach(() => stand.sandbox.faults.clear());
afterAll(() => stand?.close());

const numbers = (order: AwbOrder) => stand.parcelsOf(order).map(({ trackingNumber }) => trackingNumber);
const states = async (order: AwbOrder) =>
  Object.fromEntries((await stand.pushes(order)).map(({ awb, state }) => [awb, state]));
const wait = () => stand.advance(1_000);

describe('A6: an older AWB never takes the place of a newer one', () => {
  test('that was rejected, and is tried again with all that failed', async () => {
    const order = await stand.addOrder(shop);
    const [first, second] = [stand.newAwb(), stand.newAwb()];
    await stand.created(order, first);
    stand.refuses(order, 120_011_006);
    await stand.push(order);
    expect(await states(order)).toEqual({ [first]: 'rejected' });
    stand.refuses(order, null);
    wait();
    await stand.created(order, second);
    await stand.push(order);
    expect(numbers(order)).toEqual([second]);
    await retryPushes(stand.deps, { failed: true });
    await stand.pushOn(order);
    expect(numbers(order)).toEqual([second]);
    expect(await states(order)).toEqual({ [first]: 'replaced', [second]: 'sent' });
  });

  test('that waits for the order to change, which it does by the newer one', async () => {
    const order = await stand.addOrder(shop);
    const [first, second] = [stand.newAwb(), stand.newAwb()];
    await stand.created(order, first);
    stand.refuses(order, 120_012_030);
    // the newer one comes while the older one is in a worker's hands
    stand.fault({ kind: 'delay', ms: 400 });
    const told = stand.push(order);
    await new Promise((resolve) => setTimeout(resolve, 150));
    wait();
    await stand.created(order, second);
    await told;
    expect((await states(order))[first]).toBe('parked');
    stand.refuses(order, null);
    await stand.pushOn(order);
    expect(numbers(order)).toEqual([second]);
    await stand.stack
      .sql`update orders set order_modified_at = now() + interval '1 day' where id = ${order.id}`;
    stand.advance(60_000);
    await stand.tick();
    await stand.pushOn(order);
    expect(numbers(order)).toEqual([second]);
    expect(await states(order)).toEqual({ [first]: 'replaced', [second]: 'sent' });
    // that one is history is no error of the order
    expect(await stand.row(order)).toMatchObject({ sent: true, error: null });
  });

  test('whose answer was lost: once Temu surely has not got it, the newer one goes out', async () => {
    const order = await stand.addOrder(shop);
    const [first, second] = [stand.newAwb(), stand.newAwb()];
    stand.fault({ kind: 'cut' });
    await stand.created(order, first);
    await stand.push(order);
    expect(await states(order)).toEqual({ [first]: 'unknown' });
    wait();
    await stand.created(order, second);
    await stand.pushOn(order);
    expect(numbers(order)).toEqual([second]);
    expect(await states(order)).toEqual({ [first]: 'replaced', [second]: 'sent' });
  });

  test('though both waited for their order and were looked at in another order', async () => {
    const order = await stand.addOrder(shop, { known: false });
    const [first, second] = [stand.newAwb(), stand.newAwb()];
    const named = { source: 'temu', marketplaceOrderId: order.sn };
    await stand.created(order, first, named);
    stand.advance(20_000);
    await stand.created(order, second, named);
    await stand.sync(order);
    // the first one is looked at later than the second
    await stand.stack
      .sql`update awb_events set due_at = due_at + interval '1 minute' where key like ${`%${first}`}`;
    stand.advance(31_000);
    await stand.tick();
    stand.advance(61_000);
    await stand.tick();
    await stand.pushOn(order);
    expect(numbers(order)).toEqual([second]);
    expect(await states(order)).toEqual({ [first]: 'replaced', [second]: 'sent' });
  });
});

test('A7: a person who names a replaced AWB again means it', async () => {
  const order = await stand.addOrder(shop);
  const [first, second] = [stand.newAwb(), stand.newAwb()];
  await stand.created(order, first);
  wait();
  await stand.created(order, second);
  await stand.push(order);
  wait();
  const [id] = await pushByHand(stand.deps, order.sn, first, 'sameday');
  expect(id).toBeDefined();
  await stand.pushOn(order);
  expect(numbers(order)).toEqual([first]);
  // once more is nothing new
  const heard = stand.heard(order, 'update').length;
  await pushByHand(stand.deps, order.sn, first, 'sameday');
  await stand.pushOn(order);
  expect(stand.heard(order, 'update')).toHaveLength(heard);
});

test('A1: the same event again changes nothing; one with another carrier corrects it until Temu has been told', async () => {
  const order = await stand.addOrder(shop);
  const awb = stand.newAwb();
  await stand.created(order, awb, { carrier: 'samday' });
  await stand.push(order);
  expect(await stand.only(order)).toMatchObject({
    state: 'parked',
    error: expect.stringContaining('SAMDAY'),
  });
  expect(await stand.created(order, awb, { carrier: 'samday' })).toEqual({ is: 'known' });
  expect(await stand.only(order)).toMatchObject({ state: 'parked' });
  expect(await stand.created(order, awb, { carrier: 'sameday' })).toMatchObject({ is: 'due' });
  await stand.push(order);
  expect(await stand.only(order)).toMatchObject({ state: 'sent' });
  expect(await stand.created(order, awb, { carrier: 'fancourier' })).toEqual({ is: 'known' });
  expect(await stand.only(order)).toMatchObject({ state: 'sent' });
});

test('R3: an event that cannot be written fails alone, is told of after a day, and others go on', async () => {
  const sql = stand.stack.sql;
  const [bad, good] = [await stand.addOrder(shop), await stand.addOrder(shop, { known: false })];
  const awb = stand.newAwb();
  const event = { v: 1 as const, carrier: 'sameday' };
  // as an older version took it
  const unwritable = { ...event, orderId: bad.id, awbNumber: awb, bookedAt: '0000-01-01T00:00:00Z' };
  expect(await recordEvent(stand.deps, unwritable)).toMatchObject({
    is: 'waiting',
    why: expect.stringContaining('it could not be recorded'),
  });
  await stand.created(good, stand.newAwb(), { source: 'temu', marketplaceOrderId: good.sn });
  await stand.sync(good);
  stand.advance(60_000);
  await stand.tick();
  expect(await stand.only(good)).toMatchObject({ state: 'pending' });
  stand.advance(25 * 3_600_000);
  await stand.tick();
  const [row] = await sql`select state, error from awb_events where key like ${`%${awb}`}`;
  expect(row).toMatchObject({ state: 'parked', error: expect.stringContaining('it could not be recorded') });
});

test('A7: retry --failed gets through all of them, call after call; those of cancelled orders are left alone', async () => {
  const sql = stand.stack.sql;
  await sql`update temu_pushes set state = 'sent', error = null`;
  const orders: AwbOrder[] = [];
  for (let index = 0; index < 53; index++) {
    const order = await stand.addOrder(shop, {
      shipBy: new Date(stand.deps.clock() + (index + 1) * 3_600_000),
    });
    await stand.created(order, stand.newAwb());
    orders.push(order);
  }
  const fail = () => sql`
    update temu_pushes set state = 'parked', error = 'no' where state = 'pending' and order_id = any(${orders.map(({ id }) => id)}::uuid[])`;
  await sql`update temu_pushes set due_at = ${new Date(stand.deps.clock() - 2 * 3_600_000)} where state = 'pending'`;
  await fail();
  await sql`update orders set status = 'Cancelled' where id = ${orders[0]?.id ?? ''}`;
  const tried = new Set<string>();
  for (let call = 0; call < 2; call++) {
    for (const id of await retryPushes(stand.deps, { failed: true })) tried.add(id);
    await fail();
  }
  expect(tried.size).toBe(52);
});
