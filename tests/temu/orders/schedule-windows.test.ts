import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  nextSync,
  nextWindow,
  OVERLAP_MS,
  SYNC_EVERY_MS,
} from '../../../src/temu/orders/schedule-windows.ts';

const NOW = Date.parse('2026-03-01T12:00:07.654Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A window ends in a second that is over, also on a clock that differs a little. */
const END = new Date('2026-03-01T12:00:02.000Z');
const instant = fc.integer({ min: Date.parse('2025-01-01'), max: Date.parse('2035-01-01') });

describe('T2: windows', () => {
  it('T2: a store’s first sync looks back 90 days', () => {
    const { start, end } = nextWindow(null, NOW);
    expect(end).toEqual(END);
    expect(end.getTime() - start.getTime()).toBe(90 * DAY);
  });

  it('T2: a later one starts an hour before the last one’s end', () => {
    expect(nextWindow(new Date('2026-03-01T11:55:05.000Z'), NOW)).toEqual({
      start: new Date('2026-03-01T10:55:05.000Z'),
      end: END,
    });
  });

  it('T2: a store that was long away misses nothing: its window reaches back to its last sync', () => {
    const last = new Date(NOW - 200 * DAY);
    expect(nextWindow(last, NOW).start.getTime()).toBeLessThanOrEqual(last.getTime() - HOUR);
  });

  it('T2: whole seconds, start not after end, the overlap never shorter than an hour (property)', () => {
    fc.assert(
      fc.property(fc.option(instant), instant, (last, now) => {
        const { start, end } = nextWindow(last === null ? null : new Date(last), now);
        expect(start.getTime() % 1000).toBe(0);
        expect(end.getTime() % 1000).toBe(0);
        expect(start.getTime()).toBeLessThanOrEqual(end.getTime());
        expect(end.getTime()).toBeLessThanOrEqual(now - 5_000);
        expect(end.getTime()).toBeGreaterThan(now - 6_000);
        if (last !== null) expect(start.getTime()).toBeLessThanOrEqual(last - OVERLAP_MS);
      }),
    );
  });

  it('T2: windows that follow one another leave no second between them (property)', () => {
    fc.assert(
      fc.property(
        instant,
        fc.array(fc.integer({ min: 1, max: 3 * DAY }), { maxLength: 20 }),
        (first, steps) => {
          let now = first;
          let previous = nextWindow(null, now);
          for (const step of steps) {
            now += step;
            const next = nextWindow(previous.end, now);
            expect(next.start.getTime()).toBeLessThanOrEqual(previous.end.getTime());
            previous = next;
          }
        },
      ),
    );
  });
});

describe('T2: turns', () => {
  it('T2: every five minutes, always at the store’s own offset, always ahead (property)', () => {
    fc.assert(
      fc.property(fc.uuid(), instant, (store, now) => {
        const turn = nextSync(store, now).getTime();
        expect(turn).toBeGreaterThan(now);
        expect(turn).toBeLessThanOrEqual(now + SYNC_EVERY_MS);
        expect(nextSync(store, turn).getTime()).toBe(turn + 5 * 60_000);
        expect(nextSync(store, turn - 1).getTime()).toBe(turn);
      }),
    );
  });

  it('T2: stores are spread over the five minutes by their hash', () => {
    const perMinute = new Array<number>(5).fill(0);
    for (let store = 0; store < 1_000; store++) {
      const minute = Math.floor((nextSync(`store ${store}`, 0).getTime() % SYNC_EVERY_MS) / 60_000);
      perMinute[minute] = (perMinute[minute] ?? 0) + 1;
    }
    for (const count of perMinute) {
      expect(count).toBeGreaterThan(120);
      expect(count).toBeLessThan(280);
    }
  });
});
