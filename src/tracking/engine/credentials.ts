import { randomUUID } from 'node:crypto';
import { and, eq, isNotNull, sql } from 'drizzle-orm';
import type { Db, Tx } from '../../db/client.ts';
import { type RowOf, statement } from '../../db/query.ts';
import { trackers, trackingRuns } from '../../db/schema/index.ts';
import type { Secrets } from '../../db/secrets.ts';
import { fail, ok, type Result, UserError } from '../../lib/errors.ts';
import type { TrackingDeps } from '../deps.ts';
import { type Tracker, whyOff } from '../registry.ts';
import type { Login, Token } from '../toolkit/courier.ts';
import { recordCooldown } from './cooldown.ts';
import { LOGIN_AGAIN_MS, logIn } from './login.ts';
import { suspendTracker } from './suspend.ts';

/** C11: a refused token is renewed at most this often. */
const RENEW_EVERY_MS = 30_000;
/** Longer than a login takes. After it another worker may take over from one that was killed. */
const LOGIN_LEASE_MS = RENEW_EVERY_MS;
const ANOTHER_LOGS_IN_MS = 1_000;
/** When a renewal fails for the moment, a token that is still valid stays in use, and is renewed this much later. */
const RENEW_LATER_MS = 5 * 60_000;

/** What a request is authorized with; `scheme`: the index of the courier's scheme that works. */
export interface Credential {
  value: string;
  scheme: number;
}

const ph = sql.placeholder;

const STORED = {
  token: trackers.token,
  expiresAt: trackers.tokenExpiresAt,
  fetchedAt: trackers.tokenFetchedAt,
  renewAt: trackers.tokenRenewAt,
  scheme: trackers.scheme,
  /** The scheduler has the same credentials as this process. */
  same: sql<boolean>`coalesce(${trackers.credentials}, ${ph('credentials')}) = ${ph('credentials')}`,
  stoppedReason: trackers.stoppedReason,
  /** Refused since the run began: another login would only bring the account closer to a lockout. */
  stopped: sql<boolean>`exists (
    select from ${trackingRuns} where ${trackingRuns.id} = ${ph('runId')} and ${trackingRuns.startedAt} < ${trackers.stoppedAt})`,
  waitingUntil: trackers.waitingUntil,
  waitingReason: trackers.waitingReason,
  waits: trackers.waits,
  /** Another worker has the lease. */
  loggingIn: sql<boolean>`coalesce(${trackers.loginUntil} > clock_timestamp(), false)`,
};
type Stored = RowOf<typeof STORED>;

const READ = statement(
  STORED,
  (read) => sql`select ${read} from ${trackers} where ${trackers.name} = ${ph('tracker')}`,
);

const isTracker = ({ name }: Tracker) => eq(trackers.name, name);

const context = (name: string) => `trackers.token of ${name}`;

export { context as tokenContext };

/**
 * A tracker's key, or the token that the fleet shares (C11). A token that is missing, about to expire or refused is
 * renewed by one worker, while the others wait for it.
 * @param refused the token that the API has just refused
 * @param runId the run that counts the cooldowns
 * @returns failures: `credentials` when the login is refused; `notReady` with a time when it is too early for another
 * login; `throttled` with a time when the login failed for the moment: then the whole tracker cools down
 */
export async function getCredential(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  signal: AbortSignal,
  refused?: string,
): Promise<Result<Credential>> {
  const { access } = tracker.connection ?? {};
  if (!access) return fail('credentials', whyOff(tracker) ?? 'disabled');
  const stored = await (refused === undefined ? readRecently : read)(deps.db, tracker, runId);
  // a worker with other credentials would invalidate the shared token, or report valid credentials as refused
  if (!stored.same)
    return fail('notReady', 'this worker and the scheduler have different credentials: restart both', {
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
  // when aborted, its lease expires as a killed worker's does: the login may have reached the courier
  const token = await logIn(deps, tracker, login, signal, claimed.stored.waits);
  ended(token.ok ? 'ok' : token.failure.kind);
  const value = await settleLogin(deps, tracker, runId, claimed, token, refused);
  return value.ok ? ok({ value: value.value, scheme }) : value;
}

/** This worker has the lease of the tracker's login: it may log in, outside of any transaction. */
interface Claimed {
  /** Fencing token: whoever logs in after this lease has another one. */
  claim: string;
  stored: Stored;
}

/**
 * One login at a time in the whole fleet: other workers retry in a moment and find the token. The lease of a killed
 * worker expires.
 * @returns the lease, or why no login is needed or allowed
 */
async function claimLogin(
  deps: TrackingDeps,
  tracker: Tracker,
  login: Login,
  runId: string,
  refused: string | undefined,
): Promise<Claimed | { secret: Result<string> }> {
  const claim = randomUUID();
  return await deps.db.transaction(async (tx) => {
    await tx.select({ name: trackers.name }).from(trackers).where(isTracker(tracker)).for('update');
    const stored = await read(tx, tracker, runId);
    const secret = withoutLogin(deps, tracker, stored, login, refused);
    if (secret) return { secret };
    const loginUntil = sql`clock_timestamp() + ${`${LOGIN_LEASE_MS} ms`}::interval`;
    await tx.update(trackers).set({ loginClaim: claim, loginUntil }).where(isTracker(tracker));
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
  if (stored.stopped) return fail('credentials', stored.stoppedReason ?? 'rejected');
  const waitMs = (stored.waitingUntil?.getTime() ?? 0) - deps.clock();
  if (waitMs > 0) return fail('throttled', stored.waitingReason ?? 'cooling down', { retryAfterMs: waitMs });
  if (stored.loggingIn)
    return fail('notReady', 'another worker is logging in', { retryAfterMs: ANOTHER_LOGS_IN_MS });
  const age = stored.fetchedAt ? deps.clock() - stored.fetchedAt.getTime() : Number.POSITIVE_INFINITY;
  // processes with different CREDENTIALS_KEYs cannot decrypt each other's tokens: no reason to hammer the login
  const unreadable = stored.token !== null && opened(deps.secrets, tracker.name, stored.token) === undefined;
  if ((refused !== undefined || unreadable) && age < RENEW_EVERY_MS)
    return fail('notReady', 'the token was renewed a moment ago', { retryAfterMs: RENEW_EVERY_MS - age });
  return undefined;
}

/** Saves the result of the login and releases the lease. @returns the token that is valid now */
async function settleLogin(
  deps: TrackingDeps,
  tracker: Tracker,
  runId: string,
  { claim, stored }: Claimed,
  token: Result<Token>,
  refused: string | undefined,
): Promise<Result<string>> {
  return await deps.db.transaction(async (tx): Promise<Result<string>> => {
    const { count } = await tx
      .update(trackers)
      .set({ loginUntil: null })
      .where(and(isTracker(tracker), eq(trackers.loginClaim, claim), isNotNull(trackers.loginUntil)));
    // the lease has expired
    if (count === 0)
      return fail('notReady', 'another worker is logging in', { retryAfterMs: ANOTHER_LOGS_IN_MS });
    if (token.ok) {
      await saveToken(deps, tracker, token.value, tx);
      return ok(token.value.value);
    }
    const { kind, message, retryAfterMs } = token.failure;
    const still = unexpired(deps, tracker, stored, refused);
    if (kind === 'credentials') await suspendTracker(tx, tracker, runId, message, deps.clock());
    else if (still !== undefined) {
      const tokenRenewAt = new Date(deps.clock() + RENEW_LATER_MS);
      await tx.update(trackers).set({ tokenRenewAt }).where(isTracker(tracker));
      return ok(still);
    }
    // all of the tracker's batches would try the same: none does before that time
    else {
      const ms = retryAfterMs ?? LOGIN_AGAIN_MS;
      await recordCooldown(tx, deps, tracker, runId, { kind: 'login', ms, why: message });
    }
    return token;
  });
}

async function read(db: Db | Tx, { name, credentials }: Tracker, runId: string): Promise<Stored> {
  const [row] = await READ.run(db, { tracker: name, credentials, runId });
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

/** Requests come by the dozen, and each would read the same (P5). A token that is refused, or missing, is read anew. */
async function readRecently(db: Db, tracker: Tracker, runId: string): Promise<Stored> {
  const known = recent.get(tracker);
  if (known?.runId === runId && performance.now() - known.at < RECENT_MS) return await known.stored;
  const stored = read(db, tracker, runId);
  recent.set(tracker, { runId, at: performance.now(), stored });
  stored.catch(() => recent.delete(tracker));
  return await stored;
}
const recent = new WeakMap<Tracker, { runId: string; at: number; stored: Promise<Stored> }>();
const RECENT_MS = 1_000;

function usable(
  { secrets, clock }: TrackingDeps,
  { name }: Tracker,
  { token, expiresAt, fetchedAt, renewAt }: Stored,
  { renewBeforeMs }: Login,
  refused: string | undefined,
): string | undefined {
  if (!token || !expiresAt || !fetchedAt) return undefined;
  // a token with a lifetime below `renewBeforeMs` would be renewed for every request
  const early = Math.min(renewBeforeMs, (expiresAt.getTime() - fetchedAt.getTime()) / 2);
  const from = Math.max(expiresAt.getTime() - early, renewAt?.getTime() ?? 0);
  if (Math.min(from, expiresAt.getTime()) <= clock()) return undefined;
  const value = opened(secrets, name, token);
  return value === refused ? undefined : value;
}

/** A token that is due for renewal, but has not expired. */
function unexpired(
  { secrets, clock }: TrackingDeps,
  { name }: Tracker,
  { token, expiresAt }: Stored,
  refused: string | undefined,
): string | undefined {
  if (!token || !expiresAt || expiresAt.getTime() <= clock()) return undefined;
  const value = opened(secrets, name, token);
  return value === refused ? undefined : value;
}

/** @returns undefined when it was encrypted with a key that is gone: then it is renewed */
function opened(secrets: Secrets, name: string, token: string): string | undefined {
  try {
    return secrets.decrypt(token, context(name));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

async function saveToken(
  { secrets, clock, log }: TrackingDeps,
  { name }: Tracker,
  { value, expiresAt }: Token,
  tx: Tx,
): Promise<void> {
  await tx
    .update(trackers)
    .set({
      token: secrets.encrypt(value, context(name)),
      tokenRenewAt: null,
      tokenExpiresAt: expiresAt,
      tokenFetchedAt: new Date(clock()),
    })
    .where(eq(trackers.name, name));
  log.info({ tracker: name, expiresAt }, 'logged in');
}
