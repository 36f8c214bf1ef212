import { describe, expect, it } from 'vitest';
import type { Sandbox } from '../../sandbox/server.ts';
import type { SandboxOrder, Shop } from '../../sandbox/temu/model.ts';
import type { Params } from '../../sandbox/temu/sign.ts';
import { call, demoShop, fill, LIST, LIST_V2, sandboxForTest } from './client.ts';

interface Page {
  total: number;
  sns: string[];
  times: number[];
}

async function page(sandbox: Sandbox, shop: Shop, params: Params): Promise<Page> {
  const answer = await call(sandbox, shop, { type: LIST, ...params });
  const { totalItemNum, pageItems } = (answer.result as { result: unknown }).result as {
    totalItemNum: number;
    pageItems: { parentOrderMap: { parentOrderSn: string; updateTime: number } }[];
  };
  return {
    total: totalItemNum,
    sns: pageItems.map(({ parentOrderMap }) => parentOrderMap.parentOrderSn),
    times: pageItems.map(({ parentOrderMap }) => parentOrderMap.updateTime),
  };
}

const now = (sandbox: Sandbox): number => Math.floor(sandbox.world.clock.now() / 1000);
const sns = (orders: readonly SandboxOrder[]): string[] => orders.map(({ parentOrderSn }) => parentOrderSn);

describe('the order list', () => {
  it('gives every order once over its pages, newest change first', async () => {
    const sandbox = await sandboxForTest({ qps: 1000 });
    const shop = demoShop(sandbox);
    const orders = fill(sandbox, shop, 250);
    const window = { updateAtStart: now(sandbox) - 31 * 86_400, updateAtEnd: now(sandbox), pageSize: 100 };
    const pages = await Promise.all(
      [1, 2, 3, 4].map((pageNumber) => page(sandbox, shop, { ...window, pageNumber })),
    );
    expect(pages.map(({ total }) => total)).toEqual([250, 250, 250, 250]);
    expect(pages.map((one) => one.sns.length)).toEqual([100, 100, 50, 0]);
    expect(pages.flatMap((one) => one.sns).sort()).toEqual(sns(orders).sort());
    const times = pages.flatMap((one) => one.times);
    expect(times).toEqual([...times].sort((a, b) => b - a));
  });

  it('shifts when an order changes: it leaves a closed window and what is behind moves up one place', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    fill(sandbox, shop, 30);
    const window = { updateAtStart: now(sandbox) - 31 * 86_400, updateAtEnd: now(sandbox) - 1, pageSize: 10 };
    const before = await page(sandbox, shop, { ...window, pageNumber: 2 });
    const [first] = (await page(sandbox, shop, window)).sns;
    sandbox.world.changeOrder(shop, first as string, { labels: ['past_due'] });
    const after = await page(sandbox, shop, { ...window, pageNumber: 2 });
    expect(after.total).toBe(29);
    expect(after.sns.slice(0, 9)).toEqual(before.sns.slice(1));
    const open = await page(sandbox, shop, { ...window, updateAtEnd: now(sandbox) + 60 });
    expect(open.sns[0]).toBe(first);
  });

  it('keeps the place of an order whose change does not move updateTime', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const order = fill(sandbox, shop, 40)[7] as SandboxOrder;
    const before = sns(sandbox.world.orders(shop));
    sandbox.world.changeOrder(shop, order.parentOrderSn, { warnings: ['X'] }, null);
    expect(sns(sandbox.world.orders(shop))).toEqual(before);
  });

  it('closes the interval at both ends', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const [order] = fill(sandbox, shop, 1);
    const at = order?.updatedAt as number;
    const total = async (updateAtStart: number, updateAtEnd: number) =>
      (await page(sandbox, shop, { updateAtStart, updateAtEnd })).total;
    expect([await total(at, at), await total(at + 1, at + 9), await total(at - 9, at - 1)]).toEqual([
      1, 0, 0,
    ]);
  });

  it('filters by status, region and numbers, and sorts by creation on request', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const orders = fill(sandbox, shop, 300);
    const count = (keep: (order: SandboxOrder) => boolean): number => orders.filter(keep).length;
    expect((await page(sandbox, shop, { parentOrderStatus: 41 })).total).toBe(
      count(({ status }) => status === 41),
    );
    expect((await page(sandbox, shop, { regionId: 167 })).total).toBe(
      count(({ regionId }) => regionId === 167),
    );
    const two = sns(orders.slice(5, 7));
    expect((await page(sandbox, shop, { parentOrderSnList: two })).sns.sort()).toEqual(two.sort());
    const [createAfter, createBefore] = [now(sandbox) - 10 * 86_400, now(sandbox)];
    expect((await page(sandbox, shop, { createAfter, createBefore })).total).toBe(
      count(({ createdAt }) => createdAt >= createAfter && createdAt <= createBefore),
    );
    const byCreation = await page(sandbox, shop, { sortby: 'createTime', pageSize: 5 });
    const newest = [...orders].sort((a, b) => b.createdAt - a.createdAt).slice(0, 5);
    expect(byCreation.sns).toEqual(sns(newest));
  });

  it('belongs to the access token', async () => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    const sister = demoShop(sandbox, { name: 'sister', accessToken: 'sister' });
    fill(sandbox, shop, 3);
    expect((await page(sandbox, sister, {})).total).toBe(0);
  });

  it.each([
    [{ pageSize: 101 }, 140020005],
    [{ pageSize: 0 }, 140020005],
    [{ pageNumber: 0 }, 140020005],
    [{ pageNumber: 'two' }, 140020005],
    [{ sortby: 'name' }, 140020005],
    [{ parentOrderSnList: Array.from({ length: 21 }, () => 'PO') }, 140020005],
    [{ updateAtStart: 1_700_000_000 }, 140020013],
    [{ createBefore: 1_700_000_000 }, 140020013],
    [{ updateAtStart: 1_700_000_000_000, updateAtEnd: 1_700_000_000 }, 140020014],
    [{ updateAtStart: 1_700_000_001, updateAtEnd: 1_700_000_000 }, 140020012],
  ])('refuses %j with %i', async (params, errorCode) => {
    const sandbox = await sandboxForTest();
    const shop = demoShop(sandbox);
    expect(await call(sandbox, shop, { type: LIST_V2, ...params })).toMatchObject({
      success: false,
      errorCode,
    });
    const inner = errorCode === 140020005 ? 1001 : errorCode;
    expect(await call(sandbox, shop, { type: LIST, ...params })).toMatchObject({
      success: true,
      result: { success: false, errorCode: inner },
    });
  });
});
