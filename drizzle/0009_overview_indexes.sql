-- P3: the overview reads what is open, and what came in lately, through these; none grows with what is done but the first.
CREATE INDEX "orders_created" ON "orders" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "awb_events_open" ON "awb_events" USING btree ("received_at") WHERE state <> 'recorded';--> statement-breakpoint
CREATE INDEX "temu_pushes_at_rest" ON "temu_pushes" USING btree ("order_id") WHERE state in ('parked', 'rejected');--> statement-breakpoint
CREATE INDEX "temu_order_inbox_open" ON "temu_order_inbox" USING btree ("store_id","state") WHERE state <> 'stored';