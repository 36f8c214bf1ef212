import type postgres from 'postgres';

/**
 * How postgres.js' connections are watched (R2, R10), in milliseconds. A job's statement has `silenceMs`: our longest are
 * batches of some thousand rows and figures read by index, a second or two on a large fleet, and what takes ten times that
 * is better tried again later. Idle connections are closed so early that a pool whose connections have all gone silent
 * while they were idle, and whose goodbyes nobody hears, works again within 30 s: `idleMs + silenceMs`.
 */
export interface Watch {
  silenceMs: number;
  idleMs: number;
  /** Between two signs of life of a connection that only listens. */
  heartbeatMs: number;
  /** A connection to a server that takes no writes is replaced after this long, and again, until it is well. */
  readOnlyMs: number;
}

export const WATCH: Watch = { silenceMs: 18_000, idleMs: 10_000, heartbeatMs: 8_000, readOnlyMs: 5_000 };
/** For statements that may take as long as they like: migrations build indexes. */
export const PATIENT: Partial<Watch> = { silenceMs: 24 * 3_600_000, idleMs: 24 * 3_600_000 };

/**
 * `begin` whose transactions the server ends when they ask nothing for `silenceMs`: it hears as little as we do of a connection
 * that has gone silent, and would keep the rows that were locked there for hours. Sent along with the first statement,
 * since poolers refuse settings at a session's start; our side has given up by then.
 */
export function endedByTheServer(begin: postgres.Sql['begin'], { silenceMs }: Watch): postgres.Sql['begin'] {
  return (...args: unknown[]) => {
    const work = args.pop() as (sql: postgres.TransactionSql) => unknown;
    const bounded = (sql: postgres.TransactionSql) => {
      // when it fails, so does all that follows
      sql.unsafe(`set local idle_in_transaction_session_timeout = ${silenceMs}`).catch(() => {});
      return work(sql);
    };
    return begin(...(args as []), bounded) as never;
  };
}
