import { UserError } from '../../errors.ts';
import { minutes, seconds } from '../../queue/define.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { AlertsDeps, AlertTimings, RetryPolicy } from '../deps.ts';
import {
  type Claimed,
  claim,
  failOld,
  keepUntilLeaseEnds,
  postponeDue,
  release,
  settleFailed,
  settleSent,
  withdraw,
  withdrawDue,
} from '../outbox.ts';
import type { Destination } from '../routes.ts';
import type { Rests } from '../turns.ts';
import { callEndpoint } from './call.ts';
import { type Endpoint, endpointOf } from './endpoints.ts';
import { bodyOf } from './event.ts';

/** 15 s, 30 s, … up to an hour: 32 tries in a day, of which six in the first ten minutes. */
export const WEBHOOK_RETRIES: RetryPolicy = {
  tries: 32,
  backoff: { baseMs: seconds(15), maxMs: minutes(60) },
};
/** The tries of one notice end within a day; one that was never its turn meanwhile is given up then, too. */
const A_DAY_MS = minutes(25 * 60);
/** Notices in hand at once; with the calls at once they must be through well within the lease. */
const CLAIM = 40;
const CALLS_AT_ONCE = 8;

/** An endpoint whose secret does not open is looked at again after this long. */
const LOCKED_MS = minutes(15);

const GONE = 'the endpoint answered HTTP 410 (Gone): it is told nothing any more';

type WebhookDestination = Extract<Destination, { via: 'webhook' }>;

interface Round {
  deps: AlertsDeps;
  timings: AlertTimings;
  rests: Rests;
  endpoint: Endpoint;
  key: string;
  signal: AbortSignal;
  counts: { sent: number; again: number; failed: number; withdrawn: number };
}

/**
 * Delivers what is due for one endpoint, up to `until`. The first call that shows the endpoint in trouble (no answer,
 * 5xx, 429) ends the round: the others are given back untouched and wait with it. Other refusals are that event's alone.
 * A notice may arrive twice, when an answer was lost: its id tells. Order is not kept; `occurred_at` tells.
 */
export async function deliverWebhooks(
  deps: AlertsDeps,
  timings: AlertTimings,
  rests: Rests,
  destination: WebhookDestination,
  signal: AbortSignal,
  until: number,
): Promise<Outcome> {
  const { which, key } = destination;
  const counts = { sent: 0, again: 0, failed: 0, withdrawn: 0 };
  let endpoint: Endpoint | undefined;
  try {
    if (destination.endpointId !== null)
      endpoint = await endpointOf(deps.db, deps.secrets, { id: destination.endpointId });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // sealed with a key that is gone: what waits fails visibly within its day, unless somebody brings the key back
    counts.failed += await failOld(deps, which, deps.clock() - A_DAY_MS, error.message);
    await postponeDue(deps, which, new Date(deps.clock() + LOCKED_MS), { why: error.message });
    return { outcome: 'its secret does not open', ...counts };
  }
  if (!endpoint?.active) {
    const why = endpoint ? 'the endpoint was stopped' : 'the endpoint was removed';
    return { outcome: why, withdrawn: await withdrawDue(deps, which, why) };
  }
  const round: Round = { deps, timings, rests, endpoint, key, signal, counts };
  for (;;) {
    const restUntil = rests.until(key);
    if (restUntil !== undefined) {
      // C12: behind an endpoint that is never well nothing may wait for ever
      counts.failed += await failOld(deps, which, deps.clock() - A_DAY_MS, 'not taken within a day');
      await postponeDue(deps, which, new Date(restUntil));
      return { outcome: 'the endpoint rests', ...counts };
    }
    if (deps.clock() > until) return { outcome: 'its time is up', ...counts };
    const claimed = await claim(deps, destination, rests.doubted(key) ? 1 : CLAIM, timings.leaseMs);
    if (claimed.length === 0) return { outcome: 'done', ...counts };
    await deliverClaimed(round, claimed);
    if (signal.aborted) throw signal.reason;
    if (!endpoint.active) {
      counts.withdrawn += await withdrawDue(deps, which, GONE);
      return { outcome: 'the endpoint stopped', ...counts };
    }
  }
}

/** Calls side by side; stops at trouble or shutdown, and gives back what was not tried. */
async function deliverClaimed(round: Round, claimed: readonly Claimed[]): Promise<void> {
  const { deps, rests, endpoint, key, signal } = round;
  const left = [...claimed];
  const caller = async () => {
    while (!signal.aborted && endpoint.active && rests.until(key) === undefined) {
      const notice = left.shift();
      if (!notice) return;
      await deliverOne(round, notice);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: CALLS_AT_ONCE }, caller));
  await release(deps, left, new Date(rests.until(key) ?? deps.clock()));
  const broken = ended.find((one) => one.status === 'rejected');
  if (broken) throw broken.reason;
}

async function deliverOne(round: Round, notice: Claimed): Promise<void> {
  const { deps, timings, rests, endpoint, key, signal, counts } = round;
  if (!endpoint.events.includes(notice.kind)) {
    await withdraw(deps, [notice], 'the endpoint does not subscribe to this event');
    counts.withdrawn++;
    return;
  }
  const ended = deps.metrics.request('webhook');
  const answer = await callEndpoint(deps.http, endpoint, {
    id: notice.id,
    event: notice.kind,
    body: await bodyOf(deps.db, notice),
    nowMs: deps.clock(),
    timeoutMs: timings.callMs,
    signal,
  }).catch(async (error) => {
    if (signal.aborted) await keepUntilLeaseEnds(deps, [notice]);
    throw error;
  });
  ended(answer.ok ? 'ok' : answer.failure.kind);
  if (answer.ok) {
    rests.ok(key);
    await settleSent(deps, [notice]);
    counts.sent++;
    return;
  }
  const { failure } = answer;
  if (failure.gone) {
    counts.withdrawn += await stopEndpoint(round, notice);
    return;
  }
  const restUntil = failure.trouble ? rests.failed(key, failure.retryAfterMs) : 0;
  const { failed } = await settleFailed(deps, [notice], failure.message, WEBHOOK_RETRIES, restUntil);
  counts.failed += failed;
  counts.again += 1 - failed;
}

/** 410 Gone is how a receiver says that it wants nothing any more: the endpoint stops, and a person is told once. */
async function stopEndpoint({ deps, endpoint }: Round, notice: Claimed): Promise<number> {
  await deps.db.$client.begin(async (sql) => {
    const [stopped] = await sql`
      update webhook_endpoints set active = false where id = ${endpoint.id} and active returning 1`;
    if (!stopped) return;
    await sql`
      insert into notices (kind, key, subject, payload) values (
        'webhook-stopped', ${`webhook-stopped-${endpoint.id}-${notice.id}`}, ${endpoint.id},
        ${sql.json({ text: `the webhook endpoint ${endpoint.url} answered HTTP 410 (Gone) and is told nothing any more; if that is a mistake: orderfleet webhooks resume ${endpoint.url}` })})
      on conflict (key) do nothing`;
  });
  endpoint.active = false;
  await withdraw(deps, [notice], GONE);
  return 1;
}
