import postgres, { type Sql } from 'postgres';

/**
 * A statement of postgres.js (3.4.9) as it is made and sent: a promise with these on it, which its types leave out.
 * Once it is awaited its `handler` is called, a tick later, and decides where it is sent.
 */
export interface Statement {
  handler: (statement: Statement) => void;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
  cancelled: unknown;
}

/** One connection: one holder at a time, and never reopened. */
export interface Session {
  sql: Sql;
  /** Sends a statement on it. */
  send: Statement['handler'];
  /** Why it is unusable: set from the very moment when it was closed. */
  over: Error | undefined;
  /** It may be about to close: nobody may get it after its holder. */
  doubtful: boolean;
  /** Registers a statement sent on it: when the connection is lost it fails, whatever the driver remembers. */
  track(statement: Statement): void;
}

/** Where a client sends its own statements. */
export const handlerOf = (sql: Sql): Statement['handler'] => (sql`` as unknown as Statement).handler;

/** The driver's interface, with statements that `handler` sends. What does not send is the driver's. */
export function sending(driver: Sql, handler: Statement['handler']): Sql {
  const made = <T>(value: T): T =>
    typeof value === 'object' && value !== null && 'handler' in value
      ? Object.assign(value, { handler })
      : value;
  const sql = (...args: Parameters<Sql>) => made(driver(...args));
  const unsafe = (...args: Parameters<Sql['unsafe']>) => made(driver.unsafe(...args));
  return Object.assign(sql, driver, { unsafe }) as unknown as Sql;
}

/**
 * True for a failure reported by Postgres itself, after which its connection is as good as before. After others it
 * may be about to close, and what the driver (3.4.9) is given until then never settles.
 */
export const isAnswer = (error: unknown): boolean => error instanceof postgres.PostgresError;

/**
 * Calls `done` when a statement is settled, in the same tick, with its error if it has failed. Its promise is left
 * alone: whoever awaits it gets the failure.
 */
export function onSettled(statement: Statement, done: (error?: unknown) => void): void {
  const { resolve, reject } = statement;
  statement.resolve = (result) => {
    resolve(result);
    done();
  };
  statement.reject = (error) => {
    reject(error);
    done(error);
  };
}
