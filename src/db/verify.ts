import { sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import { samples } from './schema/index.ts';

class Undone extends Error {}

/**
 * Tries what every job needs of Postgres, and leaves nothing behind: a statement, and a transaction, which has
 * connections of its own, that writes a row and is rolled back. This detects a standby, a read-only database, a full
 * disk, a role without rights and missing tables, on all of which `select 1` succeeds.
 * @throws the driver's error
 */
export async function verifyDb(db: Db): Promise<void> {
  const write = db.transaction(async (tx) => {
    await tx.insert(samples).values({ series: 'verify', at: sql`now()`, value: 0 });
    throw new Undone();
  });
  await Promise.all([
    db.execute(sql`select 1`),
    write.catch((error) => {
      if (!(error instanceof Undone)) throw error;
    }),
  ]);
}
