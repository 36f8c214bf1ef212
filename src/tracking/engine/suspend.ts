import { sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/pg-core';
import type { Tx } from '../../db/client.ts';
import { assignments, rows, statement } from '../../db/query.ts';
import { trackers, trackingRuns } from '../../db/schema/index.ts';
import { notify, withdraw } from '../../notices/index.ts';
import type { Tracker } from '../registry.ts';
import { runGoesOn } from './states.ts';

/**
 * C11: the courier refuses our credentials. Operators are notified once, until they work again. Runs that began before
 * are over; the next attempt begins in an hour: often enough to notice new credentials, too seldom for a lockout.
 * @param runId whose request was refused: after its end or a stop, its workers must not stop a newer run
 */
export async function suspendTracker(
  tx: Tx,
  { name, courier }: Tracker,
  runId: string,
  reason: string,
  now: number,
): Promise<void> {
  const before = alias(trackers, 'before');
  const set = assignments(trackers, {
    stoppedReason: reason,
    nextRunAt: new Date(now + RETRY_MS),
    // never before the run's start, even if clocks differ
    stoppedAt: sql`greatest(${sql.param(new Date(now), trackers.stoppedAt)}, ${trackingRuns.startedAt} + interval '1 millisecond')`,
  });
  const [stopped] = await rows(
    tx,
    { isNew: sql<boolean>`${before.stoppedReason} is null` },
    (read) => sql`
      with ${before} as (
        select ${trackers.stoppedReason}, ${trackers.stoppedAt} from ${trackers} where ${trackers.name} = ${name} for update)
      update ${trackers} set ${set} from ${before}, ${trackingRuns}
      where ${trackers.name} = ${name} and ${trackingRuns.id} = ${runId} and ${runGoesOn}
        and (${before.stoppedAt} is null or ${before.stoppedAt} <= ${trackingRuns.startedAt})
      returning ${read}`,
  );
  if (!stopped?.isNew) return;
  await notify(tx, 'tracker-stopped', {
    ...{ tracker: name, title: courier.title, once: `tracker-stopped ${name} ${now}` },
    ...{ why: reason, settings: Object.keys(courier.settings).join(', ') },
  });
}

const RETRY_MS = 3_600_000;

const ph = sql.placeholder;

const MARK_WORKING = statement(
  { name: trackers.name },
  (read) => sql`
    update ${trackers} set ${assignments(trackers, { stoppedReason: null, stoppedAt: null, waits: 0 })}
    where ${trackers.name} = ${ph('tracker')} and (${trackers.stoppedReason} is not null or ${trackers.waits} > 0)
    returning ${read}`,
);

/** A response was read: stops and cooldowns before it are over. */
export async function markWorking(tx: Tx, { name }: Tracker): Promise<void> {
  const before = await MARK_WORKING.run(tx, { tracker: name });
  if (before.length > 0) await withdraw(tx, 'tracker-stopped', [name]);
}
