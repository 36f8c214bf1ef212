import { z } from 'zod';

/** More than anybody's answer has of anything that we ask for: a page has 100 orders, an order some lines. */
const MOST_ROWS = 1_000;

/**
 * R4: the list in an answer's schema. zod looks at the length first, so that a million wrong rows are one fault and not a
 * million; tests/bounds.test.ts lets nobody write a list without such a bound.
 */
export const rows = <T extends z.ZodType>(row: T, most = MOST_ROWS) =>
  z.array(row).max(most, { error: `more than ${most} rows` });
