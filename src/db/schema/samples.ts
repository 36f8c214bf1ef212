import { doublePrecision, index, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';

/**
 * O3: series of the overview's charts over the last hours that no other table keeps (how full an account was, how
 * long ago a courier's parcels were polled). One row a minute and series, and one for each longer step
 * (src/ops/folded-samples.ts), kept for a few days.
 */
export const samples = pgTable(
  'samples',
  {
    series: text('series').notNull(),
    /** The tracker, account or status; '' where there is only one. */
    label: text('label').notNull().default(''),
    at: timestamp('at', { withTimezone: true }).notNull(),
    value: doublePrecision('value').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.series, table.label, table.at] }),
    index('samples_at').using('brin', table.at),
  ],
);
