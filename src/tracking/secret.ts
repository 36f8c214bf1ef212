import type { TransactionSql } from 'postgres';
import type { Secrets } from '../db/secrets.ts';
import { fail, messageOf, ok, type Result, UserError } from '../errors.ts';
import { MAX_WAIT_MS, waitFor } from '../retry-after.ts';
import type { Tracker } from './catalogue.ts';
import type { Login, Token } from './courier.ts';
import type { TrackingDeps } from './deps.ts';
import { markStopped } from './stop.ts';
import { noteWait } from './waits.ts';

/** C11: a refused token is fetched anew at most this often. */
const RENEW_EVERY_MS = 30_000;
const LOGIN_TIMEOUT_MS = 15_000;
const ANOTHER_LOGS_IN_MS = 1_000;
/** While the login fails for the moment, a token that is still good is used on, and renewed this much later. */
const RENEW_LATER_MS = 5 * 60_000;
/** A login that fails for the moment is tried again after this long, doubled each time. */
const LOGIN_AGAIN_MS = 30_000;
/** A login that says "too fast" and not for how long. */
const LOGIN_429_MS = 5 * 60_000;

/** What a request is authorised with, and which of the courier's ways to send it works. */
export interface Secret {
  value: string;
  scheme: number;
}

interface Stored {
  token: string | null;
  expiresAt: Date | null;
  fetchedAt: Date | null;
  renewAt: Date | null;
  scheme: number;
  /** The scheduler has the same credentials as this process. */
  same: boolean;
  stoppedReason: string | null;
  /** Refused since the run began: logging in again would only bring the account nearer to its lock. */
  stopped: boolean;
  waitingUntil: Date | null;
  waitingReason: string | null;
  waits: number;
}

const context = (name: string) => `trackers.token of ${name}`;

export { context as tokenContext };

/**
 * The secret of a tracker (C11): its key, or the token that the fleet shares. A token that is missing, about to expire
 * or refused is fetched by one worker of the fleet, while the others wait for it.
 * @param refused the token that the API has just refused
 * @param runId the run that counts the waits
 * @returns failures: `credentials` when the login is refused; `notReady` with a time when it is too early to log in
 * again; `throttled` with a time when the login failed for the moment: then the whole tracker waits
 */
export async function secretOf(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  signal: AbortSignal,
  refused?: string,
): Promise<Result<Secret>> {
  const { access } = tracker.connection ?? {};
  if (!access) return fail('credentials', tracker.off ?? 'switched off');
  const stored = await read(deps, tracker, runId);
  // a worker with other credentials than the scheduler's would end their token, or have good ones called refused
  if (!stored.same)
    return fail('notReady', 'this worker has other credentials than the scheduler: restart both', {
      retryAfterMs: RENEW_EVERY_MS,
    });
  const scheme = Math.min(stored.scheme, access.schemes.length - 1);
  if (!access.login) return ok({ value: access.key ?? '', scheme });
  const { login } = access;
  const valid = usable(deps, tracker, stored, login, refused);
  if (valid !== undefined) return ok({ value: valid, scheme });
  return await deps.db.$client.begin(async (sql) => {
    // one login at a time in the whole fleet; who comes meanwhile is back in a moment and finds the token
    const [lock] = await sql<{ ours: boolean }[]>`
      select pg_try_advisory_xact_lock(hashtextextended(${context(tracker.name)}, 0)) as ours`;
    if (!lock?.ours) return fail('notReady', 'another worker logs in', { retryAfterMs: ANOTHER_LOGS_IN_MS });
    const now = await read(deps, tracker, runId, sql);
    const others = usable(deps, tracker, now, login, refused);
    if (others !== undefined) return ok({ value: others, scheme });
    if (now.stopped) return fail('credentials', now.stoppedReason ?? 'refused');
    const waitMs = (now.waitingUntil?.getTime() ?? 0) - deps.clock();
    if (waitMs > 0) return fail('throttled', now.waitingReason ?? 'waits', { retryAfterMs: waitMs });
    const age = now.fetchedAt ? deps.clock() - now.fetchedAt.getTime() : Number.POSITIVE_INFINITY;
    // processes with different CREDENTIALS_KEYs take each other's tokens for none: no reason to hammer the login
    const locked = now.token !== null && opened(deps.secrets, tracker.name, now.token) === undefined;
    if ((refused !== undefined || locked) && age < RENEW_EVERY_MS)
      return fail('notReady', 'its token was renewed a moment ago', { retryAfterMs: RENEW_EVERY_MS - age });
    const ended = deps.metrics.request(tracker.name);
    const token = await logIn(deps, tracker, login, signal, now.waits);
    ended(token.ok ? 'ok' : token.failure.kind);
    if (token.ok) {
      await keep(deps, tracker, token.value, sql);
      return ok({ value: token.value.value, scheme });
    }
    const { kind, message, retryAfterMs } = token.failure;
    const still = stillGood(deps, tracker, now, refused);
    if (kind === 'credentials') await markStopped(sql, tracker, runId, message, deps.clock());
    else if (still !== undefined) {
      await sql`
        update trackers set token_renew_at = ${new Date(deps.clock() + RENEW_LATER_MS)} where name = ${tracker.name}`;
      return ok({ value: still, scheme });
    }
    // all of the tracker's batches would try the same: nobody does before that time
    else await noteWait(sql, deps, tracker, runId, retryAfterMs ?? LOGIN_AGAIN_MS, message);
    return token;
  });
}

async function read(
  { db }: TrackingDeps,
  tracker: Tracker,
  runId: string,
  sql = db.$client as unknown as TransactionSql,
) {
  const [row] = await sql<Stored[]>`
    select token, token_expires_at as "expiresAt", token_fetched_at as "fetchedAt",
      token_renew_at as "renewAt", scheme,
      stopped_reason as "stoppedReason", waiting_until as "waitingUntil",
      waiting_reason as "waitingReason", waits,
      coalesce(credentials, ${tracker.credentials}) = ${tracker.credentials} as same,
      exists (select from tracking_runs r where r.id = ${runId} and r.started_at < stopped_at) as stopped
    from trackers where name = ${tracker.name}`;
  return (
    row ?? {
      token: null,
      expiresAt: null,
      fetchedAt: null,
      renewAt: null,
      scheme: 0,
      same: true,
      stoppedReason: null,
      stopped: false,
      waitingUntil: null,
      waitingReason: null,
      waits: 0,
    }
  );
}

function usable(
  { secrets, clock }: TrackingDeps,
  { name }: Tracker,
  { token, expiresAt, fetchedAt, renewAt }: Stored,
  { renewBeforeMs }: Login,
  refused: string | undefined,
): string | undefined {
  if (!token || !expiresAt || !fetchedAt) return undefined;
  // one that lives shorter than it is to be renewed early would be fetched for every request
  const early = Math.min(renewBeforeMs, (expiresAt.getTime() - fetchedAt.getTime()) / 2);
  const from = Math.max(expiresAt.getTime() - early, renewAt?.getTime() ?? 0);
  if (Math.min(from, expiresAt.getTime()) <= clock()) return undefined;
  const value = opened(secrets, name, token);
  return value === refused ? undefined : value;
}

/** A token that was to be renewed, but has not expired. */
function stillGood(
  { secrets, clock }: TrackingDeps,
  { name }: Tracker,
  { token, expiresAt }: Stored,
  refused: string | undefined,
): string | undefined {
  if (!token || !expiresAt || expiresAt.getTime() <= clock()) return undefined;
  const value = opened(secrets, name, token);
  return value === refused ? undefined : value;
}

/** @returns undefined when it was sealed with a key that is gone: another one is fetched */
function opened(secrets: Secrets, name: string, token: string): string | undefined {
  try {
    return secrets.decrypt(token, context(name));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** @param waits how often in a row the tracker has been made to wait */
async function logIn(
  { http, clock }: TrackingDeps,
  { name }: Tracker,
  login: Login,
  signal: AbortSignal,
  waits: number,
): Promise<Result<Token>> {
  const answer = await http.request({ ...login.request, api: name, timeoutMs: LOGIN_TIMEOUT_MS, signal });
  const againMs = Math.min(MAX_WAIT_MS, LOGIN_AGAIN_MS * 2 ** waits);
  const later = (why: string, ms = againMs) => fail('throttled', `login: ${why}`, { retryAfterMs: ms });
  if (!answer.ok) return later(answer.failure.message);
  const { status } = answer.value;
  if (status === 429) return later('HTTP 429', waitFor(answer.value, LOGIN_429_MS, clock()));
  if (status >= 500) return later(`HTTP ${status}`, waitFor(answer.value, againMs, clock()));
  const token = readSafely(() => login.read(answer.value));
  return token.ok || token.failure.kind === 'credentials' ? token : later(token.failure.message);
}

async function keep(
  { secrets, clock, log }: TrackingDeps,
  { name }: Tracker,
  { value, expiresAt }: Token,
  sql: TransactionSql,
): Promise<void> {
  await sql`
    update trackers set token = ${secrets.encrypt(value, context(name))}, token_renew_at = null,
      token_expires_at = ${expiresAt}, token_fetched_at = ${new Date(clock())} where name = ${name}`;
  log.info({ tracker: name, expiresAt }, 'logged in');
}

/** An answer that a courier's file cannot read is a fault of that answer, never of the process (R4). */
export function readSafely<T>(read: () => Result<T>): Result<T> {
  try {
    return read();
  } catch (error) {
    return fail('malformed', `the answer cannot be read: ${messageOf(error)}`);
  }
}
