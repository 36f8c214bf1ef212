import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { isMomentary } from '../lib/infrastructure.ts';
import { storable, storableJson } from '../lib/storable.ts';

/** A victim is chosen after a second (deadlock_timeout): ten tries end before a job's lock of 20 s. */
const MOST_TRIES = 10;
/** Pauses are random, up to 5, 10, 20, … ms, so that the same two do not collide again. */
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 500;

/**
 * What our queues need of the pool that BullMQ is given. It is done here, once, since everything goes through here:
 * our adds, hand-backs and counts, and BullMQ's own calls.
 *
 * R2: what Postgres has rolled back is retried, as its hint says. BullMQ 6.7 promotes all due jobs of a queue in one
 * unordered UPDATE with each job that it takes, so two workers that hand back and take at the same time deadlock; the
 * victim may be the completion of a job, for which BullMQ counts an attempt or fails the job. Each call is one
 * statement in a transaction of its own, rolled back whole. Statements of a client that was checked out of the pool
 * are not retried: they may be in a transaction.
 *
 * R4: characters that Postgres cannot store, as text or as jsonb, are removed from the parameters: of what handlers
 * throw and return, of progress, logs and data. Otherwise a job could neither complete nor fail, and would run again
 * as a stalled one.
 * @returns the pool given; its `query` rejects with the driver's error after the last try, any other error at once
 */
export function forQueues(pool: pg.Pool): pg.Pool {
  const once = pool.query.bind(pool) as (text: unknown, parameters?: unknown[]) => Promise<unknown>;
  async function query(text: unknown, parameters?: unknown[]): Promise<unknown> {
    const kept = parameters?.map(storableParameter);
    for (let tries = 1; ; tries++) {
      try {
        return await once(text, kept);
      } catch (error) {
        if (!isMomentary(error) || tries === MOST_TRIES) throw error;
      }
      await sleep(Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1)));
    }
  }
  pool.query = query as typeof pool.query;
  return pool;
}

/** JSON is a text by now, with escapes for what cannot be stored. */
const storableParameter = (parameter: unknown) =>
  typeof parameter === 'string' ? storableJson(storable(parameter)) : parameter;
