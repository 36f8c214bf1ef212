CREATE TABLE "notices" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"kind" text NOT NULL,
	"key" text NOT NULL,
	"payload" jsonb NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"sent_at" timestamp with time zone,
	CONSTRAINT "notices_key_unique" UNIQUE("key")
);
--> statement-breakpoint
CREATE TABLE "order_errors" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"order_id" uuid NOT NULL,
	"type" text NOT NULL,
	"message" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"resolved_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "order_item_lines" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"order_id" uuid NOT NULL,
	"product_in_order_id" uuid NOT NULL,
	"marketplace_order_item_id" text NOT NULL,
	"quantity" integer NOT NULL,
	CONSTRAINT "order_item_lines_once" UNIQUE("order_id","marketplace_order_item_id")
);
--> statement-breakpoint
CREATE TABLE "orders" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"source" text NOT NULL,
	"store_id" uuid,
	"marketplace_order_id" text NOT NULL,
	"status" text DEFAULT 'Pending' NOT NULL,
	"marketplace_status" text,
	"order_status" integer DEFAULT 4 NOT NULL,
	"order_created_at" timestamp with time zone,
	"order_modified_at" timestamp with time zone,
	"ship_by_date" timestamp with time zone,
	"order_total_amount" numeric(14, 2),
	"order_subtotal_amount" numeric(14, 2),
	"shipping_service_cost" numeric(14, 2),
	"total_vat" numeric(14, 2),
	"total_sales_tax" numeric(14, 2),
	"discount_value" numeric(14, 2),
	"order_currency" text,
	"buyer_mail" text,
	"shipping_buyer_name" text,
	"shipping_phone" text,
	"shipping_street1" text,
	"shipping_city" text,
	"shipping_state_province" text,
	"shipping_country_name" text,
	"shipping_country_code" text,
	"shipping_postal_code" text,
	"pending_until" timestamp with time zone,
	"status_after_pending" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "orders_once" UNIQUE NULLS NOT DISTINCT("source","store_id","marketplace_order_id")
);
--> statement-breakpoint
CREATE TABLE "products_in_order" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"order_id" uuid NOT NULL,
	"item_order_line_id" text NOT NULL,
	"channel_item_id" text,
	"item_title" text,
	"item_transaction_id" text,
	"sku" text,
	"quantity" integer NOT NULL,
	"item_price" numeric(14, 2),
	"status" text,
	CONSTRAINT "products_in_order_once" UNIQUE("order_id","item_order_line_id")
);
--> statement-breakpoint
CREATE TABLE "temu_orders" (
	"order_id" uuid PRIMARY KEY NOT NULL,
	"region_id" integer,
	"temu_discount" numeric(14, 2),
	"seller_discount" numeric(14, 2),
	"tracking_sent_to_temu" boolean DEFAULT false NOT NULL,
	"tracking_sent_at" timestamp with time zone,
	"tracking_send_error" text
);
--> statement-breakpoint
CREATE UNLOGGED TABLE "quota_accounts" (
	"account" text PRIMARY KEY NOT NULL,
	"cells" double precision[] DEFAULT '{}' NOT NULL,
	"next_cell" integer DEFAULT 1 NOT NULL,
	"last_at" double precision DEFAULT 0 NOT NULL,
	"hold_until" double precision DEFAULT 0 NOT NULL,
	"used" double precision[] DEFAULT '{}' NOT NULL,
	"hungry" double precision[] DEFAULT '{}' NOT NULL
);
--> statement-breakpoint
CREATE TABLE "temu_api_pauses" (
	"store_id" uuid NOT NULL,
	"api" text NOT NULL,
	"reason" text NOT NULL,
	"paused_at" timestamp with time zone DEFAULT now() NOT NULL,
	"retry_at" timestamp with time zone NOT NULL,
	CONSTRAINT "temu_api_pauses_store_id_api_pk" PRIMARY KEY("store_id","api")
);
--> statement-breakpoint
CREATE TABLE "temu_order_inbox" (
	"store_id" uuid NOT NULL,
	"parent_order_sn" text NOT NULL,
	"update_time" timestamp with time zone NOT NULL,
	"payload" jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"error" text,
	"incomplete_since" timestamp with time zone,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	"offered_at" timestamp with time zone,
	"received_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "temu_order_inbox_store_id_parent_order_sn_pk" PRIMARY KEY("store_id","parent_order_sn"),
	CONSTRAINT "temu_order_inbox_state" CHECK ("temu_order_inbox"."state" in ('pending', 'incomplete', 'stored', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "temu_products" (
	"store_id" uuid NOT NULL,
	"temu_sku_id" text NOT NULL,
	"sku" text NOT NULL,
	CONSTRAINT "temu_products_once" UNIQUE("store_id","temu_sku_id","sku")
);
--> statement-breakpoint
CREATE TABLE "temu_store_hosts" (
	"store_id" uuid NOT NULL,
	"api" text NOT NULL,
	"host" text NOT NULL,
	"learnt_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "temu_store_hosts_store_id_api_pk" PRIMARY KEY("store_id","api")
);
--> statement-breakpoint
CREATE TABLE "temu_stores" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" text NOT NULL,
	"region" text NOT NULL,
	"country" text NOT NULL,
	"app_key" text NOT NULL,
	"app_secret" text NOT NULL,
	"access_token" text NOT NULL,
	"warehouse_id" text,
	"api_version" text DEFAULT 'v1' NOT NULL,
	"active" boolean DEFAULT true NOT NULL,
	"paused_reason" text,
	"last_synced_at" timestamp with time zone,
	"next_sync_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "temu_stores_name_unique" UNIQUE("name"),
	CONSTRAINT "temu_stores_region" CHECK ("temu_stores"."region" in ('EU', 'US', 'GLOBAL')),
	CONSTRAINT "temu_stores_country" CHECK ("temu_stores"."country" ~ '^[A-Z]{2}$'),
	CONSTRAINT "temu_stores_api_version" CHECK ("temu_stores"."api_version" in ('v1', 'v2'))
);
--> statement-breakpoint
CREATE TABLE "temu_sync_windows" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"store_id" uuid NOT NULL,
	"window_start" timestamp with time zone NOT NULL,
	"window_end" timestamp with time zone NOT NULL,
	"expected" integer,
	"stored" integer DEFAULT 0 NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"error" text,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	"offered_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "temu_sync_windows_state" CHECK ("temu_sync_windows"."state" in ('open', 'complete'))
);
--> statement-breakpoint
ALTER TABLE "order_errors" ADD CONSTRAINT "order_errors_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "order_item_lines" ADD CONSTRAINT "order_item_lines_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "order_item_lines" ADD CONSTRAINT "order_item_lines_product_in_order_id_products_in_order_id_fk" FOREIGN KEY ("product_in_order_id") REFERENCES "public"."products_in_order"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_store_id_temu_stores_id_fk" FOREIGN KEY ("store_id") REFERENCES "public"."temu_stores"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "products_in_order" ADD CONSTRAINT "products_in_order_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_orders" ADD CONSTRAINT "temu_orders_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_api_pauses" ADD CONSTRAINT "temu_api_pauses_store_id_temu_stores_id_fk" FOREIGN KEY ("store_id") REFERENCES "public"."temu_stores"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_order_inbox" ADD CONSTRAINT "temu_order_inbox_store_id_temu_stores_id_fk" FOREIGN KEY ("store_id") REFERENCES "public"."temu_stores"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_products" ADD CONSTRAINT "temu_products_store_id_temu_stores_id_fk" FOREIGN KEY ("store_id") REFERENCES "public"."temu_stores"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_store_hosts" ADD CONSTRAINT "temu_store_hosts_store_id_temu_stores_id_fk" FOREIGN KEY ("store_id") REFERENCES "public"."temu_stores"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_sync_windows" ADD CONSTRAINT "temu_sync_windows_store_id_temu_stores_id_fk" FOREIGN KEY ("store_id") REFERENCES "public"."temu_stores"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "notices_pending" ON "notices" USING btree ("created_at") WHERE state = 'pending';--> statement-breakpoint
CREATE UNIQUE INDEX "order_errors_open" ON "order_errors" USING btree ("order_id","type","message") WHERE resolved_at is null;--> statement-breakpoint
CREATE INDEX "order_item_lines_product" ON "order_item_lines" USING btree ("product_in_order_id");--> statement-breakpoint
CREATE INDEX "orders_marketplace_id" ON "orders" USING btree ("marketplace_order_id");--> statement-breakpoint
CREATE INDEX "orders_pending_until" ON "orders" USING btree ("pending_until") WHERE pending_until is not null;--> statement-breakpoint
CREATE INDEX "orders_by_store" ON "orders" USING btree ("store_id","status");--> statement-breakpoint
CREATE INDEX "temu_order_inbox_due" ON "temu_order_inbox" USING btree ("due_at") WHERE state in ('pending', 'incomplete');--> statement-breakpoint
CREATE INDEX "temu_order_inbox_backlog" ON "temu_order_inbox" USING btree ("store_id") WHERE state = 'pending';--> statement-breakpoint
CREATE INDEX "temu_stores_due" ON "temu_stores" USING btree ("next_sync_at") WHERE active;--> statement-breakpoint
CREATE UNIQUE INDEX "temu_sync_windows_one_open" ON "temu_sync_windows" USING btree ("store_id") WHERE state = 'open';--> statement-breakpoint
CREATE INDEX "temu_sync_windows_due" ON "temu_sync_windows" USING btree ("due_at") WHERE state = 'open';--> statement-breakpoint
CREATE INDEX "temu_sync_windows_recent" ON "temu_sync_windows" USING btree ("store_id","created_at");