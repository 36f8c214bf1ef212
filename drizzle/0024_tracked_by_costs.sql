-- P5: a parcel's status is in no index of its table any more, so that a change of it need not be written into all of them.
-- Concurrently, since the table is large: from its beginning again if it was cut off.
DROP INDEX CONCURRENTLY IF EXISTS "shipments_unpolled";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "shipments_unpolled" ON "shipments" USING btree ("booked_at","booking_courier") WHERE tracked_by is null and tracking_ended is null and being_tracked is distinct from false and delivered_at is null;--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "shipments_untracked";
