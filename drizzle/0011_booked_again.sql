-- C2: when its parcel comes to its end, an order gets that end's code, and parcels of such orders are asked for by nobody.
-- So a parcel that is booked after that, anew or as the next of a split, makes its order "booked" (4) again.
--
-- Only of an order whose code is the end of one of its parcels: then tracking, or an import, has set it. A code that another
-- program set for reasons of its own stays; nor is history, which may be written in any order, taken for a new parcel. Hence
-- the parcel must be one that the order would show (consequences.ts): on its way, and if it is a parcel of the whole order,
-- the one booked last of those. Times are not compared with the end's: an event may come hours after its booking, and the old
-- parcel is often cancelled only after the new one was booked.
CREATE FUNCTION reopen_orders(p_shipments uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE orders SET order_status = 4 WHERE id IN (
    SELECT o.id FROM shipments s JOIN orders o ON o.id = s.order_id
    WHERE s.id = ANY (p_shipments)
      AND s.status NOT IN ('delivered', 'booking_cancelled', 'rto', 'lost', 'destroyed')
      AND s.being_tracked IS DISTINCT FROM false
      AND EXISTS (
        SELECT FROM shipments e WHERE e.order_id = o.id AND (e.status, o.order_status) IN (
          ('delivered', 10), ('booking_cancelled', 12), ('rto', 13), ('lost', 15), ('destroyed', 17)))
      -- TRACKING_STATUS may have made it trackable: then nothing is missing
      AND NOT EXISTS (SELECT FROM order_statuses c WHERE c.code = o.order_status AND c.trackable)
      AND (s.items IS NOT NULL OR NOT EXISTS (
        SELECT FROM shipments n WHERE n.order_id = o.id AND n.items IS NULL
          AND (n.booked_at, n.created_at, n.id) > (s.booked_at, s.created_at, s.id)))
    ORDER BY o.id FOR NO KEY UPDATE OF o);
END;
$$;
--> statement-breakpoint
-- Whoever writes a parcel: once a statement, so that many at once cost little (P3). It runs after the foreign key has locked
-- the order's key, which waits for whoever ends another parcel of the order in this moment, so that end is seen here; and
-- who comes later waits for us, and sees this parcel. That update of the order sets tracked_by (0004). A program that may
-- insert parcels needs no right to change orders: this is done as the tables' owner.
CREATE FUNCTION shipments_reopen_orders() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  -- `made` is not joined: the plan of a statement of many rows would be kept for those of one, and read whole tables for them
  v_shipments uuid[] := ARRAY(
    SELECT id FROM made WHERE status NOT IN ('delivered', 'booking_cancelled', 'rto', 'lost', 'destroyed'));
BEGIN
  IF EXISTS (
    SELECT FROM shipments s JOIN orders o ON o.id = s.order_id
    WHERE s.id = ANY (v_shipments) AND o.order_status IN (10, 12, 13, 15, 17))
  THEN
    PERFORM reopen_orders(v_shipments);
  END IF;
  -- two at once: the second one was written while its order still had the end's code, and finds it booked again by the first
  UPDATE shipments s
     SET tracked_by = tracker_of(s.booking_courier, s.awb_number, s.lr_number, s.being_tracked, o.source, o.order_status)
    FROM orders o
   WHERE s.id = ANY (v_shipments) AND s.tracked_by IS NULL AND o.id = s.order_id
     AND tracker_of(s.booking_courier, s.awb_number, s.lr_number, s.being_tracked, o.source, o.order_status) IS NOT NULL;
  RETURN NULL;
END;
$$;
--> statement-breakpoint
CREATE TRIGGER shipments_reopen_orders
  AFTER INSERT ON shipments REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION shipments_reopen_orders();
--> statement-breakpoint
-- Those that came before this file: what was booked within the buffer period (31 days), by the index of when it was written.
SELECT reopen_orders(ARRAY(
  SELECT s.id FROM shipments s JOIN orders o ON o.id = s.order_id
  WHERE s.created_at > now() - interval '31 days' AND s.booked_at > now() - interval '31 days'
    AND o.order_status IN (10, 12, 13, 15, 17)));
