-- P9: an order's errors, and the pushes of the last month that Temu has not taken, through indexes of their own.
-- Concurrently, since the tables are large: from its beginning again if it was cut off.
DROP INDEX CONCURRENTLY IF EXISTS "order_errors_order";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "order_errors_order" ON "order_errors" USING btree ("order_id");--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "temu_pushes_resting";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "temu_pushes_resting" ON "temu_pushes" USING btree ("created_at") WHERE state in ('parked', 'rejected');--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "temu_pushes_at_rest";
