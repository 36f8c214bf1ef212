import { createHash } from 'node:crypto';
import { gt, lt, lte, type SQL, sql } from 'drizzle-orm';
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../db/client.ts';
import { despiteOutage } from '../db/despite-outage.ts';
import { arrayOf, isAnyOf, name, type RowOf } from '../db/query.ts';
import { notices } from '../db/schema/index.ts';
import { type Claim, release as releaseClaim, retry, claim as take } from '../leases/claim.ts';
import { defineWork, type EnqueuedRow } from '../leases/define.ts';
import { defineClaims } from '../leases/define-claims.ts';
import { backoffMs, seconds } from '../queue/define.ts';
import type { AlertsBase } from './deps.ts';
import { notices as queue } from './queues.ts';
import type { RetryPolicy } from './retries.ts';
import {
  MACHINE_KINDS,
  MAIL_KIND,
  type NoticeFilter,
  PARCEL_KINDS,
  REPORT_KIND,
  WEBHOOK_EVENTS,
} from './routes.ts';

/** A row that no job has claimed after this long gets another job, with another id (R1). */
const ENQUEUE_AGAIN_MS = 15_000;
/** Rows per sweep: bounded, and one destination's backlog delays the others by a few sweeps at most. */
const SWEEP_ROWS = 5_000;
/** Rows per bulk update. */
const BULK_ROWS = 5_000;

/** The endpoint that a notice is for. */
export const endpointId = sql<string | null>`${notices.payload}->>'endpointId'`;
export const hasEndpoint = sql<boolean>`${notices.payload} ? 'endpointId'`;
export const isOneOf = (kinds: readonly string[]) => isAnyOf(notices.kind, kinds);
const isWebhook = sql`(${hasEndpoint} or ${isOneOf(WEBHOOK_EVENTS)})`;

/** Notices of one destination; `which`: values, or placeholders for them. */
const ofEndpoint = (id: unknown) => sql`${isWebhook} and ${endpointId} is not distinct from ${id}::text`;
const ofKinds = (kinds: SQL, operators: unknown) =>
  sql`not ${isWebhook} and (${notices.kind} = any(${kinds}) or (${operators}::boolean and not ${isOneOf(MACHINE_KINDS)}))`;

const matching = (which: NoticeFilter): SQL =>
  'endpointId' in which
    ? ofEndpoint(which.endpointId)
    : ofKinds(arrayOf(notices.kind, which.kinds), which.operators);

const LANE = {
  id: notices.id,
  lane: sql<string>`case when ${isWebhook} then 'webhook'
    when ${isOneOf([...PARCEL_KINDS, REPORT_KIND, MAIL_KIND])} then ${notices.kind} else 'operators' end`,
  endpointId: sql<string | null>`case when ${isWebhook} then ${endpointId} end`,
};

/** Notices to deliver: one job for all that are due on a lane. */
export const outbox = defineWork({
  table: notices,
  key: [notices.id],
  open: ['pending'],
  enqueue: {
    queue,
    fields: LANE,
    jobs:
      ({ now }) =>
      (due) =>
        lanesOf(due).map((rows) => {
          const [{ lane, endpointId }] = rows;
          return {
            id: `${lane}-${rows.at(-1)?.dueMs}-${digestOf(rows)}-${Math.floor(now.getTime() / ENQUEUE_AGAIN_MS)}`,
            payload: { v: 1 as const, lane, ...(endpointId === null ? {} : { endpointId }) },
          };
        }),
    sweepMs: seconds(5),
    againMs: ENQUEUE_AGAIN_MS,
    chunk: SWEEP_ROWS,
    most: SWEEP_ROWS,
  },
});

type LaneRow = EnqueuedRow<typeof LANE>;

function lanesOf(due: readonly LaneRow[]): [LaneRow, ...LaneRow[]][] {
  const lanes = new Map<string, [LaneRow, ...LaneRow[]]>();
  for (const row of due) {
    const key = `${row.lane} ${row.endpointId}`;
    const lane = lanes.get(key);
    if (lane) lane.push(row);
    else lanes.set(key, [row]);
  }
  return [...lanes.values()];
}

/** Identifies a job's notices in its id, so that BullMQ does not drop the next job of the lane as a duplicate. */
const digestOf = (rows: readonly LaneRow[]) =>
  createHash('md5')
    .update(
      `${rows[0]?.endpointId ?? ''}${rows
        .map(({ id }) => id)
        .sort()
        .join(' ')}`,
    )
    .digest('hex')
    .slice(0, 12);

const NOTICE = {
  id: notices.id,
  kind: notices.kind,
  payload: notices.payload,
  /** Including this one. */
  attempts: notices.attempts,
  createdAt: notices.createdAt,
  /** When the lease ends. */
  lease: notices.dueAt,
};

const OF_ENDPOINT = defineClaims(outbox, {
  where: ofEndpoint(sql.placeholder('endpointId')),
  fields: NOTICE,
  limited: true,
});
const OF_KINDS = defineClaims(outbox, {
  where: ofKinds(sql`${sql.placeholder('kinds')}::text[]`, sql.placeholder('operators')),
  fields: NOTICE,
  limited: true,
});

/** A notice leased to this worker, until `lease`. */
export type Claimed = RowOf<typeof NOTICE> & { claim: Claim };

/**
 * Claims due notices, oldest first; no other worker gets them until the lease ends. Claims of one destination are
 * serialized, so that a burst is not split between two workers.
 */
export async function claim(
  { db, clock }: Pick<AlertsBase, 'db' | 'clock'>,
  destination: { key: string; which: NoticeFilter },
  limit: number,
  leaseMs: number,
): Promise<Claimed[]> {
  return await db.transaction(async (tx) => {
    await tx.execute(
      sql`select pg_advisory_xact_lock(hashtextextended(${`orderfleet notices ${destination.key}`}, 0))`,
    );
    // reads the clock after the lock: waiting for it may take time
    const { which } = destination;
    const claims = 'endpointId' in which ? OF_ENDPOINT : OF_KINDS;
    const taken = await take({ db: tx, clock }, claims, which, { leaseMs, limit });
    if (!taken) return [];
    return taken.rows
      .map((row) => ({ ...row, claim: taken }))
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  });
}

const idsOf = (claimed: readonly Claimed[]) => claimed.map(({ id }) => id);

/** Ends those that are still pending. */
export const end = async (
  db: Db | Tx,
  claimed: readonly Claimed[],
  set: PgUpdateSetSource<typeof notices>,
): Promise<void> => {
  await db
    .update(notices)
    .set({ claim: null, ...set })
    .where(sql`${isAnyOf(notices.id, idsOf(claimed))} and ${notices.state} = 'pending'`);
};

/** Delivered. Written even if the lease has ended meanwhile, since it is true. A crash before this write causes a second copy. */
export const settleSent = ({ db, clock }: AlertsBase, claimed: readonly Claimed[]) =>
  despiteOutage(() => end(db, claimed, { state: 'sent', sentAt: new Date(clock()), error: null }));

/** Not delivered: due again by the policy, but not before `notBefore`; or failed, when no attempts are left. */
export async function settleFailed(
  { db, clock }: AlertsBase,
  claimed: readonly Claimed[],
  why: string,
  policy: RetryPolicy,
  notBefore = 0,
): Promise<{ failed: number }> {
  let failed = 0;
  for (const attempts of new Set(claimed.map((one) => one.attempts))) {
    const alike = claimed.filter((one) => one.attempts === attempts);
    const [first] = alike;
    if (!first) continue;
    const spent = attempts >= policy.tries;
    const dueAt = new Date(Math.max(notBefore, clock() + backoffMs(policy.backoff, attempts)));
    const set = { state: spent ? ('failed' as const) : ('pending' as const) };
    await despiteOutage(() => retry({ db }, first.claim, { dueAt, error: why, set, only: idsOf(alike) }));
    if (spent) failed += alike.length;
  }
  return { failed };
}

/** Not attempted, or rate-limited: does not count as an attempt. */
export async function release(
  { db, clock }: Pick<AlertsBase, 'db' | 'clock'>,
  claimed: readonly Claimed[],
  dueAt: Date,
  error?: string,
): Promise<void> {
  const [first] = claimed; // they were claimed together
  const only = idsOf(claimed);
  if (first) await despiteOutage(() => releaseClaim({ db, clock }, first.claim, { dueAt, error, only }));
}

/**
 * Interrupted in flight, e.g. by a shutdown: they may have arrived, so they are due again only when their lease ends;
 * the attempt does not count (O2).
 */
export async function keepUntilLeaseEnds(
  deps: Pick<AlertsBase, 'db' | 'clock'>,
  claimed: readonly Claimed[],
): Promise<void> {
  const [first] = claimed;
  if (first) await release(deps, claimed, first.lease);
}

/** Ends notices without delivery, with the reason. */
export const settleWithdrawn = ({ db }: Pick<AlertsBase, 'db'>, claimed: readonly Claimed[], why: string) =>
  despiteOutage(() => end(db, claimed, { state: 'withdrawn', error: why }));

/** Updates due notices, oldest first. @returns how many */
async function changeDue(
  { db, clock }: AlertsBase,
  which: SQL,
  values: PgUpdateSetSource<typeof notices>,
): Promise<number> {
  const { count } = await db
    .update(notices)
    .set(values)
    .where(
      sql`${notices.id} in (
        select ${name(notices.id)} from ${notices}
        where ${notices.state} = 'pending' and ${lte(notices.dueAt, new Date(clock()))} and ${which}
        order by ${notices.dueAt} limit ${BULK_ROWS} for update skip locked)`,
    );
  return count;
}

/** Withdraws due notices of a lane without a destination, with the reason. @returns how many */
export const withdrawDue = (deps: AlertsBase, which: NoticeFilter, why: string): Promise<number> =>
  changeDue(deps, matching(which), { state: 'withdrawn', error: why });

/**
 * Postpones due notices without consuming attempts. With `youngerThan`, older notices stay due.
 * @returns how many
 */
export const postponeDue = (
  deps: AlertsBase,
  which: NoticeFilter,
  until: Date,
  { why, youngerThan = new Date(0) }: { why?: string; youngerThan?: Date } = {},
): Promise<number> =>
  changeDue(deps, sql`${matching(which)} and ${gt(notices.createdAt, youngerThan)}`, {
    dueAt: until,
    ...(why === undefined ? {} : { error: why }),
  });

/** Fails due notices that are older than `olderThan`. @returns how many */
export const failOld = (
  deps: AlertsBase,
  which: NoticeFilter,
  olderThan: number,
  why: string,
): Promise<number> =>
  changeDue(deps, sql`${matching(which)} and ${lt(notices.createdAt, new Date(olderThan))}`, {
    state: 'failed',
    dueAt: new Date(deps.clock()),
    error: sql`concat_ws(': ', ${why}::text, ${notices.error})`,
  });
