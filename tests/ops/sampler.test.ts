import { expect, test } from 'vitest';
import { fullest } from '../../src/ops/sampler.ts';

test('P10: of thousands of accounts the fifty fullest are sampled; of few all', () => {
  const quotas = Array.from({ length: 10_000 }, (_, nth) => ({
    account: `temu store-${nth}`,
    used: (nth * 7919) % 10_000,
  }));
  const kept = fullest(quotas);
  expect(kept).toHaveLength(50);
  expect(Math.min(...kept.map(({ used }) => used))).toBe(9_950);
  expect(quotas[1]?.account, 'the given list is left as it is').toBe('temu store-1');
  expect(fullest(quotas.slice(0, 20))).toHaveLength(20);
});
