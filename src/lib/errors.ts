import { cut, storable } from './storable.ts';

/**
 * Failures of a call to an external API, as a closed union of plain values (T16). Each API creates them in one place;
 * `actionOf` maps each to what the fleet does.
 */
export type FailureKind =
  | 'throttled' // over the quota: wait, nothing is spent
  | 'transient' // network, time-out, 5xx, broken JSON: bounded retries with growing delays
  | 'notReady' // the other side is still computing: minutes
  | 'credentials' // refused: pause the account, notify operators
  | 'scope' // this API is not open to the account: pause that API alone
  | 'rejected' // a final no for this piece of work
  | 'sellerMustAct' // a final no until the seller does something: park, say so
  | 'alreadyDone' // verify by reading back
  | 'malformed' // an answer we cannot read
  | 'unknownOutcome' // the request may have had its effect: ask before sending again
  | 'bug'; // ours: stop that account, alert, no retry

export interface Failure {
  kind: FailureKind;
  /** What happened, without personal data and secrets. */
  message: string;
  /** The API's own code, if any. */
  code?: number;
  /** How long the API wants us to wait, in milliseconds. */
  retryAfterMs?: number;
}

/** The action for each kind of failure. */
export type Action = 'wait' | 'retry' | 'retryLater' | 'pauseAccount' | 'pauseApi' | 'park' | 'verify';

const ACTIONS: Record<FailureKind, Action> = {
  throttled: 'wait',
  transient: 'retry',
  malformed: 'retry', // a garbled response is temporary (T16), not about the order
  notReady: 'retryLater',
  credentials: 'pauseAccount',
  bug: 'pauseAccount',
  scope: 'pauseApi',
  rejected: 'park',
  sellerMustAct: 'park',
  alreadyDone: 'verify',
  unknownOutcome: 'verify',
};

export const actionOf = (failure: Failure): Action => ACTIONS[failure.kind];

export type Result<T> = { ok: true; value: T } | { ok: false; failure: Failure };

export const ok = <T>(value: T): Result<T> => ({ ok: true, value });
export const fail = (kind: FailureKind, message: string, more: Omit<Failure, 'kind' | 'message'> = {}) =>
  ({ ok: false, failure: { kind, message, ...more } }) as const;

/** A failure passed through code that can only throw. */
export class FailureError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.name = 'FailureError';
    this.failure = failure;
  }
}

/** A mistake in the command line or the environment: printed without a stack, exit code 2. */
export class UserError extends Error {
  override name = 'UserError';
}

/**
 * T18: Drizzle's error of a failed query has the query's parameters, e.g. a buyer's address, in its message and stack.
 * Only its cause, Postgres's error, is logged, shown or stored.
 */
export const withoutParameters = (error: unknown): unknown =>
  error instanceof Error && 'query' in error && 'params' in error && error.cause !== undefined
    ? error.cause
    : error;

/** The message of anything thrown, with its causes, on one line, storable in Postgres. */
export function messageOf(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = withoutParameters(error);
  for (let depth = 0; current !== undefined && current !== null && depth < 5; depth++) {
    const text =
      current instanceof Error
        ? current.message || ('code' in current ? String(current.code) : current.name)
        : String(current);
    if (!parts.some((part) => part.includes(text))) parts.push(text);
    current = current instanceof Error ? withoutParameters(current.cause) : undefined;
  }
  return cut(storable(parts.join(': ').replace(/\s+/g, ' ')), 1000);
}

/**
 * Kind and code of an error only ("rejected 7000020", "PostgresError 23505"), where the message is not allowed, since it
 * may contain order numbers and foreign texts (T18).
 */
export function kindOf(error: unknown): string {
  if (error instanceof FailureError)
    return [error.failure.kind, ...(error.failure.code === undefined ? [] : [error.failure.code])].join(' ');
  const { name, code } = Object(withoutParameters(error)) as { name?: unknown; code?: unknown };
  const words = [name ?? 'unknown', code].filter((word) => /^\w{1,60}$/.test(String(word ?? '')));
  return words.join(' ') || 'unknown';
}
