ALTER TABLE "temu_pushes" DROP CONSTRAINT "temu_pushes_state";--> statement-breakpoint
ALTER TABLE "notices" ADD COLUMN "subject" text;--> statement-breakpoint
ALTER TABLE "temu_pushes" ADD COLUMN "unmatched_carrier" text;--> statement-breakpoint
ALTER TABLE "temu_stores" ADD COLUMN "paused_by" text;--> statement-breakpoint
ALTER TABLE "temu_pushes" ADD CONSTRAINT "temu_pushes_state" CHECK ("temu_pushes"."state" in ('pending', 'sending', 'sent', 'rejected', 'parked', 'unknown', 'replaced'));--> statement-breakpoint
ALTER TABLE "temu_stores" ADD CONSTRAINT "temu_stores_paused_by" CHECK ("temu_stores"."paused_by" in ('temu', 'operator'));--> statement-breakpoint
-- Until now these were sentences, read by their beginning. Here, and in the triggers below, they are read for the last time.
UPDATE temu_pushes SET state = 'replaced' WHERE state = 'rejected' AND starts_with(error, 'replaced by ');--> statement-breakpoint
UPDATE temu_pushes SET unmatched_carrier = substring(error from 'Temu''s carriers (?:is|are) called ([^;]+);')
WHERE state = 'parked' AND error LIKE '%Temu''s carriers %';--> statement-breakpoint
UPDATE temu_stores SET paused_by = CASE WHEN starts_with(paused_reason, 'Temu refused the store (') THEN 'temu' ELSE 'operator' END
WHERE NOT active;--> statement-breakpoint
UPDATE notices SET subject = CASE kind
    WHEN 'store-paused' THEN substring(key from 14 for 36)
    WHEN 'scope-missing' THEN substring(key from 7 for 36)
    WHEN 'seller-must-act' THEN substring(key from 17 for 36)
    WHEN 'webhook-stopped' THEN substring(key from 17 for 36)
    WHEN 'sync-gap' THEN (SELECT w.store_id::text FROM temu_sync_windows w WHERE w.id::text = substring(key from 10))
    WHEN 'awb-not-sent' THEN payload->>'orderId'
    WHEN 'awb-at-risk' THEN payload->>'orderId'
    WHEN 'unknown-status' THEN payload->>'orderId'
    WHEN 'unknown-country' THEN payload->>'orderId'
    WHEN 'tracker-stopped' THEN payload->>'tracker'
    WHEN 'unmapped-status' THEN payload->>'tracker'
    WHEN 'tracking-report' THEN payload->>'tracker'
    ELSE split_part(key, ' ', 2) END
WHERE kind IN ('store-paused', 'scope-missing', 'seller-must-act', 'webhook-stopped', 'sync-gap', 'awb-not-sent',
  'awb-at-risk', 'unknown-status', 'unknown-country', 'tracker-stopped', 'unmapped-status', 'tracking-report',
  'booking_cancelled', 'lost', 'destroyed', 'b2b-delivered');--> statement-breakpoint
-- Workers of the release before go on meanwhile, and write sentences alone (R6): these three write the kind beside them,
-- and go with the next release. They do not know `replaced` and would leave an AWB so that is named again: the push that they
-- insert takes the place of the replaced one.
CREATE FUNCTION temu_pushes_kinds() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    DELETE FROM temu_pushes WHERE shipment_id = NEW.shipment_id AND state = 'replaced';
  ELSIF NEW.state = 'rejected' AND starts_with(NEW.error, 'replaced by ') THEN
    NEW.state := 'replaced';
  ELSIF NEW.state = 'parked' AND NEW.unmatched_carrier IS NULL THEN
    NEW.unmatched_carrier := substring(NEW.error from 'Temu''s carriers (?:is|are) called ([^;]+);');
  END IF;
  RETURN NEW;
END;
$$;
--> statement-breakpoint
CREATE TRIGGER temu_pushes_kinds
  BEFORE UPDATE OF state ON temu_pushes
  FOR EACH ROW WHEN (NEW.state IN ('rejected', 'parked')) EXECUTE FUNCTION temu_pushes_kinds();
--> statement-breakpoint
CREATE TRIGGER temu_pushes_anew
  BEFORE INSERT ON temu_pushes
  FOR EACH ROW EXECUTE FUNCTION temu_pushes_kinds();
--> statement-breakpoint
CREATE FUNCTION temu_stores_kinds() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.active THEN
    NEW.paused_by := NULL;
  ELSIF NEW.paused_by IS NULL THEN
    NEW.paused_by := CASE WHEN starts_with(NEW.paused_reason, 'Temu refused the store (') THEN 'temu' ELSE 'operator' END;
  END IF;
  RETURN NEW;
END;
$$;
--> statement-breakpoint
CREATE TRIGGER temu_stores_kinds
  BEFORE UPDATE OF active ON temu_stores
  FOR EACH ROW EXECUTE FUNCTION temu_stores_kinds();
--> statement-breakpoint
CREATE FUNCTION notices_kinds() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.subject := substring(NEW.key from CASE NEW.kind WHEN 'store-paused' THEN 14 ELSE 17 END for 36);
  RETURN NEW;
END;
$$;
--> statement-breakpoint
CREATE TRIGGER notices_kinds
  BEFORE INSERT ON notices
  FOR EACH ROW WHEN (NEW.subject IS NULL AND NEW.kind IN ('store-paused', 'webhook-stopped'))
  EXECUTE FUNCTION notices_kinds();
