import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';

const time = (name: string) => timestamp(name, { withTimezone: true });

/**
 * The outbox of messages to people and programs, written in the transaction of the change they tell of (C12).
 * `key` makes each one once. No personal data in the payload (T18), but for EMAIL_RECIPIENTS' own where a mail is left over.
 */
export const notices = pgTable(
  'notices',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    kind: text('kind').notNull(),
    key: text('key').notNull().unique(),
    /**
     * What it is about: the id of a store, an order, a shipment or an endpoint, or a tracker's name, as its kind has it;
     * null where it is about none. Notices of a thing are found by it: no code takes a key apart.
     */
    subject: text('subject'),
    payload: jsonb('payload').$type<Record<string, unknown>>().notNull(),
    state: text('state', { enum: ['pending', 'sent', 'failed', 'withdrawn'] })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    /** Why the last try to deliver it failed. */
    error: text('error'),
    dueAt: time('due_at').notNull().defaultNow(),
    offeredAt: time('offered_at'),
    claim: uuid('claim'),
    createdAt: time('created_at').notNull().defaultNow(),
    sentAt: time('sent_at'),
  },
  (table) => [
    index('notices_pending').on(table.createdAt).where(sql`state = 'pending'`),
    index('notices_due').on(table.dueAt).where(sql`state = 'pending'`),
    index('notices_created').on(table.createdAt),
    index('notices_tracker').on(sql`(payload->>'tracker')`).where(sql`kind = 'tracker-stopped'`),
    index('notices_failed').on(table.createdAt).where(sql`state = 'failed'`),
    index('notices_endpoint')
      .on(sql`(payload->>'endpointId')`, table.createdAt)
      .where(sql`state = 'pending'`),
  ],
);

/** C12: programs that are told by signed HTTP requests. */
export const webhookEndpoints = pgTable('webhook_endpoints', {
  id: uuid('id').primaryKey().defaultRandom(),
  url: text('url').notNull().unique(),
  /** Sealed; signs every request. */
  secret: text('secret').notNull(),
  /** order.rto, shipment.updated */
  events: text('events').array().notNull(),
  active: boolean('active').notNull().default(true),
  createdAt: time('created_at').notNull().defaultNow(),
});
