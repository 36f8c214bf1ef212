-- concurrently, since the table is large: from its beginning again if it was cut off. Changes of a parcel that were recorded in
-- one millisecond all have the number 0.
UPDATE "shipment_events" SET "no" = nextval('shipment_events_no_seq') FROM (
  SELECT "id", row_number() OVER (PARTITION BY "shipment_id", "recorded_at", "no" ORDER BY "occurred_at", "id") AS nth FROM "shipment_events") same
  WHERE same."id" = "shipment_events"."id" AND nth > 1;--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "shipment_events_key";--> statement-breakpoint
CREATE UNIQUE INDEX CONCURRENTLY "shipment_events_key" ON "shipment_events" ("shipment_id","recorded_at","no");--> statement-breakpoint
ALTER TABLE "shipment_events" VALIDATE CONSTRAINT "shipment_events_first";
