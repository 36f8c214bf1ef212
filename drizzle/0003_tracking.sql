CREATE TABLE "webhook_endpoints" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"url" text NOT NULL,
	"secret" text NOT NULL,
	"events" text[] NOT NULL,
	"active" boolean DEFAULT true NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "webhook_endpoints_url_unique" UNIQUE("url")
);
--> statement-breakpoint
CREATE TABLE "order_statuses" (
	"code" integer PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"trackable" boolean NOT NULL,
	CONSTRAINT "order_statuses_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "shipment_events" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"shipment_id" uuid NOT NULL,
	"status" text NOT NULL,
	"courier_status" text,
	"occurred_at" timestamp with time zone NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "trackers" (
	"name" text PRIMARY KEY NOT NULL,
	"enabled" boolean NOT NULL,
	"courier" text NOT NULL,
	"sources" text NOT NULL,
	"number" text NOT NULL,
	"precedence" integer NOT NULL,
	"next_run_at" timestamp with time zone DEFAULT now() NOT NULL,
	"waiting_until" timestamp with time zone,
	"waiting_reason" text,
	"waits" integer DEFAULT 0 NOT NULL,
	"skipped_at" timestamp with time zone,
	"skipped_reason" text,
	"stopped_reason" text,
	"stopped_at" timestamp with time zone,
	"credentials" text,
	"token" text,
	"token_expires_at" timestamp with time zone,
	"token_fetched_at" timestamp with time zone,
	"scheme" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tracking_batches" (
	"run_id" uuid NOT NULL,
	"no" integer NOT NULL,
	"shipment_ids" uuid[] NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"error" text,
	"claim" uuid,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	"offered_at" timestamp with time zone,
	CONSTRAINT "tracking_batches_run_id_no_pk" PRIMARY KEY("run_id","no"),
	CONSTRAINT "tracking_batches_state" CHECK ("tracking_batches"."state" in ('pending', 'working', 'done', 'failed', 'split'))
);
--> statement-breakpoint
CREATE TABLE "tracking_runs" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tracker" text NOT NULL,
	"state" text DEFAULT 'running' NOT NULL,
	"planned" integer NOT NULL,
	"updated" integer DEFAULT 0 NOT NULL,
	"unchanged" integer DEFAULT 0 NOT NULL,
	"not_found" integer DEFAULT 0 NOT NULL,
	"mismatched" integer DEFAULT 0 NOT NULL,
	"unmapped" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"requests" integer DEFAULT 0 NOT NULL,
	"request_limit" text,
	"waits" integer DEFAULT 0 NOT NULL,
	"waited_ms" bigint DEFAULT 0 NOT NULL,
	"words" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"errors" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "tracking_runs_state" CHECK ("tracking_runs"."state" in ('running', 'finished'))
);
--> statement-breakpoint
CREATE TABLE "unmapped_statuses" (
	"tracker" text NOT NULL,
	"word" text NOT NULL,
	"count" integer NOT NULL,
	"sample" jsonb NOT NULL,
	"first_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"mapped_to" text,
	CONSTRAINT "unmapped_statuses_tracker_word_pk" PRIMARY KEY("tracker","word")
);
--> statement-breakpoint
ALTER TABLE "notices" ADD COLUMN "error" text;--> statement-breakpoint
ALTER TABLE "notices" ADD COLUMN "due_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "notices" ADD COLUMN "offered_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "shipments" ADD COLUMN "tracking_ended" text;--> statement-breakpoint
ALTER TABLE "shipments" ADD COLUMN "tracked_by" text;--> statement-breakpoint
ALTER TABLE "shipments" ADD COLUMN "status_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "shipments" ADD COLUMN "status_seen" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "shipments" ADD COLUMN "unmapped_word" text;--> statement-breakpoint
ALTER TABLE "shipments" ADD COLUMN "unmapped_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "shipment_events" ADD CONSTRAINT "shipment_events_shipment_id_shipments_id_fk" FOREIGN KEY ("shipment_id") REFERENCES "public"."shipments"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tracking_batches" ADD CONSTRAINT "tracking_batches_run_id_tracking_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."tracking_runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "shipment_events_shipment" ON "shipment_events" USING btree ("shipment_id","occurred_at");--> statement-breakpoint
CREATE INDEX "tracking_batches_due" ON "tracking_batches" USING btree ("due_at") WHERE state in ('pending', 'working');--> statement-breakpoint
CREATE INDEX "tracking_batches_open" ON "tracking_batches" USING btree ("run_id") WHERE state in ('pending', 'working');--> statement-breakpoint
CREATE UNIQUE INDEX "tracking_runs_one" ON "tracking_runs" USING btree ("tracker") WHERE state = 'running';--> statement-breakpoint
CREATE INDEX "tracking_runs_by_tracker" ON "tracking_runs" USING btree ("tracker","started_at");--> statement-breakpoint
CREATE INDEX "notices_due" ON "notices" USING btree ("due_at") WHERE state = 'pending';--> statement-breakpoint
CREATE INDEX "notices_created" ON "notices" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "notices_failed" ON "notices" USING btree ("created_at") WHERE state = 'failed';--> statement-breakpoint
CREATE INDEX "notices_endpoint" ON "notices" USING btree ((payload->>'endpointId'),"created_at") WHERE state = 'pending';--> statement-breakpoint
CREATE INDEX "shipments_due" ON "shipments" USING btree ("tracked_by","last_tracked_at" NULLS FIRST,"id","booked_at") WHERE tracked_by is not null;--> statement-breakpoint
CREATE INDEX "shipments_lr" ON "shipments" USING btree ("lr_number") WHERE lr_number is not null;--> statement-breakpoint
CREATE INDEX "shipments_unmapped" ON "shipments" USING btree ("unmapped_word") WHERE unmapped_word is not null;