import type { Sql, TransactionSql } from 'postgres';
import { insideTransaction } from '../lib/in-transaction.ts';
import { handlerOf, isAnswer, type Session, type Statement, sending } from './statements.ts';

/** The callback of a transaction. */
export type Work = (sql: TransactionSql) => unknown;

/**
 * A transaction on a connection of its own, which is not used once it is lost: statements that the callback still
 * makes then, or after its end, are refused, and the driver (3.4.9), which would write its ROLLBACK to a missing
 * socket, never learns how the callback ended.
 * @param options what follows BEGIN
 * @throws what the callback throws; the driver's error when the connection is lost, or a statement failed
 */
export async function inTransaction(session: Session, options: string, work: Work): Promise<unknown> {
  let ended: Error | undefined;
  const why = () => session.over ?? ended;

  function guarded(driver: TransactionSql, callback: Work): Promise<unknown> {
    const handler = handlerOf(driver as unknown as Sql);
    const send = (statement: Statement) => {
      const refusal = why();
      if (refusal) return statement.reject(refusal);
      session.track(statement);
      handler(statement);
    };
    const sql = sending(driver as unknown as Sql, send) as unknown as TransactionSql;
    const savepoint = async (...args: [string, Work] | [Work]) => {
      const [name, inner] = args.length === 1 ? [undefined, args[0]] : args;
      const refusal = why();
      if (refusal) throw refusal;
      const nested: Work = (one) => untilLost(() => guarded(one as TransactionSql, inner));
      return await (name === undefined ? driver.savepoint(nested) : driver.savepoint(name, nested));
    };
    return settled(callback(Object.assign(sql, { savepoint }) as TransactionSql));
  }

  async function untilLost<T>(callback: () => Promise<T>): Promise<T> {
    try {
      return await callback();
    } finally {
      if (session.over) await new Promise(() => {});
    }
  }

  const thrown: unknown[] = [];
  try {
    return await session.sql.begin(options, (driver) =>
      untilLost(async () => {
        try {
          return await insideTransaction(() => guarded(driver, work));
        } catch (error) {
          thrown.push(error);
          throw error;
        } finally {
          ended = new Error('a statement of a transaction that has ended');
        }
      }),
    );
  } catch (error) {
    // the callback's own error comes back after a ROLLBACK
    session.doubtful = !thrown.includes(error) && !isAnswer(error);
    throw error;
  }
}

/** Like the driver: a callback may return its statements. */
const settled = async (result: unknown): Promise<unknown> =>
  Array.isArray(result) ? await Promise.all(result) : await result;
