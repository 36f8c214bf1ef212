import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { isMomentary } from '../infrastructure.ts';

/** A victim is chosen after a second (deadlock_timeout): ten tries end before a job's lock of 20 s. */
const MOST_TRIES = 10;
/** Pauses are random up to 5, 10, 20, … ms: who met once shall not meet again. */
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 500;

/**
 * Makes a pool repeat what Postgres has undone, as its hint says (R2). BullMQ 6.7 promotes all due jobs of a queue in
 * one unordered UPDATE with each job that it takes, so two workers that hand back and take at the same time deadlock; what
 * is the victim may be the end of a job, for which BullMQ spends an attempt or fails the job.
 *
 * It is done here, once, since everything goes through here: our adds, hand-backs and counts, and BullMQ's own calls. Each is
 * one statement in a transaction of its own, which Postgres has undone whole. Statements of a client that was taken out of
 * the pool are not repeated: they may stand in a transaction.
 * @returns the pool given; its `query` rejects with the driver's error when the tries are spent, any other error at once
 */
export function repeatingVictims(pool: pg.Pool): pg.Pool {
  const once = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
  async function query(...args: unknown[]): Promise<unknown> {
    for (let tries = 1; ; tries++) {
      try {
        return await once(...args);
      } catch (error) {
        if (!isMomentary(error) || tries === MOST_TRIES) throw error;
      }
      await sleep(Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1)));
    }
  }
  pool.query = query as typeof pool.query;
  return pool;
}
