import type { Sql } from '../db/client.ts';
import { despiteOutage } from '../db/despite-outage.ts';
import { backoffMs } from '../queue/define.ts';
import { offer } from '../queue/turn.ts';
import type { AlertsBase, RetryPolicy } from './deps.ts';
import { notices } from './queues.ts';
import { MACHINE_KINDS, MAIL_KIND, PARCEL_KINDS, REPORT_KIND, WEBHOOK_EVENTS, type Which } from './routes.ts';

/** A job that has not shown up after this long is offered again, under another id (R1). */
const OFFER_AGAIN_MS = 15_000;
/** Rows that one sweep looks at: bounded work, and a backlog of one destination is passed by in a few sweeps. */
const SWEEP_ROWS = 5_000;
/** Rows that are settled in bulk at a time. */
const BULK_ROWS = 5_000;

/** A notice in a worker's hands, until `lease`. */
export interface Claimed {
  id: string;
  kind: string;
  payload: Record<string, unknown>;
  /** This one included. */
  attempts: number;
  createdAt: Date;
  lease: Date;
}

const isWebhook = (sql: Sql) => sql`(payload ? 'endpointId' or kind = any(${[...WEBHOOK_EVENTS]}))`;

function matching(sql: Sql, which: Which) {
  if ('endpointId' in which)
    return sql`${isWebhook(sql)} and payload->>'endpointId' is not distinct from ${which.endpointId}`;
  return sql`not ${isWebhook(sql)} and (kind = any(${[...which.kinds]})
    or (${which.people} and kind <> all(${[...MACHINE_KINDS]})))`;
}

/**
 * The sweep: makes one job of all due notices of a lane, the oldest first. Its id names which notices are due since
 * when, so that a job that has ended cannot swallow the next one.
 * @returns how many notices
 */
export async function offerNotices({ db, queues, clock }: AlertsBase): Promise<number> {
  const sql = db.$client;
  const now = new Date(clock());
  const lanes = await sql<
    { lane: string; endpointId: string | null; due: string; which: string; count: number }[]
  >`
    with due as (
      select id from notices
      where state = 'pending' and due_at <= ${now}
        and (offered_at is null or offered_at < due_at or offered_at < ${new Date(clock() - OFFER_AGAIN_MS)})
      order by due_at limit ${SWEEP_ROWS} for update skip locked),
    offered as (
      update notices n set offered_at = ${now} from due where n.id = due.id returning n.id, n.kind, n.payload, n.due_at)
    select lane, "endpointId", floor(extract(epoch from max(due_at)) * 1000)::text as due, count(*)::int as count,
      left(md5(coalesce("endpointId", '') || string_agg(id::text, ' ' order by id)), 12) as which
    from (
      select id, due_at,
        case when ${isWebhook(sql)} then 'webhook'
          when kind = any(${[...PARCEL_KINDS, REPORT_KIND, MAIL_KIND]}) then kind else 'people' end as lane,
        case when ${isWebhook(sql)} then payload->>'endpointId' end as "endpointId"
      from offered) rows
    group by lane, "endpointId" order by max(due_at)`;
  const jobs = lanes.map(({ lane, endpointId, due, which }) => ({
    // offered again when the job was lost: the time is part of the id, since the rows may be the same
    id: `${lane}-${due}-${which}-${Math.floor(now.getTime() / OFFER_AGAIN_MS)}`,
    payload: { v: 1 as const, lane, ...(endpointId === null ? {} : { endpointId }) },
  }));
  await offer(
    () => queues.add(notices, jobs),
    () => sql`update notices set offered_at = null where state = 'pending' and offered_at = ${now}`,
  );
  return lanes.reduce((sum, { count }) => sum + count, 0);
}

/**
 * Takes due notices, the oldest first: nobody else has them until the lease is over. Claims of one destination wait
 * for each other, so that a burst is not divided among two workers.
 */
export async function claim(
  { db, clock }: Pick<AlertsBase, 'db' | 'clock'>,
  destination: { key: string; which: Which },
  limit: number,
  leaseMs: number,
): Promise<Claimed[]> {
  return await db.$client.begin(async (sql) => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`orderfleet notices ${destination.key}`}, 0))`;
    // after the lock: the time may have passed while it was waited for
    const [now, lease] = [new Date(clock()), new Date(clock() + leaseMs)];
    const rows = await sql<Omit<Claimed, 'lease'>[]>`
      with due as (
        select id from notices
        where state = 'pending' and due_at <= ${now} and ${matching(sql as unknown as Sql, destination.which)}
        order by due_at limit ${limit} for update skip locked)
      update notices n set attempts = attempts + 1, due_at = ${lease} from due where n.id = due.id
      returning n.id, n.kind, n.payload, n.attempts, n.created_at as "createdAt"`;
    return rows
      .map((row) => ({ ...row, lease }))
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  });
}

const idsOf = (claimed: readonly Claimed[]) => claimed.map(({ id }) => id);

/**
 * Delivered. Written also when the lease is over meanwhile: it is the truth. What stands between the delivery and this
 * row is the window in which a crash makes a double.
 */
export const settleSent = ({ db, clock }: AlertsBase, claimed: readonly Claimed[]) =>
  despiteOutage(
    () => db.$client`
      update notices set state = 'sent', sent_at = ${new Date(clock())}, error = null
      where id = any(${idsOf(claimed)}) and state = 'pending'`,
  );

/** Not delivered: due again by the policy, but not before `notBefore`; or failed, when its tries are spent. */
export async function settleFailed(
  { db, clock }: AlertsBase,
  claimed: readonly Claimed[],
  why: string,
  policy: RetryPolicy,
  notBefore = 0,
): Promise<{ failed: number }> {
  const next = claimed.map(({ id, attempts, lease }) => ({
    ...{ id, lease },
    state: attempts >= policy.tries ? 'failed' : 'pending',
    due: new Date(Math.max(notBefore, clock() + backoffMs(policy.backoff, attempts))),
  }));
  await despiteOutage(
    () => db.$client`
      update notices n set state = s.state, due_at = s.due, error = ${why}
      from unnest(${next.map(({ id }) => id)}::uuid[], ${next.map(({ state }) => state)}::text[],
        ${next.map(({ due }) => due.toISOString())}::timestamptz[], ${next.map(({ lease }) => lease.toISOString())}::timestamptz[]) s(id, state, due, lease)
      where n.id = s.id and n.state = 'pending' and n.due_at = s.lease`,
  );
  return { failed: next.filter(({ state }) => state === 'failed').length };
}

/** Not tried, or refused for a reason that is nobody's fault: the attempt is given back. */
export async function giveBack(
  { db }: Pick<AlertsBase, 'db'>,
  claimed: readonly Claimed[],
  due: Date,
  why: string | null = null,
): Promise<void> {
  const lease = claimed[0]?.lease;
  if (!lease) return;
  await despiteOutage(
    () => db.$client`
      update notices set attempts = attempts - 1, due_at = ${due}, error = coalesce(${why}, error)
      where id = any(${idsOf(claimed)}) and state = 'pending' and due_at = ${lease}`,
  );
}

/**
 * Cut off while they were on their way, by a shutdown for instance: they may have arrived, so they are due again only
 * when their lease is over; the attempt is given back (O2).
 */
export async function leaveToLease(deps: Pick<AlertsBase, 'db'>, claimed: readonly Claimed[]): Promise<void> {
  const [first] = claimed;
  if (first) await giveBack(deps, claimed, first.lease);
}

/** Ended without delivery, with the reason. */
export const withdraw = ({ db }: Pick<AlertsBase, 'db'>, claimed: readonly Claimed[], why: string) =>
  despiteOutage(
    () => db.$client`
      update notices set state = 'withdrawn', error = ${why} where id = any(${idsOf(claimed)}) and state = 'pending'`,
  );

/** What is due on a lane that leads nowhere is ended with the reason. @returns how many */
export async function withdrawDue({ db, clock }: AlertsBase, which: Which, why: string): Promise<number> {
  const sql = db.$client;
  const ended = await sql`
    update notices set state = 'withdrawn', error = ${why} where id in (
      select id from notices where state = 'pending' and due_at <= ${new Date(clock())} and ${matching(sql, which)}
      order by due_at limit ${BULK_ROWS} for update skip locked)`;
  return ended.count;
}

/**
 * What is due waits until then, and spends nothing. With `youngerThan`, older notices stay due.
 * @returns how many
 */
export async function postponeDue(
  { db, clock }: AlertsBase,
  which: Which,
  until: Date,
  options: { why?: string; youngerThan?: Date } = {},
): Promise<number> {
  const sql = db.$client;
  const postponed = await sql`
    update notices set due_at = ${until}, error = coalesce(${options.why ?? null}, error) where id in (
      select id from notices where state = 'pending' and due_at <= ${new Date(clock())} and ${matching(sql, which)}
        and created_at > ${options.youngerThan ?? new Date(0)}
      order by due_at limit ${BULK_ROWS} for update skip locked)`;
  return postponed.count;
}

/** Gives up what has waited for so long. @returns how many */
export async function failOld(
  { db, clock }: AlertsBase,
  which: Which,
  olderThan: number,
  why: string,
): Promise<number> {
  const sql = db.$client;
  const failed = await sql`
    update notices set state = 'failed', due_at = ${new Date(clock())}, error = concat_ws(': ', ${why}::text, error) where id in (
      select id from notices where state = 'pending' and due_at <= ${new Date(clock())} and ${matching(sql, which)}
        and created_at < ${new Date(olderThan)}
      order by due_at limit ${BULK_ROWS} for update skip locked)`;
  return failed.count;
}
