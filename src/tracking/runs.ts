import type { Sql, TransactionSql } from 'postgres';
import { enqueueDue } from '../leases/enqueue.ts';
import { type Tracker, whyOff } from './catalogue.ts';
import { batchesOf } from './claim.ts';
import type { TrackingBase } from './deps.ts';

const DAY_MS = 86_400_000;

/** Why no run begins: its tracker is off, the scheduler does not know it yet, it has to wait (C10), or its last run goes on. */
export type SkipKind = 'off' | 'notSetUp' | 'waiting' | 'running';
/** `reason` says it to people; `runId`: the run that goes on. */
export type Skipped = { kind: SkipKind; reason: string; runId?: string };

export type Started = { is: 'started'; runId: string; planned: number } | ({ is: 'skipped' } & Skipped);

/**
 * C1–C3: begins a run of a tracker: chooses the parcels that are due, oldest first, and writes them down as batches.
 * Skipped, with the reason kept for `status`, while the tracker is off, its last run is going on, or it waits (C10).
 */
export async function startRun(base: TrackingBase, tracker: Tracker): Promise<Started> {
  const { db, clock } = base;
  const now = new Date(clock());
  const started = await db.$client.begin(async (sql): Promise<Started> => {
    const skip = async (kind: SkipKind, reason: string, runId?: string): Promise<Started> => {
      await sql`
        update trackers set skipped_at = ${now}, skipped_reason = ${reason}, next_run_at = ${nextTurn(tracker, now)}
        where name = ${tracker.name} and next_run_at <= ${now}`; // only a turn that has come can be left out
      return { is: 'skipped', kind, reason, ...(runId ? { runId } : {}) };
    };
    const [row] = await sql<
      {
        waitingUntil: Date | null;
        waitingReason: string | null;
        stoppedAt: Date | null;
      }[]
    >`
      select waiting_until as "waitingUntil", waiting_reason as "waitingReason", stopped_at as "stoppedAt"
      from trackers where name = ${tracker.name} for update`;
    // looked for once the row is ours: whoever had it before may have begun one
    const [running] = await sql<{ id: string }[]>`
      select id from tracking_runs where tracker = ${tracker.name} and state = 'running'`;
    if (!tracker.connection) return await skip('off', whyOff(tracker) ?? 'switched off');
    if (!row) return await skip('notSetUp', 'not set up yet');
    if (row.waitingUntil && row.waitingUntil > now)
      return await skip(
        'waiting',
        `told to wait until ${row.waitingUntil.toISOString()} (${row.waitingReason})`,
        running?.id,
      );
    if (running) return await skip('running', 'its last run is still going on', running.id);
    // a new try after a stop, whichever machine's clock told the time of that (C11)
    const startedAt = new Date(Math.max(now.getTime(), (row.stoppedAt?.getTime() ?? 0) + 1));
    const { runId, planned } = await plan(sql, tracker, base, now, startedAt);
    await sql`
      update trackers set next_run_at = ${nextTurn(tracker, now)}, skipped_at = null, skipped_reason = null
      where name = ${tracker.name}`;
    return { is: 'started', runId, planned };
  });
  if (started.is === 'started') await enqueueDue(base, batchesOf(tracker));
  return started;
}

const nextTurn = ({ everyMs }: Tracker, now: Date) => new Date(now.getTime() + everyMs);

/** P3: the index of what can be due holds nothing else, in the order in which it is asked for. */
export const dueParcels = (
  sql: Sql | TransactionSql,
  tracker: string,
  bookedSince: Date,
  most: number | null,
) => sql`
  select id, row_number() over (order by last_tracked_at nulls first, id) - 1 as place
  from (
    select id, last_tracked_at from shipments
    where tracked_by = ${tracker} and booked_at > ${bookedSince}
    order by tracked_by, last_tracked_at nulls first, id limit ${most}) due`;

/** The run and its batches, in one statement; a run without parcels has ended as it begins. */
async function plan(
  sql: TransactionSql,
  { name, courier, limit }: Tracker,
  { bufferDays }: TrackingBase,
  now: Date,
  startedAt: Date,
): Promise<{ runId: string; planned: number }> {
  const since = new Date(now.getTime() - bufferDays * DAY_MS);
  const runId = crypto.randomUUID();
  const [made] = await sql<{ planned: number }[]>`
    with due as materialized (${dueParcels(sql, name, since, courier.mostPerRun ?? null)}),
    run as (
      insert into tracking_runs (id, tracker, planned, request_limit, started_at, state, finished_at)
      select ${runId}::uuid, ${name}, count(*), ${limit ? `${limit.max}/${limit.seconds}` : null}, ${startedAt},
        case when count(*) = 0 then 'finished' else 'running' end, case when count(*) = 0 then ${now}::timestamptz end
      from due returning planned),
    batches as (
      insert into tracking_batches (run_id, no, shipment_ids, due_at)
      select ${runId}::uuid, (place / ${courier.batch})::int, array_agg(id order by place), ${now}::timestamptz
      from due group by 2)
    select planned from run`;
  return { runId, planned: made?.planned ?? 0 };
}

/** What a run counts, and the columns that hold it. */
export interface Counts {
  updated: number;
  unchanged: number;
  notFound: number;
  mismatched: number;
  unmapped: number;
  failed: number;
  requests: number;
}
export const NO_COUNTS: Counts = {
  updated: 0,
  unchanged: 0,
  notFound: 0,
  mismatched: 0,
  unmapped: 0,
  failed: 0,
  requests: 0,
};

/**
 * Adds to a run and ends it when no batch is open any more (C3). The run's row is locked first: of the last two batches
 * the second sees the first one's end.
 * @param tallies words that no table has, and reasons of failures, with their counts
 */
export async function countInRun(
  sql: TransactionSql,
  runId: string,
  counts: Counts,
  tallies: { words?: Record<string, number>; errors?: Record<string, number> },
  now: Date,
): Promise<void> {
  await sql`
    update tracking_runs set updated = updated + ${counts.updated}, unchanged = unchanged + ${counts.unchanged},
      not_found = not_found + ${counts.notFound}, mismatched = mismatched + ${counts.mismatched},
      unmapped = unmapped + ${counts.unmapped}, failed = failed + ${counts.failed}, requests = requests + ${counts.requests},
      words = ${added(sql, 'words', tallies.words)}, errors = ${added(sql, 'errors', tallies.errors)}
    where id = ${runId}`;
  await endRun(sql, runId, now);
}

/** Two tallies added up: a jsonb object of counts. */
function added(sql: TransactionSql, column: 'words' | 'errors', more: Record<string, number> = {}) {
  if (Object.keys(more).length === 0) return sql`${sql(column)}`;
  return sql`(
    select jsonb_object_agg(key, n) from (
      select key, sum(value::int) as n from (
        select * from jsonb_each_text(${sql(column)}) union all select * from jsonb_each_text(${sql.json(more)})) both_
      group by key) summed)`;
}

/** Ends a run once when all its batches have ended, and writes the notice of its report (C13). */
async function endRun(sql: TransactionSql, runId: string, now: Date): Promise<void> {
  const [ended] = await sql<{ tracker: string }[]>`
    update tracking_runs r set state = 'finished', finished_at = ${now}
    where id = ${runId} and state = 'running'
      and not exists (select from tracking_batches b where b.run_id = r.id and b.state in ('pending', 'working'))
    returning tracker`;
  if (ended)
    await sql`
      insert into notices (kind, key, subject, payload)
      values ('tracking-report', ${`tracking-report ${runId}`}, ${ended.tracker}, ${sql.json({ runId, tracker: ended.tracker })})
      on conflict (key) do nothing`;
}

/** Gives up what is left of a run: its tracker was stopped or switched off. */
export async function giveUpRun(
  sql: TransactionSql,
  runId: string,
  reason: string,
  now: Date,
): Promise<void> {
  // batches, then the run: the order in which all lock them
  const [left] = await sql<{ parcels: number }[]>`
    with open as (
      select no from tracking_batches where run_id = ${runId} and state in ('pending', 'working') order by no for update),
    given_up as (
      update tracking_batches b set state = 'failed', error = ${reason}, claim = null
      from open where b.run_id = ${runId} and b.no = open.no returning cardinality(shipment_ids) as n)
    select coalesce(sum(n), 0)::int as parcels from given_up`;
  const failed = left?.parcels ?? 0;
  await countInRun(
    sql,
    runId,
    { ...NO_COUNTS, failed },
    { errors: failed > 0 ? { [reason]: failed } : {} },
    now,
  );
}
