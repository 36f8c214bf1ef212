import type { Sql, TransactionSql } from 'postgres';
import type { Tracker } from './catalogue.ts';

/**
 * C11: the courier refuses our credentials. Tells people once, until they work again; runs that began before are over,
 * and the next one, which is a new try, begins in an hour: often enough to notice a mend, too seldom to be locked out.
 * @param runId whose request was refused: what its workers find out after its end, or after its stop, says nothing of a
 * new try that has begun meanwhile
 */
export async function markStopped(
  sql: Sql | TransactionSql,
  { name, courier }: Tracker,
  runId: string,
  reason: string,
  now: number,
): Promise<void> {
  const text = `${courier.title} refuses our credentials (${reason}): its parcels are not tracked. Check ${Object.keys(
    courier.settings,
  ).join(', ')}, restart the workers, then: orderfleet track ${name}`;
  await sql`
    with before as (select stopped_reason, stopped_at from trackers where name = ${name} for update),
    stopped as (
      update trackers t set stopped_reason = ${reason}, next_run_at = ${new Date(now + RETRY_MS)},
        -- clocks differ: it is after the run's beginning anyway
        stopped_at = greatest(${new Date(now)}, r.started_at + interval '1 millisecond')
      from before, tracking_runs r
      where t.name = ${name} and r.id = ${runId} and r.state = 'running'
        and (before.stopped_at is null or before.stopped_at <= r.started_at)
      returning before.stopped_reason is null as news)
    insert into notices (kind, key, subject, payload)
    select 'tracker-stopped', ${`tracker-stopped ${name} ${now}`}, ${name}, ${sql.json({ tracker: name, text })} from stopped where news
    on conflict (key) do nothing`;
}

const RETRY_MS = 3_600_000;

/** An answer was read: whatever it was told before is over. */
export async function markWorking(sql: Sql | TransactionSql, { name }: Tracker): Promise<void> {
  const [before] = await sql<{ stopped: boolean }[]>`
    with before as (
      select stopped_reason from trackers where name = ${name} and (stopped_reason is not null or waits > 0) for update)
    update trackers t set stopped_reason = null, stopped_at = null, waits = 0
    from before where t.name = ${name} returning before.stopped_reason is not null as stopped`;
  if (before)
    await sql`
      update notices set state = 'withdrawn' where kind = 'tracker-stopped' and payload->>'tracker' = ${name}`;
}
