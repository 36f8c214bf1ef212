import { and, count, desc, eq, exists, gt, isNotNull, max, ne, not, or, sql } from 'drizzle-orm';
import type { Db } from '../db/client.ts';
import { notices, temuStores, webhookEndpoints } from '../db/schema/index.ts';
import { DELIVERY_FAILED } from '../notices/index.ts';
import { endpointId, hasEndpoint, isOneOf } from './outbox.ts';
import { MACHINE_KINDS } from './routes.ts';
import { isItsEndpoint } from './webhooks/endpoints.ts';

export interface OpenNotice {
  kind: string;
  since: Date;
  text: string;
  /** Number of the order that it is about; null: none. */
  order: string | null;
}

/** Notices older than this are no longer shown. */
const SHOWN_MS = 7 * 86_400_000;

/**
 * What needs attention, newest first: operators' notices of the last seven days, delivered or not, unless withdrawn or
 * about a store that has resumed; failed deliveries, counted by kind and endpoint; and stopped endpoints.
 * @param limit of notices
 * @param without kinds of notices that the reader sees elsewhere
 */
export async function openNotices(
  db: Db,
  limit = 20,
  nowMs = Date.now(),
  without: readonly string[] = [],
): Promise<OpenNotice[]> {
  const since = new Date(nowMs - SHOWN_MS);
  const found = await Promise.all([
    // an endpoint's own row says whether it is still stopped
    forOperators(db, since, limit, [...MACHINE_KINDS, ...without, 'webhook-stopped']),
    givenUp(db, since),
    stoppedEndpoints(db, since),
  ]);
  return found.flat().sort((a, b) => b.since.getTime() - a.since.getTime());
}

const field = (key: string) => sql<string | null>`${notices.payload}->>${sql.raw(`'${key}'`)}`;
const isFailed = sql`${notices.state} = 'failed'`;

async function forOperators(
  db: Db,
  since: Date,
  limit: number,
  without: readonly string[],
): Promise<OpenNotice[]> {
  const resumed = db
    .select()
    .from(temuStores)
    .where(and(eq(temuStores.active, true), sql`${temuStores.id}::text = ${notices.subject}`));
  const found = await db
    .select({
      ...{ kind: notices.kind, since: notices.createdAt, state: notices.state, error: notices.error },
      ...{ store: field('store'), reason: field('reason'), text: field('text') },
      order: field('marketplaceOrderId'),
    })
    .from(notices)
    .where(
      and(
        gt(notices.createdAt, since),
        ne(notices.state, 'withdrawn'),
        not(isOneOf(without)),
        not(hasEndpoint),
        not(sql`(${eq(notices.kind, 'store-paused')} and ${exists(resumed)})`),
      ),
    )
    .orderBy(desc(notices.createdAt))
    .limit(limit);
  return found.map(({ kind, since, state, error, store, reason, text, order }) => {
    const detail = reason ?? text;
    return {
      ...{ kind, since, order },
      text: `${detail === null ? kind : `${store === null ? '' : `${store}: `}${detail}`}${
        state === 'failed' ? ` (could not be delivered: ${error ?? 'unknown error'})` : ''
      }`,
    };
  });
}

async function givenUp(db: Db, since: Date): Promise<OpenNotice[]> {
  const found = await db
    .select({
      ...{ kind: notices.kind, since: max(notices.createdAt), count: count(), endpoint: endpointId },
      url: max(webhookEndpoints.url),
      error: sql<string>`(array_agg(coalesce(${notices.error}, 'unknown') order by ${notices.createdAt} desc))[1]`,
    })
    .from(notices)
    .leftJoin(webhookEndpoints, isItsEndpoint)
    .where(and(gt(notices.createdAt, since), isFailed, or(isOneOf(MACHINE_KINDS), hasEndpoint)))
    .groupBy(notices.kind, endpointId, hasEndpoint);
  return found.map((one) => ({
    ...{ kind: DELIVERY_FAILED.kind, since: one.since ?? since, order: null },
    text: `${one.count} × ${one.kind}${one.url ? ` to ${one.url}` : ''} could not be delivered: ${one.error}${
      one.endpoint === null ? '' : '; orderfleet webhooks failed'
    }`,
  }));
}

async function stoppedEndpoints(db: Db, since: Date): Promise<OpenNotice[]> {
  const stopNotice = and(
    sql`${notices.subject} = ${webhookEndpoints.id}::text`,
    eq(notices.kind, 'webhook-stopped'),
    gt(notices.createdAt, since),
  );
  const found = await db
    .select({ url: webhookEndpoints.url, notifiedAt: max(notices.createdAt) })
    .from(webhookEndpoints)
    .leftJoin(notices, stopNotice)
    .where(eq(webhookEndpoints.active, false))
    .groupBy(webhookEndpoints.id);
  return found.map(({ url, notifiedAt }) => ({
    ...{ kind: 'webhook-stopped', order: null },
    since: notifiedAt ?? since, // no recent notice: it stopped longer ago
    text: `the webhook endpoint ${url} returned HTTP 410 (Gone) and gets no more events; to resume it: orderfleet webhooks resume ${url}`,
  }));
}

export interface DeliveryOverview {
  /** Of the last day. */
  sent: number;
  waiting: number;
  /** Failed within the last day; they were created a day of attempts earlier. */
  failed: number;
  /** Notices without a destination: reason → count. */
  nowhere: Record<string, number>;
}

/** Counts of delivered, waiting and failed notices. */
export async function deliveryOverview(db: Db, nowMs = Date.now()): Promise<DeliveryOverview> {
  const dayAgo = new Date(nowMs - 86_400_000);
  const { state, error } = notices;
  const isRecent = gt(notices.createdAt, dayAgo);
  const [states, failed, withdrawn] = await Promise.all([
    db.select({ state, count: count() }).from(notices).where(isRecent).groupBy(state),
    db.$count(notices, and(isFailed, gt(notices.dueAt, dayAgo))),
    db
      .select({ error: sql<string>`${error}`, count: count() })
      .from(notices)
      .where(and(isRecent, eq(state, 'withdrawn'), isNotNull(error)))
      .groupBy(error),
  ]);
  const countOf = (which: string) => states.find((one) => one.state === which)?.count ?? 0;
  return {
    ...{ sent: countOf('sent'), waiting: countOf('pending'), failed },
    nowhere: Object.fromEntries(withdrawn.map((one) => [one.error, one.count])),
  };
}
