import { sql } from 'drizzle-orm';
import {
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import { temuStores } from './stores.ts';

const time = (name: string) => timestamp(name, { withTimezone: true });

/** T2, T3: one read of a store's orders by update time. At most one is open per store. */
export const temuSyncWindows = pgTable(
  'temu_sync_windows',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    storeId: uuid('store_id')
      .notNull()
      .references(() => temuStores.id, { onDelete: 'cascade' }),
    windowStart: time('window_start').notNull(),
    windowEnd: time('window_end').notNull(),
    /** How many orders Temu last reported in the window. */
    expected: integer('expected'),
    /** Distinct orders of the window that are in the inbox. */
    stored: integer('stored').notNull().default(0),
    state: text('state', { enum: ['open', 'complete'] })
      .notNull()
      .default('open'),
    attempts: integer('attempts').notNull().default(0),
    error: text('error'),
    dueAt: time('due_at').notNull().defaultNow(),
    offeredAt: time('offered_at'),
    claim: uuid('claim'),
    createdAt: time('created_at').notNull().defaultNow(),
    finishedAt: time('finished_at'),
  },
  (table) => [
    check('temu_sync_windows_state', sql`${table.state} in ('open', 'complete')`),
    uniqueIndex('temu_sync_windows_one_open').on(table.storeId).where(sql`state = 'open'`),
    index('temu_sync_windows_due').on(table.dueAt).where(sql`state = 'open'`),
    index('temu_sync_windows_recent').on(table.storeId, table.createdAt),
  ],
);

/**
 * T4: every order as the list call returned it, before it is processed.
 * state: pending (to be enriched), incomplete (stored, a part is missing, retried at due_at), stored (done), failed
 * (given up: `error` is the reason).
 */
export const temuOrderInbox = pgTable(
  'temu_order_inbox',
  {
    storeId: uuid('store_id')
      .notNull()
      .references(() => temuStores.id, { onDelete: 'cascade' }),
    parentOrderSn: text('parent_order_sn').notNull(),
    updateTime: time('update_time').notNull(),
    payload: jsonb('payload').notNull(),
    /** Counts the copies of this order. A newer one revokes the lease: `claim` is cleared. */
    version: integer('version').notNull().default(1),
    state: text('state', { enum: ['pending', 'incomplete', 'stored', 'failed'] })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    error: text('error'),
    /** Since when a part is missing: T13's hours and days start here. */
    incompleteSince: time('incomplete_since'),
    dueAt: time('due_at').notNull().defaultNow(),
    offeredAt: time('offered_at'),
    claim: uuid('claim'),
    receivedAt: time('received_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.storeId, table.parentOrderSn] }),
    check('temu_order_inbox_state', sql`${table.state} in ('pending', 'incomplete', 'stored', 'failed')`),
    index('temu_order_inbox_due').on(table.dueAt).where(sql`state in ('pending', 'incomplete')`),
    index('temu_order_inbox_backlog').on(table.storeId).where(sql`state = 'pending'`),
    // P3: what the overview counts, without what is done
    index('temu_order_inbox_open').on(table.storeId, table.state).where(sql`state <> 'stored'`),
  ],
);
