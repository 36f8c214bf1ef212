-- Concurrently, since the tables are large: from its beginning again if it was cut off.
DROP INDEX CONCURRENTLY IF EXISTS "shipments_tracked";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "shipments_tracked" ON "shipments" USING btree ("tracked_by") WHERE tracked_by is not null;--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "shipments_due";--> statement-breakpoint
-- P5: a batch is found by its run and number whatever the planner believes of how many are open.
DROP INDEX CONCURRENTLY IF EXISTS "tracking_batches_open";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "tracking_batches_open" ON "tracking_batches" USING btree ("run_id","no") WHERE state in ('pending', 'working');
