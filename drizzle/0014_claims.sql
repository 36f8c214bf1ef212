ALTER TABLE "notices" ADD COLUMN "claim" uuid;--> statement-breakpoint
ALTER TABLE "temu_order_inbox" ADD COLUMN "claim" uuid;--> statement-breakpoint
ALTER TABLE "temu_sync_windows" ADD COLUMN "claim" uuid;