ALTER TABLE "shipments" ADD COLUMN "unmapped_by" text;--> statement-breakpoint
ALTER TABLE "trackers" ADD COLUMN "token_renew_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "notices_tracker" ON "notices" USING btree ((payload->>'tracker')) WHERE kind = 'tracker-stopped';--> statement-breakpoint
CREATE INDEX "temu_orders_unsent" ON "temu_orders" USING btree ("order_id") WHERE not tracking_sent_to_temu;