import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import type { FaultAction } from '../../sandbox/temu/faults.ts';
import type { Shop, ShopSpec } from '../../sandbox/temu/model.ts';
import { createHttp, type Http } from '../../src/lib/http.ts';
import { createLog } from '../../src/lib/log.ts';
import { createMetrics } from '../../src/lib/metrics.ts';
import type { Quota } from '../../src/quota/index.ts';
import {
  createTemuClient,
  defaultHost,
  type HostMemory,
  otherHost,
  type Store,
  type TemuApi,
  type TemuClientDeps,
  type TemuHost,
} from '../../src/temu/client.ts';
import { fill } from '../sandbox/client.ts';
import { SHOP } from '../support/orders.ts';
import { until } from '../support/until.ts';

let sandbox: Sandbox;
let http: Http;
beforeAll(async () => {
  sandbox = await startSandbox({ qps: 1_000 }); // the quota is not the point here
  http = createHttp({ maxBodyBytes: 200_000 });
});
afterAll(async () => {
  await http.close();
  await sandbox.close();
});
beforeEach(() => {
  sandbox.world.clear();
  sandbox.faults.clear();
  sandbox.ledger.reset();
  sandbox.world.clock.offsetMs = 0;
});

/** A shop of the sandbox with ten orders, and the same as a store of ours. */
function shopAndStore(change: Partial<ShopSpec> = {}, apiVersion: 'v1' | 'v2' = 'v1') {
  const shop: Shop = sandbox.world.addShop({ ...SHOP, ...change });
  const [order] = fill(sandbox, shop, 10);
  const sealed = { appSecret: '', accessToken: '' };
  const store: Store = { id: 'id-1', warehouseId: null, apiVersion, sealed, ...SHOP, ...change };
  return { shop, store, sn: (order as { parentOrderSn: string }).parentOrderSn };
}

/** A client whose quota lets everything pass and writes down what it is asked. */
function clientOf(more: Partial<TemuClientDeps> = {}) {
  const holds: number[] = [];
  const taken: string[] = [];
  const known = new Map<string, TemuHost>();
  const hosts: HostMemory = {
    get: async (storeId, api) => known.get(`${storeId} ${api}`),
    set: async (storeId, api, host) => void known.set(`${storeId} ${api}`, host),
  };
  const quota: Quota = {
    take: async (account, share, signal) => {
      signal?.throwIfAborted();
      taken.push(`${account} ${share}`);
      return { answered() {} };
    },
    hold: async (_, ms) => void holds.push(ms),
    close() {},
  };
  const { eu, us, global } = sandbox.routers;
  const client = createTemuClient({
    http,
    quota,
    hosts,
    urls: { EU: eu, US: us, GLOBAL: global },
    timeoutMs: 2_000,
    clock: () => Date.now(),
    metrics: createMetrics(),
    log: createLog({ level: 'silent', name: 'test' }),
    ...more,
  });
  const list = (store: Store) => client.call(store, 'orderList', listParams(), { share: 'pages' });
  const amount = (store: Store, parentOrderSn: string) =>
    client.call(store, 'orderAmount', { parentOrderSn }, { share: 'orders' });
  return { client, list, amount, holds, taken, known };
}
const listParams = () => {
  const now = Math.floor(Date.now() / 1000);
  return { pageSize: 100, pageNumber: 1, updateAtStart: now - 90 * 86_400, updateAtEnd: now + 86_400 };
};
/** Hosts that were asked, in order. */
const asked = () => sandbox.ledger.entries().map(({ host }) => host);
const fault = (action: FaultAction, times = 1) => sandbox.faults.add({ times, do: action });

describe('T15: a call', () => {
  it.each([
    ['v1', ['bg.order.list.get', 'bg.order.amount.query', 'bg.order.shippinginfo.get']],
    ['v2', ['bg.order.list.v2.get', 'bg.order.amount.query', 'bg.order.shippinginfo.v2.get']],
  ] as const)(
    'T15: a store of %s uses the names of %s, and both envelopes are read',
    async (version, types) => {
      const { store, sn } = shopAndStore({ hosts: ['eu', 'global'] }, version);
      // a plain order: some scenarios have calls that fail
      for (const order of [...sandbox.world.orders('shop')])
        sandbox.world.changeOrder('shop', order.parentOrderSn, {
          amountFailure: null,
          shippingFailure: null,
          status: 2,
        });
      const { client, list, amount } = clientOf();
      expect(await list(store)).toMatchObject({ ok: true, value: { totalItemNum: 10 } });
      expect(await amount(store, sn)).toMatchObject({
        ok: true,
        value: { parentOrderMap: { parentOrderSn: sn } },
      });
      expect(
        await client.call(store, 'orderShipping', { parentOrderSn: sn }, { share: 'orders' }),
      ).toMatchObject({
        ok: true,
        value: { regionName1: expect.anything() },
      });
      expect(sandbox.ledger.entries().map(({ type }) => type)).toEqual(types);
    },
  );

  it('T17: takes one slot of the app key’s account, of the share it was told', async () => {
    const { store, sn } = shopAndStore({ hosts: ['eu', 'global'] });
    const { list, amount, taken } = clientOf();
    await list(store);
    await amount(store, sn);
    expect(taken).toEqual(['key pages', 'key orders']);
  });

  it('T17: without a slot nothing is sent: the quota’s error is the call’s', async () => {
    const { store } = shopAndStore();
    const quota: Quota = {
      take: () => Promise.reject(new Error('the ledger is away')),
      hold: async () => {},
      close: async () => {},
    };
    await expect(clientOf({ quota }).list(store)).rejects.toThrow('the ledger is away');
    expect(sandbox.ledger.entries()).toEqual([]);
  });
});

describe('T15: hosts', () => {
  it.each<[TemuHost, TemuApi, TemuHost, TemuHost]>([
    ['EU', 'orderList', 'EU', 'GLOBAL'],
    ['EU', 'orderShipping', 'EU', 'GLOBAL'],
    ['EU', 'orderAmount', 'GLOBAL', 'EU'],
    ['US', 'orderAmount', 'US', 'GLOBAL'],
    ['GLOBAL', 'orderAmount', 'GLOBAL', 'EU'],
    ['GLOBAL', 'orderList', 'GLOBAL', 'EU'],
  ])('T15: a store of %s asks %s at %s first, then at %s', (region, api, first, second) => {
    expect(defaultHost(region, api)).toBe(first);
    expect(otherHost(region, first)).toBe(second);
  });

  it.each(['unknownApp', 'wrongRegion'] as const)(
    'T15: the price call of an EU store goes to the global host, and once that answers "%s", home; remembered',
    async (wrongHostAnswer) => {
      const { store, sn } = shopAndStore({ wrongHostAnswer });
      const { amount, known } = clientOf();
      await amount(store, sn);
      expect(asked()).toEqual(['global', 'eu']);
      expect(Object.fromEntries(known)).toEqual({ 'id-1 orderAmount': 'EU' });
      await amount(store, sn);
      expect(asked()).toEqual(['global', 'eu', 'eu']);
    },
  );

  it('T15: where the global host serves the price call, it stays there and nothing is remembered', async () => {
    const { store, sn } = shopAndStore({ hosts: ['eu', 'global'] });
    const { amount, known } = clientOf();
    await amount(store, sn);
    await amount(store, sn);
    expect(asked()).toEqual(['global', 'global']);
    expect(known.size).toBe(0);
  });

  it('T15: a remembered host that no longer serves the call is learnt anew', async () => {
    const { store, sn } = shopAndStore({ hosts: ['global'] });
    const { amount, known } = clientOf();
    known.set('id-1 orderAmount', 'EU');
    await amount(store, sn);
    expect(asked()).toEqual(['eu', 'global']);
    expect(known.get('id-1 orderAmount')).toBe('GLOBAL');
  });

  it('T15: a token that the other region does not know: home decides', async () => {
    const { store, sn } = shopAndStore();
    sandbox.world.addShop({ ...SHOP, name: 'other', accessToken: 'other-token', hosts: ['global'] });
    const { amount } = clientOf();
    await amount(store, sn);
    expect(asked()).toEqual(['global', 'eu']);
  });

  it('T15: each host is tried once: when none knows the store, its list call stops it as credentials', async () => {
    const { store } = shopAndStore({ hosts: ['us'] });
    const { list, known } = clientOf();
    expect(await list(store)).toMatchObject({ ok: false, failure: { kind: 'credentials', code: 4000000 } });
    expect(asked()).toEqual(['eu', 'global']);
    expect(known.size).toBe(0);
  });

  it('T15: for one order’s price it is a final no of that order, not of the store', async () => {
    const { store, sn } = shopAndStore({ hosts: ['us'], wrongHostAnswer: 'wrongRegion' });
    expect(await clientOf().amount(store, sn)).toMatchObject({
      ok: false,
      failure: { kind: 'rejected', code: 120011072 },
    });
    expect(asked()).toEqual(['global', 'eu']);
  });

  const NO_SUCH_APP: FaultAction = { kind: 'error', errorCode: 3000026, errorMsg: 'app_key not exists' };
  const MISTYPED = { ...SHOP, appKey: 'kay' };

  it.each<[TemuApi, string[]]>([
    ['orderList', ['eu', 'global']],
    ['orderAmount', ['global', 'eu']],
    ['orderShipping', ['eu', 'global']],
    ['companies', ['eu', 'global']],
    ['warehouses', ['eu', 'global']],
    ['readShipment', ['eu', 'global']],
    ['confirmShipment', ['eu', 'global']],
    ['changeShipment', ['eu', 'global']],
  ])('T1, T16: an app key that no host knows is the store’s matter, also for %s', async (api, hosts) => {
    const { store } = shopAndStore();
    const effect = api.endsWith('Shipment') && api !== 'readShipment' ? { beforeSend: async () => {} } : null;
    const ask = (of: Store) =>
      clientOf().client.call(of, api, {}, { share: 'awb', ...(effect ? { effect } : {}) });
    const failed = (code: number) => ({ ok: false, failure: { kind: 'credentials', code } });
    expect(await ask({ ...store, ...MISTYPED })).toMatchObject(failed(4000000));
    expect(asked()).toEqual(hosts);
    sandbox.world.clear();
    const known = shopAndStore({ hosts: ['eu', 'global'] });
    fault(NO_SUCH_APP, 2);
    expect(await ask(known.store)).toMatchObject(failed(3000026));
    expect(asked()).toEqual([...hosts, ...hosts]);
  });

  it('T15, T16: the remembered host knows the app no more, nor does the store’s own: the store’s matter', async () => {
    const { store, sn } = shopAndStore();
    const { amount, known } = clientOf();
    known.set('id-1 orderAmount', 'EU');
    expect(await amount({ ...store, ...MISTYPED }, sn)).toMatchObject({ failure: { kind: 'credentials' } });
    expect(asked()).toEqual(['eu', 'global']);
  });

  it('T15: an app key that only the other host does not know: home answers, and is remembered', async () => {
    const { store, sn } = shopAndStore({ hosts: ['eu', 'global'] });
    sandbox.faults.add({ match: { host: 'global' }, do: NO_SUCH_APP });
    const { amount, known } = clientOf();
    expect(await amount(store, sn)).not.toMatchObject({ failure: { code: 3000026 } });
    expect(known.get('id-1 orderAmount')).toBe('EU');
  });

  it('T15: an app key that home does not know and the other host does: that one serves the call', async () => {
    const { store } = shopAndStore({ hosts: ['eu', 'global'] });
    sandbox.faults.add({ match: { host: 'eu' }, do: NO_SUCH_APP });
    const { list, known } = clientOf();
    expect(await list(store)).toMatchObject({ ok: true });
    expect(known.get('id-1 orderList')).toBe('GLOBAL');
  });

  it('T15: the region is not the store’s at home: the order’s matter, whatever the other host knows of the app', async () => {
    const { store, sn } = shopAndStore({ hosts: ['eu', 'global'] });
    const wrongRegion: FaultAction = { kind: 'error', errorCode: 120011072, errorMsg: 'not this region' };
    sandbox.faults.add({ match: { host: 'eu' }, do: wrongRegion });
    sandbox.faults.add({ match: { host: 'global' }, do: NO_SUCH_APP });
    const { client, amount } = clientOf();
    const rejected = { failure: { kind: 'rejected', code: 120011072 } };
    expect(await amount(store, sn)).toMatchObject(rejected);
    const shipping = client.call(store, 'orderShipping', { parentOrderSn: sn }, { share: 'orders' });
    expect(await shipping).toMatchObject(rejected);
  });

  it('T1: refused at home, the credentials are refused', async () => {
    const { store, sn } = shopAndStore();
    sandbox.world.setCredentialsRevoked('shop', true);
    const { list, amount } = clientOf();
    expect(await list(store)).toMatchObject({ failure: { kind: 'credentials', code: 3000034 } });
    expect(await amount(store, sn)).toMatchObject({ failure: { kind: 'credentials', code: 3000034 } });
  });
});

describe('T16: the clock', () => {
  it.each([-7_200_000, 7_200_000, 301_500])(
    'T16: %i ms off: corrected once by the answer’s Date, then followed',
    async (offset) => {
      sandbox.world.clock.offsetMs = offset;
      const { store } = shopAndStore();
      const { list } = clientOf();
      expect(await list(store)).toMatchObject({ ok: true });
      expect(asked()).toEqual(['eu', 'eu']);
      expect(await list(store)).toMatchObject({ ok: true });
      expect(asked()).toHaveLength(3);
    },
  );

  it('T16: a clock that moves again is followed again', async () => {
    const { store } = shopAndStore();
    const { list } = clientOf();
    for (const offset of [7_200_000, -7_200_000, 0]) {
      sandbox.world.clock.offsetMs = offset;
      expect(await list(store), String(offset)).toMatchObject({ ok: true });
    }
  });

  it('T16: what the correction does not mend is a person’s: no loop', async () => {
    const { store } = shopAndStore();
    fault({ kind: 'error', errorCode: 3000012, errorMsg: 'timestamp is expired.' }, 100);
    expect(await clientOf().list(store)).toMatchObject({ failure: { kind: 'credentials', code: 3000012 } });
    expect(asked()).toHaveLength(2);
  });
});

describe('T17: throttling', () => {
  it.each<[string, FaultAction]>([
    ['4000004', { kind: 'throttle' }],
    ['4000004 at the inner level', { kind: 'innerError', errorCode: 4000004, errorMsg: 'too fast' }],
    ['HTTP 429', { kind: 'status', status: 429 }],
  ])('T17: %s: the account pauses, the call waits and goes on', async (_, action) => {
    const { store } = shopAndStore();
    fault(action, 3);
    const { list, holds, taken } = clientOf();
    expect(await list(store)).toMatchObject({ ok: true });
    expect(holds).toEqual([1_000, 1_000, 1_000]);
    expect(taken).toHaveLength(4); // each try has its slot
  });

  it('T17: after ten refusals it gives up its place', async () => {
    const { store } = shopAndStore();
    const rule = fault({ kind: 'throttle' }, 100);
    expect(await clientOf().list(store)).toMatchObject({ failure: { kind: 'throttled' } });
    expect(rule.hits()).toBe(10);
  });

  it('T17: an answer that only speaks of the code is none', async () => {
    const { store } = shopAndStore();
    fault({ kind: 'wrongJson', body: { success: true, errorCode: 1000000, result: { note: '4000004' } } });
    const { list, holds } = clientOf();
    expect(await list(store)).toEqual({ ok: true, value: { note: '4000004' } });
    expect(holds).toEqual([]);
  });
});

describe('T16: each class to its failure', () => {
  it.each([
    [7000000, 'transient'],
    [2000000, 'transient'],
    [140020008, 'notReady'],
    [3000034, 'credentials'],
    [5000003, 'credentials'],
    [3000032, 'scope'],
    [5000001, 'scope'],
    [3000001, 'bug'],
    [3000003, 'bug'],
    [120012030, 'sellerMustAct'],
    [180020008, 'sellerMustAct'],
    [120012004, 'alreadyDone'],
    [120012034, 'rejected'],
    [999999999, 'rejected'],
  ])('T16: code %i is %s, at either level, with Temu’s words', async (errorCode, kind) => {
    const { store } = shopAndStore();
    const failed = { ok: false, failure: { kind, code: errorCode, message: 'Temu’s words' } };
    fault({ kind: 'error', errorCode, errorMsg: 'Temu’s words' });
    expect(await clientOf().list(store)).toEqual(failed);
    fault({ kind: 'innerError', errorCode, errorMsg: 'Temu’s words' });
    expect(await clientOf().list(store)).toEqual(failed);
  });

  it('T13: both levels refused: the messages combined', async () => {
    const { store } = shopAndStore();
    const level = (errorCode: number, errorMsg: string) => ({ errorCode, errorMsg });
    fault({ kind: 'bothErrors', inner: level(40003, 'inner'), outer: level(7000000, 'outer') });
    expect(await clientOf().list(store)).toMatchObject({
      failure: { kind: 'transient', message: 'outer; inner' },
    });
  });

  it('T16: a wrong secret is told as it is, by the real check of the sign', async () => {
    const { store } = shopAndStore();
    expect(await clientOf().list({ ...store, appSecret: 'wrong' })).toMatchObject({
      failure: { kind: 'bug', code: 3000001 },
    });
  });
});

describe('T16, R4: the transport', () => {
  it.each<[FaultAction, string, RegExp]>([
    [{ kind: 'timeout', ms: 10_000 }, 'transient', /no complete answer within 0.3 s/],
    [{ kind: 'slowBody', bytesPerSecond: 50 }, 'transient', /no complete answer within 0.3 s/],
    [{ kind: 'cut' }, 'transient', /127\.0\.0\.1/],
    [{ kind: 'lostAnswer' }, 'transient', /127\.0\.0\.1/],
    [{ kind: 'answerThenCut' }, 'transient', /127\.0\.0\.1/],
    [{ kind: 'html', status: 200 }, 'malformed', /an HTML page/],
    [{ kind: 'html', status: 502 }, 'transient', /HTTP 502/],
    [{ kind: 'status', status: 500 }, 'transient', /HTTP 500/],
    [{ kind: 'status', status: 403 }, 'transient', /HTTP 403/],
    [{ kind: 'redirect', location: 'http://127.0.0.1:1/' }, 'transient', /HTTP 302/],
    [{ kind: 'truncatedJson' }, 'malformed', /invalid JSON/],
    [{ kind: 'wrongJson', body: [] }, 'malformed', /without its envelope/],
    [{ kind: 'deepJson', depth: 10_000 }, 'malformed', /invalid JSON/],
    [{ kind: 'invalidUtf8' }, 'malformed', /not valid UTF-8/],
    [{ kind: 'hugeBody', bytes: 1_000_000 }, 'malformed', /larger than/],
  ])('R4: %o is %s', async (action, kind, message) => {
    const { store } = shopAndStore();
    fault(action);
    const { client, list } = clientOf({ timeoutMs: 300 });
    expect(await list(store)).toMatchObject({
      ok: false,
      failure: { kind, message: expect.stringMatching(message) },
    });
    expect(client.hanging(store.id, 0)).toBe(0);
    // and the next call is none the worse
    expect(await clientOf().list(store)).toMatchObject({ ok: true });
  });

  it('T18, R5: no failure shows a secret or an address', async () => {
    const { store, sn } = shopAndStore({ appSecret: 'planted-secret', accessToken: 'planted-token' });
    const { client } = clientOf({ timeoutMs: 300 });
    for (const kind of ['truncatedJson', 'cut', 'answerThenCut', 'invalidUtf8'] as const) {
      fault({ kind });
      const answer = await client.call(store, 'orderShipping', { parentOrderSn: sn }, { share: 'orders' });
      expect(JSON.stringify(answer)).not.toContain('planted');
      expect(answer.ok).toBe(false);
    }
  });

  it('T16: a lost answer is not asked for twice: these calls have no effect, their callers try again', async () => {
    const { store } = shopAndStore();
    fault({ kind: 'cut' });
    await clientOf().list(store);
    expect(asked()).toHaveLength(1);
  });

  it('T17: counts the calls of a store that hang, and forgets them when they end', async () => {
    const { store } = shopAndStore();
    fault({ kind: 'timeout', ms: 10_000 }, 3);
    const { client, list } = clientOf({ timeoutMs: 700 });
    const calls = Promise.all([list(store), list(store), list(store)]);
    await until(() => client.hanging(store.id, 0) === 3);
    expect(client.hanging('another', 0)).toBe(0);
    await calls;
    expect(client.hanging(store.id, 0)).toBe(0);
  });

  it('throws the signal’s reason, also while it waits for an answer', async () => {
    const { store } = shopAndStore();
    fault({ kind: 'timeout', ms: 10_000 });
    const { client } = clientOf();
    const controller = new AbortController();
    const call = client.call(store, 'orderList', listParams(), { share: 'pages', signal: controller.signal });
    const rejected = expect(call).rejects.toThrow('stop');
    await until(() => client.hanging(store.id, 0) === 1);
    await sleep(20);
    controller.abort(new Error('stop'));
    await rejected;
    expect(client.hanging(store.id, 0)).toBe(0);
  });
});
