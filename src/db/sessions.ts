import { setTimeout as sleep } from 'node:timers/promises';
import postgres, { type Sql } from 'postgres';
import { notInTransaction, refusalInTransaction } from '../lib/in-transaction.ts';
import { handlerOf, isAnswer, onSettled, type Session, type Statement, sending } from './statements.ts';
import { inTransaction, type Work } from './transactions.ts';

interface Waiter {
  no: number;
  transaction: boolean;
  take(session: Session): void;
  fail(error: unknown): void;
}

export interface SessionsOptions {
  /** Most connections. All but one of them may be in transactions; with 1 everything queues for it. */
  max: number;
  /** An idle one is closed after this long, milliseconds. */
  idleMs: number;
  /** A connection to a read-only server is replaced after this long, and again, until the server accepts writes. */
  readOnlyMs: number;
  /**
   * Longer than the driver's own connection timeout: a server that accepts and closes at once would be retried for
   * ever.
   */
  openMs: number;
}

/**
 * Postgres reports these to every session, at its start and when they change; "on" means read-only: a primary that
 * was demoted behind the same address, or a database that was made read-only for a while, which its sessions stay
 * when it no longer is (25006).
 */
const READ_ONLY = ['in_hot_standby', 'default_transaction_read_only'];

/** No connection is kept longer than this, in case its server leaks or its name has moved. */
const LIFE_MS = 3_600_000;
/** After a failed connection the next one waits, twice as long each time. */
const PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/**
 * postgres.js on connections that have one holder at a time and are discarded when they close. Its own pool (3.4.9)
 * reopens them, and then
 * - a transaction that was open there continues inside the next one's (its issues 1204, 1215, 1216), or writes to a
 *   missing socket, which cannot be caught: the process ends;
 * - a statement made between a socket's error and its close never settles, and its connection is never free again;
 * - a BEGIN behind a hundred statements is lost (823, 1189).
 *
 * Requests for a connection queue. Cursors, `file`, `reserve`, `subscribe` and large objects are not offered.
 * @param driver a client that has the options and makes the statements; it connects for LISTEN only
 */
export function createSessions(driver: Sql, { max, idleMs, readOnlyMs, openMs }: SessionsOptions): Sql {
  /** With when they are to end. */
  const sessions = new Map<Session, number>();
  /** With since when; the one used last is last, and is used next. */
  const idle = new Map<Session, number>();
  const statements: Waiter[] = [];
  const begins: Waiter[] = [];
  const mostTransactions = Math.max(1, max - 1);
  let transactions = 0;
  let waiters = 0;
  let failures = 0;
  let pauseUntil = 0;
  let sweeper: NodeJS.Timeout | undefined;
  let closed: Promise<void> | undefined;
  const closing = new AbortController();

  function create(): Session {
    const pending = new Set<Statement>();
    const onclose = () => {
      session.over ??= connectionError('CONNECTION_CLOSED');
      for (const statement of pending) statement.reject(session.over);
      forget(session);
      serve();
    };
    const onparameter = (name: string, value: unknown) => {
      const until = sessions.get(session);
      if (READ_ONLY.includes(name) && value === 'on' && until !== undefined)
        sessions.set(session, Math.min(until, performance.now() + readOnlyMs));
    };
    const sql = postgres({ ...driver.options, max: 1, no_subscribe: true, onclose, onparameter } as never);
    const session: Session = {
      sql,
      send: handlerOf(sql),
      over: undefined,
      doubtful: false,
      track(statement) {
        pending.add(statement);
        onSettled(statement, () => pending.delete(statement));
      },
    };
    sessions.set(session, performance.now() + LIFE_MS * (0.5 + Math.random() / 2));
    return session;
  }

  function forget(session: Session): void {
    sessions.delete(session);
    idle.delete(session);
  }

  /** Closes one without a holder, or one that failed to open. */
  function drop(session: Session, why: Error): void {
    session.over ??= why;
    forget(session);
    void session.sql.end({ timeout: 0 });
  }

  /** The first in the queue that may have a connection now. */
  function next(): Waiter | undefined {
    const [statement] = statements;
    const [begin] = transactions < mostTransactions ? begins : [];
    if (!begin || (statement && statement.no < begin.no)) return statements.shift();
    transactions++;
    return begins.shift();
  }

  function serve(): void {
    while (idle.size > 0 || sessions.size < max) {
      const waiter = next();
      if (!waiter) return;
      const free = [...idle.keys()].at(-1);
      if (free) {
        idle.delete(free);
        waiter.take(free);
      } else void open(create(), waiter);
    }
  }

  function wait(waiter: Omit<Waiter, 'no'>): void {
    (waiter.transaction ? begins : statements).push({ ...waiter, no: waiters++ });
    serve();
  }

  async function open(session: Session, waiter: Waiter): Promise<void> {
    try {
      const pauseMs = pauseUntil - performance.now();
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: closing.signal });
      await connect(session);
    } catch (cause) {
      const error = closed ? connectionError('CONNECTION_ENDED') : (cause as Error);
      pauseUntil = performance.now() + Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** failures++);
      if (waiter.transaction) transactions--;
      drop(session, error);
      waiter.fail(error);
      // with no connection at all the others would not do better
      if (sessions.size === 0) failAll(error);
      return serve();
    }
    failures = 0;
    sweeper ??= setInterval(sweep, Math.min(idleMs / 4, readOnlyMs)).unref();
    waiter.take(session);
  }

  async function connect(session: Session): Promise<void> {
    const timer = setTimeout(() => drop(session, connectionError('CONNECT_TIMEOUT')), openMs);
    try {
      await session.sql`select 1`;
    } finally {
      clearTimeout(timer);
    }
  }

  function release(session: Session): void {
    const until = sessions.get(session);
    if (until !== undefined && !closed) {
      if (session.doubtful || performance.now() > until) drop(session, connectionError('CONNECTION_ENDED'));
      else idle.set(session, performance.now());
    }
    serve();
  }

  function sweep(): void {
    const now = performance.now();
    for (const [session, since] of idle)
      if (now - since >= idleMs || now > (sessions.get(session) ?? 0))
        drop(session, connectionError('CONNECTION_ENDED'));
  }

  function failAll(error: Error): void {
    for (const { fail } of [...statements.splice(0), ...begins.splice(0)]) fail(error);
  }

  function send(statement: Statement): void {
    const refusal =
      refusalInTransaction('a statement of the pool') ?? (closed && connectionError('CONNECTION_ENDED'));
    if (refusal) {
      statement.reject(refusal);
      return;
    }
    wait({
      transaction: false,
      take(session) {
        if (statement.cancelled) return release(session);
        session.track(statement);
        // a tick later: the driver settles it just before its connection is ready for the next one
        onSettled(statement, (error) => {
          session.doubtful ||= error !== undefined && !isAnswer(error);
          queueMicrotask(() => release(session));
        });
        session.send(statement);
      },
      fail: (error) => statement.reject(error),
    });
  }

  async function begin(...args: [string, Work] | [Work]): Promise<unknown> {
    const [options, work] = args.length === 1 ? ['', args[0]] : args;
    notInTransaction('a transaction');
    if (closed) throw connectionError('CONNECTION_ENDED');
    const session = await new Promise<Session>((take, fail) => wait({ transaction: true, take, fail }));
    try {
      return await inTransaction(session, options, work);
    } finally {
      transactions--;
      release(session);
    }
  }

  /** @param options.timeout seconds for what is in progress; undefined: as long as it takes */
  function end(options?: { timeout?: number }): Promise<void> {
    closed ??= (async () => {
      clearInterval(sweeper);
      closing.abort();
      failAll(connectionError('CONNECTION_ENDED'));
      await Promise.all(
        [driver, ...[...sessions.keys()].map(({ sql }) => sql)].map((sql) => sql.end(options)),
      );
    })();
    return closed;
  }

  const sql = sending(driver, send);
  const notify = async (channel: string, payload: string) =>
    await sql`select pg_notify(${channel}, ${payload})`;
  return Object.assign(sql, { begin, notify, end, close: end }) as unknown as Sql;
}

/** Like the driver's own; its code makes it an infrastructure fault (infrastructure.ts). */
const connectionError = (code: string): Error => Object.assign(new Error(`Postgres: ${code}`), { code });
