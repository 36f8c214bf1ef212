import type postgres from 'postgres';
import { WatchedSocket } from '../sockets.ts';

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

/** What postgres.js passes to the maker of its sockets. */
interface Place {
  host: string[];
  port: number[];
  path?: string | false;
}

/**
 * postgres.js (3.4.9) is told of an end in the order that it can bear: first the error, by which it rejects what is out, and only
 * when that has had its consequences the end, as one without an error. Otherwise the ROLLBACK of a transaction that was cut
 * goes to a connection which is no more: its answer is waited for for ever and taken for another statement's, or the
 * process ends by an uncaught TypeError.
 */
class DriverSocket extends WatchedSocket {
  #opened = false;
  #told = false;

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'connect') this.#opened = true;
    if (event === 'error') this.#told = true;
    if (event !== 'close') return super.emit(event, ...args);
    // under TLS the driver listens to another one
    if (!this.#told && this.listenerCount('error') > 0)
      super.emit('error', Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }));
    // what could not be opened is tried again later and later
    setImmediate(() => setImmediate(() => super.emit('close', !this.#opened && args[0])));
    return true;
  }
}

/** Postgres tells every session of these, at its start and when they change; "on" means that nothing can be written. */
const READ_ONLY = ['in_hot_standby', 'default_transaction_read_only'];

/**
 * Options of postgres.js that make a pool give up connections which are good for nothing, by making its sockets itself:
 * - silent ones (sockets.ts);
 * - those to a server that takes no writes: a primary that was demoted behind the same address, or a database that was made
 *   read-only for a while, which its sessions stay when it no longer is (25006). The next statement opens another.
 *
 * The driver wants its sockets at once and unconnected: after an error while it is given one it forgets that connection for
 * good (3.4.9), and after its own `close()` those that were never opened. Of several hosts each connection takes the next,
 * as the driver itself does.
 * @param parameters what the driver remembers of its sessions
 */
export function watched({ silenceMs, idleMs, readOnlyMs }: Watch, parameters: () => Record<string, unknown>) {
  const open = new Set<DriverSocket>();
  let next = 0;
  let timer: NodeJS.Timeout | undefined;

  function socket({ host, port, path }: Place): DriverSocket {
    const made = new DriverSocket(silenceMs, () => open.delete(made));
    open.add(made);
    if (path) return made.connect(path);
    const at = next++ % host.length;
    const place = { host: host[at] ?? 'localhost', port: port[at] ?? 5432 };
    // the driver reads the host there when it looks at the server's certificate
    return Object.assign(made.connect(place), place);
  }

  function replace(): void {
    timer = undefined;
    // it tells what differs from what it was told last: the next session must tell it again
    for (const one of READ_ONLY) delete parameters()[one];
    for (const one of open) one.retire();
  }

  return {
    socket,
    idle_timeout: idleMs / 1000,
    onparameter(name: string, value: unknown): void {
      if (timer || !READ_ONLY.includes(name) || value !== 'on') return;
      timer = setTimeout(replace, readOnlyMs).unref();
    },
  };
}

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
