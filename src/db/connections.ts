import type postgres from 'postgres';

/**
 * How postgres.js' connections are watched (R2, R10), in milliseconds. A job's statement has `silenceMs`: our longest
 * are batches of some thousand rows and aggregates read by index, a second or two on a large fleet; what takes ten
 * times that is better retried later. Idle connections are closed so early that a pool whose connections have all
 * gone silent while idle works again within 30 s: `idleMs + silenceMs`.
 */
export interface Watch {
  silenceMs: number;
  idleMs: number;
  /** Between two heartbeats of a connection that only listens. */
  heartbeatMs: number;
  /** A connection to a read-only server is replaced after this long, and again, until the server accepts writes. */
  readOnlyMs: number;
}

export const WATCH: Watch = { silenceMs: 18_000, idleMs: 10_000, heartbeatMs: 8_000, readOnlyMs: 5_000 };
/** For statements that may take as long as they need: migrations build indexes. */
export const PATIENT: Partial<Watch> = { silenceMs: 24 * 3_600_000, idleMs: 24 * 3_600_000 };

/**
 * `begin` with a server-side timeout: the server ends transactions that send nothing for `silenceMs`. It does not
 * notice a connection that has gone silent either, and would keep its row locks for hours. Sent along with the first
 * statement, since poolers refuse settings at a session's start; our side has given up by then.
 */
export function endedByTheServer(begin: postgres.Sql['begin'], { silenceMs }: Watch): postgres.Sql['begin'] {
  return (...args: unknown[]) => {
    const work = args.pop() as (sql: postgres.TransactionSql) => unknown;
    const bounded = (sql: postgres.TransactionSql) => {
      // when it fails, so does everything after it
      sql.unsafe(`set local idle_in_transaction_session_timeout = ${silenceMs}`).catch(() => {});
      return work(sql);
    };
    return begin(...(args as []), bounded) as never;
  };
}
