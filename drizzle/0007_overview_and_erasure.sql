CREATE TABLE "samples" (
	"series" text NOT NULL,
	"label" text DEFAULT '' NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"value" double precision NOT NULL,
	CONSTRAINT "samples_series_label_at_pk" PRIMARY KEY("series","label","at")
);
--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "personal_data_erased_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "samples_at" ON "samples" USING brin ("at");