import { and, eq, gt, isNotNull, isNull, lt, lte, not, notExists, or, sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { excluded, isAnyOf, list, rows } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { orderStatuses, shipments, trackers, trackingRuns } from '../../db/schema/index.ts';
import { withdraw } from '../../notices/index.ts';
import type { TrackingBase } from '../deps.ts';
import type { Tracker } from '../registry.ts';
import { bookedSince, giveUpRun, startRun } from './runs.ts';
import { runGoesOn } from './states.ts';

const DAY_MS = 86_400_000;
/** After a restart a tracker runs at once, unless its last run began within this time. */
const JUST_RUN_MS = 60_000;

/**
 * Brings the rows of `trackers` in line with code and environment (C1, C2): which tracker polls which parcel, which order
 * statuses are tracked, which credentials are in use. Done by the scheduler as it starts.
 */
export async function reconcileTrackers(
  base: TrackingBase,
  trackableCodes: readonly number[] | undefined,
): Promise<void> {
  const now = new Date(base.clock());
  const given = base.trackers.map(({ name, connection, credentials, courier: { title, selection } }) => ({
    ...{ name, title },
    enabled: connection !== undefined,
    credentials,
    ...selection,
  }));
  await base.db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('orderfleet trackers', 0))`); // schedulers that start together
    const changed = await writeTrackers(tx, given);
    const gone = await switchOffOthers(tx, given);
    await renewCredentials(tx, given, now);
    await makeDue(tx, now);
    const codes = trackableCodes ? await setTrackable(tx, trackableCodes) : 0;
    if (changed.length + gone + codes === 0) return;
    const since = sql.param(bookedSince(base, now), shipments.bookedAt);
    const [moved] = await rows(
      tx,
      { parcels: sql<number>`retrack(${since})::int` },
      (read) => sql`select ${read}`,
    );
    base.log.info({ trackers: changed, parcels: moved?.parcels ?? 0 }, 'trackers set up');
  });
}

type Given = Pick<typeof trackers.$inferSelect, 'name' | 'credentials' | (typeof CONFIGURED)[number]>;

/** Columns set from code and environment at each start. */
const CONFIGURED = ['title', 'enabled', 'courier', 'sources', 'number', 'precedence'] as const;

/** @returns the names of those that are new or have changed */
async function writeTrackers(tx: Tx, given: readonly Given[]): Promise<string[]> {
  const columns = CONFIGURED.map((key) => trackers[key]);
  const changed = await tx
    .insert(trackers)
    .values([...given])
    .onConflictDoUpdate({
      target: trackers.name,
      set: Object.fromEntries(CONFIGURED.map((key) => [key, excluded(trackers[key])])),
      setWhere: sql`(${list(columns)}) is distinct from (${list(columns.map(excluded))})`,
    })
    .returning({ name: trackers.name });
  return changed.map(({ name }) => name);
}

async function switchOffOthers(tx: Tx, given: readonly Given[]): Promise<number> {
  const names = given.map(({ name }) => name);
  const { count } = await tx
    .update(trackers)
    .set({ enabled: false })
    .where(and(trackers.enabled, not(isAnyOf(trackers.name, names))));
  return count;
}

/** New credentials end the stop of the old ones, and their token. */
async function renewCredentials(tx: Tx, given: readonly Given[], now: Date): Promise<void> {
  const { fields, from, textOf } = recordset('given', {
    name: trackers.name,
    credentials: trackers.credentials,
  });
  const renewed = await tx
    .update(trackers)
    .set({
      ...{ credentials: fields.credentials, stoppedReason: null, stoppedAt: null },
      ...{ token: null, tokenRenewAt: null, scheme: 0, nextRunAt: now },
    })
    .from(from(textOf(given)))
    .where(
      sql`${trackers.name} = ${fields.name} and ${trackers.credentials} is distinct from ${fields.credentials}`,
    )
    .returning({ name: trackers.name });
  const names = renewed.map(({ name }) => name);
  await withdraw(tx, 'tracker-stopped', names);
}

/** All trackers that have not just run are due. */
async function makeDue(tx: Tx, now: Date): Promise<void> {
  const justNow = new Date(now.getTime() - JUST_RUN_MS);
  const justRun = tx
    .select({ id: trackingRuns.id })
    .from(trackingRuns)
    .where(and(eq(trackingRuns.tracker, trackers.name), gt(trackingRuns.startedAt, justNow)));
  await tx
    .update(trackers)
    .set({ nextRunAt: now })
    .where(and(trackers.enabled, isNull(trackers.stoppedAt), notExists(justRun)));
}

async function setTrackable(tx: Tx, codes: readonly number[]): Promise<number> {
  const trackable = isAnyOf(orderStatuses.code, codes);
  const { count } = await tx
    .update(orderStatuses)
    .set({ trackable })
    .where(sql`${orderStatuses.trackable} is distinct from (${trackable})`);
  return count;
}

/** Starts the runs that are due (C1). @returns how many parcels were planned */
export async function startDueRuns(base: TrackingBase): Promise<Record<string, number>> {
  const due = await base.db
    .select({ name: trackers.name })
    .from(trackers)
    .where(and(trackers.enabled, lte(trackers.nextRunAt, new Date(base.clock()))))
    .orderBy(trackers.name);
  const planned: Record<string, number> = {};
  for (const tracker of trackersNamed(base, due)) {
    const started = await startRun(base, tracker);
    if (started.is === 'started') planned[tracker.name] = started.planned;
    else base.log.info({ tracker: tracker.name, why: started.reason }, 'run skipped');
  }
  return planned;
}

const trackersNamed = (base: TrackingBase, names: readonly { name: string }[]): Tracker[] =>
  base.trackers.filter((tracker) => names.some(({ name }) => name === tracker.name));

/** Ends runs of trackers that are off, or were stopped by a worker that died before it ended the run. @returns how many */
export async function endOrphanedRuns({ db, clock }: TrackingBase): Promise<number> {
  const orphans = await db
    .select({
      id: trackingRuns.id,
      why: sql<string | null>`case when ${trackers.enabled} then ${trackers.stoppedReason} end`,
    })
    .from(trackingRuns)
    .leftJoin(trackers, eq(trackers.name, trackingRuns.tracker))
    .where(
      and(
        runGoesOn,
        or(sql`${trackers.enabled} is not true`, gt(trackers.stoppedAt, trackingRuns.startedAt)),
      ),
    );
  for (const { id, why } of orphans)
    await db.transaction((tx) => giveUpRun(tx, id, why ?? 'the tracker was disabled', new Date(clock())));
  return orphans.length;
}

/** C2: ends the tracking of parcels without a final status after the buffer period. @returns how many */
export async function expireParcels(base: TrackingBase): Promise<number> {
  const { count } = await base.db
    .update(shipments)
    .set({ trackedBy: null, trackingEnded: `no final status within ${base.bufferDays} days of booking` })
    .where(
      and(isNotNull(shipments.trackedBy), lte(shipments.bookedAt, bookedSince(base, new Date(base.clock())))),
    );
  return count;
}

/** Deletes runs after 30 days. @returns how many */
export async function pruneRuns({ db, clock }: TrackingBase): Promise<number> {
  const { count } = await db
    .delete(trackingRuns)
    .where(
      and(eq(trackingRuns.state, 'finished'), lt(trackingRuns.startedAt, new Date(clock() - 30 * DAY_MS))),
    );
  return count;
}
