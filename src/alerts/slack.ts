import type { LogLevel, WebClient, WebClientOptions } from '@slack/web-api';
import { type Failure, FailureError, fail, messageOf, ok, type Result } from '../lib/errors.ts';
import type { Http } from '../lib/http.ts';
import { askedFor } from '../lib/retry-after.ts';
import { MOST_WAIT_MS } from './deps.ts';

export interface Slack {
  /**
   * Posts one message (https://docs.slack.dev/reference/methods/chat.postMessage). Failures: `throttled` with
   * retryAfterMs, `credentials`, `rejected` (the channel), `transient`, `unknownOutcome` (the response was lost: it may
   * have been posted).
   * @throws the signal's reason
   */
  post(channel: string, text: string, signal: AbortSignal): Promise<Result<void>>;
  /** Checks the token (auth.test), for doctor. Failures and throws as `post`. */
  test(signal: AbortSignal): Promise<Result<void>>;
}

interface SlackOptions {
  http: Http;
  /** Slack's Web API, up to and with `/api/`. */
  url: string;
  token: string;
  timeoutMs: number;
}

/** Slack's error codes for a rejected token, with the remedy. */
const TOKEN_FAULTS: Record<string, string> = {
  invalid_auth: 'set SLACK_TOKEN to the bot token of your Slack app (xoxb-…)',
  not_authed: 'set SLACK_TOKEN to the bot token of your Slack app (xoxb-…)',
  account_inactive: 'its Slack app or user was removed: install it again and set SLACK_TOKEN',
  token_revoked: 'it was revoked: install the Slack app again and set SLACK_TOKEN',
  token_expired: 'it has expired: set SLACK_TOKEN to a new one',
  missing_scope: 'give the Slack app the scope chat:write and install it again',
};
const CHANNEL_FAULTS: Record<string, string> = {
  channel_not_found: 'check the channel’s id, and invite the bot if the channel is private',
  not_in_channel: 'invite the bot to the channel: /invite @its-name',
  is_archived: 'the channel is archived: unarchive it, or set another one',
};
/** Cooldown when Slack rate-limits without Retry-After. */
const RATE_PAUSE_MS = 30_000;

/** Slack's own client over our HTTP, with its timeout, size limit and abort. No retries: the outbox retries. */
export function createSlack({ http, url, token, timeoutMs }: SlackOptions): Slack {
  const call = async (
    signal: AbortSignal,
    method: (client: WebClient) => Promise<{ ok: boolean }>,
  ): Promise<Result<void>> => {
    // loaded on first use: most processes never send anything, and start sooner
    const slack = await import('@slack/web-api');
    const client = new slack.WebClient(token, {
      slackApiUrl: url,
      fetch: (target, init) => fetchVia(http, String(target), init, timeoutMs, signal),
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      allowAbsoluteUrls: false,
      logLevel: ERROR,
      logger: SILENT,
    });
    try {
      const answer = await method(client);
      return answer.ok === true ? ok(undefined) : fail('malformed', 'Slack’s response has no "ok"');
    } catch (error) {
      signal.throwIfAborted();
      return { ok: false, failure: failureOf(error) };
    }
  };
  return {
    post: (channel, text, signal) =>
      call(signal, (client) =>
        client.chat.postMessage({ channel, text, unfurl_links: false, unfurl_media: false }),
      ),
    test: (signal) => call(signal, (client) => client.auth.test()),
  };
}

const ERROR = 'error' as LogLevel.ERROR;
/** Errors are in the result; the client must not print beside our log. */
const SILENT: NonNullable<WebClientOptions['logger']> = {
  ...{ debug() {}, info() {}, warn() {}, error() {} },
  ...{ setLevel() {}, setName() {}, getLevel: () => ERROR },
};

type Fetch = NonNullable<WebClientOptions['fetch']>;

async function fetchVia(
  http: Http,
  url: string,
  init: Parameters<Fetch>[1],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Response> {
  if (typeof init?.body !== 'string') throw new Error('only text is sent to Slack');
  const answer = await http.request({
    url,
    method: 'POST',
    api: 'slack',
    headers: init.headers ?? {},
    body: init.body,
    timeoutMs,
    signal,
  });
  if (!answer.ok) throw new FailureError(answer.failure);
  const { status, headers, text } = answer.value;
  if (status === 429)
    throw new FailureError({
      kind: 'throttled',
      message: 'Slack rate limit (HTTP 429)',
      retryAfterMs: askedFor({ status, headers, text: '' }, Date.now(), MOST_WAIT_MS) ?? RATE_PAUSE_MS,
    });
  if (status !== 200) throw new FailureError(fail('transient', `Slack returned HTTP ${status}`).failure);
  return new Response(text, { status, headers });
}

function failureOf(error: unknown): Failure {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof FailureError) return cause.failure;
  const said =
    error instanceof Error && 'data' in error ? (error.data as { error?: unknown }).error : undefined;
  // its client takes a response that is not JSON for an error code
  const word = typeof said === 'string' && /^\w{1,60}$/.test(said) ? said : undefined;
  if (word === undefined)
    return fail('malformed', said === undefined ? `Slack: ${messageOf(error)}` : 'Slack did not return JSON')
      .failure;
  const token = TOKEN_FAULTS[word];
  if (token) return fail('credentials', `Slack rejects the token (${word}): ${token}`).failure;
  const channel = CHANNEL_FAULTS[word];
  if (channel) return fail('rejected', `Slack rejects the channel (${word}): ${channel}`).failure;
  if (/^rate_?limited$/.test(word))
    return fail('throttled', 'Slack rate limit', { retryAfterMs: RATE_PAUSE_MS }).failure;
  return fail('transient', `Slack rejected the message (${word})`).failure;
}
