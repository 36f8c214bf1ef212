import { count, gt, isNull, min, type SQL, sql } from 'drizzle-orm';
import { type PgColumn, type PgTable, unionAll } from 'drizzle-orm/pg-core';
import type { Tx } from '../db/client.ts';
import {
  notices,
  quotaAccounts,
  temuOrderInbox,
  temuPushes,
  temuStores,
  unmappedStatuses,
} from '../db/schema/index.ts';
import type { Fleet } from '../fleet/index.ts';
import { type FleetQueue, hasRows, queuesOf, worksOf } from '../fleet/works.ts';
import { dueSince } from '../leases/sweep.ts';
import { secondsSince } from '../lib/format-time.ts';
import { awbRisk } from '../orders/at-risk.ts';
import type { Queues } from '../queue/queues.ts';
import type { Tracker } from '../tracking/index.ts';
import { readTrackers, type TrackerMetrics } from './tracker-metrics.ts';

/**
 * Fleet-wide metrics, for /metrics and for the samples of the overview's charts. Safe for Prometheus: no personal data,
 * no keys, and no labels of growing cardinality other than names of stores, trackers and queues.
 */
export interface FleetMetrics {
  queues: QueueMetrics[];
  /** Used share of each account in its last span: a second at Temu, e.g. three at a courier. */
  quotas: { account: string; used: number }[];
  trackers: TrackerMetrics[];
  awb: {
    /** Of the unshipped order with the next deadline; negative when overdue; null: none. */
    minutesToDeadline: number | null;
    atRisk: number;
  };
  /** Pushes that are not confirmed, by state. */
  pushes: Record<string, number>;
  /** Age in seconds of the oldest push with an unknown outcome (A6); 0: none. */
  untoldFor: number;
  /** `syncAge`: seconds since the end of the last completely stored window; since it was added if there is none. */
  stores: { store: string; syncAge: number; paused: boolean }[];
  /** Orders that are not stored yet, incomplete or quarantined. */
  orders: Record<string, number>;
  /** `failed`: within the last day. */
  notices: Record<string, number>;
  /** Age in seconds of the oldest notice that was attempted and is not delivered; 0: none. */
  undeliveredFor: number;
  unmappedWords: number;
}

export interface QueueMetrics {
  queue: string;
  /** The worker process that takes its jobs. */
  worker: string;
  /** Jobs waiting for a worker. */
  depth: number;
  workers: number;
  /** Seconds for which the oldest unclaimed row has been due; 0: none is due. */
  oldest: number;
}

/** States of pushes that wait for us or for an operator. */
const OPEN_PUSHES = ['pending', 'sending', 'unknown', 'parked', 'rejected'];
const OPEN_ORDERS = ['pending', 'incomplete', 'failed'];
const OPEN_NOTICES = ['pending', 'failed'];

/** Statement timeout: these queries run every few seconds and must never be the problem. */
const STATEMENT_MS = 3_000;
const DAY_MS = 86_400_000;

/**
 * Reads all metrics: one transaction, and a few commands per queue. Costs grow with due work and tracked parcels, not with
 * stored data (P3).
 * @throws the driver's error when Postgres or the queues do not answer
 */
export async function readFleetMetrics(fleet: Fleet): Promise<FleetMetrics> {
  const { db, queues } = fleet;
  const nowMs = fleet.clock();
  const [read, { due, ...figures }] = await Promise.all([
    Promise.all(queuesOf(fleet).map((queue) => readQueue(queues, queue))),
    db.transaction(
      async (tx) => {
        await tx.execute(sql`select set_config('statement_timeout', ${`${STATEMENT_MS}`}, true)`);
        return {
          due: await dueSince(tx, worksOf(fleet), new Date(nowMs)),
          ...(await readStored(tx, fleet.trackers, nowMs)),
        };
      },
      { accessMode: 'read only' },
    ),
  ]);
  return {
    ...figures,
    queues: read.map(({ since, ...queue }) => ({
      ...queue,
      // Postgres owns what is due (R1); work without a row exists only in the queue
      oldest: secondsSince(since ?? due.get(queue.queue), nowMs),
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

async function readStored(tx: Tx, couriers: readonly Tracker[], nowMs: number) {
  // pipelined on one connection
  const [quotas, standing, risk, stores, pushes, orders, told, trouble] = await Promise.all([
    readQuotas(tx, couriers),
    readTrackers(tx, couriers, nowMs),
    awbRisk(tx, nowMs),
    tx.select(STORE).from(temuStores).orderBy(temuStores.name),
    unionAll(
      byState(tx, temuPushes, sql`${temuPushes.state} in ('pending', 'sending', 'unknown')`),
      byState(tx, temuPushes, sql`${temuPushes.state} in ('parked', 'rejected')`),
    ),
    byState(tx, temuOrderInbox, sql`${temuOrderInbox.state} <> 'stored'`),
    unionAll(
      byState(tx, notices, sql`${notices.state} = 'pending'`),
      // due_at moves with each attempt, created_at does not
      byState(
        tx,
        notices,
        sql`${notices.state} = 'failed' and ${gt(notices.dueAt, new Date(nowMs - DAY_MS))}`,
      ),
    ),
    readTrouble(tx),
  ]);
  return {
    ...{ quotas, trackers: standing },
    stores: stores.map(({ since, ...store }) => ({ ...store, syncAge: secondsSince(since, nowMs) })),
    awb: {
      atRisk: risk.atRisk,
      minutesToDeadline: risk.nearest && (risk.nearest.getTime() - nowMs) / 60_000,
    },
    pushes: withZeros(OPEN_PUSHES, pushes),
    orders: withZeros(OPEN_ORDERS, orders),
    notices: withZeros(OPEN_NOTICES, told),
    untoldFor: secondsSince(trouble.untold, nowMs),
    undeliveredFor: secondsSince(trouble.undelivered, nowMs),
    unmappedWords: trouble.words,
  };
}

const STORE = {
  store: temuStores.name,
  paused: sql<boolean>`not ${temuStores.active}`,
  since: sql`coalesce(${temuStores.lastSyncedAt}, ${temuStores.createdAt})`.mapWith(temuStores.createdAt),
};

/** Rows per state. @param which with literals, so that a partial index matches */
const byState = (tx: Tx, table: PgTable & { state: PgColumn }, which: SQL) =>
  tx
    .select({ state: sql<string>`${table.state}`, count: count() })
    .from(table)
    .where(which)
    .groupBy(table.state);

/** Fills in zeros: a missing series cannot be alerted on. */
const withZeros = (states: readonly string[], rows: readonly { state: string; count: number }[]) =>
  Object.fromEntries([
    ...states.map((state) => [state, 0] as const),
    ...rows.map(({ state, count }) => [state, count] as const),
  ]);

async function readTrouble(tx: Tx) {
  const [words, [push], [notice]] = await Promise.all([
    tx.$count(unmappedStatuses, isNull(unmappedStatuses.mappedTo)),
    // pushes are leased while Temu is queried
    tx
      .select({ untold: min(temuPushes.toldAt) })
      .from(temuPushes)
      .where(sql`${temuPushes.state} in ('sending', 'unknown')`),
    // unattempted ones wait for a digest, for configuration, or behind one that was attempted
    tx
      .select({ undelivered: notices.createdAt })
      .from(notices)
      .where(sql`${notices.state} = 'pending' and ${notices.attempts} > 0`)
      .orderBy(notices.createdAt)
      .limit(1),
  ]);
  return { words, ...push, ...notice };
}

/** Temu's accounts are labelled with up to three of their stores: app keys must not be shown. */
const NAMED = 3;
const TEMU_ACCOUNT = {
  key: temuStores.appKey,
  names: sql<string>`array_to_string((array_agg(${temuStores.name} order by ${temuStores.name}))[:${sql.raw(`${NAMED}`)}], ', ')`,
  stores: count(),
};
const CELLS = {
  account: quotaAccounts.account,
  cells: quotaAccounts.cells,
  now: sql<number>`extract(epoch from clock_timestamp())::float8 * 1000`,
};

async function readQuotas(tx: Tx, couriers: readonly Tracker[]): Promise<FleetMetrics['quotas']> {
  const [temu, ledger] = await Promise.all([
    tx.select(TEMU_ACCOUNT).from(temuStores).groupBy(temuStores.appKey),
    tx.select(CELLS).from(quotaAccounts),
  ]);
  const parts = new Map(ledger.map((row) => [row.account, row]));
  const used = (key: string, spanMs: number): number => {
    const { cells, now } = parts.get(key) ?? { cells: [], now: 0 };
    return cells.filter((at) => at > now - spanMs).length / Math.max(1, cells.length);
  };
  const quotas = [
    ...temu.map(({ key, names, stores }) => ({
      account: `temu ${names}${stores > NAMED ? ` and ${stores - NAMED} more` : ''}`,
      used: used(key, 1000),
    })),
    ...couriers.flatMap(({ name, limit }) =>
      limit ? [{ account: name, used: used(`tracker ${name}`, limit.seconds * 1000) }] : [],
    ),
  ];
  return quotas.sort((a, b) => (a.account < b.account ? -1 : 1));
}
