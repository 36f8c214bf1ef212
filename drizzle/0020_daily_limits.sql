ALTER TABLE "trackers" ADD COLUMN "requests_on" date;--> statement-breakpoint
ALTER TABLE "trackers" ADD COLUMN "requests_that_day" integer DEFAULT 0 NOT NULL;