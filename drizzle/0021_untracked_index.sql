-- concurrently, since the table is large: from its beginning again if it was cut off
DROP INDEX CONCURRENTLY IF EXISTS "shipments_untracked";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "shipments_untracked" ON "shipments" USING btree ("booked_at","booking_courier") WHERE tracked_by is null and tracking_ended is null and being_tracked is distinct from false
          and status not in ('delivered', 'rto', 'booking_cancelled', 'lost', 'destroyed');
