import { type Failure, fail, type Result } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { askedFor, waitFor } from '../retry-after.ts';
import { type Tracker, whyOff } from './catalogue.ts';
import type { Connection, Item } from './courier.ts';
import type { TrackingDeps } from './deps.ts';
import { readSafely, secretOf } from './secret.ts';
import type { CourierWait } from './waits.ts';

/** C10 */
const WAIT_429_MS = 5 * 60_000;
const WAIT_403_MS = 8 * 60_000;
/** A server in trouble holds up one batch, and with it its run, this long at most. */
const WAIT_5XX_MOST_MS = 5 * 60_000;

export interface Asked {
  /**
   * What the answer says of each number; a missing one was not found. Failures: `rejected` the whole batch was refused;
   * `throttled` and `notReady` with a time: the batch comes back then; `credentials`; `transient`; `malformed`.
   */
  result: Result<Map<string, Item>>;
  /** Requests that left. */
  requests: number;
  /** The API said "too fast": the whole tracker is to wait (C10). */
  wait?: CourierWait | undefined;
}

/** Asks a courier for some parcels: one request, repeated only to find out how it wants its secret (C11). */
export async function ask(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  numbers: readonly string[],
  signal: AbortSignal,
): Promise<Asked> {
  let requests = 0;
  const done = (result: Asked['result'], wait?: CourierWait): Asked => ({ result, requests, wait });
  const { connection } = tracker;
  if (!connection) return done(fail('credentials', whyOff(tracker) ?? 'switched off'));
  let refused: string | undefined;
  for (;;) {
    const secret = await secretOf(deps, tracker, runId, signal, refused);
    if (!secret.ok) return done(secret);
    const { value, scheme: remembered } = secret.value;
    let failure: Failure | undefined;
    for (const index of order(connection.access.schemes.length, remembered)) {
      requests++;
      const answer = await send(deps, tracker, connection, index, value, numbers, signal);
      if (answer.is === 'tooFast')
        return done(fail('throttled', answer.wait.why, { retryAfterMs: answer.wait.ms }), answer.wait);
      if (answer.result.ok || answer.result.failure.kind !== 'credentials') {
        if (index !== remembered && answer.result.ok) await rememberScheme(deps, tracker, index);
        return done(answer.result);
      }
      failure = answer.result.failure;
    }
    if (!connection.access.login || refused !== undefined)
      return done({ ok: false, failure: failure as Failure });
    refused = value; // once: a fresh token that is refused, too, is no matter of its age
  }
}

/** All ways to send the secret, the one that worked last first. */
const order = (count: number, first: number) => [
  first,
  ...Array.from({ length: count }, (_, index) => index).filter((index) => index !== first),
];

const rememberScheme = ({ db }: TrackingDeps, { name }: Tracker, scheme: number) =>
  db.$client`update trackers set scheme = ${scheme} where name = ${name}`;

type Answer = { is: 'tooFast'; wait: CourierWait } | { is: 'read'; result: Asked['result'] };

async function send(
  deps: TrackingDeps,
  { name, courier }: Tracker,
  { access, request }: Connection,
  scheme: number,
  secret: string,
  numbers: readonly string[],
  signal: AbortSignal,
): Promise<Answer> {
  const wanted = request(numbers);
  const slot = await deps.quotas.get(name)?.take(`tracker ${name}`, 'all', signal);
  const ended = deps.metrics.request(name);
  const answer = await deps.http
    .request({
      ...wanted,
      api: name,
      headers: { accept: 'application/json', ...wanted.headers, ...access.schemes[scheme]?.(secret) },
      timeoutMs: courier.timeoutMs,
      signal,
    })
    .finally(() => slot?.answered());
  // asking changes nothing over there: a lost answer is simply asked for again
  const read: Answer = answer.ok
    ? readAnswer(answer.value, () => courier.read(answer.value, numbers, deps.clock()), deps.clock())
    : {
        is: 'read',
        result: fail(answer.failure.kind === 'malformed' ? 'malformed' : 'transient', answer.failure.message),
      };
  ended(read.is === 'tooFast' ? 'throttled' : read.result.ok ? 'ok' : read.result.failure.kind);
  return read;
}

/** What every API means by its status; the rest is the courier's to read. */
function readAnswer(response: HttpResponse, read: () => Asked['result'], now: number): Answer {
  const { status } = response;
  const read_ = (result: Asked['result']): Answer => ({ is: 'read', result });
  if (status === 429 || status === 403)
    return {
      is: 'tooFast',
      wait: {
        kind: status === 403 ? 'forbidden' : 'limit',
        why: `HTTP ${status}`,
        ms: waitFor(response, status === 429 ? WAIT_429_MS : WAIT_403_MS, now),
      },
    };
  if (status === 401) return read_(fail('credentials', 'HTTP 401: the credentials are refused'));
  if (status >= 500) {
    const asked = askedFor(response, now);
    const most = asked === undefined ? {} : { retryAfterMs: Math.min(asked, WAIT_5XX_MOST_MS) };
    return read_(fail('transient', `HTTP ${status}`, most));
  }
  const result = readSafely(read);
  if (!result.ok && result.failure.kind === 'throttled')
    return {
      is: 'tooFast',
      wait: {
        kind: 'limit',
        why: result.failure.message,
        ms: waitFor(response, result.failure.retryAfterMs ?? WAIT_429_MS, now),
      },
    };
  return read_(result);
}
