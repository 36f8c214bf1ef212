import { eq, sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/pg-core';
import type { Tx } from '../../db/client.ts';
import { assignments, rows } from '../../db/query.ts';
import { trackers, trackingRuns } from '../../db/schema/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { notify } from '../../notices/index.ts';
import type { TrackingDeps } from '../deps.ts';
import { queueOf } from '../queues.ts';
import type { Tracker } from '../registry.ts';

const CHANNEL = 'orderfleet_tracker_waits';
/** Why a tracker cools down: the courier's rate limit, an HTTP 403, or a login that failed for the moment. */
export type CooldownKind = 'limit' | 'forbidden' | 'login';

export interface Cooldown {
  kind: CooldownKind;
  ms: number;
  /** For operators. */
  why: string;
}

/** So many cooldowns in a row after HTTP 403 or a failed login are no rate limit: operators are notified. */
const SUSPICIOUS_WAITS = 3;
const SUSPICIOUS: readonly CooldownKind[] = ['forbidden', 'login'];

/** Aborts requests in flight when their tracker starts to cool down (C10). */
export class CooldownAbort extends Error {
  override name = 'CooldownAbort';
}

/**
 * C10: the courier rate-limited us. No request of this tracker leaves any process before that time: the account is
 * paused, batches are not claimed, and those in work are aborted and released. Pausing the queue only saves claiming
 * and releasing the rest; nothing depends on it.
 */
export async function beginCooldown(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  wait: Cooldown,
): Promise<void> {
  await deps.db.transaction((tx) => recordCooldown(tx, deps, tracker, runId, wait));
  await deps.quotas.get(tracker.name)?.hold(`tracker ${tracker.name}`, wait.ms);
  await deps.queues
    .rateLimit(queueOf(tracker), wait.ms)
    .catch((error) => deps.log.debug({ tracker: tracker.name, err: messageOf(error) }, 'no cooldown'));
}

/** The same as part of a transaction; the account is not paused. */
export async function recordCooldown(
  tx: Tx,
  { clock, log }: Pick<TrackingDeps, 'clock' | 'log'>,
  tracker: Tracker,
  runId: string,
  { kind, ms, why }: Cooldown,
): Promise<void> {
  const now = clock();
  const until = new Date(now + ms);
  const time = (date: Date) => sql`${sql.param(date, trackers.waitingUntil)}::timestamptz`;
  const before = alias(trackers, 'before');
  const again = sql`case when ${before.waitingUntil} > ${time(new Date(now))} then 0 else 1 end`;
  const moreFrom = sql`greatest(${before.waitingUntil}, ${time(new Date(now))})`;
  const [row] = await rows(
    tx,
    {
      waits: trackers.waits,
      moreMs: sql<number>`extract(epoch from ${time(until)} - ${moreFrom}) * 1000`.mapWith(Number),
    },
    (read) => sql`
      with ${before} as (
        select ${trackers.waitingUntil} from ${trackers} where ${trackers.name} = ${tracker.name} for update)
      update ${trackers} set ${assignments(trackers, {
        waitingReason: why,
        waitingUntil: until,
        waits: sql`${trackers.waits} + ${again}`,
      })}
      from ${before}
      where ${trackers.name} = ${tracker.name}
        and (${before.waitingUntil} is null or ${before.waitingUntil} < ${time(until)})
      returning ${read}`,
  );
  if (!row) return; // already cooling down for longer
  const { waits, moreMs } = row;
  const isNew = moreMs > ms - 1;
  await tx
    .update(trackingRuns)
    .set({
      waits: sql`${trackingRuns.waits} + ${isNew ? 1 : 0}`,
      waitedMs: sql`${trackingRuns.waitedMs} + ${Math.round(moreMs)}`,
    })
    .where(eq(trackingRuns.id, runId));
  if (isNew && waits === SUSPICIOUS_WAITS && SUSPICIOUS.includes(kind)) {
    await notify(tx, 'tracker-stopped', {
      ...{ tracker: tracker.name, title: tracker.courier.title, once: `tracker-403 ${tracker.name} ${now}` },
      ...{ why, waits },
    });
  }
  await tx.execute(sql`select pg_notify(${CHANNEL}, ${tracker.name})`);
  log.warn({ tracker: tracker.name, why, until }, 'rate-limit cooldown');
}

export interface Cooldowns {
  /** A signal that aborts with CooldownAbort when the tracker has to cool down, by whichever process, until `leave`. */
  subscribe(name: string): Promise<{ signal: AbortSignal; leave(): void }>;
}

/** Listens for cooldowns that other processes begin. Without the database no request could be sent either. */
export function createCooldowns({ db, log }: { db: TrackingDeps['db']; log: Log }): Cooldowns {
  // one per batch: AbortSignal.any would leak on a signal that lives on
  const subscribers = new Map<string, Set<AbortController>>();
  let listening: Promise<unknown> | undefined;
  const abort = (name: string) => {
    for (const controller of subscribers.get(name) ?? [])
      controller.abort(new CooldownAbort(`${name} is cooling down`));
  };
  return {
    async subscribe(name) {
      listening ??= db.listen(CHANNEL, abort).catch((error) => {
        listening = undefined;
        log.warn({ err: messageOf(error) }, 'cannot listen for cooldowns of trackers');
      });
      await listening;
      const controller = new AbortController();
      const ofTracker = subscribers.get(name) ?? new Set();
      subscribers.set(name, ofTracker.add(controller));
      return { signal: controller.signal, leave: () => ofTracker.delete(controller) };
    },
  };
}
