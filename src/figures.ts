import { notices } from './alerts/index.ts';
import type { Sql } from './db/client.ts';
import type { Fleet } from './fleet.ts';
import { queuesOf } from './overview.ts';
import type { Queues } from './queue/queues.ts';
import { awbPush, awbRisk } from './temu/awb/index.ts';
import { temuOrders, temuPages } from './temu/orders/index.ts';
import { queueOf, type Tracker } from './tracking/index.ts';

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

interface QueueFigures {
  queue: string;
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
    Promise.all(queuesOf(fleet).map(({ name }) => readQueue(queues, name))),
    db.$client.begin('read only', async (transaction) => {
      const sql = transaction as unknown as Sql;
      await sql`select set_config('statement_timeout', ${`${STATEMENT_MS}`}, true)`;
      return await readStored(sql, trackers, nowMs);
    }),
  ]);
  const { due, single, ...figures } = stored;
  const age = (since: number | undefined) => (since === undefined ? 0 : Math.max(0, nowMs - since) / 1000);
  return {
    ...figures,
    untoldFor: age(single?.untold?.getTime()),
    undeliveredFor: age(single?.undelivered?.getTime()),
    queues: read.map(({ queue, depth, workers, since }) => ({
      ...{ queue, depth, workers },
      // Postgres owns what is due (R1); what it does not know of waits in the queue alone
      oldest: age(DUE_IN_QUEUE.has(queue) ? since : due.get(queue)),
    })),
  };
}

/** Queues whose work is no row before its job is taken: events as they come in, and what the schedules add. */
const DUE_IN_QUEUE = new Set(['awb-created', 'maintenance']);

async function readQueue(queues: Queues, name: string) {
  const [{ waiting: depth }, workers, since] = await Promise.all([
    queues.counts({ name }),
    queues.workers({ name }),
    DUE_IN_QUEUE.has(name) ? queues.nextSince({ name }) : undefined,
  ]);
  return { queue: name, depth, workers, since };
}

async function readStored(sql: Sql, trackers: readonly Tracker[], nowMs: number) {
  const now = new Date(nowMs);
  // one connection: they leave together and are answered in turn
  const [due, quotas, standing, risk, pushes, stores, orders, notices, [single]] = await Promise.all([
    readDue(sql, trackers, now),
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
    ...{ due, single, quotas, stores: [...stores], trackers: standing },
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

/**
 * Since when, epoch milliseconds, the oldest piece of work of each queue has been due: rows in nobody's hands, since
 * whoever takes one puts its time off. What waits for a courier (C10) or for a paused store is not due.
 */
async function readDue(sql: Sql, trackers: readonly Tracker[], now: Date): Promise<Map<string, number>> {
  const rows = await sql<{ queue: string; due: Date | null }[]>`
    select ${temuPages.name} as queue, (select w.due_at from temu_sync_windows w join temu_stores s on s.id = w.store_id and s.active
      where w.state = 'open' and w.due_at <= ${now} order by w.due_at limit 1) as due
    union all select ${temuOrders.name}, (select i.due_at from temu_order_inbox i join temu_stores s on s.id = i.store_id and s.active
      where i.state in ('pending', 'incomplete') and i.due_at <= ${now} order by i.due_at limit 1)
    union all select ${awbPush.name}, (select p.due_at from temu_pushes p join orders o on o.id = p.order_id
        join temu_stores s on s.id = o.store_id and s.active
      where p.state in ('pending', 'sending', 'unknown') and p.due_at <= ${now} order by p.due_at limit 1)
    union all select ${notices.name}, (select due_at from notices
      where state = 'pending' and due_at <= ${now} order by due_at limit 1)
    union all select n.queue, (select greatest(min(b.due_at), max(t.waiting_until)) from tracking_runs r
        join trackers t on t.name = r.tracker and t.enabled join tracking_batches b on b.run_id = r.id
      where r.tracker = n.tracker and r.state = 'running' and b.state in ('pending', 'working') and b.due_at <= ${now})
      from unnest(${trackers.map(({ name }) => name)}::text[], ${trackers.map((one) => queueOf(one).name)}::text[]) n(tracker, queue)`;
  return new Map(rows.flatMap(({ queue, due }) => (due ? [[queue, due.getTime()] as const] : [])));
}

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
