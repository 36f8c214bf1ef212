CREATE TABLE "awb_events" (
	"key" text PRIMARY KEY NOT NULL,
	"payload" jsonb NOT NULL,
	"state" text NOT NULL,
	"error" text,
	"received_at" timestamp with time zone DEFAULT now() NOT NULL,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "awb_events_state" CHECK ("awb_events"."state" in ('waiting', 'recorded', 'parked'))
);
--> statement-breakpoint
CREATE TABLE "carrier_pins" (
	"store_id" uuid NOT NULL,
	"carrier" text NOT NULL,
	"provider_id" text NOT NULL,
	"pinned_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "carrier_pins_store_id_carrier_pk" PRIMARY KEY("store_id","carrier")
);
--> statement-breakpoint
CREATE TABLE "shipments" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"order_id" uuid NOT NULL,
	"awb_number" text,
	"lr_number" text,
	"booking_courier" text NOT NULL,
	"booked_at" timestamp with time zone NOT NULL,
	"carrier" text,
	"items" jsonb,
	"being_tracked" boolean,
	"status" text DEFAULT 'pending' NOT NULL,
	"courier_status" text,
	"last_tracked_at" timestamp with time zone,
	"picked_up_at" timestamp with time zone,
	"delivered_at" timestamp with time zone,
	"rto_started_at" timestamp with time zone,
	"status_times" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "shipments_once" UNIQUE("order_id","awb_number"),
	CONSTRAINT "shipments_number" CHECK ("shipments"."awb_number" is not null or "shipments"."lr_number" is not null)
);
--> statement-breakpoint
CREATE TABLE "temu_logistics" (
	"store_id" uuid NOT NULL,
	"what" text NOT NULL,
	"list" jsonb NOT NULL,
	"fetched_at" timestamp with time zone NOT NULL,
	CONSTRAINT "temu_logistics_store_id_what_pk" PRIMARY KEY("store_id","what")
);
--> statement-breakpoint
CREATE TABLE "temu_pushes" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"shipment_id" uuid NOT NULL,
	"order_id" uuid NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"error" text,
	"sent_at" timestamp with time zone,
	"claim" uuid,
	"told_at" timestamp with time zone,
	"parked_order_time" timestamp with time zone,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	"offered_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "temu_pushes_shipment_id_unique" UNIQUE("shipment_id"),
	CONSTRAINT "temu_pushes_state" CHECK ("temu_pushes"."state" in ('pending', 'sending', 'sent', 'rejected', 'parked', 'unknown'))
);
--> statement-breakpoint
ALTER TABLE "carrier_pins" ADD CONSTRAINT "carrier_pins_store_id_temu_stores_id_fk" FOREIGN KEY ("store_id") REFERENCES "public"."temu_stores"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "shipments" ADD CONSTRAINT "shipments_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_logistics" ADD CONSTRAINT "temu_logistics_store_id_temu_stores_id_fk" FOREIGN KEY ("store_id") REFERENCES "public"."temu_stores"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_pushes" ADD CONSTRAINT "temu_pushes_shipment_id_shipments_id_fk" FOREIGN KEY ("shipment_id") REFERENCES "public"."shipments"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "temu_pushes" ADD CONSTRAINT "temu_pushes_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "awb_events_waiting" ON "awb_events" USING btree ("due_at") WHERE state = 'waiting';--> statement-breakpoint
CREATE INDEX "shipments_awb" ON "shipments" USING btree ("awb_number");--> statement-breakpoint
CREATE INDEX "shipments_created" ON "shipments" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "temu_pushes_order" ON "temu_pushes" USING btree ("order_id");--> statement-breakpoint
CREATE INDEX "temu_pushes_parked" ON "temu_pushes" USING btree ("order_id") WHERE state = 'parked' and parked_order_time is not null;--> statement-breakpoint
CREATE INDEX "temu_pushes_due" ON "temu_pushes" USING btree ("due_at") WHERE state in ('pending', 'sending', 'unknown');--> statement-breakpoint
CREATE INDEX "orders_to_ship" ON "orders" USING btree ("ship_by_date") WHERE status in ('Ready for Shipping', 'Partially Shipped', 'Incomplete');