-- concurrently, since the table is large: from its beginning again if it was cut off
DROP INDEX CONCURRENTLY IF EXISTS "order_errors_order";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "order_errors_order" ON "order_errors" USING btree ("order_id");
