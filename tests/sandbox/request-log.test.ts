import { describe, expect, it } from 'vitest';
import { createRequestLog, type RequestLog } from '../../sandbox/request-log.ts';

function arrive(ledger: RequestLog, t: number, outcome = 'ok', appKey = 'app'): void {
  ledger.record({ t, host: 'eu', type: 'list', appKey, parentOrderSn: null, page: null, outcome });
}

describe('the ledger', () => {
  it('finds the fullest second over all arrivals, wherever it starts', () => {
    const ledger = createRequestLog();
    for (const t of [0, 600, 700, 900, 1100, 1599.9, 1600, 5000])
      arrive(ledger, t, t === 900 ? 'refused' : 'ok');
    expect(ledger.maxPerSecond('app')).toBe(5);
    expect(ledger.refused('app')).toBe(1);
    expect(ledger.maxPerSecond('nobody')).toBe(0);
  });

  it('keeps peaks and counts beyond its memory', () => {
    const ledger = createRequestLog(100);
    for (let i = 0; i < 50; i++) arrive(ledger, 10, 'refused');
    for (let i = 0; i < 3000; i++) arrive(ledger, 10_000 + i * 100);
    expect(ledger.entries()).toHaveLength(100);
    expect(ledger.entries().map(({ t }) => t)).toEqual(
      [...ledger.entries()].map(({ t }) => t).sort((a, b) => a - b),
    );
    expect(ledger.maxPerSecond('app')).toBe(50);
    expect(ledger.totals()).toMatchObject({
      requests: 3050,
      outcomes: { ok: 3000, refused: 50 },
      types: { list: 3050 },
    });
    ledger.reset();
    expect(ledger.totals()).toMatchObject({ requests: 0, apps: {} });
  });

  it('tells how much of the quota was used', () => {
    const ledger = createRequestLog();
    const from = performance.timeOrigin;
    for (let i = 0; i < 38; i++) arrive(ledger, i * 50);
    arrive(ledger, 100, 'refused');
    arrive(ledger, 100, 'ok', 'another');
    expect(ledger.utilisation('app', from, from + 2000, 20)).toBeCloseTo(0.95);
    expect(ledger.count({ appKey: 'app', since: from + 1000 })).toBe(18);
    expect(ledger.count({ outcome: 'refused' })).toBe(1);
  });
});
