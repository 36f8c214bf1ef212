import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

const time = (name: string) => timestamp(name, { withTimezone: true });

/** T1. Secrets are ciphertext (src/db/secrets.ts); a store is off either by a person or by Temu's refusal. */
export const temuStores = pgTable(
  'temu_stores',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    name: text('name').notNull().unique(),
    region: text('region', { enum: ['EU', 'US', 'GLOBAL'] }).notNull(),
    /** ISO 3166-1 alpha-2 of the seller's account: US decides where tax is booked (T8). */
    country: text('country').notNull(),
    appKey: text('app_key').notNull(),
    appSecret: text('app_secret').notNull(),
    accessToken: text('access_token').notNull(),
    warehouseId: text('warehouse_id'),
    apiVersion: text('api_version', { enum: ['v1', 'v2'] })
      .notNull()
      .default('v1'),
    active: boolean('active').notNull().default(true),
    /** Why it is off, with the remedy; null while active. */
    pausedReason: text('paused_reason'),
    /** Who switched it off: Temu's refusal, or a person; null while active. */
    pausedBy: text('paused_by', { enum: ['temu', 'operator'] }),
    /** End of the last window of which every page is stored (T2). */
    lastSyncedAt: time('last_synced_at'),
    nextSyncAt: time('next_sync_at').notNull().defaultNow(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (table) => [
    check('temu_stores_region', sql`${table.region} in ('EU', 'US', 'GLOBAL')`),
    check('temu_stores_country', sql`${table.country} ~ '^[A-Z]{2}$'`),
    check('temu_stores_paused_by', sql`${table.pausedBy} in ('temu', 'operator')`),
    check('temu_stores_api_version', sql`${table.apiVersion} in ('v1', 'v2')`),
    index('temu_stores_due').on(table.nextSyncAt).where(sql`active`),
  ],
);

/** T15: the host that answered a call of a store, where it is not the default one. */
export const temuStoreHosts = pgTable(
  'temu_store_hosts',
  {
    storeId: uuid('store_id')
      .notNull()
      .references(() => temuStores.id, { onDelete: 'cascade' }),
    api: text('api').notNull(),
    host: text('host', { enum: ['EU', 'US', 'GLOBAL'] }).notNull(),
    learntAt: time('learnt_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.storeId, table.api] })],
);

/** T16 "scope missing": one API of one store that Temu does not open to it; asked again at `retry_at`. */
export const temuApiPauses = pgTable(
  'temu_api_pauses',
  {
    storeId: uuid('store_id')
      .notNull()
      .references(() => temuStores.id, { onDelete: 'cascade' }),
    api: text('api').notNull(),
    reason: text('reason').notNull(),
    pausedAt: time('paused_at').notNull().defaultNow(),
    retryAt: time('retry_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.storeId, table.api] })],
);

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
    /** What Temu says is in the window, by its last word on it. */
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
 * T4: every order as the list call gave it, before anything is made of it.
 * state: pending (to be enriched), incomplete (stored, a part is missing, tried again at due_at),
 * stored (done), failed (given up: `error` says why).
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
    /** Counts the copies of this order. A newer one takes the row from whoever has it: `claim` is gone. */
    version: integer('version').notNull().default(1),
    state: text('state', { enum: ['pending', 'incomplete', 'stored', 'failed'] })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    error: text('error'),
    /** Since when a part is missing: T13's hours and days count from here. */
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
    // P3: what the overview counts, and nothing that is done
    index('temu_order_inbox_open').on(table.storeId, table.state).where(sql`state <> 'stored'`),
  ],
);

/** T10: Temu's skuId → the seller's SKU. Several rows of one skuId are possible, and an error of the data. */
export const temuProducts = pgTable(
  'temu_products',
  {
    storeId: uuid('store_id')
      .notNull()
      .references(() => temuStores.id, { onDelete: 'cascade' }),
    temuSkuId: text('temu_sku_id').notNull(),
    sku: text('sku').notNull(),
  },
  (table) => [unique('temu_products_once').on(table.storeId, table.temuSkuId, table.sku)],
);

/**
 * T17: one row per app key, the account that all processes share; `quota_take` hands out its slots.
 * Unlogged (see the migration): it holds the last second of traffic, busy before a crash and worthless after.
 * All times are epoch milliseconds by the database's clock; the arrays have one entry per share.
 */
export const quotaAccounts = pgTable('quota_accounts', {
  account: text('account').primaryKey(),
  /** When each slot of the last second was used: a ring, as long as the account may make requests a second. */
  cells: doublePrecision('cells').array().notNull().default([]),
  /** The cell that has rested longest, 1-based. */
  nextCell: integer('next_cell').notNull().default(1),
  lastAt: doublePrecision('last_at').notNull().default(0),
  /** Nobody takes a slot before then: the API said "too fast". */
  holdUntil: doublePrecision('hold_until').notNull().default(0),
  /** Until when each share has used up what is its own. */
  used: doublePrecision('used').array().notNull().default([]),
  /** Until when each share counts as waiting for a slot. */
  hungry: doublePrecision('hungry').array().notNull().default([]),
});
