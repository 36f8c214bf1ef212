import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FaultAction } from '../../../sandbox/temu/faults.ts';
import type { SandboxOrder } from '../../../sandbox/temu/model.ts';
import { openWindows, probeNow } from '../../../src/temu/orders/index.ts';
import { wrongOrders } from '../../e2e/stored.ts';
import { type Stand, type StandShop, startStand } from '../../support/fleet.ts';
import { until } from '../../support/until.ts';

const MINUTE = 60_000;
/** The parser's message quotes what it has met. */
const NUL = '\u0000{"success":true}';
const AMOUNT = 'bg.order.amount.query';
const SHIPPING = 'bg.order.shippinginfo.get';
const LIST = 'bg.order.list.get';
const error = (errorCode: number, errorMsg: string): FaultAction => ({ kind: 'error', errorCode, errorMsg });

let stand: Stand;
beforeEach(async () => {
  stand = await startStand();
});
afterEach(() => stand.close());

const sql = () => stand.stack.sql;
const truthHolds = async ({ shop }: StandShop) => {
  const truth = JSON.parse(JSON.stringify(stand.sandbox.world.expected(shop)));
  expect(await wrongOrders(stand.stack.sql, shop.name, truth)).toEqual([]);
};
const later = async (ms: number) => {
  stand.advance(ms);
  await stand.tick();
  await stand.settle();
};

/** The sweep's turns until everything is as it should be. */
const healed = (one: StandShop) =>
  until(
    async () => {
      await stand.tick();
      await truthHolds(one);
      return true;
    },
    { timeoutMs: 15_000, what: 'all orders to heal' },
  );

describe('T16, a call about one order', () => {
  /** One order each, with its own fault on the price call. */
  const passing: [string, FaultAction][] = [
    ['throttle', { kind: 'throttle' }],
    ['HTTP 429', { kind: 'status', status: 429 }],
    ['transient 7000000', error(7_000_000, 'BUSINESS_SERVICE_ERROR')],
    ['transient inside', { kind: 'innerError', errorCode: 2_000_000, errorMsg: 'SYSTEM_EXCEPTION' }],
    ['HTTP 502 in HTML', { kind: 'html', status: 502 }],
    ['HTTP 200 in HTML', { kind: 'html', status: 200 }],
    ['broken JSON', { kind: 'truncatedJson' }],
    [
      'JSON of another shape',
      {
        kind: 'wrongJson',
        body: { success: true, errorCode: 1_000_000, result: { parentOrderMap: [], orderList: 7 } },
      },
    ],
    ['no envelope', { kind: 'wrongJson', body: [] }],
    ['deep JSON', { kind: 'deepJson', depth: 100_000 }],
    ['invalid UTF-8', { kind: 'invalidUtf8' }],
    ['an answer that begins with NUL', { kind: 'status', status: 200, body: NUL }],
    ['an answer that begins with half a character', { kind: 'status', status: 200, body: '"\\ud83d' }],
    ['a cut connection', { kind: 'cut' }],
    ['half an answer', { kind: 'answerThenCut' }],
    ['a redirect', { kind: 'redirect', location: 'http://127.0.0.1:1/' }],
    ['an oversized answer', { kind: 'hugeBody', bytes: 11_000_000 }],
  ];
  test('what passes by itself costs nothing but time', async () => {
    const one = await stand.addShop({ region: 'GLOBAL', country: 'BR' }, passing.length);
    for (const [index, [, action]] of passing.entries())
      stand.sandbox.faults.add({
        match: { type: AMOUNT, parentOrderSn: (one.orders[index] as SandboxOrder).parentOrderSn },
        times: 1,
        do: action,
      });
    stand.work();
    await stand.sync();
    expect(stand.sandbox.faults.list().map((fault) => fault.hits())).toEqual(passing.map(() => 1));
    await truthHolds(one);
    expect(await sql()`select * from order_errors where type = 'Order Download'`).toEqual([]);
    expect(await sql()`select kind from notices where kind <> 'unknown-country'`).toEqual([]);
  });

  test('R4: what an answer that begins with NUL is told as can be stored, and the order is not pending for ever', async () => {
    const one = await stand.addShop({ region: 'GLOBAL', country: 'BR' }, 1);
    stand.sandbox.faults.add({ match: { type: AMOUNT }, do: { kind: 'status', status: 200, body: NUL } });
    stand.work();
    await openWindows(stand.deps, [one.storeId]);
    const error = await until(async () => {
      const [row] = await sql()<{ error: string | null }[]>`select error from temu_order_inbox`;
      return row?.error;
    });
    expect(error).toMatch(/^Temu returned invalid JSON \(/);
    stand.sandbox.faults.clear();
    await healed(one);
  });

  const final: [string, number, string][] = [
    ['not ready', 140_020_008, 'Some amount fields are still undergoing system calculation.'],
    ['seller must act', 140_020_003, 'Please complete the contract first'],
    ['already done', 120_012_004, 'already processed'],
    ['terminal', 120_011_006, 'no such package'],
    ['unknown code', 987_654, 'Something nobody has documented'],
  ];
  test('what stays is that order’s alone: Incomplete with Temu’s words, tried again in its own time', async () => {
    const one = await stand.addShop({ region: 'GLOBAL', country: 'BR' }, final.length + 2);
    for (const [index, [, code, text]] of final.entries())
      stand.sandbox.faults.add({
        match: { type: AMOUNT, parentOrderSn: (one.orders[index] as SandboxOrder).parentOrderSn },
        do: error(code, text),
      });
    stand.work();
    await stand.sync();
    const rows = await sql()<{ sn: string; status: string; message: string; minutes: number }[]>`
      select o.marketplace_order_id as sn, o.status, e.message,
        extract(epoch from i.due_at - now())::int / 60 as minutes
      from orders o join temu_order_inbox i on i.parent_order_sn = o.marketplace_order_id
        left join order_errors e on e.order_id = o.id and e.type = 'Order Download'`;
    for (const [index, [what, , text]] of final.entries()) {
      const sn = (one.orders[index] as SandboxOrder).parentOrderSn;
      const row = rows.find((other) => other.sn === sn);
      expect(row, what).toMatchObject({ status: 'Incomplete', message: text });
      if (what === 'not ready') expect(row?.minutes).toBeLessThanOrEqual(5);
      else expect(row?.minutes).toBeGreaterThan(50);
    }
    expect(rows.filter(({ status }) => status === 'Ready for Shipping')).toHaveLength(2);
    expect(await sql()`select kind from notices where kind <> 'unknown-country'`).toEqual([
      { kind: 'seller-must-act' },
    ]);
    // what was not ready is ready minutes later
    stand.sandbox.faults.clear();
    await later(5 * MINUTE);
    expect(await sql()`select count(*)::int from orders where status = 'Ready for Shipping'`).toEqual([
      { count: 3 },
    ]);
    await later(60 * MINUTE);
    await truthHolds(one);
  });

  test.each([
    ['credentials', 3_000_031, 'access_token not exists.'],
    ['our bug', 3_000_014, 'data_type is invalid'],
  ])('%s: the store stops, one notice, no retry', async (_, code, text) => {
    await stand.addShop({ region: 'GLOBAL', country: 'BR' }, 12);
    stand.sandbox.faults.add({ match: { type: AMOUNT }, do: error(code, text) });
    stand.work();
    await stand.sync();
    await until(async () => (await sql()`select 1 from temu_order_inbox where attempts > 0`).length === 0);
    const calls = stand.sandbox.ledger.count({ type: AMOUNT });
    await later(2 * 60 * MINUTE);
    expect(stand.sandbox.ledger.count({ type: AMOUNT })).toBe(calls);
    const [store] = await sql()`select active, paused_reason from temu_stores`;
    expect(store).toMatchObject({ active: false, paused_reason: expect.stringContaining(text) });
    expect(await sql()`select kind from notices`).toEqual([{ kind: 'store-paused' }]);
  });

  test('scope: that API rests for that store, orders come in as Incomplete, and all heal once Temu opens it', async () => {
    const closed = await stand.addShop({ name: 'closed', amountScope: false }, 12);
    const open = await stand.addShop({ name: 'open' }, 2);
    stand.work();
    await stand.sync();
    await truthHolds(closed);
    await truthHolds(open);
    expect(
      await sql()`select distinct o.status, s.name from orders o join temu_stores s on s.id = o.store_id`,
    ).toEqual(
      expect.arrayContaining([
        { status: 'Incomplete', name: 'closed' },
        { status: 'Ready for Shipping', name: 'open' },
      ]),
    );
    expect(await sql()`select kind, payload->>'store' as store from notices`).toEqual([
      { kind: 'scope-missing', store: 'closed' },
    ]);
    // an hour later one order asks for all
    stand.sandbox.ledger.reset();
    await later(65 * MINUTE);
    expect(stand.sandbox.ledger.count({ type: AMOUNT, outcome: 'error:3000032' })).toBeLessThanOrEqual(2);
    expect(await sql()`select kind from notices`).toHaveLength(1);

    stand.sandbox.world.setAmountScope(closed.shop, true);
    stand.advance(65 * MINUTE);
    // one order finds that it may, those that wait follow at the next turns
    await healed(closed);
    expect(await sql()`select * from temu_api_pauses`).toEqual([]);
    expect(await sql()`select count(*)::int from order_errors where resolved_at is null`).toEqual([
      { count: 0 },
    ]);
  });

  test('scope: orders in workers’ hands while Temu opens it heal with the others', async () => {
    const one = await stand.addShop({ amountScope: false }, 12);
    stand.work();
    await stand.sync();
    stand.sandbox.world.setAmountScope(one.shop, true);
    // one order asks and is answered at once; the others, which may not ask, are still busy with their addresses
    const slow = stand.sandbox.faults.add({ match: { type: SHIPPING }, do: { kind: 'delay', ms: 500 } });
    stand.advance(65 * MINUTE);
    await stand.tick();
    await until(() => slow.hits() === 12);
    await healed(one);
  });

  test('T13: a price that is missing for a reason of the moment comes later, also of orders whose lack is no error', async () => {
    const shipped = { status: 4, updated: 'old' } as const;
    const away = await stand.addShop({ name: 'away', region: 'GLOBAL' }, 3, shipped);
    const closed = await stand.addShop({ name: 'closed', amountScope: false }, 3, shipped);
    stand.sandbox.faults.add({
      match: { type: AMOUNT, appKey: away.shop.appKey },
      do: error(140_020_008, 'Not yet'),
    });
    stand.work();
    await stand.sync();
    const prices = () => sql()<{ status: string; priced: number }[]>`
      select status, count(order_total_amount)::int as priced from orders group by status`;
    expect(await prices()).toEqual([{ status: 'Shipped', priced: 0 }]);
    expect(await sql()`select * from order_errors`).toEqual([]);
    // given up after its days, as an order of another month
    await sql()`update temu_order_inbox set state = 'stored' where store_id = ${closed.storeId} and parent_order_sn <> (
      select min(parent_order_sn) from temu_order_inbox where store_id = ${closed.storeId})`;
    stand.sandbox.faults.clear();
    stand.sandbox.world.setAmountScope(closed.shop, true);
    stand.advance(65 * MINUTE);
    await healed(away);
    await healed(closed);
    expect(await prices()).toEqual([{ status: 'Shipped', priced: 6 }]);
  });

  test('scope: asking that came to nothing is asked again by the next order, not an hour later', async () => {
    const one = await stand.addShop({ amountScope: false }, 3);
    stand.work();
    await stand.sync();
    stand.sandbox.world.setAmountScope(one.shop, true);
    stand.sandbox.faults.add({ match: { type: AMOUNT }, times: 1, do: { kind: 'cut' } });
    stand.advance(65 * MINUTE);
    await healed(one);
  });

  test('a clock that is ten minutes off is followed; another region’s host is found and remembered', async () => {
    stand.sandbox.world.clock.offsetMs = 10 * MINUTE;
    const one = await stand.addShop({ hosts: ['eu'] }, 6);
    stand.work();
    await stand.sync();
    await truthHolds(one);
    expect(await sql()`select api, host from temu_store_hosts`).toEqual([{ api: 'orderAmount', host: 'EU' }]);
    expect(await sql()`select active from temu_stores`).toEqual([{ active: true }]);
  });
});

describe('T16, the list call', () => {
  /** One store with an app of its own for each fault: all at once, and none is in another's way. */
  async function stores<F extends readonly [what: string, action: FaultAction]>(
    faults: readonly F[],
    times = Number.POSITIVE_INFINITY,
  ): Promise<{ what: string; one: StandShop }[]> {
    const all: { what: string; one: StandShop }[] = [];
    for (const [what, action] of faults) {
      const one = await stand.addShop({ name: what }, 2);
      stand.sandbox.faults.add({ match: { type: LIST, appKey: one.shop.appKey }, times, do: action });
      all.push({ what, one });
    }
    return all;
  }
  const eachStore = <T>(all: { what: string }[], expected: T) =>
    all.map(({ what }) => ({ name: what, ...expected }));

  test('what passes by itself', async () => {
    const all = await stores(
      [
        ['throttle', { kind: 'throttle' }],
        ['transient', error(7_000_000, 'BUSINESS_SERVICE_ERROR')],
        ['a cut connection', { kind: 'cut' }],
        ['HTML', { kind: 'html', status: 503 }],
      ],
      1,
    );
    stand.work();
    await stand.sync();
    expect(stand.sandbox.faults.list().map((fault) => fault.hits())).toEqual(all.map(() => 1));
    for (const { one } of all) await truthHolds(one);
    const windows = await sql()`
      select s.name, w.state, w.error from temu_sync_windows w join temu_stores s on s.id = w.store_id order by s.id`;
    expect(windows).toHaveLength(all.length);
    expect(windows).toEqual(expect.arrayContaining(eachStore(all, { state: 'complete', error: null })));
  });

  test('what does not: the window stays open with Temu’s words and is read again in minutes; no order is missed', async () => {
    const all = await stores([
      ['not ready', error(140_020_008, 'Not today')],
      ['seller must act', error(140_020_003, 'Not today')],
      ['terminal', error(120_011_006, 'Not today')],
      ['unknown', error(987_654, 'Not today')],
    ]);
    stand.work();
    await openWindows(
      stand.deps,
      all.map(({ one }) => one.storeId),
    );
    const failed = () => sql()`select state, due_at from temu_sync_windows where error = 'Not today'`;
    await until(async () => (await failed()).length === all.length);
    for (const window of await failed()) {
      expect(window.state).toBe('open');
      expect(window.due_at.getTime()).toBeLessThan(stand.deps.clock() + 3 * MINUTE);
    }
    const stopped = await sql()`select name, active, last_synced_at from temu_stores`;
    expect(stopped).toHaveLength(all.length);
    expect(stopped).toEqual(expect.arrayContaining(eachStore(all, { active: true, last_synced_at: null })));
    stand.sandbox.faults.clear();
    await later(3 * MINUTE);
    for (const { one } of all) await truthHolds(one);
  });

  test('credentials, our bug, wrong region: the store is paused with a notice', async () => {
    const all = await stores([
      ['credentials', error(3_000_034, 'Temu’s own words')],
      ['our bug', error(3_000_013, 'Temu’s own words')],
      ['wrong region', error(120_011_072, 'Temu’s own words')],
    ]);
    stand.work('lists');
    await stand.sync();
    const paused = await sql()`select name, active, paused_reason from temu_stores`;
    expect(paused).toHaveLength(all.length);
    expect(paused).toEqual(
      expect.arrayContaining(
        eachStore(all, { active: false, paused_reason: expect.stringContaining('Temu’s own words') }),
      ),
    );
    const notices = await sql()`select kind, payload->>'store' as name from notices`;
    expect(notices).toHaveLength(all.length);
    expect(notices).toEqual(expect.arrayContaining(eachStore(all, { kind: 'store-paused' })));
  });

  test('scope: that API rests for that store, the store goes on; an hour later, or with new credentials, it is asked again', async () => {
    const one = await stand.addShop({ name: 'one' }, 2);
    const closed = stand.sandbox.faults.add({
      match: { type: LIST },
      do: error(3_000_032, 'Temu’s own words'),
    });
    stand.work();
    await openWindows(stand.deps, [one.storeId]);
    await until(async () => (await sql()`select 1 from temu_api_pauses`).length === 1);
    expect(await sql()`select active from temu_stores`).toEqual([{ active: true }]);
    expect(await sql()`select kind, payload->>'store' as store from notices`).toEqual([
      { kind: 'scope-missing', store: 'one' },
    ]);
    for (let minute = 0; minute < 3; minute++) {
      stand.advance(15 * MINUTE);
      await stand.tick();
    }
    expect(closed.hits()).toBe(1);
    stand.advance(16 * MINUTE);
    await stand.tick();
    await until(() => closed.hits() === 2);
    await until(
      async () => (await sql()`select 1 from temu_sync_windows where error is not null`).length === 1,
    );
    expect(await sql()`select kind from notices`).toHaveLength(1);
    stand.sandbox.faults.clear();
    await probeNow(stand.deps, one.storeId);
    await stand.tick();
    await stand.settle();
    await truthHolds(one);
    expect(await sql()`select * from temu_api_pauses`).toEqual([]);
  });

  test('T2: while a page is tried again and again the window stays its worker’s', async () => {
    const one = await stand.addShop({ name: 'one' }, 2);
    stand.sandbox.faults.add({
      match: { type: LIST },
      times: 3,
      do: error(7_000_000, 'BUSINESS_SERVICE_ERROR'),
    });
    stand.work();
    await openWindows(stand.deps, [one.storeId]);
    const leases = new Set<number>();
    await until(
      async () => {
        const [window] = await sql()<
          { due_at: Date; state: string; attempts: number }[]
        >`select * from temu_sync_windows`;
        if (window?.state === 'open' && window.attempts > 0) leases.add(window.due_at.getTime());
        return window?.state === 'complete';
      },
      { timeoutMs: 30_000 },
    );
    // one for each try
    expect(leases.size).toBeGreaterThanOrEqual(3);
  });
});
