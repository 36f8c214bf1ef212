-- P10: history moves into partitions by month (0032). What is there becomes the first partition as it lies, of everything
-- before a month; this file adds what its key and that boundary need, neither of which touches a row.
CREATE SEQUENCE "shipment_events_no_seq" CACHE 100;--> statement-breakpoint
ALTER TABLE "shipment_events" ADD COLUMN "no" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "shipment_events" ALTER COLUMN "no" SET DEFAULT nextval('shipment_events_no_seq');--> statement-breakpoint
-- The boundary is more than a month away, so that what is recorded until 0032 has run is before it.
DO $$
DECLARE
  v_latest timestamptz := (SELECT greatest(max(recorded_at), now()) FROM shipment_events);
BEGIN
  EXECUTE format('ALTER TABLE shipment_events ADD CONSTRAINT shipment_events_first CHECK (recorded_at < %L) NOT VALID',
    (date_trunc('month', v_latest AT TIME ZONE 'UTC') + interval '2 months') AT TIME ZONE 'UTC');
END;
$$;
