import { describe, expect, it } from 'vitest';
import { createQuota } from '../../sandbox/temu/quota.ts';
import { signRequest } from '../../sandbox/temu/sign.ts';
import {
  AMOUNT,
  call,
  demoShop,
  fill,
  LIST,
  LIST_V2,
  post,
  SHIPPING,
  SHIPPING_V2,
  sandboxForTest,
} from './client.ts';

const list = { type: LIST, pageSize: 1 };

describe("the gateway's checks", () => {
  it.each([
    ['no sign', 3000040, (p: object) => ({ ...p, sign: undefined })],
    ['a wrong sign', 3000001, (p: object) => ({ ...p, sign: 'F'.repeat(32) })],
    ['a parameter that was not signed', 3000001, (p: object) => ({ ...p, extra: 1 })],
    ['no app key', 3000025, (p: object) => ({ ...p, app_key: undefined })],
    ['an unknown app key', 4000000, (p: object) => ({ ...p, app_key: 'nobody' })],
  ])('refuse %s', async (_, errorCode, spoil) => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    expect(await call(sandbox, shop, list, { spoil })).toMatchObject({ success: false, errorCode });
  });

  it.each([
    ['an unknown type', 3000003, { type: 'bg.order.nothing.get' }],
    ['no type', 3000002, { pageSize: 1 }],
    ['another data_type', 3000014, { ...list, data_type: 'XML' }],
    ['a token that does not exist', 3000031, { ...list, access_token: 'nobody' }],
    ['an empty token', 3000030, { ...list, access_token: '' }],
    ['a timestamp of 13 digits', 3000011, { ...list, timestamp: Date.now() }],
  ])('refuse %s, well signed', async (_, errorCode, params) => {
    const sandbox = await sandboxForTest();
    expect(await call(sandbox, demoShop(sandbox), params)).toMatchObject({ success: false, errorCode });
  });

  it('accept clocks within 300 s of their own, which may be shifted', async () => {
    const sandbox = await sandboxForTest({ serverTimeOffsetMs: 3_600_000 });
    const shop = demoShop(sandbox);
    const now = Math.floor(Date.now() / 1000) + 3600;
    expect(await call(sandbox, shop, list, { timestamp: now - 298 })).toMatchObject({ success: true });
    expect(await call(sandbox, shop, list, { timestamp: now + 298 })).toMatchObject({ success: true });
    expect(await call(sandbox, shop, list, { timestamp: now - 302 })).toMatchObject({ errorCode: 3000012 });
    expect(await call(sandbox, shop, list, { timestamp: now + 303 })).toMatchObject({ errorCode: 3000011 });
    const response = await post(sandbox, shop, list);
    expect(Math.abs(Date.parse(response.headers.get('date') ?? '') - now * 1000)).toBeLessThan(5000);
  });

  it('know which token belongs to which app, and which was revoked or replaced', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const other = demoShop(sandbox, {
      name: 'other',
      appKey: 'other',
      appSecret: 'other',
      accessToken: 'other',
    });
    const foreign = { ...list, access_token: other.accessToken };
    expect(await call(sandbox, shop, foreign)).toMatchObject({ errorCode: 3000033 });
    sandbox.world.setCredentialsRevoked(shop, true);
    expect(await call(sandbox, shop, list)).toMatchObject({ errorCode: 3000034 });
    const old = { ...shop };
    sandbox.world.setAccessToken(shop, 'a-new-one');
    expect(await call(sandbox, old, list)).toMatchObject({ errorCode: 3000031 });
    expect(await call(sandbox, shop, list)).toMatchObject({ success: true });
  });

  it('serve an app on its own hosts alone, in either way of saying no', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const abnormal = { errorCode: 4000000, errorMsg: 'The application information query is abnormal' };
    expect(await call(sandbox, shop, list, { host: 'global' })).toMatchObject(abnormal);
    sandbox.world.setHosts(shop, ['eu'], 'wrongRegion');
    expect(await call(sandbox, shop, list, { host: 'us' })).toMatchObject({ errorCode: 120011072 });
    sandbox.world.setHosts(shop, ['eu', 'global']);
    expect(await call(sandbox, shop, list, { host: 'global' })).toMatchObject({ success: true });
  });

  it('refuse prices without the scope', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox, { amountScope: false });
    const [order] = fill(sandbox, shop, 1);
    const query = { type: AMOUNT, parentOrderSn: order?.parentOrderSn };
    expect(await call(sandbox, shop, query)).toMatchObject({ errorCode: 3000032 });
    sandbox.world.setAmountScope(shop, true);
    expect(await call(sandbox, shop, query)).toMatchObject({ success: true });
  });

  it('answer bad JSON, other methods and oversized bodies', async () => {
    const sandbox = await sandboxForTest();
    const send = (body: string) => fetch(sandbox.routers.eu, { method: 'POST', body });
    for (const body of ['', '{', '[]', 'null', '"x"', '['.repeat(200_000)]) {
      const response = await send(body);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ success: false, errorCode: 3000000 });
    }
    expect((await send('x'.repeat(3_000_000))).status).toBe(413);
    expect((await fetch(sandbox.routers.eu)).status).toBe(405);
    expect((await fetch(`${sandbox.url}/elsewhere`)).status).toBe(404);
  });
});

describe('the quota', () => {
  it('slides: no second holds more than the limit, whatever the window of a fixed counter', () => {
    const quota = createQuota(20);
    const at = (ms: number, count: number) =>
      Array.from({ length: count }, () => quota.take('app', ms)).filter(Boolean).length;
    expect(at(990, 25)).toBe(20);
    expect(at(1010, 5)).toBe(0);
    expect(at(1989.9, 5)).toBe(0);
    expect(at(1990, 25)).toBe(20);
    expect(quota.take('another app', 1990)).toBe(true);
  });

  it('is shared by the shops of an app, refuses with 4000004 and is held against no other app', async () => {
    const sandbox = await sandboxForTest({ qps: 5 });
    const shop = demoShop(sandbox);
    const sister = demoShop(sandbox, { name: 'sister', accessToken: 'sister' });
    const stranger = demoShop(sandbox, { name: 'stranger', accessToken: 'x', appKey: 'x', appSecret: 'x' });
    const answers = await Promise.all(
      [1, 2, 3, 4].flatMap(() => [call(sandbox, shop, list), call(sandbox, sister, list)]),
    );
    const refused = answers.filter(({ errorCode }) => errorCode === 4000004);
    expect(refused).toHaveLength(3);
    expect(refused[0]).toMatchObject({
      success: false,
      errorMsg: 'too frequent requests, exceeding rate limit.',
    });
    expect(await call(sandbox, stranger, list)).toMatchObject({ success: true });
    expect(sandbox.ledger.refused(shop.appKey)).toBe(3);
    expect(sandbox.ledger.maxPerSecond(shop.appKey)).toBe(8);
    expect(sandbox.ledger.count({ appKey: shop.appKey, outcome: 'ok' })).toBe(5);
  });

  it('is not spent by requests that fail a check', async () => {
    const sandbox = await sandboxForTest({ qps: 1 });
    const shop = demoShop(sandbox);
    for (let i = 0; i < 3; i++) await call(sandbox, shop, list, { timestamp: 1_000_000_000 });
    expect(await call(sandbox, shop, list)).toMatchObject({ success: true });
  });
});

describe('the envelopes', () => {
  it('are double for v1 list and address, flat for amounts, and v2 by host', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox, { hosts: ['eu', 'us', 'global'] });
    fill(sandbox, shop, 100);
    const order = sandbox.world
      .orders(shop)
      .find(({ status, kinds }) => status === 2 && kinds[0] === 'plain');
    const one = { parentOrderSn: order?.parentOrderSn };
    const double = { result: { success: true } };

    expect(await call(sandbox, shop, list)).toMatchObject({
      ...double,
      errorCode: 1000000,
      requestId: expect.stringMatching(/^eu-/),
      result: {
        errorCode: 0,
        errorMsg: 'SUC',
        serverTime: expect.any(Number),
        result: { totalItemNum: 100 },
      },
    });
    expect((await call(sandbox, shop, { type: LIST_V2 }, { host: 'us' })).result).toHaveProperty('pageItems');
    expect(await call(sandbox, shop, { type: LIST_V2 }, { host: 'us' })).toMatchObject({
      requestId: expect.stringMatching(/^us-/),
    });
    expect(await call(sandbox, shop, { type: LIST_V2 }, { host: 'global' })).toMatchObject({
      requestId: expect.stringMatching(/^gl-/),
      result: { success: true, result: { totalItemNum: 100 } },
    });
    expect((await call(sandbox, shop, { type: AMOUNT, ...one })).result).toHaveProperty('parentOrderMap');
    const v1 = await call(sandbox, shop, { type: SHIPPING, ...one });
    expect(v1.result).toMatchObject({
      success: true,
      errorCode: 1000000,
      result: { receiptName: order?.address.name },
    });
    expect((await call(sandbox, shop, { type: SHIPPING_V2, ...one })).result).toHaveProperty('receiptName');
    const global = await call(sandbox, shop, { type: SHIPPING_V2, ...one }, { host: 'global' });
    expect(global.result).toHaveProperty('result.addressExtra');
  });

  it('carry failures at the level where Temu has them', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const one = { parentOrderSn: 'PO-167-00000000000000000' };
    expect(await call(sandbox, shop, { type: SHIPPING, ...one })).toMatchObject({
      success: true,
      errorCode: 1000000,
      result: { result: null, success: false, errorCode: 40003, errorMsg: 'invalid param' },
    });
    expect(await call(sandbox, shop, { type: SHIPPING_V2, ...one })).toMatchObject({
      success: false,
      errorCode: 180020003,
    });
    expect(await call(sandbox, shop, { type: AMOUNT, ...one })).toMatchObject({
      success: false,
      errorCode: 140020002,
    });
    expect(await call(sandbox, shop, { type: AMOUNT })).toMatchObject({ success: false, errorCode: 7000000 });
  });

  it('let handlers of other rooms join the table', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    sandbox.apis['bg.logistics.companies.get'] = {
      envelope: () => 'flat',
      inner: { errorCode: 0, errorMsg: null, serverTime: false },
      handle: ({ shop: { name } }) => ({ ok: JSON.stringify([{ name }]) }),
    };
    sandbox.mount('/couriers', (_, response) => void response.end('here'));
    expect((await call(sandbox, shop, { type: 'bg.logistics.companies.get' })).result).toEqual([
      { name: shop.name },
    ]);
    expect(await (await fetch(`${sandbox.url}/couriers/track`)).text()).toBe('here');
  });
});

describe('exact ids', () => {
  it('above 2^53 are bare numbers on the wire', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const order = fill(sandbox, shop, 100).find(({ kinds }) => kinds.includes('bigIdsOrder'));
    const response = await post(sandbox, shop, { type: LIST, parentOrderSnList: [order?.parentOrderSn] });
    const text = await response.text();
    const [row] = order?.lines ?? [];
    expect(row?.goodsId).toMatch(/^9\d{17}$/);
    expect(text).toContain(`"goodsId":${row?.goodsId},`);
    expect(text).toContain(`"skuId":${row?.skuId}}`);
  });
});

it('signRequest signs what the gateway accepts', () => {
  const app = { appKey: 'a', appSecret: 's', accessToken: 't' };
  expect(signRequest({ type: LIST }, app, 1_767_225_600)).toMatchObject({
    app_key: 'a',
    sign: expect.stringMatching(/^[0-9A-F]{32}$/),
  });
});
