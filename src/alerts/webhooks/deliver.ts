import { and, eq } from 'drizzle-orm';
import pLimit from 'p-limit';
import { webhookEndpoints } from '../../db/schema/index.ts';
import { UserError } from '../../lib/errors.ts';
import { notify } from '../../notices/index.ts';
import { minutes } from '../../queue/define.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { CircuitBreaker } from '../circuit-breaker.ts';
import type { AlertsDeps, AlertTimings } from '../deps.ts';
import {
  type Claimed,
  claim,
  failOld,
  keepUntilLeaseEnds,
  postponeDue,
  release,
  settleFailed,
  settleSent,
  settleWithdrawn,
  withdrawDue,
} from '../outbox.ts';
import { WEBHOOK_RETRIES } from '../retries.ts';
import type { Destination } from '../routes.ts';
import { callEndpoint } from './call.ts';
import { type Endpoint, endpointOf } from './endpoints.ts';
import { bodyOf } from './event.ts';

/** A notice's attempts end within a day; one that was never attempted is given up then, too. */
const A_DAY_MS = minutes(25 * 60);
/** Notices claimed at once; CALLS_AT_ONCE must get them done well within the lease. */
const CLAIM = 40;
const CALLS_AT_ONCE = 8;

/** An endpoint whose secret cannot be decrypted is tried again after this long. */
const LOCKED_MS = minutes(15);

const GONE = 'the endpoint returned HTTP 410 (Gone): it gets no more events';

type WebhookDestination = Extract<Destination, { via: 'webhook' }>;

interface Delivery {
  deps: AlertsDeps;
  timings: AlertTimings;
  breaker: CircuitBreaker;
  endpoint: Endpoint;
  key: string;
  signal: AbortSignal;
  counts: { sent: number; again: number; failed: number; withdrawn: number };
}

/**
 * Delivers an endpoint's due notices, up to `until`. The first call that shows the endpoint failing (no response, 5xx, 429)
 * ends it: the others are released and wait for the endpoint. Other refusals concern that event only. A notice may
 * arrive twice, when a response was lost: receivers deduplicate by its id, and order by `occurred_at`.
 */
export async function deliverWebhooks(
  deps: AlertsDeps,
  timings: AlertTimings,
  breaker: CircuitBreaker,
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
    // encrypted with a lost key: pending notices fail visibly after a day, unless the key is restored
    counts.failed += await failOld(deps, which, deps.clock() - A_DAY_MS, error.message);
    await postponeDue(deps, which, new Date(deps.clock() + LOCKED_MS), { why: error.message });
    return { outcome: 'its secret cannot be decrypted', ...counts };
  }
  if (!endpoint?.active) {
    const why = endpoint ? 'the endpoint was stopped' : 'the endpoint was removed';
    return { outcome: why, withdrawn: await withdrawDue(deps, which, why) };
  }
  const delivery: Delivery = { deps, timings, breaker, endpoint, key, signal, counts };
  for (;;) {
    const openUntil = breaker.openUntil(key);
    if (openUntil !== undefined) {
      // C12: nothing waits for ever for an endpoint that keeps failing
      counts.failed += await failOld(deps, which, deps.clock() - A_DAY_MS, 'not delivered within a day');
      await postponeDue(deps, which, new Date(openUntil));
      return { outcome: 'backing off from the endpoint', ...counts };
    }
    if (deps.clock() > until) return { outcome: 'its time budget is used up', ...counts };
    const claimed = await claim(deps, destination, breaker.halfOpen(key) ? 1 : CLAIM, timings.leaseMs);
    if (claimed.length === 0) return { outcome: 'done', ...counts };
    await deliverClaimed(delivery, claimed);
    if (signal.aborted) throw signal.reason;
    if (!endpoint.active) {
      counts.withdrawn += await withdrawDue(deps, which, GONE);
      return { outcome: 'the endpoint stopped', ...counts };
    }
  }
}

/** Calls in parallel; stops when the endpoint fails, at an error of ours or at shutdown, and releases the rest. */
async function deliverClaimed(delivery: Delivery, claimed: readonly Claimed[]): Promise<void> {
  const { deps, breaker, endpoint, key, signal } = delivery;
  const left = new Set(claimed);
  const faults: unknown[] = [];
  await pLimit(CALLS_AT_ONCE).map(claimed, async (notice) => {
    if (faults.length > 0 || signal.aborted || !endpoint.active || breaker.openUntil(key) !== undefined)
      return;
    left.delete(notice);
    await deliverOne(delivery, notice).catch((fault) => faults.push(fault));
  });
  await release(deps, [...left], new Date(breaker.openUntil(key) ?? deps.clock()));
  if (faults.length > 0) throw faults[0];
}

async function deliverOne(delivery: Delivery, notice: Claimed): Promise<void> {
  const { deps, timings, breaker, endpoint, key, signal, counts } = delivery;
  if (!endpoint.events.includes(notice.kind)) {
    await settleWithdrawn(deps, [notice], 'the endpoint does not subscribe to this event');
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
    breaker.recordSuccess(key);
    await settleSent(deps, [notice]);
    counts.sent++;
    return;
  }
  const { failure } = answer;
  if (failure.gone) {
    counts.withdrawn += await stopEndpoint(delivery, notice);
    return;
  }
  const openUntil = failure.trouble ? breaker.recordFailure(key, failure.retryAfterMs) : 0;
  const { failed } = await settleFailed(deps, [notice], failure.message, WEBHOOK_RETRIES, openUntil);
  counts.failed += failed;
  counts.again += 1 - failed;
}

/** 410 Gone means that the receiver wants no more events: the endpoint stops, and operators are notified once. */
async function stopEndpoint({ deps, endpoint }: Delivery, notice: Claimed): Promise<number> {
  const { id, url } = endpoint;
  await deps.db.transaction(async (tx) => {
    const { count } = await tx
      .update(webhookEndpoints)
      .set({ active: false })
      .where(and(eq(webhookEndpoints.id, id), eq(webhookEndpoints.active, true)));
    if (count === 0) return;
    await notify(tx, 'webhook-stopped', { endpointId: id, url, once: notice.id });
  });
  endpoint.active = false;
  await settleWithdrawn(deps, [notice], GONE);
  return 1;
}
