import { eq } from 'drizzle-orm';
import { trackers } from '../../db/schema/index.ts';
import { type Failure, fail, ok, type Result } from '../../lib/errors.ts';
import type { HttpResponse } from '../../lib/http.ts';
import { askedFor, waitFor } from '../../lib/retry-after.ts';
import type { TrackingDeps } from '../deps.ts';
import { type Tracker, whyOff } from '../registry.ts';
import type { Connection, Courier, CourierRequest, Item } from '../toolkit/courier.ts';
import type { Cooldown } from './cooldown.ts';
import { getCredential } from './credentials.ts';
import { countToday } from './daily-limit.ts';
import { readSafely } from './login.ts';

/** C10 */
const WAIT_429_MS = 5 * 60_000;
const WAIT_403_MS = 8 * 60_000;
/** A Retry-After of a failing server delays a batch, and with it its run, this long at most. */
const MAX_WAIT_5XX_MS = 5 * 60_000;

/** A request with what its response means. */
export interface Call<T> {
  request: CourierRequest;
  read(response: HttpResponse, now: number): Result<T>;
}

export interface Attempt<T = Map<string, Item>> {
  /**
   * Of a batch an item for each number; a missing one was not found. Failures: `rejected`: the whole batch was refused;
   * `throttled` and `notReady` with a time: the batch is retried then; `credentials`; `transient`; `malformed`.
   */
  result: Result<T>;
  /** Requests sent. */
  requests: number;
  /** The API rate-limited us: the whole tracker cools down (C10). */
  wait?: Cooldown | undefined;
}

/** Sends one request to a courier, repeated only to find the auth scheme that works (C11). */
export async function requestCourier<T>(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  callOf: (connection: Connection) => Call<T>,
  signal: AbortSignal,
): Promise<Attempt<T>> {
  let requests = 0;
  const done = (result: Result<T>, wait?: Cooldown): Attempt<T> => ({ result, requests, wait });
  const { connection } = tracker;
  if (!connection) return done(fail('credentials', whyOff(tracker) ?? 'disabled'));
  const call = callOf(connection);
  let refused: string | undefined;
  for (;;) {
    const secret = await getCredential(deps, tracker, runId, signal, refused);
    if (!secret.ok) return done(secret);
    const { value, scheme: remembered } = secret.value;
    let failure: Failure | undefined;
    for (const index of order(connection.access.schemes.length, remembered)) {
      const spent = await countToday(deps, tracker);
      if (spent) return done(fail('throttled', spent.why, { retryAfterMs: spent.ms }), spent);
      requests++;
      const headers = connection.access.schemes[index]?.(value);
      const answer = await send(deps, tracker, call, { ...headers }, signal);
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
    refused = value; // once: when a fresh token is refused too, its age is not the cause
  }
}

/** Requests parcels by number. */
export const requestBatch = (
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  numbers: readonly string[],
  signal: AbortSignal,
): Promise<Attempt> =>
  requestCourier(
    deps,
    tracker,
    runId,
    (connection) => ({
      request: connection.request(numbers),
      read: (response, now) => tracker.courier.read(response, numbers, now),
    }),
    signal,
  );

/** The indexes of all schemes, the one that worked last first. */
const order = (count: number, first: number) => [
  first,
  ...Array.from({ length: count }, (_, index) => index).filter((index) => index !== first),
];

const rememberScheme = ({ db }: TrackingDeps, { name }: Tracker, scheme: number) =>
  db.update(trackers).set({ scheme }).where(eq(trackers.name, name));

type Answer<T> = { is: 'tooFast'; wait: Cooldown } | { is: 'read'; result: Result<T> };

async function send<T>(
  deps: TrackingDeps,
  { name, courier }: Tracker,
  { request, read }: Call<T>,
  secret: Record<string, string>,
  signal: AbortSignal,
): Promise<Answer<T>> {
  const slot = await deps.quotas.get(name)?.take(`tracker ${name}`, 'all', signal);
  const ended = deps.metrics.request(name);
  const answer = await deps.http
    .request({
      ...request,
      api: name,
      headers: { accept: 'application/json', ...request.headers, ...secret },
      timeoutMs: courier.timeoutMs,
      signal,
    })
    .finally(() => slot?.answered());
  // the request is idempotent: when its response is lost it is sent again
  const result: Answer<T> = answer.ok
    ? readAnswer(answer.value, courier, read, deps.clock())
    : {
        is: 'read',
        result: fail(answer.failure.kind === 'malformed' ? 'malformed' : 'transient', answer.failure.message),
      };
  ended(result.is === 'tooFast' ? 'throttled' : result.result.ok ? 'ok' : result.result.failure.kind);
  return result;
}

/** HTTP statuses that mean the same everywhere are read here, the others by the courier's file. */
function readAnswer<T>(
  response: HttpResponse,
  courier: Courier,
  read: Call<T>['read'],
  now: number,
): Answer<T> {
  const { status } = response;
  const answerOf = (result: Result<T>): Answer<T> => {
    if (result.ok || result.failure.kind !== 'throttled') return { is: 'read', result };
    const { message, retryAfterMs = WAIT_429_MS } = result.failure;
    return { is: 'tooFast', wait: { kind: 'limit', why: message, ms: waitFor(response, retryAfterMs, now) } };
  };
  const own = readSafely(() => ok(courier.failureOf?.(response, 'tracking')));
  if (own.ok && own.value) return answerOf({ ok: false, failure: own.value });
  if (status === 429 || status === 403)
    return {
      is: 'tooFast',
      wait: {
        kind: status === 403 ? 'forbidden' : 'limit',
        why: `HTTP ${status}`,
        ms: waitFor(response, status === 429 ? WAIT_429_MS : WAIT_403_MS, now),
      },
    };
  if (status === 401) return answerOf(fail('credentials', 'HTTP 401: credentials rejected'));
  if (status >= 500) {
    const asked = askedFor(response, now);
    const most = asked === undefined ? {} : { retryAfterMs: Math.min(asked, MAX_WAIT_5XX_MS) };
    return answerOf(fail('transient', `HTTP ${status}`, most));
  }
  return answerOf(readSafely(() => read(response, now)));
}
