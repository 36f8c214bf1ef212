import { LRUCache } from 'lru-cache';
import { backoffMs, minutes, seconds } from '../queue/define.ts';

/**
 * One circuit per destination, in this process's memory: while it is open nothing is sent there, so that a destination
 * that hangs or refuses costs a call now and then, not a worker slot per notice. A restart costs one more call.
 */
export interface CircuitBreaker {
  /** Until when nothing is sent there; undefined: closed, or due for another attempt. */
  openUntil(key: string): number | undefined;
  /** True from the first failure to the next success: the next attempt is a single call. */
  halfOpen(key: string): boolean;
  /** @param retryAfterMs how long the destination wants no requests, if it said so. @returns until when it is open, epoch ms */
  recordFailure(key: string, retryAfterMs?: number): number;
  recordSuccess(key: string): void;
}

const BACKOFF = { baseMs: seconds(15), maxMs: minutes(5) };
/** A bound for endpoints that come and go; destinations are few. */
const MOST_CIRCUITS = 1_000;

export function createCircuitBreaker(clock: () => number): CircuitBreaker {
  const circuits = new LRUCache<string, { failures: number; until: number }>({ max: MOST_CIRCUITS });
  return {
    openUntil(key) {
      const circuit = circuits.get(key);
      return circuit && circuit.until > clock() ? circuit.until : undefined;
    },
    halfOpen: (key) => circuits.has(key),
    recordFailure(key, retryAfterMs) {
      const before = circuits.get(key);
      // calls that failed together are one failure
      if (before && before.until > clock() && retryAfterMs === undefined) return before.until;
      const failures = (before?.failures ?? 0) + 1;
      const until = clock() + (retryAfterMs ?? backoffMs(BACKOFF, failures));
      circuits.set(key, { failures, until });
      return until;
    },
    recordSuccess: (key) => void circuits.delete(key),
  };
}
