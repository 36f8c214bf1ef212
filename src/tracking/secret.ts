import type { TransactionSql } from 'postgres';
import { fail, messageOf, ok, type Result } from '../errors.ts';
import type { Tracker } from './catalogue.ts';
import type { Login } from './courier.ts';
import type { TrackingDeps } from './deps.ts';
import { askedFor } from './retry-after.ts';
import { markStopped } from './stop.ts';

/** C11: a refused token is fetched anew at most this often. */
const RENEW_EVERY_MS = 30_000;
const LOGIN_TIMEOUT_MS = 15_000;

/** What a request is authorised with, and which of the courier's ways to send it works. */
export interface Secret {
  value: string;
  scheme: number;
}

interface Stored {
  token: string | null;
  expiresAt: Date | null;
  fetchedAt: Date | null;
  scheme: number;
  same: boolean;
  stoppedReason: string | null;
  stoppedAt: Date | null;
}

const context = (name: string) => `trackers.token of ${name}`;

/**
 * The secret of a tracker (C11): its key, or the token that the fleet shares. A token that is missing, about to expire
 * or refused is fetched by one worker of the fleet, while the others wait for it.
 * @param refused the token that the API has just refused
 * @returns failures: `credentials` when the login is refused; `throttled` with a time when it is too early to log in
 * again or the login asks us to wait; `transient`, `malformed`
 */
export async function secretOf(
  deps: TrackingDeps,
  tracker: Tracker,
  signal: AbortSignal,
  refused?: string,
): Promise<Result<Secret>> {
  const { access } = tracker.connection ?? {};
  if (!access) return fail('credentials', tracker.off ?? 'switched off');
  const stored = await read(deps, tracker);
  const scheme = Math.min(stored.scheme, access.schemes.length - 1);
  if (!access.login) return ok({ value: access.key ?? '', scheme });
  const { login } = access;
  const askedAt = deps.clock();
  const valid = usable(deps, tracker, stored, login, refused);
  if (valid !== undefined) return ok({ value: valid, scheme });
  return await deps.db.$client.begin(async (sql) => {
    // one login at a time in the whole fleet; who waited here finds the other's token
    await sql`select pg_advisory_xact_lock(hashtextextended(${context(tracker.name)}, 0))`;
    const now = await read(deps, tracker, sql);
    const others = usable(deps, tracker, now, login, refused);
    if (others !== undefined) return ok({ value: others, scheme });
    // refused to another worker meanwhile: logging in again would only bring the account nearer to its lock
    if (now.stoppedAt && now.stoppedAt.getTime() >= askedAt)
      return fail('credentials', now.stoppedReason ?? 'refused');
    const age = now.fetchedAt && now.same ? deps.clock() - now.fetchedAt.getTime() : Number.POSITIVE_INFINITY;
    if (refused !== undefined && age < RENEW_EVERY_MS)
      return fail('throttled', 'its token was renewed a moment ago', { retryAfterMs: RENEW_EVERY_MS - age });
    return await logIn(deps, tracker, login, scheme, signal, sql);
  });
}

async function read({ db }: TrackingDeps, tracker: Tracker, sql = db.$client as unknown as TransactionSql) {
  const [row] = await sql<Stored[]>`
    select token, token_expires_at as "expiresAt", token_fetched_at as "fetchedAt", scheme,
      stopped_reason as "stoppedReason", stopped_at as "stoppedAt",
      credentials is not distinct from ${tracker.credentials} as same
    from trackers where name = ${tracker.name}`;
  return (
    row ?? {
      token: null,
      expiresAt: null,
      fetchedAt: null,
      scheme: 0,
      same: false,
      stoppedReason: null,
      stoppedAt: null,
    }
  );
}

function usable(
  { secrets, clock }: TrackingDeps,
  { name }: Tracker,
  { token, expiresAt, fetchedAt, same }: Stored,
  { renewBeforeMs }: Login,
  refused: string | undefined,
): string | undefined {
  if (!token || !expiresAt || !fetchedAt || !same) return undefined;
  // one that lives shorter than it is to be renewed early would be fetched for every request
  const early = Math.min(renewBeforeMs, (expiresAt.getTime() - fetchedAt.getTime()) / 2);
  if (expiresAt.getTime() - early <= clock()) return undefined;
  const value = secrets.decrypt(token, context(name));
  return value === refused ? undefined : value;
}

async function logIn(
  { http, secrets, clock, log }: TrackingDeps,
  tracker: Tracker,
  login: Login,
  scheme: number,
  signal: AbortSignal,
  sql: TransactionSql,
): Promise<Result<Secret>> {
  const answer = await http.request({ ...login.request, timeoutMs: LOGIN_TIMEOUT_MS, signal });
  if (!answer.ok) return fail('transient', `login: ${answer.failure.message}`);
  const { status } = answer.value;
  if (status === 429)
    return fail('throttled', 'the login answered HTTP 429', {
      retryAfterMs: askedFor(answer.value, clock()) ?? 5 * 60_000,
    });
  if (status >= 500) return fail('transient', `the login answered HTTP ${status}`);
  const token = readSafely(() => login.read(answer.value));
  if (!token.ok) {
    if (token.failure.kind === 'credentials') await markStopped(sql, tracker, token.failure.message, clock());
    return token;
  }
  const { name, credentials } = tracker;
  await sql`
    update trackers set token = ${secrets.encrypt(token.value.value, context(name))}, credentials = ${credentials},
      token_expires_at = ${token.value.expiresAt}, token_fetched_at = ${new Date(clock())} where name = ${name}`;
  log.info({ tracker: name, expiresAt: token.value.expiresAt }, 'logged in');
  return ok({ value: token.value.value, scheme });
}

/** An answer that a courier's file cannot read is a fault of that answer, never of the process (R4). */
export function readSafely<T>(read: () => Result<T>): Result<T> {
  try {
    return read();
  } catch (error) {
    return fail('malformed', `the answer cannot be read: ${messageOf(error)}`);
  }
}
