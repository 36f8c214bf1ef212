import { doublePrecision, integer, pgTable, text } from 'drizzle-orm/pg-core';

/**
 * T17: one row per app key, the account that all processes share; `quota_take` grants its slots.
 * Unlogged (see the migration): it holds the last second of traffic, worthless after a crash.
 * All times are epoch milliseconds by the database's clock; the arrays have one entry per share.
 */
export const quotaAccounts = pgTable('quota_accounts', {
  account: text('account').primaryKey(),
  /**
   * When each slot of the last second was used: a ring with one cell per request that the account may make in a
   * second.
   */
  cells: doublePrecision('cells').array().notNull().default([]),
  /** The cell that was unused longest, 1-based. */
  nextCell: integer('next_cell').notNull().default(1),
  lastAt: doublePrecision('last_at').notNull().default(0),
  /** No slot is granted before then: the API returned "too fast". */
  holdUntil: doublePrecision('hold_until').notNull().default(0),
  /** Until when each share has used up what is its own. */
  used: doublePrecision('used').array().notNull().default([]),
  /** Until when each share counts as waiting for a slot. */
  hungry: doublePrecision('hungry').array().notNull().default([]),
});
