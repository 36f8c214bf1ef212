-- E4: a number under which a parcel goes back or goes on is a parcel of its own. The constraints hold for what is written from
-- now on; the next file looks through what is there, without a lock that stops others.
ALTER TABLE "shipments" ADD COLUMN "linked_to" uuid;--> statement-breakpoint
ALTER TABLE "shipments" ADD COLUMN "link" text;--> statement-breakpoint
ALTER TABLE "shipments" ADD CONSTRAINT "shipments_linked_to_shipments_id_fk" FOREIGN KEY ("linked_to") REFERENCES "public"."shipments"("id") ON DELETE cascade ON UPDATE no action NOT VALID;--> statement-breakpoint
ALTER TABLE "shipments" ADD CONSTRAINT "shipments_link" CHECK (("shipments"."linked_to" is null) = ("shipments"."link" is null) and "shipments"."link" in ('return', 'redirection')) NOT VALID;--> statement-breakpoint
-- C2, E1: a selection with a blank is compared with whole words: ' ups ' is in "UPS" and "DHL / UPS", and not in "Groups".
CREATE OR REPLACE FUNCTION matches_courier(p_booking_courier text, p_courier text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN strpos(p_courier, ' ') = 0 THEN strpos(lower(p_booking_courier), lower(p_courier)) > 0
    ELSE strpos(' ' || regexp_replace(lower(p_booking_courier), '[^a-z0-9]+', ' ', 'g') || ' ', lower(p_courier)) > 0
  END
$$;--> statement-breakpoint
-- As in 0011; a return or a redirection is no new booking of its order (E4).
CREATE OR REPLACE FUNCTION reopen_orders(p_shipments uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE orders SET order_status = 4 WHERE id IN (
    SELECT o.id FROM shipments s JOIN orders o ON o.id = s.order_id
    WHERE s.id = ANY (p_shipments)
      AND s.linked_to IS NULL
      AND s.status NOT IN ('delivered', 'booking_cancelled', 'rto', 'lost', 'destroyed')
      AND s.being_tracked IS DISTINCT FROM false
      AND EXISTS (
        SELECT FROM shipments e WHERE e.order_id = o.id AND (e.status, o.order_status) IN (
          ('delivered', 10), ('booking_cancelled', 12), ('rto', 13), ('lost', 15), ('destroyed', 17)))
      -- TRACKING_STATUS may have made it trackable: then nothing is missing
      AND NOT EXISTS (SELECT FROM order_statuses c WHERE c.code = o.order_status AND c.trackable)
      AND (s.items IS NOT NULL OR NOT EXISTS (
        SELECT FROM shipments n WHERE n.order_id = o.id AND n.items IS NULL AND n.linked_to IS NULL
          AND (n.booked_at, n.created_at, n.id) > (s.booked_at, s.created_at, s.id)))
    ORDER BY o.id FOR NO KEY UPDATE OF o);
END;
$$;
