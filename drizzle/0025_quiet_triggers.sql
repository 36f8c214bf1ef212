-- P5: half of what a round of tracking cost Postgres were these two triggers, called for each row although nothing that they
-- look at had changed. They are called, or look further, only when it has.
CREATE OR REPLACE TRIGGER shipments_tracked_by
  BEFORE INSERT ON shipments
  FOR EACH ROW EXECUTE FUNCTION shipments_set_tracked_by();
--> statement-breakpoint
CREATE OR REPLACE TRIGGER shipments_tracked_by_changed
  BEFORE UPDATE OF order_id, booking_courier, awb_number, lr_number, being_tracked ON shipments
  FOR EACH ROW WHEN (
    OLD.order_id IS DISTINCT FROM NEW.order_id OR OLD.booking_courier IS DISTINCT FROM NEW.booking_courier
    OR OLD.awb_number IS DISTINCT FROM NEW.awb_number OR OLD.lr_number IS DISTINCT FROM NEW.lr_number
    OR OLD.being_tracked IS DISTINCT FROM NEW.being_tracked)
  EXECUTE FUNCTION shipments_set_tracked_by();
--> statement-breakpoint
CREATE OR REPLACE FUNCTION orders_set_tracked_by() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  -- from one code that is tracked to another, or between two that are not, nothing changes for its parcels (C2)
  IF OLD.source IS NOT DISTINCT FROM NEW.source
     AND (SELECT count(*) FILTER (WHERE trackable) <> 1 FROM order_statuses WHERE code IN (OLD.order_status, NEW.order_status))
  THEN
    RETURN NULL;
  END IF;
  UPDATE shipments s
     SET tracked_by = tracker_of(s.booking_courier, s.awb_number, s.lr_number, s.being_tracked, NEW.source, NEW.order_status)
   WHERE s.order_id = NEW.id
     AND s.tracked_by IS DISTINCT FROM
         tracker_of(s.booking_courier, s.awb_number, s.lr_number, s.being_tracked, NEW.source, NEW.order_status);
  RETURN NULL;
END;
$$;
