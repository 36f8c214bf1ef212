import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs, minutes, seconds } from '../../src/queue/define.ts';

const backoff = { baseMs: seconds(2), maxMs: minutes(10) };

describe('delays between tries', () => {
  it('double from the base up to the longest', () => {
    const waits = Array.from({ length: 12 }, (_, tries) => backoffMs(backoff, tries + 1, () => 0) / 1000);
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
  });

  it('jitter goes upward only, by a quarter at most (property)', () => {
    fc.assert(
      fc.property(
        fc.nat(2_000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (tries, random) => {
          const least = backoffMs(backoff, tries, () => 0);
          const wait = backoffMs(backoff, tries, () => random);
          expect(wait).toBeGreaterThanOrEqual(least);
          expect(wait).toBeLessThanOrEqual(least * 1.25);
          expect(Number.isInteger(wait)).toBe(true);
        },
      ),
    );
  });
});
