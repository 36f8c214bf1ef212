import { rawOf, type Sql } from './db/client.ts';
import type { Fleet } from './fleet.ts';
import { dueSince } from './leases/sweep.ts';
import type { Queues } from './queue/queues.ts';
import { awbRisk } from './temu/awb/index.ts';
import type { Tracker } from './tracking/index.ts';
import { type FleetQueue, hasRows, queuesOf, worksOf } from './works.ts';

/**
 * The whole fleet in numbers, for /metrics and for the samples that the overview's charts draw: what Prometheus may see,
 * so no personal data, no key and nothing that grows with the work but names of stores, trackers and queues.
 */
export interface Figures {
  queues: QueueFigures[];
  /** The part of each account that was used in its last span: a second of Temu's, three of a courier's. */
  quotas: { account: string; used: number }[];
  trackers: TrackerFigures[];
  awb: {
    /** Of the nearest order that Temu has no number for; below 0 when it is past; null: none. */
    minutesToDeadline: number | null;
    atRisk: number;
  };
  /** Pushes that have not ended well, by state. */
  pushes: Record<string, number>;
  /** Seconds since the oldest request left of which nobody knows yet whether Temu took it (A6); 0: none. */
  untoldFor: number;
  /** `syncAge`: seconds since the end of the last window that is stored whole; since it was added, when none is. */
  stores: { store: string; syncAge: number; paused: boolean }[];
  /** Orders that are not stored yet, or not whole, or were set aside. */
  orders: Record<string, number>;
  /** `failed`: those that were given up within the last day. */
  notices: Record<string, number>;
  /** Seconds since the oldest notice was written that was tried and has not got through yet; 0: none. */
  undeliveredFor: number;
  unmappedWords: number;
}

export interface QueueFigures {
  queue: string;
  /** The process that takes its jobs. */
  worker: string;
  /** Jobs that wait for a worker. */
  depth: number;
  workers: number;
  /** Seconds for which the oldest piece of work has been due that nobody has taken; 0: none is due. */
  oldest: number;
}

interface TrackerFigures {
  tracker: string;
  /** C10: seconds that are left of the wait. */
  wait: number;
  /** C11: its credentials are refused. */
  stopped: boolean;
  /** Parcels that it asks for. */
  parcels: number;
  /** Seconds since a parcel was asked for, or since its booking when it never was; in the order of QUANTILES. */
  staleness: number[];
  /** Seconds since the courier last answered a request; null: it never has. */
  heard: number | null;
}

export const QUANTILES = [0.5, 0.95, 0.99] as const;
/** States of pushes that stand for work or for a person. */
const OPEN_PUSHES = ['pending', 'sending', 'unknown', 'parked', 'rejected'];
const OPEN_ORDERS = ['pending', 'incomplete', 'failed'];

/** A question that takes longer is broken off: these are asked every few seconds, and must never be what hurts. */
const STATEMENT_MS = 3_000;
const DAY_MS = 86_400_000;

/**
 * Reads them at once: one transaction, and a few commands for each queue. Costs grow with what is due and with the
 * parcels that are followed, not with what is stored (P3).
 * @throws the driver's error when Postgres or the queues do not answer
 */
export async function readFigures(fleet: Fleet): Promise<Figures> {
  const { db, queues, trackers } = fleet;
  const nowMs = fleet.clock();
  const [read, stored] = await Promise.all([
    Promise.all(queuesOf(fleet).map((queue) => readQueue(queues, queue))),
    db.transaction(
      async (tx) => {
        const sql = rawOf(tx) as unknown as Sql;
        await sql`select set_config('statement_timeout', ${`${STATEMENT_MS}`}, true)`;
        return {
          due: await dueSince(tx, worksOf(fleet), new Date(nowMs)),
          ...(await readStored(sql, trackers, nowMs)),
        };
      },
      { accessMode: 'read only' },
    ),
  ]);
  const { due, single, ...figures } = stored;
  const age = (since: number | undefined) => (since === undefined ? 0 : Math.max(0, nowMs - since) / 1000);
  return {
    ...figures,
    untoldFor: age(single?.untold?.getTime()),
    undeliveredFor: age(single?.undelivered?.getTime()),
    queues: read.map(({ since, ...queue }) => ({
      ...queue,
      // Postgres owns what is due (R1); what it does not know of waits in the queue alone
      oldest: age(since ?? due.get(queue.queue)),
    })),
  };
}

async function readQueue(queues: Queues, queue: FleetQueue) {
  const [{ waiting: depth }, workers, since] = await Promise.all([
    queues.counts(queue),
    queues.workers(queue),
    hasRows(queue) ? undefined : queues.nextSince(queue),
  ]);
  return { queue: queue.name, worker: queue.worker, depth, workers, since };
}

async function readStored(sql: Sql, trackers: readonly Tracker[], nowMs: number) {
  const now = new Date(nowMs);
  // one connection: they leave together and are answered in turn
  const [quotas, standing, risk, pushes, stores, orders, notices, [single]] = await Promise.all([
    readQuotas(sql, trackers),
    readTrackers(sql, now),
    awbRisk({ $client: sql }, nowMs),
    sql<
      Count[]
    >`select state, count(*)::int as count from temu_pushes where state in ('pending', 'sending', 'unknown') group by state
      union all select state, count(*)::int from temu_pushes where state in ('parked', 'rejected') group by state`,
    sql<{ store: string; syncAge: number; paused: boolean }[]>`
      select name as store, not active as paused,
        greatest(0, extract(epoch from ${now} - coalesce(last_synced_at, created_at)))::float8 as "syncAge"
      from temu_stores order by name`,
    sql<
      Count[]
    >`select state, count(*)::int as count from temu_order_inbox where state <> 'stored' group by state`,
    sql<Count[]>`select 'pending' as state, count(*)::int as count from notices where state = 'pending'
      union all select 'failed', count(*)::int from notices
        where state = 'failed' and due_at > ${new Date(nowMs - DAY_MS)}`, // moves with each try, created_at does not
    // pushes are in hand while Temu is asked. Untried notices wait for a digest, for a receiver that a person must name, or
    // behind one that was tried
    sql<{ words: number; untold: Date | null; undelivered: Date | null }[]>`select
      (select count(*)::int from unmapped_statuses where mapped_to is null) as words,
      (select min(told_at) from temu_pushes where state in ('sending', 'unknown')) as untold,
      (select created_at from notices where state = 'pending' and attempts > 0 order by created_at limit 1) as undelivered`,
  ]);
  return {
    ...{ single, quotas, stores: [...stores], trackers: standing },
    awb: {
      atRisk: risk.atRisk,
      minutesToDeadline: risk.nearest && (risk.nearest.getTime() - nowMs) / 60_000,
    },
    pushes: byState(OPEN_PUSHES, pushes),
    orders: byState(OPEN_ORDERS, orders),
    notices: byState([], notices),
    unmappedWords: single?.words ?? 0,
  };
}

interface Count {
  state: string;
  count: number;
}

/** With a zero for each state that has nothing: a series that is not there cannot be alerted on. */
const byState = (states: readonly string[], rows: readonly Count[]): Record<string, number> => ({
  ...Object.fromEntries(states.map((state) => [state, 0])),
  ...Object.fromEntries(rows.map(({ state, count }) => [state, count])),
});

/** Temu's accounts are named by their stores, three at most: an app key is nobody's business. */
async function readQuotas(sql: Sql, trackers: readonly Tracker[]) {
  const limited = trackers.flatMap(({ name, limit }) =>
    limit ? [{ name, spanMs: limit.seconds * 1000 }] : [],
  );
  return [
    ...(await sql<{ account: string; used: number }[]>`
      with accounts as (
        select app_key as key, 1000::float8 as span, 'temu ' || array_to_string((array_agg(name order by name))[:3], ', ')
          || case when count(*) > 3 then ' and ' || count(*) - 3 || ' more' else '' end as account
        from temu_stores group by app_key
        union all select 'tracker ' || name, span, name
        from unnest(${limited.map(({ name }) => name)}::text[], ${limited.map(({ spanMs }) => spanMs)}::float8[]) t(name, span))
      select accounts.account, coalesce((select count(*) filter (where at > extract(epoch from clock_timestamp()) * 1000 - span)
          / nullif(count(*), 0)::float8 from unnest(q.cells) at), 0) as used
      from accounts left join quota_accounts q on q.account = accounts.key order by accounts.account`),
  ];
}

/** The trackers that are switched on. */
async function readTrackers(sql: Sql, now: Date): Promise<TrackerFigures[]> {
  return [
    ...(await sql<TrackerFigures[]>`
      with followed as (
        select tracked_by, count(*)::int as parcels, percentile_disc(${[...QUANTILES]}::float8[]) within group (
          order by coalesce(last_tracked_at, booked_at) desc) as asked -- times sort faster than ages
        from shipments where tracked_by is not null group by tracked_by)
      select name as tracker, stopped_at is not null as stopped, coalesce(parcels, 0) as parcels,
        greatest(0, coalesce(extract(epoch from waiting_until - ${now}), 0))::float8 as wait,
        array(select greatest(0, extract(epoch from ${now} - at))::float8
          from unnest(asked) with ordinality a(at, nth) order by nth) as staleness,
        case when heard is not null then greatest(0, extract(epoch from ${now} - heard))::float8 end as heard
      from trackers left join followed on tracked_by = name
        left join lateral ( -- a batch that was answered has the time of that as its last (tracking/claim.ts)
          select max(due_at) as heard from tracking_batches where state = 'done' and run_id = (
            select id from tracking_runs where tracker = name and updated + unchanged + not_found + mismatched + unmapped > 0
            order by started_at desc limit 1)) answered on true
      where enabled order by name`),
  ];
}
