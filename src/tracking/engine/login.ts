import { fail, messageOf, ok, type Result } from '../../lib/errors.ts';
import { MAX_WAIT_MS, waitFor } from '../../lib/retry-after.ts';
import type { TrackingDeps } from '../deps.ts';
import type { Tracker } from '../registry.ts';
import type { Login, Token } from '../toolkit/courier.ts';
import { sentAt } from '../toolkit/http-helpers.ts';

const LOGIN_TIMEOUT_MS = 15_000;
/** A login that fails for the moment is tried again after this long, doubled each time. */
export const LOGIN_AGAIN_MS = 30_000;
/** Wait after a login's HTTP 429 without Retry-After. */
const LOGIN_429_MS = 5 * 60_000;

/** @param waits the tracker's cooldowns in a row */
export async function logIn(
  { http, clock }: TrackingDeps,
  { name, courier }: Tracker,
  login: Login,
  signal: AbortSignal,
  waits: number,
): Promise<Result<Token>> {
  const answer = await http.request({ ...login.request, api: name, timeoutMs: LOGIN_TIMEOUT_MS, signal });
  const againMs = Math.min(MAX_WAIT_MS, LOGIN_AGAIN_MS * 2 ** waits);
  const later = (why: string, ms = againMs) => fail('throttled', `login: ${why}`, { retryAfterMs: ms });
  if (!answer.ok) return later(answer.failure.message);
  const { status } = answer.value;
  const own = readSafely(() => ok(courier.failureOf?.(answer.value, 'login')));
  if (own.ok && own.value) {
    const { kind, message, retryAfterMs } = own.value;
    return kind === 'credentials' ? fail(kind, message) : later(message, retryAfterMs);
  }
  if (status === 429) return later('HTTP 429', waitFor(answer.value, LOGIN_429_MS, clock()));
  if (status >= 500) return later(`HTTP ${status}`, waitFor(answer.value, againMs, clock()));
  const token = readSafely(() => login.read(answer.value));
  if (!token.ok) return token.failure.kind === 'credentials' ? token : later(token.failure.message);
  // by our clock: where theirs is late, a new token would be due for renewal, login after login
  const lifeMs = token.value.expiresAt.getTime() - sentAt(answer.value);
  return ok({ ...token.value, expiresAt: new Date(clock() + lifeMs) });
}

/** A response that a courier's file cannot read fails that request, never the process (R4). */
export function readSafely<T>(read: () => Result<T>): Result<T> {
  try {
    return read();
  } catch (error) {
    return fail('malformed', `unreadable response: ${messageOf(error)}`);
  }
}
