import type { TransactionSql } from 'postgres';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Tracker } from './catalogue.ts';
import type { TrackingDeps } from './deps.ts';

const CHANNEL = 'orderfleet_tracker_waits';
/** What a tracker waits for: the courier's limit, the end of an HTTP 403, or a login that fails for the moment. */
export type WaitKind = 'limit' | 'forbidden' | 'login';

export interface CourierWait {
  kind: WaitKind;
  ms: number;
  /** For people. */
  why: string;
}

/** So many waits in a row with HTTP 403, or for its login, and it is no limit: people hear of it. */
const SUSPICIOUS_WAITS = 3;
const SUSPICIOUS: readonly WaitKind[] = ['forbidden', 'login'];

/** Why requests in flight are cut off: their tracker has been told to wait (C10). */
export class TrackerWaits extends Error {
  override name = 'TrackerWaits';
}

/**
 * C10: the courier told us to wait. From here on no request of this tracker leaves, in any process, before that time:
 * the account is held, batches are not claimed, and those in work are cut off and handed back.
 */
export async function startWait(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  wait: CourierWait,
): Promise<void> {
  await deps.db.$client.begin((sql) => noteWait(sql, deps, tracker, runId, wait));
  await deps.quotas.get(tracker.name)?.hold(`tracker ${tracker.name}`, wait.ms);
}

/** The same as part of a transaction; the account is not held. */
export async function noteWait(
  sql: TransactionSql,
  { clock, log }: Pick<TrackingDeps, 'clock' | 'log'>,
  tracker: Tracker,
  runId: string,
  { kind, ms, why }: CourierWait,
): Promise<void> {
  const now = clock();
  const until = new Date(now + ms);
  const [row] = await sql<{ waits: number; moreMs: number }[]>`
      with before as (select waiting_until from trackers where name = ${tracker.name} for update)
      update trackers t set waiting_reason = ${why}, waiting_until = ${until},
        waits = t.waits + case when before.waiting_until > ${new Date(now)} then 0 else 1 end
      from before
      where t.name = ${tracker.name} and (before.waiting_until is null or before.waiting_until < ${until})
      returning t.waits, extract(epoch from ${until}::timestamptz - greatest(before.waiting_until, ${new Date(now)})) * 1000 as "moreMs"`;
  if (!row) return; // it waits longer already
  const news = Number(row.moreMs) > ms - 1;
  await sql`
      update tracking_runs set waits = waits + ${news ? 1 : 0}, waited_ms = waited_ms + ${Math.round(Number(row.moreMs))}
      where id = ${runId}`;
  if (news && row.waits === SUSPICIOUS_WAITS && SUSPICIOUS.includes(kind))
    await sql`
        insert into notices (kind, key, subject, payload) values (
          'tracker-stopped', ${`tracker-403 ${tracker.name} ${now}`}, ${tracker.name}, ${sql.json({
            tracker: tracker.name,
            text: `${tracker.courier.title} has made us wait ${row.waits} times in a row (${why}): its key or our address may be refused`,
          })}) on conflict (key) do nothing`;
  await sql`select pg_notify(${CHANNEL}, ${tracker.name})`;
  log.warn({ tracker: tracker.name, why, until }, 'told to wait');
}

export interface Waits {
  /** A signal that aborts with TrackerWaits when the tracker is told to wait, by whichever process, until `leave`. */
  join(name: string): Promise<{ signal: AbortSignal; leave(): void }>;
}

/** Listens for waits that other processes were told of. Without the database nobody hears; nobody could ask either. */
export function createWaits({ db, log }: { db: TrackingDeps['db']; log: Log }): Waits {
  // one for each batch: AbortSignal.any never forgets the signals that were made from one that lives on
  const joined = new Map<string, Set<AbortController>>();
  let listening: Promise<unknown> | undefined;
  const heard = (name: string) => {
    for (const controller of joined.get(name) ?? [])
      controller.abort(new TrackerWaits(`${name} was told to wait`));
  };
  return {
    async join(name) {
      listening ??= db.listen(CHANNEL, heard).catch((error) => {
        listening = undefined;
        log.warn({ err: messageOf(error) }, 'cannot listen for waits of trackers');
      });
      await listening;
      const controller = new AbortController();
      const together = joined.get(name) ?? new Set();
      joined.set(name, together.add(controller));
      return { signal: controller.signal, leave: () => together.delete(controller) };
    },
  };
}
