import type pg from 'pg';
import { parseDatabaseUrl } from '../addresses/database.ts';
import { openClient } from './pool.ts';

/**
 * What stands before Postgres. Ours wants a session of its own for each connection: workers LISTEN, migrations hold a lock,
 * statements are prepared, the queues have their search_path.
 * - none: the connection goes to Postgres itself;
 * - session: each connection keeps its session to its end;
 * - transaction: the next transaction may have another session (or the next statement, where begin is refused).
 */
export type Pooling = 'none' | 'session' | 'transaction';

/** R12: what is said at the start and by doctor. */
export const NO_SESSIONS = {
  says: 'DATABASE_URL leads through a pooler that hands sessions out by transaction or by statement, which loses what workers LISTEN for and their settings',
  remedy:
    'let the pooler hand out whole sessions (PgBouncer: pool_mode = session; Supabase: port 5432; Neon: the host without -pooler), or set DATABASE_URL to Postgres itself',
};

/** In each the two connections meet where sessions are handed round; one would do on a quiet pooler. */
const ROUNDS = 5;

/**
 * Looks which it is, with two connections at most. A pooler tells a made-up process at the log-in, so that no other one can
 * be told apart from Postgres by what it answers later. When one connection has a session that was the other's a moment
 * ago, or another than its own before, sessions are handed round. That is sure; that they are not is as good as sure: a
 * pooler hands out what was given back last, or what was longest idle, and either comes round within a few turns.
 * @throws the driver's error when Postgres does not answer
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

/** Not in its types: what the server called itself at the log-in. */
const loggedInto = (client: pg.Client) => (client as unknown as { processID: number | null }).processID;
