import { createHash } from 'node:crypto';
import type { Failure, Result } from '../lib/errors.ts';
import type { JobContext, Outcome } from '../queue/handle.ts';
import { type CircuitBreaker, createCircuitBreaker } from './circuit-breaker.ts';
import type { AlertsDeps, AlertTimings } from './deps.ts';
import type { Mail } from './mail.ts';
import { operatorMail, slackMessage } from './message.ts';
import { operatorHtml, operatorPlain } from './operator-mail.ts';
import {
  type Claimed,
  claim,
  keepUntilLeaseEnds,
  postponeDue,
  release,
  settleFailed,
  settleSent,
  withdrawDue,
} from './outbox.ts';
import { deliverAgain, sendToAll } from './recipients.ts';
import { deliverReports } from './report/deliver.ts';
import { MESSAGE_RETRIES } from './retries.ts';
import { type Destination, destinationOf } from './routes.ts';
import { createSingleFlight } from './single-flight.ts';
import { createSlack } from './slack.ts';
import { deliverWebhooks } from './webhooks/deliver.ts';

/** Notices in one message at most. */
const MESSAGE_ROWS = 1_000;
/** How long operators' notices wait for a channel to be configured: as long as `status` shows them. */
const CONFIG_WAIT_MS = 7 * 86_400_000;
const RECHECK_MS = 3_600_000;

/**
 * The handler of `notices`: delivers everything due on the job's lane. A notice is leased, sent and settled; if the worker
 * dies in between, another takes it when the lease ends. A crash between the receiver's acceptance and our commit, or a
 * lost response, causes a second copy: neither Slack nor a mail server can be queried. A second mail has the same
 * Message-ID (after a crash, unless others came due with it meanwhile), a second webhook the same event id.
 */
export function createDelivery(deps: AlertsDeps, timings: AlertTimings) {
  const breaker = createCircuitBreaker(deps.clock);
  const singleFlight = createSingleFlight(deps.clock, timings.budgetMs);
  return async (
    { lane, endpointId }: { lane: string; endpointId?: string | undefined },
    { signal }: JobContext,
  ): Promise<Outcome> => {
    const destination = destinationOf(lane, endpointId, deps.config);
    const outcome = await singleFlight(destination.key, (until) =>
      deliverTo(deps, timings, breaker, destination, signal, until),
    );
    return { lane, ...(outcome ?? { outcome: 'another job is delivering' }) };
  };
}

async function deliverTo(
  deps: AlertsDeps,
  timings: AlertTimings,
  breaker: CircuitBreaker,
  destination: Destination,
  signal: AbortSignal,
  until: number,
): Promise<Outcome> {
  switch (destination.via) {
    case 'unrouted':
      return await endUnrouted(deps, destination);
    case 'webhook':
      return await deliverWebhooks(deps, timings, breaker, destination, signal, until);
    case 'again':
      return await deliverAgain(deps, timings, breaker, destination, signal, until);
    case 'report':
      return await deliverReports(deps, timings, breaker, destination, signal);
    default:
      return await deliverMessages(deps, timings, breaker, destination, signal, until);
  }
}

/** Nothing piles up: notices without a destination are withdrawn with the reason, or wait a week for configuration. */
async function endUnrouted(
  deps: AlertsDeps,
  { which, why, waitsForConfig }: Extract<Destination, { via: 'unrouted' }>,
): Promise<Outcome> {
  const waiting = waitsForConfig
    ? await postponeDue(deps, which, new Date(deps.clock() + RECHECK_MS), {
        why,
        youngerThan: new Date(deps.clock() - CONFIG_WAIT_MS),
      })
    : 0;
  return { outcome: 'no destination', why, waiting, withdrawn: await withdrawDue(deps, which, why) };
}

type MessageDestination = Extract<Destination, { via: 'slack' | 'mail' }>;

/** One message for all notices that are due together (C12). */
async function deliverMessages(
  deps: AlertsDeps,
  timings: AlertTimings,
  breaker: CircuitBreaker,
  destination: MessageDestination,
  signal: AbortSignal,
  until: number,
): Promise<Outcome> {
  const { which, key } = destination;
  let sent = 0;
  for (;;) {
    const openUntil = breaker.openUntil(key);
    if (openUntil !== undefined) {
      const waiting = await postponeDue(deps, which, new Date(openUntil));
      return { outcome: `backing off from ${key}`, sent, waiting };
    }
    const claimed = await claim(deps, destination, MESSAGE_ROWS, timings.leaseMs);
    if (claimed.length === 0) return { outcome: 'done', sent };
    const failure = await sendMessage(deps, timings, destination, claimed, signal);
    if (failure) return await settleRefused(deps, breaker, key, claimed, failure);
    breaker.recordSuccess(key);
    sent += claimed.length;
    if (claimed.length < MESSAGE_ROWS || deps.clock() > until) return { outcome: 'done', sent };
  }
}

/** Sends and settles. @returns why it reached nobody. Throws as sendToAll */
async function sendMessage(
  deps: AlertsDeps,
  timings: AlertTimings,
  destination: MessageDestination,
  claimed: readonly Claimed[],
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const answer =
    destination.via === 'slack'
      ? await post(deps, timings, destination.channel, claimed, signal)
      : await sendToAll(deps, { settings: destination.settings, timings }, claimed, mailOf(claimed), signal);
  return answer.ok ? undefined : answer.failure;
}

async function post(
  deps: AlertsDeps,
  timings: AlertTimings,
  channel: string,
  claimed: readonly Claimed[],
  signal: AbortSignal,
): Promise<Result<void>> {
  const slack = createSlack({
    http: deps.http,
    url: deps.config.SLACK_API_URL,
    token: deps.config.SLACK_TOKEN ?? '',
    timeoutMs: timings.callMs,
  });
  try {
    const ended = deps.metrics.request('slack');
    const answer = await slack.post(channel, slackMessage(claimed), signal);
    ended(answer.ok ? 'ok' : answer.failure.kind);
    if (answer.ok) await settleSent(deps, claimed);
    return answer;
  } catch (error) {
    if (signal.aborted) await keepUntilLeaseEnds(deps, claimed);
    throw error;
  }
}

function mailOf(claimed: readonly Claimed[]): Mail {
  const mail = operatorMail(claimed);
  return {
    id: `notices-${digestOf(claimed)}`,
    subject: mail.subject,
    text: operatorPlain(mail),
    html: operatorHtml(mail),
  };
}

const digestOf = (claimed: readonly Claimed[]) =>
  createHash('sha256')
    .update(
      claimed
        .map(({ id }) => id)
        .sort()
        .join(),
    )
    .digest('hex')
    .slice(0, 24);

async function settleRefused(
  deps: AlertsDeps,
  breaker: CircuitBreaker,
  key: string,
  claimed: readonly Claimed[],
  failure: Failure,
): Promise<Outcome> {
  const until = breaker.recordFailure(key, failure.retryAfterMs);
  const result = { outcome: failure.kind, why: failure.message, notices: claimed.length };
  if (failure.kind === 'throttled') {
    await release(deps, claimed, new Date(until), failure.message);
    return { ...result, failed: 0 };
  }
  return { ...result, ...(await settleFailed(deps, claimed, failure.message, MESSAGE_RETRIES, until)) };
}
