import { randomBytes, randomUUID } from 'node:crypto';
import { and, desc, eq, gt, max, sql } from 'drizzle-orm';
import type { Db } from '../../db/client.ts';
import { countWhere } from '../../db/query.ts';
import { notices, webhookEndpoints } from '../../db/schema/index.ts';
import type { Secrets } from '../../db/secrets.ts';
import { UserError } from '../../lib/errors.ts';
import { endpointId, hasEndpoint } from '../outbox.ts';
import { WEBHOOK_EVENTS, type WebhookEvent } from '../routes.ts';

/** A program that receives signed HTTP requests (C12), with its secret in clear text. */
export type Endpoint = Omit<typeof webhookEndpoints.$inferSelect, 'createdAt'>;

const secretContext = (id: string) => `webhook_endpoints.secret of ${id}`;

export { secretContext as endpointContext };

/** @param which its id or URL. @throws UserError when its secret was encrypted with an unknown key */
export async function endpointOf(
  db: Db,
  secrets: Secrets,
  which: { id: string } | { url: string },
): Promise<Endpoint | undefined> {
  const { id, url } = webhookEndpoints;
  const isIt = 'id' in which ? sql`${id}::text = ${which.id}` : eq(url, which.url);
  const [row] = await db.select().from(webhookEndpoints).where(isIt);
  return row && { ...row, secret: secrets.decrypt(row.secret, secretContext(row.id)) };
}

/** @returns the endpoint with its secret, which is shown only once. @throws UserError for an invalid or known URL */
export async function addEndpoint(
  db: Db,
  secrets: Secrets,
  address: string,
  events: readonly WebhookEvent[],
): Promise<Endpoint> {
  const url = normalAddress(address);
  const id = randomUUID();
  const secret = `whsec_${randomBytes(32).toString('base64url')}`;
  const endpoint = { id, url, events: [...new Set(events)], active: true };
  const { count } = await db
    .insert(webhookEndpoints)
    .values({ ...endpoint, secret: secrets.encrypt(secret, secretContext(id)) })
    .onConflictDoNothing();
  if (count === 0)
    throw new UserError(
      `${url} is already an endpoint. To change its events or secret: orderfleet webhooks remove ${url}, then add it again`,
    );
  return { ...endpoint, secret };
}

/** @throws UserError */
export function normalAddress(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UserError(`"${address}" is not a URL: expected https:// (or http:// inside a network)`);
  // our HTTP client sends none, and `list` would show them; the signature identifies us
  if (url.username || url.password)
    throw new UserError('A URL with a user and password is not accepted: verify the signature instead.');
  url.hash = '';
  return url.href;
}

/** @throws UserError when there is no such endpoint */
export async function removeEndpoint(db: Db, address: string): Promise<string> {
  const url = normalAddress(address);
  const { count } = await db.delete(webhookEndpoints).where(eq(webhookEndpoints.url, url));
  if (count === 0) throw noEndpoint(url);
  return url;
}

/** Encrypts an endpoint's secret with the current key. @throws UserError for no such endpoint, or an unknown key */
export async function resealEndpoint(db: Db, secrets: Secrets, address: string): Promise<string> {
  const url = normalAddress(address);
  const endpoint = await endpointOf(db, secrets, { url });
  if (!endpoint) throw noEndpoint(url);
  const secret = secrets.encrypt(endpoint.secret, secretContext(endpoint.id));
  await db.update(webhookEndpoints).set({ secret }).where(eq(webhookEndpoints.id, endpoint.id));
  return url;
}

/** Resumes a stopped endpoint. @throws UserError when there is no such endpoint */
export async function resumeEndpoint(db: Db, address: string): Promise<string> {
  const url = normalAddress(address);
  const { count } = await db
    .update(webhookEndpoints)
    .set({ active: true })
    .where(eq(webhookEndpoints.url, url));
  if (count === 0) throw noEndpoint(url);
  return url;
}

const noEndpoint = (url: string) => new UserError(`No endpoint ${url}. See: orderfleet webhooks list`);

/** The endpoint of a notice. */
export const isItsEndpoint = sql`${webhookEndpoints.id}::text = ${endpointId}`;

/** `error`: why the last attempt failed, if it did. */
const ENDPOINT = {
  ...{ url: webhookEndpoints.url, events: webhookEndpoints.events, active: webhookEndpoints.active },
  createdAt: webhookEndpoints.createdAt,
  ...{ sent: countWhere(eq(notices.state, 'sent')), waiting: countWhere(eq(notices.state, 'pending')) },
  ...{ failed: countWhere(eq(notices.state, 'failed')), lastSentAt: max(notices.sentAt) },
  error: sql<string | null>`(array_agg(${notices.error} order by ${notices.createdAt} desc)
    filter (where ${notices.state} in ('pending', 'failed') and ${notices.error} is not null))[1]`,
};

/** Endpoints with the delivery counts of the last seven days. */
export const listEndpoints = (db: Db, nowMs: number) =>
  db
    .select(ENDPOINT)
    .from(webhookEndpoints)
    .leftJoin(notices, and(isItsEndpoint, gt(notices.createdAt, new Date(nowMs - 7 * 86_400_000))))
    .groupBy(webhookEndpoints.id)
    .orderBy(webhookEndpoints.createdAt);

export const isWebhookEvent = (name: string): name is WebhookEvent =>
  (WEBHOOK_EVENTS as readonly string[]).includes(name);

const isGivenUp = sql`${notices.state} = 'failed' and ${hasEndpoint}`;

/** Failed deliveries, newest first. */
export const failedDeliveries = (db: Db, limit = 100) =>
  db
    .select({
      ...{ id: notices.id, event: notices.kind, url: webhookEndpoints.url, since: notices.createdAt },
      ...{ tries: notices.attempts, error: notices.error },
    })
    .from(notices)
    .leftJoin(webhookEndpoints, isItsEndpoint)
    .where(isGivenUp)
    .orderBy(desc(notices.createdAt))
    .limit(limit);

/** Makes failed deliveries due again, with all their attempts. @param id one of them; default all. @returns how many */
export async function retryDeliveries(db: Db, nowMs: number, id?: string): Promise<number> {
  const now = new Date(nowMs);
  const { count } = await db
    .update(notices)
    .set({
      ...{ state: 'pending', attempts: 0, error: null, offeredAt: null, dueAt: now },
      createdAt: now, // its day of attempts starts over
    })
    .where(and(isGivenUp, id === undefined ? undefined : sql`${notices.id}::text = ${id}`));
  return count;
}
