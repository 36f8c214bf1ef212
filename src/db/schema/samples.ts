import { doublePrecision, index, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';

/**
 * O3: what the overview's charts draw over the last hours and no other table remembers (how full an account was, how long
 * ago a courier's parcels were asked for). One row a minute and series, kept for a few days.
 */
export const samples = pgTable(
  'samples',
  {
    series: text('series').notNull(),
    /** Whose: a tracker, an account, a status; '' where there is one alone. */
    label: text('label').notNull().default(''),
    at: timestamp('at', { withTimezone: true }).notNull(),
    value: doublePrecision('value').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.series, table.label, table.at] }),
    index('samples_at').using('brin', table.at),
  ],
);
