-- C2 in one place: whose parcel it is, whoever asks. Expressions, which Postgres writes into the statement that calls them.
CREATE FUNCTION matches_courier(p_booking_courier text, p_courier text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT strpos(lower(p_booking_courier), lower(p_courier)) > 0 $$;
--> statement-breakpoint
CREATE FUNCTION matches_source(p_source text, p_sources text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT p_sources = 'all'
    OR (p_sources = 'primary') = (p_source IN ('shopify', 'woocommerce', 'Outbound', 'other', 'Retailer'))
$$;
--> statement-breakpoint
CREATE FUNCTION matches_number(p_awb text, p_lr text, p_number text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_number
    WHEN 'lr' THEN coalesce(btrim(p_lr), '') <> ''
    WHEN 'awb' THEN coalesce(btrim(p_awb), '') <> '' AND coalesce(btrim(p_lr), '') = ''
    ELSE coalesce(btrim(p_awb), '') <> ''
  END
$$;
--> statement-breakpoint
-- The tracker whose parcel it is, whether or not that is on and the parcel is still asked for; or null.
CREATE FUNCTION courier_of(p_booking_courier text, p_awb text, p_lr text, p_source text) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT t.name FROM trackers t
  WHERE matches_courier(p_booking_courier, t.courier)
    AND matches_source(p_source, t.sources)
    AND matches_number(p_awb, p_lr, t.number)
  ORDER BY t.precedence, t.name
  LIMIT 1
$$;
--> statement-breakpoint
-- The tracker that asks for it, or null.
CREATE OR REPLACE FUNCTION tracker_of(
  p_booking_courier text, p_awb text, p_lr text, p_being_tracked boolean, p_source text, p_order_status integer
) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT t.name FROM trackers t
  WHERE t.enabled
    AND p_being_tracked IS DISTINCT FROM false
    AND EXISTS (SELECT FROM order_statuses c WHERE c.code = p_order_status AND c.trackable)
    AND matches_courier(p_booking_courier, t.courier)
    AND matches_source(p_source, t.sources)
    AND matches_number(p_awb, p_lr, t.number)
  ORDER BY t.precedence, t.name
  LIMIT 1
$$;
