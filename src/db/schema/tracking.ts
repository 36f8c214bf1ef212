import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  check,
  date,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

const time = (name: string) => timestamp(name, { withTimezone: true });

/** Codes of orders.order_status, with their names and whether parcels of such orders are polled (C2). */
export const orderStatuses = pgTable('order_statuses', {
  code: integer('code').primaryKey(),
  name: text('name').notNull().unique(),
  trackable: boolean('trackable').notNull(),
});

/**
 * C7: one row per change of a parcel's status. P10: partitioned by month of `recorded_at` (drizzle/0032), which
 * Drizzle's schema cannot say, and with one index for its key, for a parcel's history and for the months. Hence no
 * foreign key either: it cost more than all the rest of an insert.
 */
export const shipmentEvents = pgTable(
  'shipment_events',
  {
    shipmentId: uuid('shipment_id').notNull(),
    status: text('status').notNull(),
    courierStatus: text('courier_status'),
    /** By the courier's clock. */
    occurredAt: time('occurred_at').notNull(),
    recordedAt: time('recorded_at').notNull().defaultNow(),
    /** Several changes of a parcel may be recorded in one millisecond. */
    no: bigserial('no', { mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.shipmentId, table.recordedAt, table.no] }),
    // a few pages for any number of rows, which are inserted in this order: the changes of the last day
    index('shipment_events_recorded').using('brin', table.recordedAt).with({ autosummarize: true }),
  ],
);

/** One row per tracker: when it runs, why it waits or is suspended, and its token (C1, C10, C11). */
export const trackers = pgTable('trackers', {
  name: text('name').primaryKey(),
  /** The courier's display name; null until the scheduler has started with this release. */
  title: text('title'),
  /** Has credentials, and TRACKERS does not exclude it. Disabled trackers own no parcels. */
  enabled: boolean('enabled').notNull(),
  /** C2, from its courier file; the triggers that set shipments.tracked_by read it here. */
  courier: text('courier').notNull(),
  sources: text('sources', { enum: ['primary', 'other', 'all'] }).notNull(),
  number: text('number', { enum: ['awb', 'lr', 'any-awb'] }).notNull(),
  precedence: integer('precedence').notNull(),
  nextRunAt: time('next_run_at').notNull().defaultNow(),
  /** C10: no request leaves before then. */
  waitingUntil: time('waiting_until'),
  waitingReason: text('waiting_reason'),
  /** Consecutive cooldowns without a successful response. */
  waits: integer('waits').notNull().default(0),
  /** Why the last scheduled run was skipped. */
  skippedAt: time('skipped_at'),
  skippedReason: text('skipped_reason'),
  /** C11: refused credentials. Runs that began before `stopped_at` are over; later ones are a new attempt. */
  stoppedReason: text('stopped_reason'),
  stoppedAt: time('stopped_at'),
  /** A digest of the credentials: when it changes, the stop is over and the token is void. */
  credentials: text('credentials'),
  /** Encrypted. */
  token: text('token'),
  tokenExpiresAt: time('token_expires_at'),
  tokenFetchedAt: time('token_fetched_at'),
  /** A renewal failed for a transient reason: it is retried then. */
  tokenRenewAt: time('token_renew_at'),
  /** C11: the fleet's one login in progress: its owner, and until when at most by the database's clock. Null: none. */
  loginClaim: uuid('login_claim'),
  loginUntil: time('login_until'),
  /** E7: up to when the courier's feed has been read without a gap; null: never. */
  feedReadTo: time('feed_read_to'),
  /** E7: since when its runs have given the feed up, and why the last one did; null: it was read, or was never tried. */
  feedFailingSince: time('feed_failing_since'),
  feedError: text('feed_error'),
  /** Requests on that day by GMT, where the courier has a daily limit. */
  requestsOn: date('requests_on'),
  requestsThatDay: integer('requests_that_day').notNull().default(0),
  /** Which of the courier's auth schemes works. */
  scheme: integer('scheme').notNull().default(0),
});

/** C3: one run of a tracker. Counts are of parcels; they add up to `planned` when it has ended. */
export const trackingRuns = pgTable(
  'tracking_runs',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tracker: text('tracker').notNull(),
    state: text('state', { enum: ['running', 'finished'] })
      .notNull()
      .default('running'),
    planned: integer('planned').notNull(),
    updated: integer('updated').notNull().default(0),
    unchanged: integer('unchanged').notNull().default(0),
    notFound: integer('not_found').notNull().default(0),
    mismatched: integer('mismatched').notNull().default(0),
    unmapped: integer('unmapped').notNull().default(0),
    failed: integer('failed').notNull().default(0),
    requests: integer('requests').notNull().default(0),
    /** The limit in effect, as `max/seconds`; null: none (C13). */
    requestLimit: text('request_limit'),
    /** C10: how often and how long it cooled down. */
    waits: integer('waits').notNull().default(0),
    waitedMs: bigint('waited_ms', { mode: 'number' }).notNull().default(0),
    /** Unmapped statuses of this run with their counts. */
    words: jsonb('words').$type<Record<string, number>>().notNull().default({}),
    /** Why parcels failed, with their counts. */
    errors: jsonb('errors').$type<Record<string, number>>().notNull().default({}),
    startedAt: time('started_at').notNull().defaultNow(),
    finishedAt: time('finished_at'),
  },
  (table) => [
    check('tracking_runs_state', sql`${table.state} in ('running', 'finished')`),
    // C1: a tracker with a run in progress is not started again
    uniqueIndex('tracking_runs_one').on(table.tracker).where(sql`state = 'running'`),
    index('tracking_runs_by_tracker').on(table.tracker, table.startedAt),
  ],
);

/**
 * C3: the parcels of one request. state: pending, working (a worker has it: `claim`), done, failed (given up), split
 * (the API refused it as a whole: its halves are batches of their own, C9).
 */
export const trackingBatches = pgTable(
  'tracking_batches',
  {
    runId: uuid('run_id').notNull(),
    no: integer('no').notNull(),
    shipmentIds: uuid('shipment_ids').array().notNull(),
    state: text('state', { enum: ['pending', 'working', 'done', 'failed', 'split'] })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    error: text('error'),
    claim: uuid('claim'),
    dueAt: time('due_at').notNull().defaultNow(),
    offeredAt: time('offered_at'),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.no] }),
    foreignKey({ columns: [table.runId], foreignColumns: [trackingRuns.id] }).onDelete('cascade'),
    check('tracking_batches_state', sql`${table.state} in ('pending', 'working', 'done', 'failed', 'split')`),
    index('tracking_batches_due').on(table.dueAt).where(sql`state in ('pending', 'working')`),
    index('tracking_batches_open').on(table.runId, table.no).where(sql`state in ('pending', 'working')`),
  ],
);

/** C6: unmapped statuses. */
export const unmappedStatuses = pgTable(
  'unmapped_statuses',
  {
    tracker: text('tracker').notNull(),
    word: text('word').notNull(),
    count: integer('count').notNull(),
    /** What the courier returned where it was seen first, without personal data. */
    sample: jsonb('sample').$type<Record<string, string | null>>().notNull(),
    firstSeenAt: time('first_seen_at').notNull().defaultNow(),
    lastSeenAt: time('last_seen_at').notNull().defaultNow(),
    /** The status that it was mapped to, or `unchanged`. */
    mappedTo: text('mapped_to'),
  },
  (table) => [primaryKey({ columns: [table.tracker, table.word] })],
);
