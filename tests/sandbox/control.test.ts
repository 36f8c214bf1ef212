import { describe, expect, it } from 'vitest';
import type { Sandbox } from '../../sandbox/server.ts';
import { AMOUNT, call, LIST, sandboxForTest } from './client.ts';
import { confirm, harbour, readBack } from './shipping.ts';

/** A request to the control surface, as another process makes it. */
async function control(sandbox: Sandbox, method: string, path: string, body?: unknown) {
  const response = await fetch(`${sandbox.url}/_sandbox${path}`, {
    method,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('the control surface', () => {
  it('adds the demo shops and orders, and tells what must come of them', async () => {
    const sandbox = await sandboxForTest();
    const shops = await control(sandbox, 'POST', '/shops', { demo: true });
    expect(shops).toMatchObject({
      status: 201,
      body: [{ name: 'demo-ro' }, { name: 'demo-de' }, { name: 'demo-jp' }],
    });
    const orders = { shop: 'demo-jp', count: 50, seed: 7, recorded: true };
    expect(await control(sandbox, 'POST', '/orders', orders)).toMatchObject({
      status: 201,
      body: { added: 52, total: 52 },
    });
    const expected = await control(sandbox, 'GET', '/expected?shop=demo-jp');
    expect(expected.body.orders).toHaveLength(52);
    expect(expected.body).toMatchObject({
      products: expect.arrayContaining([{ temu_sku_id: expect.any(String), sku: expect.any(String) }]),
    });
    expect(JSON.stringify(expected.body)).toContain('"order_currency":"JPY"');
    const [first] = sandbox.world.orders('demo-jp');
    const one = await control(sandbox, 'GET', `/expected?shop=demo-jp&parentOrderSn=${first?.parentOrderSn}`);
    expect(one.body.orders).toHaveLength(1);
    expect((await control(sandbox, 'GET', '/orders?shop=demo-jp&limit=5')).body).toHaveLength(5);
    expect((await control(sandbox, 'GET', '/products?shop=demo-jp')).body).toEqual(expected.body.products);
  });

  it('adds a shop of its own and changes it', async () => {
    const sandbox = await sandboxForTest();
    const spec = { name: 's', appKey: 'k', appSecret: 'x', accessToken: 't', region: 'US', country: 'US' };
    await control(sandbox, 'POST', '/shops', spec);
    const shop = sandbox.world.shop('s');
    expect(await call(sandbox, shop, { type: LIST }, { host: 'us' })).toMatchObject({ success: true });
    await control(sandbox, 'POST', '/shops/s', { revoked: true });
    expect(await call(sandbox, shop, { type: LIST }, { host: 'us' })).toMatchObject({ errorCode: 3000034 });
    await control(sandbox, 'POST', '/shops/s', {
      revoked: false,
      hosts: ['us', 'global'],
      deniedTypes: [AMOUNT],
    });
    expect(await call(sandbox, shop, { type: AMOUNT, parentOrderSn: 'x' }, { host: 'global' })).toMatchObject(
      { errorCode: 3000032 },
    );
  });

  it('changes random orders, or one as told', async () => {
    const sandbox = await sandboxForTest();
    await control(sandbox, 'POST', '/shops', { demo: true });
    await control(sandbox, 'POST', '/orders', { shop: 'demo-ro', count: 40 });
    const start = Math.floor(Date.now() / 1000);
    const changed = await control(sandbox, 'POST', '/change', { shop: 'demo-ro', count: 5, seed: 3 });
    expect(changed.body.changed).toHaveLength(5);
    expect(sandbox.world.orders('demo-ro').filter(({ updatedAt }) => updatedAt >= start)).toHaveLength(5);
    const parentOrderSn = sandbox.world.orders('demo-ro').at(-1)?.parentOrderSn as string;
    await control(sandbox, 'POST', '/change', { shop: 'demo-ro', parentOrderSn, set: { status: 5 } });
    expect(
      sandbox.world.orders('demo-ro').find((order) => order.parentOrderSn === parentOrderSn),
    ).toMatchObject({ status: 5 });
  });

  it('sets and lifts misbehaviour, shifts the clock, shows the ledger and forgets everything', async () => {
    const sandbox = await sandboxForTest();
    await control(sandbox, 'POST', '/shops', { demo: true });
    const shop = sandbox.world.shop('demo-ro');
    const fault = {
      match: { type: LIST },
      times: 3,
      do: { kind: 'error', errorCode: 7000000, errorMsg: 'x' },
    };
    const { body } = await control(sandbox, 'POST', '/faults', fault);
    expect(await call(sandbox, shop, { type: LIST })).toMatchObject({ errorCode: 7000000 });
    expect((await control(sandbox, 'GET', '/faults')).body).toMatchObject([
      { id: body.id, hits: 1, ...fault },
    ]);
    expect((await control(sandbox, 'DELETE', `/faults/${body.id}`)).body).toEqual({ removed: true });
    expect(await call(sandbox, shop, { type: LIST })).toMatchObject({ success: true });
    expect((await control(sandbox, 'GET', '/ledger?outcome=ok')).body).toMatchObject([
      { type: LIST, host: 'eu', appKey: shop.appKey },
    ]);
    expect((await control(sandbox, 'GET', '/stats')).body).toMatchObject({
      qps: 20,
      requests: 2,
      outcomes: { ok: 1, 'fault:error': 1 },
      apps: { [shop.appKey]: { requests: 2, refused: 0, maxPerSecond: 2 } },
    });
    const span = `appKey=${shop.appKey}&from=${Date.now() - 1000}&to=${Date.now() + 1000}`;
    expect((await control(sandbox, 'GET', `/utilisation?${span}`)).body.utilisation).toBeCloseTo(0.05);
    await control(sandbox, 'POST', '/clock', { offsetMs: -7_200_000 });
    const timestamp = Math.floor(Date.now() / 1000);
    expect(await call(sandbox, shop, { type: LIST }, { timestamp })).toMatchObject({ errorCode: 3000011 });
    await control(sandbox, 'POST', '/reset');
    expect(sandbox.world.clock.offsetMs).toBe(0);
    expect((await control(sandbox, 'GET', '/stats')).body).toMatchObject({ requests: 0, shops: [] });
  });

  it('shows what was told, ships by hand, and sets how a shop ships', async () => {
    const at = await harbour();
    const { name } = at.shop;
    await confirm(at, at.single, 'AWB-1');
    await confirm(at, at.single, 'AWB1');
    const all = await control(at.sandbox, 'GET', '/effects');
    expect(all.body.summary).toMatchObject({ calls: 2, accepted: 1, refused: { 120014020: 1 } });
    expect(all.body.attempts).toHaveLength(2);
    const query = `shop=${name}&parentOrderSn=${at.single.parentOrderSn}&outcome=refused&limit=5`;
    expect((await control(at.sandbox, 'GET', `/effects?${query}`)).body).toMatchObject({
      attempts: [{ trackingNumber: 'AWB-1', outcome: 'refused:120014020' }],
    });
    expect(await control(at.sandbox, 'GET', '/effects?order=1')).toMatchObject({ status: 400 });
    const { parentOrderSn } = at.double;
    const hand = { shop: name, parentOrderSn, trackingNumber: 'HAND1', carrierId: 314_439_762 };
    expect((await control(at.sandbox, 'POST', '/ship', hand)).body).toMatchObject({ byHand: true });
    expect(await readBack(at, at.double)).toMatchObject([{ trackingNumber: 'HAND1', carrierName: 'UPS' }]);
    await control(at.sandbox, 'DELETE', '/effects');
    expect(at.sandbox.effects.attempts()).toEqual([]);

    const companies = [{ id: 5, name: 'One', regions: [98] }];
    const changed = await control(at.sandbox, 'POST', `/shops/${name}`, {
      companies,
      warehouses: [],
      shipsItself: false,
    });
    expect(changed.body).toMatchObject({ companies: 1, warehouses: [], shipsItself: false });
    expect((await control(at.sandbox, 'GET', `/companies?shop=${name}`)).body).toEqual(companies);
    const fault = { match: { trackingNumber: 'AWB9' }, do: { kind: 'status', status: 503, handled: true } };
    expect(await control(at.sandbox, 'POST', '/faults', fault)).toMatchObject({ status: 201 });
  });

  it.each([
    ['POST', '/orders', { shop: 'nobody' }, 'there is no shop "nobody"'],
    ['POST', '/orders', { shop: 'x', count: -1 }, 'count'],
    ['POST', '/orders', { shop: 'x', cuont: 1 }, 'cuont'],
    ['POST', '/faults', { do: { kind: 'explode' } }, 'kind'],
    ['POST', '/faults', { do: { kind: 'timeout' } }, 'ms'],
    ['POST', '/shops', { name: 'x' }, 'wrong body'],
    ['GET', '/expected', undefined, 'shop'],
  ])('%s %s %j is refused with a clear error', async (method, path, body, error) => {
    const sandbox = await sandboxForTest();
    const answer = await control(sandbox, method, path, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain(error);
  });

  it('says what it does not serve', async () => {
    const sandbox = await sandboxForTest();
    expect(await control(sandbox, 'GET', '/nothing')).toMatchObject({ status: 404 });
  });
});
