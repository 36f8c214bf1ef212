-- The codes of orders.order_status. The numbers are the user's; 4 to 9, 11, 14, 16, 25, 26 and 51 are tracked (C2).
INSERT INTO order_statuses (code, name, trackable) VALUES
  (4, 'booked', true), (5, 'manifested', true), (6, 'pickup_scheduled', true), (7, 'picked_up', true),
  (8, 'in_transit', true), (9, 'out_for_delivery', true), (11, 'ndr', true), (14, 'rto_in_transit', true),
  (16, 'reattempt', true), (25, 'delayed', true), (26, 'on_hold', true), (51, 'partially_shipped', true),
  (10, 'delivered', false), (12, 'booking_cancelled', false), (13, 'rto', false), (15, 'lost', false),
  (17, 'destroyed', false)
ON CONFLICT (code) DO NOTHING;
--> statement-breakpoint
-- C2: the tracker that asks for a parcel, or null. Its rules are rows of `trackers`, written from the couriers' files.
CREATE FUNCTION tracker_of(
  p_booking_courier text, p_awb text, p_lr text, p_being_tracked boolean, p_source text, p_order_status integer
) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT t.name FROM trackers t
  WHERE t.enabled
    AND p_being_tracked IS DISTINCT FROM false
    AND EXISTS (SELECT FROM order_statuses c WHERE c.code = p_order_status AND c.trackable)
    AND strpos(lower(p_booking_courier), lower(t.courier)) > 0
    AND CASE t.sources
          WHEN 'all' THEN true
          ELSE (t.sources = 'primary') = (p_source IN ('shopify', 'woocommerce', 'Outbound', 'other', 'Retailer'))
        END
    AND CASE t.number
          WHEN 'lr' THEN btrim(p_lr) <> ''
          WHEN 'awb' THEN btrim(p_awb) <> '' AND coalesce(btrim(p_lr), '') = ''
          ELSE btrim(p_awb) <> ''
        END
  ORDER BY t.precedence, t.name
  LIMIT 1
$$;
--> statement-breakpoint
-- Whoever writes a parcel or an order, ours or another program: tracked_by follows. So the index of what can be due
-- holds just that, however many parcels are stored (P3).
CREATE FUNCTION shipments_set_tracked_by() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  SELECT tracker_of(NEW.booking_courier, NEW.awb_number, NEW.lr_number, NEW.being_tracked, o.source, o.order_status)
    INTO NEW.tracked_by FROM orders o WHERE o.id = NEW.order_id;
  RETURN NEW;
END;
$$;
--> statement-breakpoint
CREATE TRIGGER shipments_tracked_by
  BEFORE INSERT OR UPDATE OF order_id, booking_courier, awb_number, lr_number, being_tracked ON shipments
  FOR EACH ROW EXECUTE FUNCTION shipments_set_tracked_by();
--> statement-breakpoint
CREATE FUNCTION orders_set_tracked_by() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE shipments s
     SET tracked_by = tracker_of(s.booking_courier, s.awb_number, s.lr_number, s.being_tracked, NEW.source, NEW.order_status)
   WHERE s.order_id = NEW.id
     AND s.tracked_by IS DISTINCT FROM
         tracker_of(s.booking_courier, s.awb_number, s.lr_number, s.being_tracked, NEW.source, NEW.order_status);
  RETURN NULL;
END;
$$;
--> statement-breakpoint
CREATE TRIGGER orders_tracked_by
  AFTER UPDATE OF order_status, source ON orders
  FOR EACH ROW WHEN (OLD.order_status IS DISTINCT FROM NEW.order_status OR OLD.source IS DISTINCT FROM NEW.source)
  EXECUTE FUNCTION orders_set_tracked_by();
--> statement-breakpoint
-- After a change of the rules themselves: parcels booked since p_since, all others ended long ago.
CREATE FUNCTION retrack(p_since timestamptz) RETURNS bigint
LANGUAGE sql AS $$
  WITH changed AS (
    UPDATE shipments s SET tracked_by = n.tracked_by
    FROM (
      SELECT p.id, tracker_of(p.booking_courier, p.awb_number, p.lr_number, p.being_tracked, o.source, o.order_status) AS tracked_by
      FROM shipments p JOIN orders o ON o.id = p.order_id WHERE p.booked_at > p_since
    ) n
    WHERE n.id = s.id AND s.tracked_by IS DISTINCT FROM n.tracked_by
    RETURNING 1
  )
  SELECT count(*) FROM changed
$$;
