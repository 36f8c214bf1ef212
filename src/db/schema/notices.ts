import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';

const time = (name: string) => timestamp(name, { withTimezone: true });

/**
 * The outbox of messages to operators and programs, written in the transaction of the change they report (C12). `key`
 * makes each one unique. No personal data in the payload (T18), except EMAIL_RECIPIENTS' own where a mail is left
 * over.
 */
export const notices = pgTable(
  'notices',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    kind: text('kind').notNull(),
    key: text('key').notNull().unique(),
    /**
     * The id of a store, an order, a shipment or an endpoint, or a tracker's name, depending on the kind; null for
     * none. Notices are looked up by it: no code parses a key.
     */
    subject: text('subject'),
    payload: jsonb('payload').$type<Record<string, unknown>>().notNull(),
    state: text('state', { enum: ['pending', 'sent', 'failed', 'withdrawn'] })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    /** Why the last attempt to deliver it failed. */
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
    // of the kinds that are withdrawn (src/notices/index.ts) once their subject has recovered
    index('notices_subject').on(table.subject).where(sql`kind in ('store-paused', 'tracker-stopped')`),
    index('notices_failed').on(table.createdAt).where(sql`state = 'failed'`),
    index('notices_endpoint')
      .on(sql`(payload->>'endpointId')`, table.createdAt)
      .where(sql`state = 'pending'`),
  ],
);

/** C12: programs that receive signed HTTP requests. */
export const webhookEndpoints = pgTable('webhook_endpoints', {
  id: uuid('id').primaryKey().defaultRandom(),
  url: text('url').notNull().unique(),
  /** Encrypted; signs every request. */
  secret: text('secret').notNull(),
  /** order.rto, shipment.updated */
  events: text('events').array().notNull(),
  active: boolean('active').notNull().default(true),
  createdAt: time('created_at').notNull().defaultNow(),
});
