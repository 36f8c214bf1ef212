import { createHash } from 'node:crypto';
import type { Failure, Result } from '../errors.ts';
import type { JobContext, Outcome } from '../queue/handle.ts';
import { type AlertsDeps, type AlertTimings, MESSAGE_RETRIES } from './deps.ts';
import type { Mail } from './mail.ts';
import { peopleMail, slackMessage } from './message.ts';
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
import { peopleHtml, peoplePlain } from './people-mail.ts';
import { deliverAgain, sendToAll } from './recipients.ts';
import { deliverReports } from './report/deliver.ts';
import { type Destination, destinationOf } from './routes.ts';
import { createSlack } from './slack.ts';
import { createRests, createTurns, type Rests } from './turns.ts';
import { deliverWebhooks } from './webhooks/deliver.ts';

/** Notices in one message at most. */
const MESSAGE_ROWS = 1_000;
/** A person has this long to set what is missing; as long as `status` shows such notices. */
const PATIENCE_MS = 7 * 86_400_000;
const LOOK_AGAIN_MS = 3_600_000;

/**
 * The handler of `notices`: delivers all that is due on the job's lane. A notice is claimed for a time (its lease), sent,
 * and settled; a worker that dies in between leaves it to the next one when the lease is over. Between Slack's or the
 * mail server's yes and the row's `sent` lie milliseconds: a crash in them, or an answer that was lost on its way, makes a
 * second copy, since neither can be asked. A mail's second copy has the first one's Message-ID (after a crash, unless others
 * came due with it meanwhile), a webhook's its event id.
 */
export function createDelivery(deps: AlertsDeps, timings: AlertTimings) {
  const rests = createRests(deps.clock);
  const turns = createTurns(deps.clock, timings.budgetMs);
  return async (
    { lane, endpointId }: { lane: string; endpointId?: string | undefined },
    { signal }: JobContext,
  ): Promise<Outcome> => {
    const destination = destinationOf(lane, endpointId, deps.config);
    const outcome = await turns(destination.key, (until) =>
      deliverTo(deps, timings, rests, destination, signal, until),
    );
    return { lane, ...(outcome ?? { outcome: 'another job is at it' }) };
  };
}

async function deliverTo(
  deps: AlertsDeps,
  timings: AlertTimings,
  rests: Rests,
  destination: Destination,
  signal: AbortSignal,
  until: number,
): Promise<Outcome> {
  switch (destination.via) {
    case 'nowhere':
      return await endNowhere(deps, destination);
    case 'webhook':
      return await deliverWebhooks(deps, timings, rests, destination, signal, until);
    case 'again':
      return await deliverAgain(deps, timings, rests, destination, signal, until);
    case 'report':
      return await deliverReports(deps, timings, rests, destination, signal);
    default:
      return await deliverMessages(deps, timings, rests, destination, signal, until);
  }
}

/** Nothing piles up: what has nowhere to go is ended with the reason, or waits for a person for a week. */
async function endNowhere(
  deps: AlertsDeps,
  { which, why, patient }: Extract<Destination, { via: 'nowhere' }>,
): Promise<Outcome> {
  const waiting = patient
    ? await postponeDue(deps, which, new Date(deps.clock() + LOOK_AGAIN_MS), {
        why,
        youngerThan: new Date(deps.clock() - PATIENCE_MS),
      })
    : 0;
  return { outcome: 'nowhere to go', why, waiting, withdrawn: await withdrawDue(deps, which, why) };
}

type MessageDestination = Extract<Destination, { via: 'slack' | 'mail' }>;

/** One message for all that is due together (C12). */
async function deliverMessages(
  deps: AlertsDeps,
  timings: AlertTimings,
  rests: Rests,
  destination: MessageDestination,
  signal: AbortSignal,
  until: number,
): Promise<Outcome> {
  const { which, key } = destination;
  let sent = 0;
  for (;;) {
    const restUntil = rests.until(key);
    if (restUntil !== undefined) {
      const waiting = await postponeDue(deps, which, new Date(restUntil));
      return { outcome: `${key} rests`, sent, waiting };
    }
    const claimed = await claim(deps, destination, MESSAGE_ROWS, timings.leaseMs);
    if (claimed.length === 0) return { outcome: 'done', sent };
    const failure = await sendMessage(deps, timings, destination, claimed, signal);
    if (failure) return await settleRefused(deps, rests, key, claimed, failure);
    rests.ok(key);
    sent += claimed.length;
    if (claimed.length < MESSAGE_ROWS || deps.clock() > until) return { outcome: 'done', sent };
  }
}

/** Sends and settles. @returns why nobody has it. Throws as sendToAll */
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
  const mail = peopleMail(claimed);
  return {
    id: `notices-${digestOf(claimed)}`,
    subject: mail.subject,
    text: peoplePlain(mail),
    html: peopleHtml(mail),
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
  rests: Rests,
  key: string,
  claimed: readonly Claimed[],
  failure: Failure,
): Promise<Outcome> {
  const until = rests.failed(key, failure.retryAfterMs);
  const told = { outcome: failure.kind, why: failure.message, notices: claimed.length };
  if (failure.kind === 'throttled') {
    await release(deps, claimed, new Date(until), failure.message);
    return { ...told, failed: 0 };
  }
  return { ...told, ...(await settleFailed(deps, claimed, failure.message, MESSAGE_RETRIES, until)) };
}
