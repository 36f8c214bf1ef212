import { randomUUID } from 'node:crypto';
import type { TransactionSql } from 'postgres';
import type { Secrets } from '../db/secrets.ts';
import { fail, messageOf, ok, type Result, UserError } from '../errors.ts';
import { MAX_WAIT_MS, waitFor } from '../retry-after.ts';
import { type Tracker, whyOff } from './catalogue.ts';
import type { Login, Token } from './courier.ts';
import type { TrackingDeps } from './deps.ts';
import { markStopped } from './stop.ts';
import { noteWait } from './waits.ts';

/** C11: a refused token is fetched anew at most this often. */
const RENEW_EVERY_MS = 30_000;
const LOGIN_TIMEOUT_MS = 15_000;
/** Longer than a login takes: a killed worker's is another's after this, and no sooner than another login may be. */
const LOGIN_LEASE_MS = RENEW_EVERY_MS;
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
  /** Another worker has the lease. */
  loggingIn: boolean;
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
  if (!access) return fail('credentials', whyOff(tracker) ?? 'switched off');
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
  const claimed = await claimLogin(deps, tracker, login, runId, refused);
  if ('secret' in claimed)
    return claimed.secret.ok ? ok({ value: claimed.secret.value, scheme }) : claimed.secret;
  const ended = deps.metrics.request(tracker.name);
  // when it is cut off its lease runs out, as a killed worker's does: the login may have happened over there
  const token = await logIn(deps, tracker, login, signal, claimed.stored.waits);
  ended(token.ok ? 'ok' : token.failure.kind);
  const value = await settleLogin(deps, tracker, runId, claimed, token, refused);
  return value.ok ? ok({ value: value.value, scheme }) : value;
}

/** The fleet's one login of a tracker, taken by this worker: it may log in, outside of any transaction. */
interface Claimed {
  /** Fences what it writes: whoever logs in after its lease has another one. */
  claim: string;
  stored: Stored;
}

/**
 * One login at a time in the whole fleet: who comes meanwhile is back in a moment and finds the token. The lease of a worker
 * that was killed runs out.
 * @returns the lease, or what makes a login needless or forbidden
 */
async function claimLogin(
  deps: TrackingDeps,
  tracker: Tracker,
  login: Login,
  runId: string,
  refused: string | undefined,
): Promise<Claimed | { secret: Result<string> }> {
  const claim = randomUUID();
  return await deps.db.$client.begin(async (sql) => {
    await sql`select from trackers where name = ${tracker.name} for update`;
    const stored = await read(deps, tracker, runId, sql);
    const secret = withoutLogin(deps, tracker, stored, login, refused);
    if (secret) return { secret };
    await sql`
      update trackers set login_claim = ${claim}, login_until = clock_timestamp() + ${`${LOGIN_LEASE_MS} ms`}::interval
      where name = ${tracker.name}`;
    return { claim, stored };
  });
}

/** @returns undefined when it is time for a login */
function withoutLogin(
  deps: TrackingDeps,
  tracker: Tracker,
  stored: Stored,
  login: Login,
  refused: string | undefined,
): Result<string> | undefined {
  const others = usable(deps, tracker, stored, login, refused);
  if (others !== undefined) return ok(others);
  if (stored.stopped) return fail('credentials', stored.stoppedReason ?? 'refused');
  const waitMs = (stored.waitingUntil?.getTime() ?? 0) - deps.clock();
  if (waitMs > 0) return fail('throttled', stored.waitingReason ?? 'waits', { retryAfterMs: waitMs });
  if (stored.loggingIn)
    return fail('notReady', 'another worker logs in', { retryAfterMs: ANOTHER_LOGS_IN_MS });
  const age = stored.fetchedAt ? deps.clock() - stored.fetchedAt.getTime() : Number.POSITIVE_INFINITY;
  // processes with different CREDENTIALS_KEYs take each other's tokens for none: no reason to hammer the login
  const locked = stored.token !== null && opened(deps.secrets, tracker.name, stored.token) === undefined;
  if ((refused !== undefined || locked) && age < RENEW_EVERY_MS)
    return fail('notReady', 'its token was renewed a moment ago', { retryAfterMs: RENEW_EVERY_MS - age });
  return undefined;
}

/** Writes what came of the login, and gives the lease back. @returns the token that is good now */
async function settleLogin(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  { claim, stored }: Claimed,
  token: Result<Token>,
  refused: string | undefined,
): Promise<Result<string>> {
  return await deps.db.$client.begin(async (sql) => {
    const { count } = await sql`
      update trackers set login_until = null where name = ${tracker.name} and login_claim = ${claim} and login_until is not null`;
    // it took longer than its lease
    if (count === 0) return fail('notReady', 'another worker logs in', { retryAfterMs: ANOTHER_LOGS_IN_MS });
    if (token.ok) {
      await keep(deps, tracker, token.value, sql);
      return ok(token.value.value);
    }
    const { kind, message, retryAfterMs } = token.failure;
    const still = stillGood(deps, tracker, stored, refused);
    if (kind === 'credentials') await markStopped(sql, tracker, runId, message, deps.clock());
    else if (still !== undefined) {
      await sql`
        update trackers set token_renew_at = ${new Date(deps.clock() + RENEW_LATER_MS)} where name = ${tracker.name}`;
      return ok(still);
    }
    // all of the tracker's batches would try the same: nobody does before that time
    else {
      const ms = retryAfterMs ?? LOGIN_AGAIN_MS;
      await noteWait(sql, deps, tracker, runId, { kind: 'login', ms, why: message });
    }
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
      coalesce(login_until > clock_timestamp(), false) as "loggingIn",
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
      loggingIn: false,
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
