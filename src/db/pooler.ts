import type pg from 'pg';
import { parseDatabaseUrl } from '../addresses/database.ts';
import { openClient } from './pool.ts';

/**
 * What is in front of Postgres. We need a session of our own per connection: workers LISTEN, migrations hold a lock,
 * statements are prepared, the queues have their search_path.
 * - none: the connection goes to Postgres itself;
 * - session: each connection keeps its session to its end;
 * - transaction: the next transaction may have another session (or the next statement, where begin is refused).
 */
export type Pooling = 'none' | 'session' | 'transaction';

/** R12: reported at the start and by doctor. */
export const NO_SESSIONS = {
  says: 'DATABASE_URL uses a pooler in transaction or statement mode, which breaks LISTEN and session settings of the workers',
  remedy:
    'use session pooling (PgBouncer: pool_mode = session; Supabase: port 5432; Neon: the host without -pooler), or set DATABASE_URL to Postgres itself',
};

/** Each of them detects shared sessions; one would do on a quiet pooler. */
const ROUNDS = 5;

/**
 * Detects the pooling with at most two connections. A pooler reports a made-up process id at the login, otherwise its
 * responses look like those of Postgres. When one connection has a session that was the other's a moment ago, or
 * another than its own before, sessions are shared. That is certain; that they are not is nearly so: a pooler hands
 * out the session that was returned last, or that was idle longest, and either repeats within a few rounds.
 * @throws the driver's error when Postgres does not respond
 */
export async function poolingOf(databaseUrl: string): Promise<Pooling> {
  const address = parseDatabaseUrl(databaseUrl);
  const first = openClient(address, 'pooler check');
  const second = openClient(address, 'pooler check');
  try {
    await first.connect();
    const own = await sessionOf(first);
    if (own === loggedInto(first)) return 'none';
    await second.connect();
    for (let round = 0; round < ROUNDS; round++) {
      await second.query('begin');
      const others = await sessionOf(second);
      const now = await sessionOf(first);
      await second.query('commit');
      if (now !== own || others === own) return 'transaction';
    }
    return 'session';
  } catch (error) {
    // PgBouncer's pool_mode = statement
    if (/transaction.* not allowed in statement pooling/i.test((error as Error).message))
      return 'transaction';
    throw error;
  } finally {
    await Promise.all([first, second].map((client) => client.end().catch(() => {})));
  }
}

async function sessionOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
}

/** Not in its types: the process id from the login. */
const loggedInto = (client: pg.Client) => (client as unknown as { processID: number | null }).processID;
