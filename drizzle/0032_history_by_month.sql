-- P10: shipment_events is partitioned by month of recorded_at (UTC). The table so far becomes its first partition without a row
-- being read or copied: 0031 has proved that all of them are before the boundary. P5: one index instead of two besides the
-- BRIN, and no foreign key, which cost more than the rest of an insert.
ALTER TABLE "shipment_events" DROP CONSTRAINT "shipment_events_shipment_id_shipments_id_fk";--> statement-breakpoint
DROP INDEX "shipment_events_shipment";--> statement-breakpoint
ALTER TABLE "shipment_events" DROP COLUMN "id";--> statement-breakpoint
ALTER TABLE "shipment_events" RENAME TO "shipment_events_first";--> statement-breakpoint
ALTER INDEX "shipment_events_recorded" RENAME TO "shipment_events_first_recorded_at_idx";--> statement-breakpoint
ALTER TABLE "shipment_events_first" ADD CONSTRAINT "shipment_events_first_pkey" PRIMARY KEY USING INDEX "shipment_events_key";--> statement-breakpoint
CREATE TABLE "shipment_events" (
	"shipment_id" uuid NOT NULL,
	"status" text NOT NULL,
	"courier_status" text,
	"occurred_at" timestamp with time zone NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	"no" bigint DEFAULT nextval('shipment_events_no_seq') NOT NULL,
	CONSTRAINT "shipment_events_shipment_id_recorded_at_no_pk" PRIMARY KEY("shipment_id","recorded_at","no")
) PARTITION BY RANGE ("recorded_at");
--> statement-breakpoint
CREATE INDEX "shipment_events_recorded" ON "shipment_events" USING brin ("recorded_at") WITH (autosummarize=true);--> statement-breakpoint
ALTER SEQUENCE "shipment_events_no_seq" OWNED BY "shipment_events"."no";--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('ALTER TABLE shipment_events ATTACH PARTITION shipment_events_first FOR VALUES FROM (MINVALUE) TO (%L)',
    (SELECT substring(pg_get_constraintdef(oid) FROM '''([^'']+)''') FROM pg_constraint
      WHERE conrelid = 'shipment_events_first'::regclass AND conname = 'shipment_events_first'));
END;
$$;
--> statement-breakpoint
ALTER TABLE "shipment_events_first" DROP CONSTRAINT "shipment_events_first";--> statement-breakpoint
-- a change is recorded even where no month was made for it
CREATE TABLE "shipment_events_default" PARTITION OF "shipment_events" DEFAULT;--> statement-breakpoint
-- Makes the partitions of this month and of three more, and of the months of what had to go into the default one, which moves
-- there; meanwhile inserts wait. As the tables' owner: the fleet's own role creates no tables (deploy/postgres/roles.sql). What
-- does not get a lock in half a second leaves it to the next call, so that nobody waits longer behind it; Postgres looks for
-- deadlocks after a second. Returns how many it made.
CREATE FUNCTION shipment_events_make_partitions(p_now timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '500ms' AS $$
DECLARE
  v_month timestamp;
  v_from timestamptz;
  v_to timestamptz;
  v_name text;
  v_made integer := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('shipment_events_make_partitions')) THEN
    RETURN 0;
  END IF;
  FOR v_month IN
    SELECT date_trunc('month', p_now AT TIME ZONE 'UTC') + ahead * interval '1 month' FROM generate_series(0, 3) ahead
    UNION SELECT date_trunc('month', recorded_at AT TIME ZONE 'UTC') FROM shipment_events_default
    ORDER BY 1
  LOOP
    v_from := v_month AT TIME ZONE 'UTC';
    v_to := (v_month + interval '1 month') AT TIME ZONE 'UTC';
    v_name := 'shipment_events_' || to_char(v_month, 'YYYY_MM');
    CONTINUE WHEN to_regclass(v_name) IS NOT NULL OR EXISTS (
      SELECT FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid,
        LATERAL (SELECT pg_get_expr(relpartbound, c.oid)) b(bound),
        LATERAL (SELECT substring(bound FROM 'FROM \(''([^'']+)')::timestamptz, substring(bound FROM 'TO \(''([^'']+)')::timestamptz) r(lower, upper)
      WHERE inhparent = 'shipment_events'::regclass AND upper >= v_to AND coalesce(lower <= v_from, true));
    -- else an insert on its way into the default partition would fail once its month has one of its own
    LOCK TABLE shipment_events IN SHARE ROW EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE shipment_events INCLUDING DEFAULTS)', v_name);
    EXECUTE format(
      'WITH moved AS (DELETE FROM shipment_events_default WHERE recorded_at >= $1 AND recorded_at < $2 RETURNING *) INSERT INTO %I SELECT * FROM moved',
      v_name) USING v_from, v_to;
    EXECUTE format('ALTER TABLE shipment_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_name, v_from, v_to);
    v_made := v_made + 1;
  END LOOP;
  RETURN v_made;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END;
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION shipment_events_make_partitions(timestamptz) SET search_path = %I, pg_temp', current_schema());
END;
$$;
--> statement-breakpoint
SELECT shipment_events_make_partitions(now());
