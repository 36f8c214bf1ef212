ALTER TABLE "trackers" ADD COLUMN "login_claim" uuid;--> statement-breakpoint
ALTER TABLE "trackers" ADD COLUMN "login_until" timestamp with time zone;