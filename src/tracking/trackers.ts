import type { Tracker } from './catalogue.ts';
import type { TrackingBase } from './deps.ts';
import { giveUpRun, startRun } from './runs.ts';

/** After a restart a tracker runs at once, unless its last run began this short a time ago. */
const JUST_RUN_MS = 60_000;

/**
 * Makes the rows of `trackers` be what code and environment say, and the parcels follow (C1, C2): which tracker asks for
 * which parcel, which order statuses are tracked, which credentials are in use. Done by the scheduler as it starts.
 */
export async function reconcileTrackers(
  base: TrackingBase,
  trackableCodes: readonly number[] | undefined,
): Promise<void> {
  const { db, clock, trackers, bufferDays, log } = base;
  const now = new Date(clock());
  const rows = trackers.map(({ name, connection, credentials, courier: { selection } }) => ({
    name,
    enabled: connection !== undefined,
    credentials,
    ...selection,
  }));
  await db.$client.begin(async (sql) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('orderfleet trackers', 0))`; // schedulers that start together
    const changed = await sql`
      insert into trackers (name, enabled, courier, sources, number, precedence, credentials)
      select name, enabled, courier, sources, number, precedence, credentials
      from jsonb_to_recordset(${sql.json(rows as never)}) as n(name text, enabled boolean, courier text, sources text,
        number text, precedence int, credentials text)
      on conflict (name) do update set enabled = excluded.enabled, courier = excluded.courier, sources = excluded.sources,
        number = excluded.number, precedence = excluded.precedence
      where (trackers.enabled, trackers.courier, trackers.sources, trackers.number, trackers.precedence)
        is distinct from (excluded.enabled, excluded.courier, excluded.sources, excluded.number, excluded.precedence)
      returning name`;
    const gone = await sql`
      update trackers set enabled = false where enabled and name <> all(${rows.map(({ name }) => name)}::text[]) returning name`;
    // other credentials: what the former ones were refused is over, and so is their token
    const renewed = await sql<{ name: string }[]>`
      update trackers t set credentials = n.credentials, stopped_reason = null, stopped_at = null, token = null,
        token_renew_at = null, scheme = 0,
        next_run_at = ${now}
      from jsonb_to_recordset(${sql.json(rows as never)}) as n(name text, credentials text)
      where t.name = n.name and t.credentials is distinct from n.credentials returning t.name`;
    await sql`
      update notices set state = 'withdrawn'
      where kind = 'tracker-stopped' and payload->>'tracker' = any(${renewed.map(({ name }) => name)}::text[])`;
    await sql`
      update trackers t set next_run_at = ${now} where enabled and stopped_at is null and not exists (
        select from tracking_runs r where r.tracker = t.name and r.started_at > ${new Date(clock() - JUST_RUN_MS)})`;
    const codes = trackableCodes
      ? await sql`
          update order_statuses set trackable = (code = any(${trackableCodes as number[]}::int[]))
          where trackable is distinct from (code = any(${trackableCodes as number[]}::int[])) returning code`
      : [];
    if (changed.length + gone.length + codes.length > 0) {
      const [{ count } = { count: 0 }] = await sql<{ count: number }[]>`
        select retrack(${new Date(clock() - bufferDays * 86_400_000)})::int as count`;
      log.info({ trackers: changed.map(({ name }) => name), parcels: count }, 'trackers set up');
    }
  });
}

/** Starts the runs whose turn has come (C1). @returns how many parcels were planned */
export async function startDueRuns(base: TrackingBase): Promise<Record<string, number>> {
  const due = await base.db.$client<{ name: string }[]>`
    select name from trackers where enabled and next_run_at <= ${new Date(base.clock())} order by name`;
  const planned: Record<string, number> = {};
  for (const tracker of trackersNamed(base, due)) {
    const started = await startRun(base, tracker);
    if (started.is === 'started') planned[tracker.name] = started.planned;
    else base.log.info({ tracker: tracker.name, why: started.reason }, 'run skipped');
  }
  return planned;
}

const trackersNamed = ({ trackers }: TrackingBase, names: readonly { name: string }[]): Tracker[] =>
  trackers.filter((tracker) => names.some(({ name }) => name === tracker.name));

/** Ends runs of trackers that are switched off, or were stopped by a worker that died over it. @returns how many */
export async function endOrphanedRuns({ db, clock }: TrackingBase): Promise<number> {
  const orphans = await db.$client<{ id: string; why: string | null }[]>`
    select r.id, case when t.enabled then t.stopped_reason end as why
    from tracking_runs r left join trackers t on t.name = r.tracker
    where r.state = 'running' and (t.enabled is not true or t.stopped_at > r.started_at)`;
  for (const { id, why } of orphans)
    await db.$client.begin((sql) =>
      giveUpRun(sql, id, why ?? 'its tracker was switched off', new Date(clock())),
    );
  return orphans.length;
}

/** C2: a parcel without an end after the buffer period is asked for no more, and says so. @returns how many */
export async function endOldParcels({ db, clock, bufferDays }: TrackingBase): Promise<number> {
  const ended = await db.$client`
    update shipments set tracked_by = null, tracking_ended = ${`no end within ${bufferDays} days of its booking`}
    where tracked_by is not null and booked_at <= ${new Date(clock() - bufferDays * 86_400_000)}`;
  return ended.count;
}

/** Runs are kept for looking at; their number must not grow for ever. @returns how many went */
export async function forgetOldRuns({ db, clock }: TrackingBase): Promise<number> {
  const gone = await db.$client`
    delete from tracking_runs where state = 'finished' and started_at < ${new Date(clock() - 30 * 86_400_000)}`;
  return gone.count;
}
