import { describe, expect, it } from 'vitest';
import type { FaultAction } from '../../sandbox/temu/faults.ts';
import { createFaults } from '../../sandbox/temu/faults.ts';
import { AMOUNT, call, demoShop, fill, LIST, post, sandboxForTest } from './client.ts';

const list = { type: LIST, pageSize: 10 };

async function faulty(action: FaultAction) {
  const sandbox = await sandboxForTest();
  const shop = demoShop(sandbox);
  fill(sandbox, shop, 10);
  const fault = sandbox.faults.add({ do: action });
  return { sandbox, shop, fault, send: () => post(sandbox, shop, list) };
}

describe('misbehaviour on request', () => {
  it.each<[FaultAction, object]>([
    [{ kind: 'throttle' }, { success: false, errorCode: 4000004 }],
    [
      { kind: 'error', errorCode: 7000000, errorMsg: 'BUSINESS_SERVICE_ERROR' },
      { success: false, errorCode: 7000000 },
    ],
    [
      { kind: 'innerError', errorCode: 1001, errorMsg: 'inner' },
      { success: true, result: { success: false, result: null, errorCode: 1001, errorMsg: 'inner' } },
    ],
    [
      {
        kind: 'bothErrors',
        inner: { errorCode: 40003, errorMsg: 'inner' },
        outer: { errorCode: 2000000, errorMsg: 'outer' },
      },
      { success: false, errorMsg: 'outer', result: { success: false, errorMsg: 'inner' } },
    ],
  ])('answers $kind', async (action, answer) => {
    const { send, fault } = await faulty(action);
    expect(await (await send()).json()).toMatchObject(answer);
    expect(fault.hits()).toBe(1);
  });

  it.each<FaultAction>([{ kind: 'cut' }, { kind: 'lostAnswer' }, { kind: 'timeout', ms: 60 }])(
    '$kind ends the connection without an answer',
    async (action) => {
      const { send } = await faulty(action);
      await expect(send()).rejects.toThrow('fetch failed');
    },
  );

  it('answerThenCut sends half of the answer', async () => {
    const { send } = await faulty({ kind: 'answerThenCut' });
    const response = await send();
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  it.each<[FaultAction, number]>([
    [{ kind: 'cut' }, 0],
    [{ kind: 'timeout', ms: 30 }, 0],
    [{ kind: 'timeout', ms: 30, handled: true }, 1],
    [{ kind: 'lostAnswer' }, 1],
    [{ kind: 'answerThenCut' }, 1],
  ])('%j lets the call take effect %i times', async (action, effects) => {
    const { sandbox, send } = await faulty(action);
    let taken = 0;
    const real = sandbox.apis[LIST];
    if (!real) throw new Error('no list call');
    sandbox.apis[LIST] = { ...real, handle: () => ({ ok: String(++taken) }) };
    await send()
      .then((response) => response.text())
      .catch(() => undefined);
    expect(taken).toBe(effects);
  });

  it('delay answers later', async () => {
    const { send } = await faulty({ kind: 'delay', ms: 80 });
    const start = performance.now();
    expect(await (await send()).json()).toMatchObject({ success: true });
    expect(performance.now() - start).toBeGreaterThan(75);
  });

  it('html, status and redirect answer with their status', async () => {
    const { sandbox, send, fault } = await faulty({ kind: 'html', status: 502 });
    const page = await send();
    expect([page.status, page.headers.get('content-type')]).toEqual([502, 'text/html; charset=utf-8']);
    expect(await page.text()).toContain('<!DOCTYPE html>');
    fault.remove();
    sandbox.faults.add({ do: { kind: 'status', status: 429, headers: { 'retry-after': '7' } }, times: 1 });
    const limited = await send();
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
    sandbox.faults.add({ do: { kind: 'redirect', location: 'http://127.0.0.1:1/' } });
    const redirect = await send();
    expect([redirect.status, redirect.headers.get('location')]).toEqual([302, 'http://127.0.0.1:1/']);
  });

  it('truncatedJson is complete as HTTP and broken as JSON', async () => {
    const { send } = await faulty({ kind: 'truncatedJson' });
    const text = await (await send()).text();
    expect(text).toMatch(/^\{"result"/);
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
  });

  it('wrongJson is valid and goes through its shapes, or the given one', async () => {
    const { sandbox, send, fault } = await faulty({ kind: 'wrongJson' });
    const seen: string[] = [];
    for (let i = 0; i < 11; i++) seen.push(await (await send()).text());
    expect(new Set(seen).size).toBe(11);
    for (const text of seen) JSON.parse(text);
    fault.remove();
    sandbox.faults.add({ do: { kind: 'wrongJson', body: { success: 1 } } });
    expect(await (await send()).json()).toEqual({ success: 1 });
  });

  it('deepJson and invalidUtf8 are what they say', async () => {
    const { sandbox, send, fault } = await faulty({ kind: 'deepJson', depth: 50_000 });
    expect((await (await send()).text()).match(/\[/g)).toHaveLength(50_000);
    fault.remove();
    sandbox.faults.add({ do: { kind: 'invalidUtf8' } });
    const bytes = await (await send()).arrayBuffer();
    expect(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes)).toThrow();
  });

  it('slowBody comes drop by drop', async () => {
    const { send } = await faulty({ kind: 'slowBody', bytesPerSecond: 2000 });
    const response = await send();
    const reader = response.body?.getReader();
    const chunk = await reader?.read();
    expect(chunk?.value?.length).toBeLessThan(1000);
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(5000);
    await reader?.cancel();
  });

  it('hugeBody streams as much as it was told', async () => {
    const { send } = await faulty({ kind: 'hugeBody', bytes: 12_000_000 });
    const text = await (await send()).text();
    expect(text.length).toBeGreaterThan(12_000_000);
    expect(JSON.parse(text)).toMatchObject({ success: true });
  });
});

describe('fault rules', () => {
  it('strike only what matches, as often as they say, and end when removed', async () => {
    const sandbox = await sandboxForTest({ qps: 100 });
    const shop = demoShop(sandbox);
    const [first, second] = fill(sandbox, shop, 10).filter(({ amountFailure }) => !amountFailure);
    const price = (sn: string | undefined) => call(sandbox, shop, { type: AMOUNT, parentOrderSn: sn });
    const action = { kind: 'error', errorCode: 7000000, errorMsg: 'x' } as const;
    const fault = sandbox.faults.add({
      match: { type: AMOUNT, parentOrderSn: first?.parentOrderSn as string, host: 'eu', appKey: shop.appKey },
      times: 2,
      do: action,
    });
    expect(await price(second?.parentOrderSn)).toMatchObject({ success: true });
    expect(await call(sandbox, shop, list)).toMatchObject({ success: true });
    expect(await price(first?.parentOrderSn)).toMatchObject({ success: false });
    expect(await price(first?.parentOrderSn)).toMatchObject({ success: false });
    expect(await price(first?.parentOrderSn)).toMatchObject({ success: true });
    expect(fault.hits()).toBe(2);
    const forever = sandbox.faults.add({ do: action });
    expect(await price(first?.parentOrderSn)).toMatchObject({ success: false });
    forever.remove();
    expect(await price(first?.parentOrderSn)).toMatchObject({ success: true });
    sandbox.faults.add({ do: action });
    sandbox.faults.clear();
    expect(sandbox.faults.list()).toEqual([]);
    expect(await price(first?.parentOrderSn)).toMatchObject({ success: true });
  });

  it('do not hide a bad sign, and count against the quota', async () => {
    const sandbox = await sandboxForTest({ qps: 1 });
    const shop = demoShop(sandbox);
    const fault = sandbox.faults.add({ do: { kind: 'html', status: 503 } });
    expect(await call(sandbox, shop, list, { spoil: (p) => ({ ...p, sign: 'X' }) })).toMatchObject({
      errorCode: 3000001,
    });
    expect((await post(sandbox, shop, list)).status).toBe(503);
    expect(await call(sandbox, shop, list)).toMatchObject({ errorCode: 4000004 });
    expect(fault.hits()).toBe(1);
    expect(sandbox.ledger.entries().map(({ outcome }) => outcome)).toEqual([
      'error:3000001',
      'fault:html',
      'refused',
    ]);
  });

  it('strike by a seeded chance', () => {
    const pattern = (seed: number): boolean[] => {
      const faults = createFaults(seed);
      faults.add({ probability: 0.3, do: { kind: 'cut' } });
      return Array.from({ length: 500 }, () => faults.next({ type: LIST }) !== undefined);
    };
    expect(pattern(1)).toEqual(pattern(1));
    expect(pattern(1)).not.toEqual(pattern(2));
    const hits = pattern(1).filter(Boolean).length;
    expect(hits).toBeGreaterThan(110);
    expect(hits).toBeLessThan(190);
  });
});
