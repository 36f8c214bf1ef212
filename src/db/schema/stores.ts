import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  index,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uuid,
} from 'drizzle-orm/pg-core';

const time = (name: string) => timestamp(name, { withTimezone: true });

/** T1. Secrets are ciphertext (src/db/secrets.ts); a store is paused either by an operator or by Temu's refusal. */
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
    /** Why it is paused, with the remedy; null while active. */
    pausedReason: text('paused_reason'),
    /** Who paused it: Temu's refusal, or an operator; null while active. */
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

/** T15: the host that serves a call of a store, where it is not the default one. */
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

/** T16 "scope missing": one API that Temu has not enabled for one store; probed again at `retry_at`. */
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

/** T10: Temu's skuId → the seller's SKU. Several rows of one skuId are possible, and a data error. */
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
