import { describe, expect, it } from 'vitest';
import { courierTest, DAY } from './couriers.ts';

async function withParcel() {
  const test = await courierTest();
  const { number } = test.parcels.add({ api: 'delhivery-b2c', bookedAt: Date.now() - DAY });
  const { faults, ledger } = test.api['delhivery-b2c'];
  return { ...test, number, faults, ledger, ask: () => test.b2c([number]) };
}

describe("a courier's faults", () => {
  it('are any status with any headers and body, for so many requests', async () => {
    const { faults, ask, ledger } = await withParcel();
    const rule = faults.add({
      times: 2,
      do: { kind: 'status', status: 429, headers: { 'retry-after': '3' }, body: '{"detail":"Throttled"}' },
    });
    const first = await ask();
    expect(first).toMatchObject({ status: 429, json: { detail: 'Throttled' } });
    expect(first.headers.get('retry-after')).toBe('3');
    expect((await ask()).status).toBe(429);
    expect((await ask()).status).toBe(200);
    expect(rule.hits()).toBe(2);
    expect(ledger.summary()).toMatchObject({ faults: 2, outcomes: { 'fault:status': 2, ok: 1 } });
  });

  it("are the API's own answer to too many, to a wrong token, and a login that is refused", async () => {
    const { faults, ask, api, shiprocketLogin } = await withParcel();
    faults.add({ times: 1, do: { kind: 'limited' } });
    faults.add({ times: 1, do: { kind: 'limited', status: 429, headers: { 'retry-after': '9' } } });
    faults.add({ times: 1, do: { kind: 'unauthorized' } });
    expect(await ask()).toMatchObject({ status: 403, text: expect.stringContaining('403 Forbidden') });
    expect((await ask()).headers.get('retry-after')).toBe('9');
    expect((await ask()).status).toBe(401);
    expect((await ask()).status).toBe(200);
    api.shiprocket.faults.add({ on: 'login', times: 1, do: { kind: 'unauthorized' } });
    expect((await shiprocketLogin()).status).toBe(400);
    expect((await shiprocketLogin()).status).toBe(200);
  });

  it('spoil the answer: HTML, half of the JSON, wrong JSON', async () => {
    const { faults, ask } = await withParcel();
    faults.add({ times: 1, do: { kind: 'html', status: 200 } });
    faults.add({ times: 1, do: { kind: 'truncatedJson' } });
    faults.add({ times: 1, do: { kind: 'wrongJson', body: { ShipmentData: 7 } } });
    faults.add({ times: 6, do: { kind: 'wrongJson' } });
    expect((await ask()).text).toContain('<html>');
    expect(await ask()).toMatchObject({ status: 200, json: undefined });
    expect((await ask()).json).toEqual({ ShipmentData: 7 });
    const shapes = new Set<string>();
    for (let i = 0; i < 6; i++) shapes.add((await ask()).text);
    expect(shapes).toContain('{"ShipmentData":{}}');
  });

  it('cut the connection, hang, are slow', async () => {
    const { faults, ask, ledger, number, env } = await withParcel();
    faults.add({ times: 1, do: { kind: 'cut' } });
    await expect(ask()).rejects.toThrow();
    faults.add({ times: 1, do: { kind: 'answerThenCut' } });
    await expect(ask()).rejects.toThrow();
    faults.add({ times: 1, do: { kind: 'hang' } });
    const hanging = fetch(`${env.DELHIVERY_URL}?waybill=${number}`, { signal: AbortSignal.timeout(200) });
    await expect(hanging).rejects.toThrow(/abort|timeout/i);
    faults.add({ times: 1, do: { kind: 'delay', ms: 120 } });
    const start = performance.now();
    expect((await ask()).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThan(115);
    expect(ledger.summary().outcomes).toMatchObject({ 'fault:cut': 1, 'fault:hang': 1, 'fault:delay': 1 });
  });

  it('strike one number alone, after some requests, or by chance', async () => {
    const { faults, ask, b2c } = await withParcel();
    faults.add({ number: '123', do: { kind: 'status', status: 500 } });
    expect((await ask()).status).toBe(200);
    expect((await b2c(['1', '123'])).status).toBe(500);
    faults.clear();
    faults.add({ after: 1, do: { kind: 'status', status: 502 } });
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 502]);
    faults.clear();
    faults.add({ probability: 0.5, do: { kind: 'status', status: 503 } });
    const seen = new Set<number>();
    for (let i = 0; i < 30; i++) seen.add((await ask()).status);
    expect([...seen].sort()).toEqual([200, 503]);
  });
});
