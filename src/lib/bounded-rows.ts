import { z } from 'zod';

/** More rows than any valid response has: a page has 100 orders, an order a few lines. */
const MOST_ROWS = 1_000;

/**
 * R4: a list in a response's schema. zod checks the length first, so that a million invalid rows are one error, not a
 * million. tests/checkout/bounds.test.ts requires a bound for every list.
 */
export const rows = <T extends z.ZodType>(row: T, most = MOST_ROWS) =>
  z.array(row).max(most, { error: `more than ${most} rows` });
