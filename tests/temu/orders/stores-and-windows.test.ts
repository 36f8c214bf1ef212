import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Rendered } from '../../../sandbox/temu/render.ts';
import { openWindows } from '../../../src/temu/orders/index.ts';
import { storeOverviews } from '../../../src/temu/overview.ts';
import { pauseStore, resumeStore, rotateStore } from '../../../src/temu/stores.ts';
import { wrongOrders } from '../../e2e/stored.ts';
import { type Stand, type StandShop, startStand } from '../../support/fleet.ts';
import { until } from '../../support/until.ts';

let stand: Stand;
beforeEach(async () => {
  stand = await startStand();
});
afterEach(() => stand.close());

const sql = () => stand.stack.sql;
const storeOf = async ({ storeId }: StandShop) =>
  (await sql()`select * from temu_stores where id = ${storeId}`)[0];
const overview = async () => (await storeOverviews(stand.deps.db))[0];
const inboxOf = async ({ storeId }: StandShop) =>
  (await sql()`select parent_order_sn from temu_order_inbox where store_id = ${storeId}`).length;
const truthHolds = async ({ shop }: StandShop) => {
  const wrong = await wrongOrders(
    sql(),
    shop.name,
    JSON.parse(JSON.stringify(stand.sandbox.world.expected(shop))),
  );
  expect(wrong).toEqual([]);
};
/** Every order is in the inbox as Temu shows it now: what tests of the windows are about, without the enrichment. */
const inboxHolds = async ({ storeId, orders }: StandShop) => {
  const rows = await sql()<{ sn: string; at: number }[]>`
    select parent_order_sn as sn, extract(epoch from update_time)::int as at from temu_order_inbox
    where store_id = ${storeId}`;
  const stored = new Map(rows.map(({ sn, at }) => [sn, at]));
  expect(stored).toEqual(new Map(orders.map((order) => [order.parentOrderSn, order.updatedAt])));
};
/** A new update time that lies in the past, as windows end some seconds ago. */
const touch = ({ shop, orders }: StandShop, secondsAgo = 60) => {
  for (const order of orders)
    stand.sandbox.world.changeOrder(
      shop,
      order.parentOrderSn,
      (it) => {
        it.address = { ...it.address, city: 'Elsewhere' };
      },
      Math.floor(Date.now() / 1000) - secondsAgo,
    );
};

describe('T1: a store that Temu refuses', () => {
  test('is paused alone with text and remedy and one notice, and goes on with new credentials', async () => {
    const bad = await stand.addShop({ name: 'bad', appKey: 'shared', appSecret: 'shared-secret' }, 3);
    const good = await stand.addShop({ name: 'good', appKey: 'shared', appSecret: 'shared-secret' }, 3);
    stand.work();
    await stand.sync();
    const before = await storeOf(bad);
    stand.sandbox.world.setCredentialsRevoked(bad.shop, true);
    touch(bad);
    touch(good);
    await stand.sync();

    await truthHolds(good);
    expect(await storeOf(good)).toMatchObject({ active: true, paused_reason: null, paused_by: null });
    expect(await storeOf(bad)).toMatchObject({
      active: false,
      paused_by: 'temu',
      paused_reason: expect.stringMatching(
        /3000034.*access_token is expired.*orderfleet store rotate "bad" --access-token/,
      ),
      last_synced_at: before?.last_synced_at,
    });
    expect(await sql()`select kind, subject, payload->>'store' as store, state from notices`).toEqual([
      { kind: 'store-paused', subject: bad.storeId, store: 'bad', state: 'pending' },
    ]);
    const asked = () => stand.sandbox.ledger.count({ outcome: 'error:3000034' });
    const callsBefore = asked();
    stand.advance(20 * 60_000);
    await stand.tick();
    await stand.settle();
    expect(asked(), 'a paused store is left alone').toBe(callsBefore);

    stand.sandbox.world.setAccessToken(bad.shop, 'another-token');
    await rotateStore(stand.deps.db, stand.deps.secrets, 'bad', { accessToken: 'another-token' });
    await stand.tick();
    await stand.settle();
    await stand.tick(); // the window that stayed open was read; now the time since
    await stand.settle();
    await truthHolds(bad);
    expect(await storeOf(bad)).toMatchObject({ active: true, paused_reason: null, paused_by: null });
    expect(await sql()`select state from notices`).toEqual([{ state: 'withdrawn' }]);
  });

  test.each([
    ['token', 3_000_034, 'access_token is expired'],
    ['app key', 3_000_026, 'app_key not exists'],
  ])(
    'its %s in the middle of its orders: they stay due, unspent, and are done once it is let go on',
    async (_, errorCode, errorMsg) => {
      const bad = await stand.addShop({ name: 'bad' }, 12);
      stand.sandbox.faults.add({
        match: { type: 'bg.order.shippinginfo.get' },
        do: { kind: 'error', errorCode, errorMsg },
      });
      stand.work();
      await stand.sync();
      expect(await storeOf(bad)).toMatchObject({ active: false });
      expect(await sql()`select kind from notices`).toEqual([{ kind: 'store-paused' }]);
      await until(
        async () => {
          const states = await sql()`select distinct state, attempts from temu_order_inbox`;
          expect(states).toEqual([{ state: 'pending', attempts: 0 }]);
          return true;
        },
        { what: 'every order to be given back' },
      );
      expect(await sql()`select * from orders`).toEqual([]);

      stand.sandbox.faults.clear();
      await resumeStore(stand.deps.db, 'bad');
      await stand.tick();
      await stand.settle();
      await truthHolds(bad);
    },
  );

  test('a wrong app secret pauses it likewise, and says that it is the secret', async () => {
    const { shop } = await stand.addShop({ name: 'other' }, 3);
    const wrong = await stand.addShop({ name: 'wrong' }, 3);
    await rotateStore(stand.deps.db, stand.deps.secrets, 'wrong', { appSecret: 'mistyped' });
    stand.work();
    await stand.sync();
    expect(await storeOf(wrong)).toMatchObject({
      active: false,
      paused_reason: expect.stringMatching(
        /3000001.*wrong app secret: orderfleet store rotate "wrong" --app-secret/,
      ),
    });
    expect(await sql()`select kind from notices`).toEqual([{ kind: 'store-paused' }]);
    expect(await sql()`select count(*)::int from orders`).toEqual([{ count: 3 }]);
    expect(shop.revoked).toBe(false);
    await rotateStore(stand.deps.db, stand.deps.secrets, 'wrong', { appSecret: wrong.shop.appSecret });
    await stand.tick();
    await stand.settle();
    await truthHolds(wrong);
  });
});

describe('T2: windows', () => {
  const LIST = 'bg.order.list.get';
  /** Calls `look` at each list call, before its answer is made. */
  const onList = (look: (page: number) => Rendered | undefined) => {
    const list = stand.sandbox.apis[LIST];
    if (!list) throw new Error('no list call');
    const handle = list.handle;
    stand.sandbox.apis[LIST] = {
      ...list,
      handle: (call) => look(Number(String(call.params.pageNumber))) ?? handle(call),
    };
  };

  test('the mark moves only when every page is stored; a worker that ends in the middle repeats the window', async () => {
    const one = await stand.addShop({}, 210);
    // page 3 is read, page 2 hangs
    const pages: number[] = [];
    onList((page) => {
      pages.push(page);
      if (page === 3 && pages.length === 2)
        stand.sandbox.faults.add({ match: { type: LIST }, times: 1, do: { kind: 'timeout', ms: 60_000 } });
      return undefined;
    });
    const first = stand.work('lists');
    await openWindows(stand.deps, [one.storeId]);
    await until(async () => (await inboxOf(one)) === 10);
    await until(() => stand.sandbox.ledger.count({ type: LIST, outcome: 'fault:timeout' }) === 1);
    expect(await storeOf(one)).toMatchObject({ last_synced_at: null });
    await first.stop(100);
    expect(pages).toEqual([1, 3]);
    expect(await storeOf(one)).toMatchObject({ last_synced_at: null });
    const [window] = await sql()`select * from temu_sync_windows`;
    expect(window).toMatchObject({ state: 'open', attempts: 0 });
    expect(await overview()).toMatchObject({
      reading: { since: window?.created_at, attempts: 0, error: null },
      lastWindow: null,
    });

    stand.work('lists');
    await stand.tick();
    await stand.settle();
    expect(pages).toEqual([1, 3, 1, 3, 2, 1]);
    expect(await storeOf(one)).toMatchObject({ last_synced_at: window?.window_end });
    expect(await sql()`select state, expected, stored from temu_sync_windows`).toEqual([
      { state: 'complete', expected: 210, stored: 210 },
    ]);
    const { window_start: start, window_end: end } = window ?? {};
    expect(await overview()).toMatchObject({
      reading: null,
      lastWindow: { start, end, expected: 210, stored: 210 },
    });
    await inboxHolds(one);
  });

  test('a sync that runs is not started twice', async () => {
    const one = await stand.addShop({}, 105);
    const list = { match: { type: LIST }, times: 1, do: { kind: 'delay', ms: 300 } } as const;
    stand.sandbox.faults.add(list);
    stand.work('lists');
    for (let times = 0; times < 5; times++) {
      await Promise.all([openWindows(stand.deps, [one.storeId]), openWindows(stand.deps), stand.tick()]);
      stand.advance(1_000);
    }
    await stand.settle();
    expect(await sql()`select state from temu_sync_windows`).toEqual([{ state: 'complete' }]);
    expect(stand.sandbox.ledger.count({ type: LIST })).toBe(3); // 1, 2, 1
  });

  test('later windows reach an hour back; a store that a person paused is left alone until resumed', async () => {
    const one = await stand.addShop({}, 5);
    stand.work();
    await stand.sync();
    const { last_synced_at: mark } = (await storeOf(one)) as { last_synced_at: Date };
    await pauseStore(stand.deps.db, 'shop', 'holidays');
    stand.sandbox.ledger.reset();
    stand.advance(10 * 60_000);
    await stand.tick();
    await stand.settle();
    expect(stand.sandbox.ledger.count()).toBe(0);
    expect(await storeOf(one)).toMatchObject({ paused_reason: 'holidays', last_synced_at: mark });

    await resumeStore(stand.deps.db, 'shop');
    await stand.tick();
    await stand.settle();
    const [, later] = await sql()`select * from temu_sync_windows order by created_at`;
    expect(later?.window_start).toEqual(new Date(mark.getTime() - 3_600_000));
    expect(await storeOf(one)).toMatchObject({ last_synced_at: later?.window_end });
    expect(stand.sandbox.ledger.count({ type: 'bg.order.amount.query' }), 'nothing was read twice').toBe(0);
  });
});

describe('T3: a list that shifts while it is read', () => {
  const LIST = 'bg.order.list.get';
  test.each([1, 3])('nothing is skipped when orders change between page reads (seed %i)', async (seed) => {
    const one = await stand.addShop({}, 250);
    const { world } = stand.sandbox;
    const changed = new Set<string>();
    const list = stand.sandbox.apis[LIST] as NonNullable<(typeof stand.sandbox.apis)[string]>;
    let reads = 0;
    let shifting = true;
    stand.sandbox.apis[LIST] = {
      ...list,
      handle: (call) => {
        const answer = list.handle(call);
        // 10 to 40 orders leave the window after each of the first reads, from all over the list
        if (shifting && reads++ < 6)
          for (let n = 0; n < 10 * seed + reads; n++) {
            const order = one.orders[(n * 37 + reads * 101 * seed) % 250];
            if (!order || changed.has(order.parentOrderSn)) continue;
            changed.add(order.parentOrderSn);
            world.changeOrder(one.shop, order.parentOrderSn, {});
          }
        return answer;
      },
    };
    stand.work('lists');
    await stand.sync();
    shifting = false;
    const stored = new Set(
      (await sql()`select parent_order_sn as sn from temu_order_inbox`).map(({ sn }) => String(sn)),
    );
    expect(changed.size).toBeGreaterThanOrEqual(50);
    const skipped = one.orders.filter(({ parentOrderSn: sn }) => !changed.has(sn) && !stored.has(sn));
    expect(skipped).toEqual([]);
    const [window] = await sql()`select state, expected, stored from temu_sync_windows`;
    expect(window?.state).toBe('complete');
    expect(window?.stored).toBeGreaterThanOrEqual(window?.expected);
    // those that left the window are in the next one
    stand.advance(10_000);
    await stand.sync();
    await inboxHolds(one);
  });

  test('orders that enter the window while it is read are found by reading it again', async () => {
    const one = await stand.addShop({}, 210);
    const list = stand.sandbox.apis[LIST] as NonNullable<(typeof stand.sandbox.apis)[string]>;
    let reads = 0;
    stand.sandbox.apis[LIST] = {
      ...list,
      handle: (call) => {
        const answer = list.handle(call);
        // after page 3 the oldest ones become the newest of the window: what was on page 2 moves to page 3
        if (++reads === 2)
          for (const order of one.orders.slice(0, 40))
            stand.sandbox.world.changeOrder(
              one.shop,
              order.parentOrderSn,
              {},
              Math.floor(Date.now() / 1000) - 600,
            );
        return answer;
      },
    };
    stand.work('lists');
    await stand.sync();
    await inboxHolds(one);
    expect(await sql()`select state, expected, stored from temu_sync_windows`).toEqual([
      { state: 'complete', expected: 210, stored: 210 },
    ]);
  });

  test('R3: a malformed item is kept as failed and visible, the others go on, and a good copy heals it', async () => {
    const one = await stand.addShop({}, 5);
    const list = stand.sandbox.apis[LIST] as NonNullable<(typeof stand.sandbox.apis)[string]>;
    const [victim] = one.orders as [(typeof one.orders)[number]];
    stand.sandbox.apis[LIST] = {
      ...list,
      handle: (call) => {
        const { ok } = list.handle(call) as { ok: string };
        return {
          ok: ok
            .replace(`"updateTime":${victim.updatedAt}`, '"updateTime":"soon"')
            .replace('"pageItems":[', '"pageItems":[null,7,{"orderList":[]},'),
        };
      },
    };
    stand.work();
    await stand.sync();
    const failed =
      await sql()`select parent_order_sn as sn, error from temu_order_inbox where state = 'failed'`;
    expect(failed).toHaveLength(4);
    expect(failed.find(({ sn }) => sn === victim.parentOrderSn)?.error).toContain('updateTime');
    expect(await sql()`select count(*)::int from orders`).toEqual([{ count: 4 }]);

    stand.sandbox.apis[LIST] = list;
    stand.sandbox.world.changeOrder(one.shop, victim.parentOrderSn, {}, Math.floor(Date.now() / 1000) - 60);
    await stand.sync();
    await truthHolds(one);
  });
});
