import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decideStatus,
  HOLD_MS,
  isKnownState,
  nextBackfill,
  type StateValue,
  stateName,
} from '../../../src/temu/orders/status.ts';

const UPDATED = new Date('2026-03-01T12:00:00Z');
const later = (ms: number) => new Date(UPDATED.getTime() + ms);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Case {
  value: StateValue;
  lines?: { ordered: number; cancelled: number }[];
  partMissing?: boolean;
  ageMs?: number;
}
const decide = ({ value, lines = [{ ordered: 1, cancelled: 0 }], partMissing = false, ageMs = DAY }: Case) =>
  decideStatus({ value, lines, partMissing, updateTime: UPDATED, now: later(ageMs) });

describe('T7: states', () => {
  it.each([
    [1, 'PENDING', 'Pending'],
    [2, 'UN_SHIPPING', 'Ready for Shipping'],
    [3, 'CANCELED', 'Cancelled'],
    [4, 'SHIPPED', 'Shipped'],
    [5, 'RECEIPTED', 'Shipped'],
    [41, 'PARTIAL DELIVERY', 'Partially Shipped'],
    [51, 'PARTIAL RECEIPT', 'Partially Shipped'],
  ])('T7: %i is %s and %s', (value, state, status) => {
    expect(stateName(value)).toBe(state);
    expect(decide({ value })).toEqual({
      status,
      pendingUntil: null,
      statusAfterPending: null,
      backfillable: false,
    });
  });

  it('T7: any other value is kept as it came and makes the order Incomplete; no call can heal that (property)', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double(), fc.integer(), fc.string()), fc.boolean(), (value, partMissing) => {
        fc.pre(typeof value === 'string' || ![1, 2, 3, 4, 5, 41, 51].includes(value));
        expect(isKnownState(value)).toBe(false);
        expect(stateName(value)).toBe(String(value));
        expect(decide({ value, partMissing, lines: [{ ordered: 2, cancelled: 1 }], ageMs: 0 })).toEqual({
          status: 'Incomplete',
          pendingUntil: null,
          statusAfterPending: null,
          backfillable: false,
        });
      }),
    );
  });
});

describe('T7: states that are no number', () => {
  it.each(['2', 'SHIPPED', 'constructor', '__proto__', 'toString', ''])(
    'T7: the text "%s" is none that we know',
    (value) => {
      expect(isKnownState(value)).toBe(false);
      expect(stateName(value)).toBe(value);
      expect(decide({ value })).toMatchObject({ status: 'Incomplete', backfillable: false });
    },
  );

  it('T7: none at all has no name', () => {
    expect(isKnownState(null)).toBe(false);
    expect(stateName(null)).toBeNull();
    expect(decide({ value: null })).toMatchObject({ status: 'Incomplete', backfillable: false });
  });
});

describe('T12: cancelled before shipment', () => {
  const some = [
    { ordered: 2, cancelled: 1 },
    { ordered: 1, cancelled: 0 },
  ];
  const all = [
    { ordered: 2, cancelled: 2 },
    { ordered: 1, cancelled: 1 },
  ];

  it.each([
    ['some units of an open order', { value: 2, lines: some }, 'Ready for Shipping'],
    ['every unit of an open order', { value: 2, lines: all }, 'Cancelled'],
    ['every unit of a cancelled order', { value: 3, lines: all }, 'Cancelled'],
    ['some units of an order that Temu calls cancelled', { value: 3, lines: some }, 'Cancelled'],
    ['some units of an order that may not ship yet', { value: 1, lines: some }, 'Pending'],
    ['every unit of an order that may not ship yet', { value: 1, lines: all }, 'Cancelled'],
    ['more than was ordered', { value: 2, lines: [{ ordered: 1, cancelled: 2 }] }, 'Cancelled'],
  ])('T12: %s: Pending for 30 minutes after updateTime, then its status', (_, given, final) => {
    for (const ageMs of [-MINUTE, 0, HOLD_MS - 1])
      expect(decide({ ...given, ageMs }), `${ageMs} ms after updateTime`).toMatchObject({
        status: 'Pending',
        pendingUntil: later(30 * MINUTE),
        statusAfterPending: final,
      });
    // at exactly 30 minutes the wait is over; an order first seen later goes straight to its status
    for (const ageMs of [HOLD_MS, HOLD_MS + 1, 10 * DAY])
      expect(decide({ ...given, ageMs }), `${ageMs} ms after updateTime`).toMatchObject({
        status: final,
        pendingUntil: null,
        statusAfterPending: null,
      });
  });

  it.each([
    [4, 'Shipped'],
    [5, 'Shipped'],
    [41, 'Partially Shipped'],
    [51, 'Partially Shipped'],
  ])('T12: an order in state %i has left: its cancelled units hold nothing up', (value, status) => {
    for (const lines of [some, all])
      expect(decide({ value, lines, ageMs: 0 })).toMatchObject({ status, pendingUntil: null });
  });

  it('T12: nothing cancelled, nothing held; no rows, nothing cancelled', () => {
    expect(decide({ value: 2, ageMs: 0 })).toMatchObject({
      status: 'Ready for Shipping',
      pendingUntil: null,
    });
    expect(decide({ value: 2, lines: [], ageMs: 0 })).toMatchObject({ status: 'Ready for Shipping' });
  });

  it('T12, T13: held orders end in exactly the status that one first seen later gets (property)', () => {
    const quantity = fc.integer({ min: 0, max: 3 });
    const line = fc.record({ ordered: quantity, cancelled: quantity });
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 3, 4, 5, 41, 51, 6),
        fc.array(line, { maxLength: 4 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 2 * HOLD_MS }),
        (value, lines, partMissing, ageMs) => {
          const seen = decide({ value, lines, partMissing, ageMs });
          const late = decide({ value, lines, partMissing, ageMs: HOLD_MS });
          expect(seen.statusAfterPending ?? seen.status).toBe(late.status);
          expect(seen.backfillable).toBe(late.backfillable);
          expect(seen.pendingUntil === null).toBe(seen.statusAfterPending === null);
          if (seen.pendingUntil) expect(seen.status).toBe('Pending');
        },
      ),
    );
  });
});

describe('T13: Incomplete', () => {
  it.each([
    [2, 'Incomplete', true],
    [41, 'Incomplete', true],
    [51, 'Incomplete', true],
    [1, 'Pending', false],
    [3, 'Cancelled', false],
    [4, 'Shipped', false],
    [5, 'Shipped', false],
  ])('T13: with a part missing an order in state %i is %s', (value, status, backfillable) => {
    expect(decide({ value, partMissing: true })).toMatchObject({ status, backfillable });
  });

  it('T12, T13: held first, Incomplete after, when a part is missing of what may still ship', () => {
    const lines = [{ ordered: 2, cancelled: 1 }];
    expect(decide({ value: 2, lines, partMissing: true, ageMs: 0 })).toMatchObject({
      status: 'Pending',
      statusAfterPending: 'Incomplete',
      backfillable: true,
    });
    const none = [{ ordered: 2, cancelled: 2 }];
    expect(decide({ value: 2, lines: none, partMissing: true, ageMs: 0 })).toMatchObject({
      statusAfterPending: 'Cancelled',
      backfillable: false,
    });
  });
});

describe('T13: when a missing part is asked for again', () => {
  const heal = (ageMs: number, notReadyTries: number | null = null) =>
    (nextBackfill(UPDATED, later(ageMs), notReadyTries)?.getTime() ?? Number.NaN) - later(ageMs).getTime();

  it.each([
    ['at once', 0, HOUR],
    ['after an hour', HOUR, HOUR],
    ['just within the first day', DAY - 1, HOUR],
    ['at exactly a day', DAY, DAY],
    ['after a week', 7 * DAY, DAY],
    ['just within the week that follows the day', 8 * DAY - 1, DAY],
  ])('T13: hourly for a day, daily for a week: %s', (_, age, wait) => {
    expect(heal(age)).toBe(wait);
  });

  it('T13: then no more', () => {
    expect(nextBackfill(UPDATED, later(8 * DAY), null)).toBeNull();
    expect(nextBackfill(UPDATED, later(8 * DAY), 6)).toBeNull();
  });

  it('T16: "not ready" is asked for again within minutes: 2, 4, 8, 16, 32, then as the others', () => {
    expect([1, 2, 3, 4, 5].map((tries) => heal(10 * MINUTE, tries) / MINUTE)).toEqual([2, 4, 8, 16, 32]);
    expect(heal(HOUR + 2 * MINUTE, 6)).toBe(HOUR);
  });

  it('T13: followed through, it asks 24 times in the first day and 7 to 8 times in the week after', () => {
    let now = UPDATED;
    const asked: number[] = [];
    for (let next = nextBackfill(UPDATED, now, null); next; next = nextBackfill(UPDATED, now, null)) {
      asked.push(next.getTime() - UPDATED.getTime());
      now = next;
    }
    expect(asked.filter((at) => at <= DAY)).toHaveLength(24);
    expect(asked.filter((at) => at > DAY).length).toBeGreaterThanOrEqual(7);
    expect(asked.filter((at) => at > DAY).length).toBeLessThanOrEqual(8);
  });
});
