ALTER TABLE "trackers" ADD COLUMN "feed_failing_since" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "trackers" ADD COLUMN "feed_error" text;