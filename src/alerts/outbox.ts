import { createHash } from 'node:crypto';
import { type SQL, sql } from 'drizzle-orm';
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core';
import { despiteOutage } from '../db/despite-outage.ts';
import { name, type RowOf } from '../db/query.ts';
import { notices } from '../db/schema/index.ts';
import { type Claim, defineClaims, release as letGo, retry, claim as take } from '../leases/claim.ts';
import { defineWork, type EnqueuedRow } from '../leases/define.ts';
import { backoffMs, seconds } from '../queue/define.ts';
import type { AlertsBase, RetryPolicy } from './deps.ts';
import { notices as queue } from './queues.ts';
import { MACHINE_KINDS, MAIL_KIND, PARCEL_KINDS, REPORT_KIND, WEBHOOK_EVENTS, type Which } from './routes.ts';

/** A job that has not shown up after this long is made again, under another id (R1). */
const ENQUEUE_AGAIN_MS = 15_000;
/** Rows that one sweep looks at: bounded work, and a backlog of one destination is passed by in a few sweeps. */
const SWEEP_ROWS = 5_000;
/** Rows that are settled in bulk at a time. */
const BULK_ROWS = 5_000;

const endpointId = sql<string | null>`${notices.payload}->>'endpointId'`;
const isAny = (kinds: readonly string[]) => sql`${notices.kind} = any(${sql.param(kinds)}::text[])`;
const isWebhook = sql`(${notices.payload} ? 'endpointId' or ${isAny(WEBHOOK_EVENTS)})`;

/** Notices of one destination; `which`: values, or placeholders for them. */
const ofEndpoint = (id: unknown) => sql`${isWebhook} and ${endpointId} is not distinct from ${id}::text`;
const ofKinds = (kinds: unknown, people: unknown) =>
  sql`not ${isWebhook} and (${notices.kind} = any(${kinds}::text[]) or (${people}::boolean and not ${isAny(MACHINE_KINDS)}))`;

const matching = (which: Which): SQL =>
  'endpointId' in which ? ofEndpoint(which.endpointId) : ofKinds(sql.param(which.kinds), which.people);

const LANE = {
  id: notices.id,
  lane: sql<string>`case when ${isWebhook} then 'webhook'
    when ${isAny([...PARCEL_KINDS, REPORT_KIND, MAIL_KIND])} then ${notices.kind} else 'people' end`,
  endpointId: sql<string | null>`case when ${isWebhook} then ${endpointId} end`,
};

/** Notices that are to be delivered: one job for all that are due on a lane. */
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

/**
 * Which notices a job is made for: a job that has ended must not swallow the next one. The time is part of the id, too, since
 * the rows of one that was lost are the same.
 */
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
  /** This try included. */
  attempts: notices.attempts,
  createdAt: notices.createdAt,
  /** When the lease is over. */
  lease: notices.dueAt,
};

const OF_ENDPOINT = defineClaims(outbox, {
  where: ofEndpoint(sql.placeholder('endpointId')),
  fields: NOTICE,
  limited: true,
});
const OF_KINDS = defineClaims(outbox, {
  where: ofKinds(sql.placeholder('kinds'), sql.placeholder('people')),
  fields: NOTICE,
  limited: true,
});

/** A notice in a worker's hands, until `lease`. */
export type Claimed = RowOf<typeof NOTICE> & { claim: Claim };

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
  return await db.transaction(async (tx) => {
    await tx.execute(
      sql`select pg_advisory_xact_lock(hashtextextended(${`orderfleet notices ${destination.key}`}, 0))`,
    );
    // after the lock: the time may have passed while it was waited for
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
const allOf = (claimed: readonly Claimed[]) => sql`${notices.id} = any(${sql.param(idsOf(claimed))}::uuid[])`;

/**
 * Delivered. Written also when the lease is over meanwhile: it is the truth. What stands between the delivery and this
 * row is the window in which a crash makes a double.
 */
export const settleSent = ({ db, clock }: AlertsBase, claimed: readonly Claimed[]) =>
  despiteOutage(() =>
    db
      .update(notices)
      .set({ state: 'sent', claim: null, sentAt: new Date(clock()), error: null })
      .where(sql`${allOf(claimed)} and ${notices.state} = 'pending'`),
  );

/** Not delivered: due again by the policy, but not before `notBefore`; or failed, when its tries are spent. */
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

/** Not tried, or refused for a reason that is nobody's fault: the attempt is given back. */
export async function release(
  { db, clock }: Pick<AlertsBase, 'db' | 'clock'>,
  claimed: readonly Claimed[],
  dueAt: Date,
  error?: string,
): Promise<void> {
  const [first] = claimed; // they were claimed together
  const only = idsOf(claimed);
  if (first) await despiteOutage(() => letGo({ db, clock }, first.claim, { dueAt, error, only }));
}

/**
 * Cut off while they were on their way, by a shutdown for instance: they may have arrived, so they are due again only
 * when their lease is over; the attempt is given back (O2).
 */
export async function keepUntilLeaseEnds(
  deps: Pick<AlertsBase, 'db' | 'clock'>,
  claimed: readonly Claimed[],
): Promise<void> {
  const [first] = claimed;
  if (first) await release(deps, claimed, first.lease);
}

/** Ended without delivery, with the reason. */
export const withdraw = ({ db }: Pick<AlertsBase, 'db'>, claimed: readonly Claimed[], why: string) =>
  despiteOutage(() =>
    db
      .update(notices)
      .set({ state: 'withdrawn', claim: null, error: why })
      .where(sql`${allOf(claimed)} and ${notices.state} = 'pending'`),
  );

/** Changes what is due, the oldest first. @returns how many */
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
        where ${notices.state} = 'pending' and ${notices.dueAt} <= ${new Date(clock())} and ${which}
        order by ${notices.dueAt} limit ${BULK_ROWS} for update skip locked)`,
    );
  return count;
}

/** What is due on a lane that leads nowhere is ended with the reason. @returns how many */
export const withdrawDue = (deps: AlertsBase, which: Which, why: string): Promise<number> =>
  changeDue(deps, matching(which), { state: 'withdrawn', error: why });

/**
 * What is due waits until then, and spends nothing. With `youngerThan`, older notices stay due.
 * @returns how many
 */
export const postponeDue = (
  deps: AlertsBase,
  which: Which,
  until: Date,
  { why, youngerThan = new Date(0) }: { why?: string; youngerThan?: Date } = {},
): Promise<number> =>
  changeDue(deps, sql`${matching(which)} and ${notices.createdAt} > ${youngerThan}`, {
    dueAt: until,
    ...(why === undefined ? {} : { error: why }),
  });

/** Gives up what has waited for so long. @returns how many */
export const failOld = (deps: AlertsBase, which: Which, olderThan: number, why: string): Promise<number> =>
  changeDue(deps, sql`${matching(which)} and ${notices.createdAt} < ${new Date(olderThan)}`, {
    state: 'failed',
    dueAt: new Date(deps.clock()),
    error: sql`concat_ws(': ', ${why}::text, ${notices.error})`,
  });
