import { cut, storable } from './storable.ts';

/**
 * What can go wrong with a call to somebody else's API, as a closed union of plain values (T16). Each API makes them in
 * one place; `actionOf` says what the fleet does about each.
 */
export type FailureKind =
  | 'throttled' // over the quota: wait, nothing is spent
  | 'transient' // network, time-out, 5xx, broken JSON: bounded retries with growing delays
  | 'notReady' // the other side is still computing: minutes
  | 'credentials' // refused: pause the account, tell a person
  | 'scope' // this API is not open to the account: pause that API alone
  | 'rejected' // a final no for this piece of work
  | 'sellerMustAct' // a final no until the seller does something: park, say so
  | 'alreadyDone' // verify by reading back
  | 'malformed' // an answer we cannot read
  | 'unknownOutcome' // the request may have had its effect: ask before sending again
  | 'bug'; // our own fault: stop that account, alert, no retry

export interface Failure {
  kind: FailureKind;
  /** For people: what happened, without personal data and without secrets. */
  message: string;
  /** The API's own code, when it gave one. */
  code?: number;
  /** How long the other side asked us to wait, in milliseconds. */
  retryAfterMs?: number;
}

/** What is done about a failure: one action each. */
export type Action = 'wait' | 'retry' | 'retryLater' | 'pauseAccount' | 'pauseApi' | 'park' | 'verify';

const ACTIONS: Record<FailureKind, Action> = {
  throttled: 'wait',
  transient: 'retry',
  malformed: 'retry', // a garbled answer is a fault of the moment (T16), not of the order
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

/** A failure on its way through code that can only throw. */
export class FailureError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.name = 'FailureError';
    this.failure = failure;
  }
}

/** A mistake of the person at the keyboard or in the environment: printed without a stack, exit code 2. */
export class UserError extends Error {
  override name = 'UserError';
}

/**
 * T18: Drizzle's error of a failed query has the query's parameters, a buyer's address for instance, in its message and
 * stack. What is logged, shown or kept is what Postgres said, which is its cause.
 */
export const withoutParameters = (error: unknown): unknown =>
  error instanceof Error && 'query' in error && 'params' in error && error.cause !== undefined
    ? error.cause
    : error;

/** The message of anything thrown, with its causes, on one line, as it can be stored. */
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
 * What kind of fault it was, in words of ours and of the code's alone ("rejected 7000020", "PostgresError 23505"): for where
 * a message may not go, since numbers of orders and words of others stand in it (T18).
 */
export function kindOf(error: unknown): string {
  if (error instanceof FailureError)
    return [error.failure.kind, ...(error.failure.code === undefined ? [] : [error.failure.code])].join(' ');
  const { name, code } = Object(withoutParameters(error)) as { name?: unknown; code?: unknown };
  const words = [name ?? 'unknown', code].filter((word) => /^\w{1,60}$/.test(String(word ?? '')));
  return words.join(' ') || 'unknown';
}
