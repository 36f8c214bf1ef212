import { describe, expect, it } from 'vitest';
import { createWindow } from '../../sandbox/couriers/window.ts';
import { courierTest, type Reply } from './couriers.ts';

const statuses = (replies: readonly Reply[]) => {
  const counts: Record<number, number> = {};
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

describe('the sliding window', () => {
  it('is exact: never more than max in any span, and a place is free when the oldest leaves', () => {
    const window = createWindow();
    const limit = { max: 3, perSeconds: 1, countsRefused: false };
    const taken = [0, 100, 200, 300, 999, 1000, 1050, 1100].map((now) => window.take(limit, now));
    expect(taken).toEqual([true, true, true, false, false, true, false, true]);
    expect(window.count(limit, 1200)).toBe(2);
  });

  it('counts the refused as well, unless told otherwise: who goes on stays out', () => {
    const window = createWindow();
    const limit = { max: 2, perSeconds: 1 };
    expect([0, 1, 500, 1200, 1400, 1600].map((now) => window.take(limit, now))).toEqual([
      true,
      true,
      false,
      true,
      false,
      false,
    ]);
    expect(window.take(limit, 3000)).toBe(true);
  });

  it('agrees with a simple count, over thousands of arrivals', () => {
    const window = createWindow();
    const limit = { max: 50, perSeconds: 0.5 };
    const arrivals: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      const now = i * 7 + (i % 13);
      const inSpan = arrivals.slice(-200).filter((at) => at > now - 500).length;
      expect(window.take(limit, now)).toBe(inSpan < 50);
      arrivals.push(now);
    }
  });
});

describe("a courier's limit", () => {
  it("is 750 in 5 minutes for Delhivery, answered by AWS' 403 in HTML", async () => {
    const { b2c, api } = await courierTest();
    expect(api['delhivery-b2c'].settings.limit).toEqual({ max: 750, perSeconds: 300 });
    api['delhivery-b2c'].settings.limit = { max: 7, perSeconds: 60 };
    const replies = await Promise.all(Array.from({ length: 10 }, () => b2c(['1'])));
    expect(statuses(replies)).toEqual({ 200: 7, 403: 3 });
    const refused = replies.find(({ status }) => status === 403);
    expect(refused?.headers.get('content-type')).toContain('text/html');
    expect(refused?.headers.get('retry-after')).toBeNull();
    expect(refused?.text).toContain('403 Forbidden');
    const { ledger } = api['delhivery-b2c'];
    expect(ledger.summary()).toMatchObject({
      requests: 10,
      tracking: 10,
      limited: 3,
      statuses: { 200: 7, 403: 3 },
      outcomes: { ok: 7, limited: 3 },
      numbersAsked: 10,
      distinctNumbers: 1,
    });
    expect(ledger.peak(1000)).toBe(10);
    expect(ledger.entries({ outcome: 'limited' })).toHaveLength(3);
    expect(ledger.asked('1')).toBe(10);
  });

  it('lets through again when the span has passed, in a fraction of a second if so set', async () => {
    const { b2c } = await courierTest({ 'delhivery-b2c': { limit: { max: 2, perSeconds: 0.2 } } });
    expect(statuses(await Promise.all([b2c(['1']), b2c(['1']), b2c(['1'])]))).toEqual({ 200: 2, 403: 1 });
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect((await b2c(['1'])).status).toBe(200);
  });

  it('may be a 429 with any header', async () => {
    const limit = {
      max: 0,
      perSeconds: 60,
      status: 429,
      headers: { 'X-RateLimit-Reset-After': '2.5' },
      body: 'slow down',
    };
    const { shiprocket, b2b, api } = await courierTest({ shiprocket: { limit }, 'delhivery-b2b': { limit } });
    const reply = await shiprocket(['1'], api.shiprocket.account?.issue() as string);
    expect(reply).toMatchObject({ status: 429, text: 'slow down' });
    expect(reply.headers.get('x-ratelimit-reset-after')).toBe('2.5');
    expect((await b2b('1', 'whatever')).status).toBe(429);
  });

  it('of the logins is one of its own', async () => {
    const { b2bLogin, b2b, api } = await courierTest({
      'delhivery-b2b': { loginLimit: { max: 1, perSeconds: 60 } },
    });
    const { jwt } = (await b2bLogin()).json.data;
    expect((await b2bLogin()).status).toBe(403);
    expect((await b2b('1', jwt)).status).toBe(200);
    expect(api['delhivery-b2b'].ledger.summary()).toMatchObject({ logins: 2, loginsRefused: 1, tracking: 1 });
  });

  it('is taken at arrival, however long the answer takes', async () => {
    const { b2c, api } = await courierTest({
      'delhivery-b2c': { limit: { max: 1, perSeconds: 60 }, latencyMs: 150 },
    });
    const both = await Promise.all([b2c(['1']), b2c(['1'])]);
    expect(statuses(both)).toEqual({ 200: 1, 403: 1 });
    expect(api['delhivery-b2c'].ledger.summary().maxInFlight).toBe(2);
    for (const { ms } of api['delhivery-b2c'].ledger.entries()) expect(ms).toBeGreaterThanOrEqual(149);
  });
});
