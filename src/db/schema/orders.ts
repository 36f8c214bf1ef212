import { sql } from 'drizzle-orm';
import {
  boolean,
  index,
  integer,
  numeric,
  pgTable,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import { temuStores } from './stores.ts';

const time = (name: string) => timestamp(name, { withTimezone: true });
const money = (name: string) => numeric(name, { precision: 14, scale: 2 });

/** T18: the only table that holds personal data. Others may insert source and marketplace_order_id only. */
export const orders = pgTable(
  'orders',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    source: text('source').notNull(),
    storeId: uuid('store_id').references(() => temuStores.id),
    marketplaceOrderId: text('marketplace_order_id').notNull(),
    /** Pending, Ready for Shipping, Cancelled, Shipped, Partially Shipped or Incomplete (T7, T13). */
    status: text('status').notNull().default('Pending'),
    /** The marketplace's own state, e.g. UN_SHIPPING. */
    marketplaceStatus: text('marketplace_status'),
    /** Where the parcel is, as a code of order_statuses; 4 = booked. */
    orderStatus: integer('order_status').notNull().default(4),
    orderCreatedAt: time('order_created_at'),
    orderModifiedAt: time('order_modified_at'),
    shipByDate: time('ship_by_date'),
    orderTotalAmount: money('order_total_amount'),
    orderSubtotalAmount: money('order_subtotal_amount'),
    shippingServiceCost: money('shipping_service_cost'),
    totalVat: money('total_vat'),
    totalSalesTax: money('total_sales_tax'),
    discountValue: money('discount_value'),
    orderCurrency: text('order_currency'),
    buyerMail: text('buyer_mail'),
    shippingBuyerName: text('shipping_buyer_name'),
    shippingPhone: text('shipping_phone'),
    shippingStreet1: text('shipping_street1'),
    shippingCity: text('shipping_city'),
    shippingStateProvince: text('shipping_state_province'),
    shippingCountryName: text('shipping_country_name'),
    shippingCountryCode: text('shipping_country_code'),
    shippingPostalCode: text('shipping_postal_code'),
    /** T12: until then the order is held as Pending; afterwards it gets `status_after_pending`. */
    pendingUntil: time('pending_until'),
    statusAfterPending: text('status_after_pending'),
    /** T18: when the marketplace first reported it as cancelled or received; later reports do not change it. */
    endedAt: time('ended_at'),
    /** T18: when the buyer was erased; the data is not stored again. */
    personalDataErasedAt: time('personal_data_erased_at'),
    createdAt: time('created_at').notNull().defaultNow(),
    updatedAt: time('updated_at').notNull().defaultNow(),
  },
  (table) => [
    unique('orders_once').on(table.source, table.storeId, table.marketplaceOrderId).nullsNotDistinct(),
    index('orders_marketplace_id').on(table.marketplaceOrderId),
    index('orders_pending_until').on(table.pendingUntil).where(sql`pending_until is not null`),
    index('orders_to_ship')
      .on(table.shipByDate)
      .where(sql`status in ('Ready for Shipping', 'Partially Shipped', 'Incomplete')`),
    index('orders_by_store').on(table.storeId, table.status),
    index('orders_created').on(table.createdAt),
    // T18: orders with buyer data, by when they were placed; src/ops/erasure.ts uses these very expressions
    index('orders_personal_data')
      .on(sql`coalesce(order_created_at, '-infinity')`, table.id)
      .where(
        sql`num_nonnulls(buyer_mail, shipping_buyer_name, shipping_phone, shipping_street1, shipping_city, shipping_state_province, shipping_postal_code) > 0`,
      ),
  ],
);

/** Columns of Temu orders only. */
export const temuOrders = pgTable(
  'temu_orders',
  {
    orderId: uuid('order_id')
      .primaryKey()
      .references(() => orders.id, { onDelete: 'cascade' }),
    regionId: integer('region_id'),
    temuDiscount: money('temu_discount'),
    sellerDiscount: money('seller_discount'),
    trackingSentToTemu: boolean('tracking_sent_to_temu').notNull().default(false),
    trackingSentAt: time('tracking_sent_at'),
    trackingSendError: text('tracking_send_error'),
  },
  (table) => [index('temu_orders_unsent').on(table.orderId).where(sql`not tracking_sent_to_temu`)],
);

/** T11: one row per SKU and price. */
export const productsInOrder = pgTable(
  'products_in_order',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    orderId: uuid('order_id')
      .notNull()
      .references(() => orders.id, { onDelete: 'cascade' }),
    /** productSkuId and unit price, `254794717573-1.00`; without the price while it is unknown. */
    itemOrderLineId: text('item_order_line_id').notNull(),
    channelItemId: text('channel_item_id'),
    itemTitle: text('item_title'),
    itemTransactionId: text('item_transaction_id'),
    sku: text('sku'),
    quantity: integer('quantity').notNull(),
    itemPrice: money('item_price'),
    status: text('status'),
  },
  (table) => [unique('products_in_order_once').on(table.orderId, table.itemOrderLineId)],
);

/** T11: one row per row of the marketplace's order. */
export const orderItemLines = pgTable(
  'order_item_lines',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    orderId: uuid('order_id')
      .notNull()
      .references(() => orders.id, { onDelete: 'cascade' }),
    productInOrderId: uuid('product_in_order_id')
      .notNull()
      .references(() => productsInOrder.id, { onDelete: 'cascade' }),
    marketplaceOrderItemId: text('marketplace_order_item_id').notNull(),
    quantity: integer('quantity').notNull(),
  },
  (table) => [
    unique('order_item_lines_once').on(table.orderId, table.marketplaceOrderItemId),
    index('order_item_lines_product').on(table.productInOrderId),
  ],
);

/** T13: what is wrong with an order, open until resolved_at. */
export const orderErrors = pgTable(
  'order_errors',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    orderId: uuid('order_id')
      .notNull()
      .references(() => orders.id, { onDelete: 'cascade' }),
    type: text('type').notNull(),
    message: text('message').notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
    resolvedAt: time('resolved_at'),
  },
  (table) => [
    uniqueIndex('order_errors_open')
      .on(table.orderId, table.type, table.message)
      .where(sql`resolved_at is null`),
    // an order that is deleted takes its errors along (P10)
    index('order_errors_order').on(table.orderId),
  ],
);
