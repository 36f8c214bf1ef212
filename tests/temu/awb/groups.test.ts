import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { awbCreatedEvent } from '../../../src/client/index.ts';
import { closeDb, createDb } from '../../../src/db/client.ts';
import { ClaimLost } from '../../../src/leases/claim.ts';
import { minutes } from '../../../src/queue/define.ts';
import { type Claim, claimPushes, markSending } from '../../../src/temu/awb/claim.ts';
import { ingestEvent } from '../../../src/temu/awb/ingest-event.ts';
import { settlePushes } from '../../../src/temu/awb/push-store.ts';
import { readOrder } from '../../../src/temu/awb/read-order.ts';
import { freePort } from '../../support/until.ts';
import { type AwbOrder, type AwbShop, type AwbStand, startAwbStand } from './awb-harness.ts';

/** P6: what comes at the same time is written together, with the outcome that one after the other would have. */
let stand: AwbStand;
let shop: AwbShop;
beforeAll(async () => {
  stand = await startAwbStand();
  shop = await stand.addShop();
});
afterEach(() => stand.sandbox.faults.clear());
afterAll(() => stand?.close());

const addOrders = (count: number, units = [1]) =>
  Promise.all(Array.from({ length: count }, () => stand.addOrder(shop, { units })));
const eventOf = (order: AwbOrder, more: object = {}) =>
  awbCreatedEvent.parse({ orderId: order.id, awbNumber: stand.newAwb(), carrier: 'sameday', ...more });
const item = (order: AwbOrder, line = 0) => ({
  orderItemId: order.lines[line]?.orderSn ?? '',
  quantity: 1,
});
const named = (source: string, marketplaceOrderId: string) => ({
  ...{ orderId: undefined, source, marketplaceOrderId },
});
const recordAll = (events: readonly ReturnType<typeof eventOf>[]) =>
  Promise.all(events.map((event) => ingestEvent(stand.deps, event)));
const claimAll = async (orders: readonly AwbOrder[]): Promise<Claim[]> => {
  const claims = await Promise.all(orders.map(({ id }) => claimPushes(stand.deps, id, false)));
  return claims.map((claim) => {
    if (!claim) throw new Error('nothing was claimed');
    return claim;
  });
};
const idsOf = (claim: Claim) => claim.pushes.map(({ id }) => id);

/** How many transactions wrote these orders' rows last. */
async function writersOf(table: 'shipments' | 'temu_pushes' | 'temu_orders', orders: readonly AwbOrder[]) {
  const sql = stand.stack.sql;
  const [row] = await sql<{ n: number; rows: number }[]>`
    select count(distinct xmin::text)::int as n, count(*)::int as rows from ${sql(table)}
    where order_id = any(${orders.map(({ id }) => id)}::uuid[])`;
  expect(row?.rows).toBeGreaterThanOrEqual(orders.length);
  return row?.n;
}

describe('P6: ten orders at once', () => {
  test('are recorded, claimed, read, fenced and settled in one statement each', async () => {
    const orders = await addOrders(10);
    const recorded = await recordAll(orders.map((order) => eventOf(order)));
    expect(recorded).toEqual(orders.map(({ id }) => ({ is: 'due', orderId: id })));
    expect(await writersOf('shipments', orders)).toBe(1);
    expect(await writersOf('temu_pushes', orders)).toBe(1);

    const claims = await claimAll(orders);
    expect(claims.map(({ orderId, pushes }) => [orderId, pushes.length])).toEqual(
      orders.map(({ id }) => [id, 1]),
    );
    expect(await writersOf('temu_pushes', orders)).toBe(1);
    const read = await Promise.all(orders.map(({ id }) => readOrder(stand.deps, id)));
    expect(read.map((order) => order?.sn)).toEqual(orders.map(({ sn }) => sn));

    await Promise.all(claims.map((claim) => markSending(stand.deps, claim, idsOf(claim))));
    expect(await writersOf('temu_pushes', orders)).toBe(1);
    await Promise.all(
      claims.map((claim) => settlePushes(stand.deps, claim, idsOf(claim), { state: 'sent' })),
    );
    expect(await writersOf('temu_pushes', orders)).toBe(1);
    expect(await writersOf('temu_orders', orders)).toBe(1);
    for (const order of orders) {
      expect(await stand.only(order)).toMatchObject({ state: 'sent', toldAt: null, attempts: 1 });
      expect(await stand.row(order)).toMatchObject({ sent: true, error: null });
    }
  });

  test('A6: a claim that was lost can neither send nor write; the others can', async () => {
    const orders = await addOrders(5);
    await recordAll(orders.map((order) => eventOf(order)));
    const claims = await claimAll(orders);
    const lose = ({ id }: AwbOrder) =>
      stand.stack.sql`update temu_pushes set claim = ${crypto.randomUUID()} where order_id = ${id}`;
    const [first, second] = orders as [AwbOrder, AwbOrder];
    await lose(first);
    const fenced = await Promise.allSettled(
      claims.map((claim) => markSending(stand.deps, claim, idsOf(claim))),
    );
    expect(fenced.map(({ status }) => status)).toEqual(['rejected', ...Array(4).fill('fulfilled')]);
    expect(fenced[0]).toMatchObject({ reason: expect.any(ClaimLost) });
    expect(await stand.only(first)).toMatchObject({ state: 'sending', toldAt: null });

    await lose(second);
    const settled = await Promise.allSettled(
      claims.map((claim) => settlePushes(stand.deps, claim, idsOf(claim), { state: 'sent' })),
    );
    expect(settled.map(({ status }) => status)).toEqual([
      ...['rejected', 'rejected'],
      ...Array(3).fill('fulfilled'),
    ]);
    for (const lost of [first, second]) {
      expect(await stand.only(lost)).toMatchObject({ state: 'sending' });
      expect(await stand.row(lost)).toEqual({ sent: false, sentAt: null, error: null });
    }
    for (const order of orders.slice(2)) {
      expect(await stand.only(order)).toMatchObject({ state: 'sent' });
      expect(await stand.row(order)).toMatchObject({ sent: true });
    }
  });

  test('A6: all open parcels of each, none of an order that another worker has, and one claim an order', async () => {
    const [split, taken, free] = (await addOrders(3, [1, 1])) as [AwbOrder, AwbOrder, AwbOrder];
    for (const line of [0, 1]) await ingestEvent(stand.deps, eventOf(split, { items: [item(split, line)] }));
    await recordAll([taken, free].map((order) => eventOf(order, { items: [item(order)] })));
    await claimAll([taken]);
    await ingestEvent(stand.deps, eventOf(taken, { items: [item(taken, 1)] }));
    const claims = await Promise.all(
      [split, taken, free, split].map(({ id }) => claimPushes(stand.deps, id, false)),
    );
    expect(claims.map((claim) => claim?.pushes.length)).toEqual([2, undefined, 1, undefined]);
    const again = await Promise.all([split, taken].map(({ id }) => claimPushes(stand.deps, id, true)));
    expect(again.map((claim) => claim?.pushes.length)).toEqual([2, 2]);
    const [stale] = claims as [Claim];
    await expect(markSending(stand.deps, stale, idsOf(stale))).rejects.toThrow(ClaimLost);
  });
});

describe('events at once', () => {
  test('R3: one that cannot be written waits alone, with the reason', async () => {
    const orders = await addOrders(4);
    const events = orders.map((order, at) =>
      at === 1 ? { ...eventOf(order), bookedAt: '0000-01-01T00:00:00Z' } : eventOf(order),
    );
    const recorded = await recordAll(events);
    expect(recorded.map(({ is }) => is)).toEqual(['due', 'waiting', 'due', 'due']);
    expect(recorded[1]).toMatchObject({ why: expect.stringContaining('it could not be recorded') });
    expect(await stand.stack.sql`select from shipments where order_id = ${orders[1]?.id ?? ''}`).toHaveLength(
      0,
    );
    for (const order of orders.filter((_, at) => at !== 1))
      expect(await stand.only(order)).toMatchObject({ state: 'pending' });
  });

  test('R10: while Postgres is away all of them are for their jobs to bring again', async () => {
    const orders = await addOrders(3);
    const db = createDb(`postgres://127.0.0.1:${await freePort()}/away`);
    const events = orders.map((order) => eventOf(order));
    const away = { ...stand.deps, db };
    const failed = await Promise.allSettled(events.map((event) => ingestEvent(away, event)));
    await closeDb(db);
    expect(failed.map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
    expect((await recordAll(events)).map(({ is }) => is)).toEqual(Array(3).fill('due'));
  });

  test('A1: the same twice is one; a correction among them counts', async () => {
    const [order, corrected] = (await addOrders(2)) as [AwbOrder, AwbOrder];
    const event = eventOf(order);
    const recorded = await recordAll([event, event, { ...event, awbNumber: event.awbNumber.toLowerCase() }]);
    expect(recorded.map(({ is }) => is)).toEqual(['due', 'known', 'known']);
    expect(await stand.only(order)).toMatchObject({ awb: event.awbNumber });
    const wrong = eventOf(corrected, { carrier: 'samday' });
    await recordAll([wrong, { ...wrong, carrier: 'sameday' }]);
    const [parcel] = await stand.stack.sql`select carrier from shipments where order_id = ${corrected.id}`;
    expect(parcel).toEqual({ carrier: 'sameday' });
  });

  test.each([
    ['our id', 3, () => ({})],
    ['either name', 2, (order: AwbOrder, no: number) => (no === 0 ? {} : named('temu', order.sn))],
  ])('A6: of several for the whole of an order, named by %s, the last counts', async (_, count, more) => {
    const orders = await addOrders(3);
    const events = orders.flatMap((order) =>
      Array.from({ length: count }, (_, no) => eventOf(order, more(order, no))),
    );
    const recorded = await recordAll(events);
    expect(new Set(recorded.map(({ is }) => is))).toEqual(new Set(['due']));
    for (const [at, order] of orders.entries()) {
      const awbs = events.slice(at * count, (at + 1) * count).map(({ awbNumber }) => awbNumber);
      expect(new Map((await stand.pushes(order)).map(({ awb, state }) => [awb, state]))).toEqual(
        new Map(awbs.map((awb, no) => [awb, no < count - 1 ? 'replaced' : 'pending'])),
      );
      await stand.push(order);
      expect(stand.parcelsOf(order).map(({ trackingNumber }) => trackingNumber)).toEqual(awbs.slice(-1));
    }
  });

  test('A3: two parcels of a split go in one call', async () => {
    const orders = await addOrders(2, [1, 1]);
    await recordAll(
      orders.flatMap((order) => [0, 1].map((line) => eventOf(order, { items: [item(order, line)] }))),
    );
    for (const order of orders) {
      expect(await stand.push(order)).toMatchObject({ outcome: 'sent' });
      expect(stand.parcelsOf(order)).toHaveLength(2);
      expect(stand.confirms(order)).toBe(1);
    }
  });

  test('A6: each replaces its order’s unsent parcels, or wakes those that wait for it; what was sent stays', async () => {
    const [rebooked, split, sent] = (await addOrders(3, [1, 1])) as [AwbOrder, AwbOrder, AwbOrder];
    const old = eventOf(rebooked);
    const half = eventOf(split, { items: [item(split)] });
    const done = eventOf(sent);
    await recordAll([old, half, done]);
    await stand.push(sent);
    expect(await stand.push(split)).toMatchObject({ outcome: 'later' });
    const waiting = await stand.only(split);
    expect(waiting.dueAt.getTime()).toBeGreaterThan(stand.deps.clock());

    const recorded = await recordAll([
      eventOf(rebooked),
      eventOf(split, { items: [item(split, 1)] }),
      eventOf(sent),
    ]);
    expect(recorded.map(({ is }) => is)).toEqual(Array(3).fill('due'));
    const find = async (order: AwbOrder, awb: string) =>
      (await stand.pushes(order)).find((push) => push.awb === awb);
    expect(await find(rebooked, old.awbNumber)).toMatchObject({
      state: 'replaced',
      error: expect.stringMatching(/^replaced by AWB\d+ before/),
    });
    const woken = await find(split, half.awbNumber);
    expect(woken).toMatchObject({ state: 'pending' });
    expect(woken?.dueAt.getTime()).toBeLessThanOrEqual(stand.deps.clock());
    expect(await find(sent, done.awbNumber)).toMatchObject({ state: 'sent', error: null });
    expect(await stand.push(split)).toMatchObject({ outcome: 'sent' });
  });

  test('A3: those without an order, with two, of another marketplace or with an odd number are what they are alone', async () => {
    const sql = stand.stack.sql;
    const [plain, twice, odd] = (await addOrders(3)) as [AwbOrder, AwbOrder, AwbOrder];
    const unknown = await stand.addOrder(shop, { known: false });
    const other = await stand.addShop();
    await sql`insert into orders (source, store_id, marketplace_order_id) values ('temu', ${other.storeId}, ${twice.sn})`;
    const id = crypto.randomUUID();
    await sql`insert into orders (id, source, marketplace_order_id) values (${id}, 'shopify', 'S-GROUP')`;
    const recorded = await recordAll([
      eventOf(plain),
      eventOf(unknown, named('temu', unknown.sn)),
      eventOf(twice, named('temu', twice.sn)),
      eventOf(plain, named('shopify', 'S-GROUP')),
      eventOf(odd, { awbNumber: `2${stand.newAwb().replace('AWB', '0000000')}` }), // FAN's form
    ]);
    expect(recorded).toMatchObject([
      { is: 'due', orderId: plain.id },
      { is: 'waiting' },
      { is: 'parked', why: expect.stringContaining('orderId') },
      { is: 'recorded', source: 'shopify' },
      { is: 'due', orderId: odd.id },
    ]);
    expect(await sql`select from shipments where order_id = ${id}`).toHaveLength(1);
    expect(await sql`select from temu_pushes where order_id = ${id}`).toHaveLength(0);
    expect(await stand.notices(odd, 'awb-number')).toHaveLength(1);
  });

  test('A6: workers that record, claim and settle the same orders at once never wait for each other in a ring', async () => {
    const orders = await addOrders(12, [1, 1]);
    const mixed = (turn: number) => [...orders].sort((a, b) => (hash(a, turn) - hash(b, turn)) as number);
    const hash = ({ id }: AwbOrder, turn: number) =>
      Number.parseInt(id.slice(turn, turn + 6).replace('-', '0'), 16);
    await recordAll(orders.map((order) => eventOf(order, { items: [item(order)] })));
    const workers = Array.from({ length: 4 }, () => ({ ...stand.deps }));
    for (let turn = 0; turn < 8; turn++) {
      stand.advance(minutes(5)); // whatever was claimed is to be had again
      await Promise.all(
        workers.flatMap((deps, no) =>
          mixed(turn + no).map(async (order, at) => {
            if ((at + no) % 3 === 0) await ingestEvent(deps, eventOf(order, { items: [item(order, 1)] }));
            const claim = await claimPushes(deps, order.id, false);
            if (!claim) return;
            await markSending(deps, claim, idsOf(claim));
            if (turn === 7) await settlePushes(deps, claim, idsOf(claim), { state: 'sent' });
          }),
        ),
      );
    }
    for (const order of orders) expect(await stand.row(order)).toMatchObject({ sent: true });
  });
});
