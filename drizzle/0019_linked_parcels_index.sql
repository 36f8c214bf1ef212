-- concurrently, since the table is large: from its beginning again if it was cut off
ALTER TABLE "shipments" VALIDATE CONSTRAINT "shipments_linked_to_shipments_id_fk";--> statement-breakpoint
ALTER TABLE "shipments" VALIDATE CONSTRAINT "shipments_link";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "shipments_linked";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "shipments_linked" ON "shipments" USING btree ("linked_to") WHERE linked_to is not null;
