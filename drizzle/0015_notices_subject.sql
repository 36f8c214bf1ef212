-- withdrawn by their subject; concurrently, since the table is large: from its beginning again if it was cut off
DROP INDEX CONCURRENTLY IF EXISTS "notices_subject";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "notices_subject" ON "notices" USING btree ("subject") WHERE kind in ('store-paused', 'tracker-stopped');--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "notices_tracker";
