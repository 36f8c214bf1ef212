import { randomBytes, randomUUID } from 'node:crypto';
import type { Db } from '../../db/client.ts';
import type { Secrets } from '../../db/secrets.ts';
import { UserError } from '../../errors.ts';
import { WEBHOOK_EVENTS, type WebhookEvent } from '../routes.ts';

/** A program that is told by signed HTTP requests (C12). */
export interface Endpoint {
  id: string;
  url: string;
  events: string[];
  active: boolean;
  /** Signs every request; in the clear. */
  secret: string;
}

const secretContext = (id: string) => `webhook_endpoints.secret of ${id}`;

export { secretContext as endpointContext };

interface EndpointRow extends Omit<Endpoint, 'secret'> {
  secret: string;
}

/** @param which its id or its address. @throws UserError when its secret was sealed with a key that is not ours */
export async function endpointOf(
  db: Db,
  secrets: Secrets,
  which: { id: string } | { url: string },
): Promise<Endpoint | undefined> {
  const sql = db.$client;
  const [row] = await sql<EndpointRow[]>`
    select id, url, events, active, secret from webhook_endpoints
    where ${'id' in which ? sql`id::text = ${which.id}` : sql`url = ${which.url}`}`;
  return row && { ...row, secret: secrets.decrypt(row.secret, secretContext(row.id)) };
}

/** @returns the endpoint with its secret, which is shown this once. @throws UserError when the address does not do */
export async function addEndpoint(
  db: Db,
  secrets: Secrets,
  address: string,
  events: readonly WebhookEvent[],
): Promise<Endpoint> {
  const url = normalAddress(address);
  const id = randomUUID();
  const secret = `whsec_${randomBytes(32).toString('base64url')}`;
  const [added] = await db.$client`
    insert into webhook_endpoints (id, url, secret, events)
    values (${id}, ${url}, ${secrets.encrypt(secret, secretContext(id))}, ${[...new Set(events)]})
    on conflict (url) do nothing returning 1`;
  if (!added)
    throw new UserError(
      `${url} is an endpoint already. To change its events or its secret: orderfleet webhooks remove ${url}, then add it again`,
    );
  return { id, url, events: [...new Set(events)], active: true, secret };
}

/** @throws UserError */
export function normalAddress(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UserError(`"${address}" is no address: it starts with https:// (or http:// inside a network)`);
  // our HTTP sends none, and what a URL carries is shown by `list`; the signature says who we are
  if (url.username || url.password)
    throw new UserError(
      'An address with a user and a password in it is not taken: check the signature instead.',
    );
  url.hash = '';
  return url.href;
}

/** @throws UserError when there is no such endpoint */
export async function removeEndpoint(db: Db, address: string): Promise<string> {
  const url = normalAddress(address);
  const removed = await db.$client`delete from webhook_endpoints where url = ${url} returning 1`;
  if (removed.length === 0) throw new UserError(`No endpoint ${url}. See: orderfleet webhooks list`);
  return url;
}

/** Seals an endpoint's secret with the current key. @throws UserError when there is no such endpoint, or it does not open */
export async function resealEndpoint(db: Db, secrets: Secrets, address: string): Promise<string> {
  const url = normalAddress(address);
  const endpoint = await endpointOf(db, secrets, { url });
  if (!endpoint) throw new UserError(`No endpoint ${url}. See: orderfleet webhooks list`);
  const sealed = secrets.encrypt(endpoint.secret, secretContext(endpoint.id));
  await db.$client`update webhook_endpoints set secret = ${sealed} where id = ${endpoint.id}`;
  return url;
}

/** Takes an endpoint that was stopped back into service. @throws UserError when there is no such endpoint */
export async function resumeEndpoint(db: Db, address: string): Promise<string> {
  const url = normalAddress(address);
  const resumed = await db.$client`update webhook_endpoints set active = true where url = ${url} returning 1`;
  if (resumed.length === 0) throw new UserError(`No endpoint ${url}. See: orderfleet webhooks list`);
  return url;
}

export interface EndpointOverview {
  url: string;
  events: string[];
  active: boolean;
  createdAt: Date;
  /** Of the last seven days. */
  sent: number;
  waiting: number;
  failed: number;
  lastSentAt: Date | null;
  /** Why the last try failed, if the last one did. */
  error: string | null;
}

/** Endpoints with what became of their notices in the last week. */
export const listEndpoints = (db: Db, nowMs: number): Promise<EndpointOverview[]> => db.$client<
  EndpointOverview[]
>`
  select e.url, e.events, e.active, e.created_at as "createdAt", coalesce(n.sent, 0) as sent,
    coalesce(n.waiting, 0) as waiting, coalesce(n.failed, 0) as failed, n.last_sent_at as "lastSentAt",
    (select error from notices w where w.payload->>'endpointId' = e.id::text and w.state in ('pending', 'failed')
      and w.error is not null and w.created_at > ${new Date(nowMs - 7 * 86_400_000)}
      order by w.created_at desc limit 1) as error
  from webhook_endpoints e left join (
    select payload->>'endpointId' as id, count(*) filter (where state = 'sent')::int as sent,
      count(*) filter (where state = 'pending')::int as waiting,
      count(*) filter (where state = 'failed')::int as failed, max(sent_at) as last_sent_at
    from notices where payload ? 'endpointId' and created_at > ${new Date(nowMs - 7 * 86_400_000)} group by 1) n
    on n.id = e.id::text
  order by e.created_at`;

export const isWebhookEvent = (name: string): name is WebhookEvent =>
  (WEBHOOK_EVENTS as readonly string[]).includes(name);

export interface FailedDelivery {
  id: string;
  event: string;
  url: string | null;
  since: Date;
  tries: number;
  error: string | null;
}

/** Deliveries that were given up, the newest first. */
export const failedDeliveries = (db: Db, limit = 100): Promise<FailedDelivery[]> => db.$client<
  FailedDelivery[]
>`
  select n.id, n.kind as event, e.url, n.created_at as since, n.attempts as tries, n.error
  from notices n left join webhook_endpoints e on e.id::text = n.payload->>'endpointId'
  where n.state = 'failed' and n.payload ? 'endpointId' order by n.created_at desc limit ${limit}`;

/** Given-up deliveries are due again, with all their tries. @param id one of them; else all. @returns how many */
export async function retryDeliveries(db: Db, nowMs: number, id?: string): Promise<number> {
  const sql = db.$client;
  const again = await sql`
    update notices set state = 'pending', attempts = 0, error = null, offered_at = null, due_at = ${new Date(nowMs)},
      created_at = ${new Date(nowMs)} -- its day of tries begins anew
    where state = 'failed' and payload ? 'endpointId' ${id === undefined ? sql`` : sql`and id::text = ${id}`}`;
  return again.count;
}
